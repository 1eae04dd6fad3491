use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use url::{Host, Url};

use super::backoff::Backoff;
use super::clock::{Clock, Monotonic};
use super::credentials::{ClientSecret, Credentials};
use super::error::{BuildError, ConnectError};
use super::feed::{Feed, Follower, Intake, Progress};
use super::http::Http;
use super::introspection::Introspection;
use super::issuer::{Endpoints, Issuer};
use super::keys::{KeyKeeper, Keys};
use super::own_token::OwnToken;
use super::{Background, Shared, Validator};
use crate::keys::KeySet;
use crate::verifier::{TokenType, Verifier};

/// What to do with a token while the issuer's revocations have not been heard of for longer than
/// [`max_staleness`](ValidatorBuilder::max_staleness).
///
/// Revocations that are known are honoured with every policy, however old the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StalePolicy {
    /// Answer 503. No token is accepted later than `max_staleness` after its revocation was told to
    /// anybody; without the issuer, nobody gets in.
    #[default]
    Reject,
    /// Ask the issuer about each token (RFC 7662). As safe as [`Reject`](Self::Reject); it keeps the
    /// service going while the feed alone is out of order, at the price of one request a check.
    Introspect,
    /// Accept what is not known to be revoked. The service outlives its issuer, and tokens that were
    /// revoked meanwhile pass until they expire, or until the feed is back.
    Allow,
}

/// Settings of a [`Validator`].
#[derive(Clone, Debug)]
#[must_use = "a builder builds nothing until it connects"]
pub struct ValidatorBuilder {
    issuer: String,
    audience: String,
    other_audiences: Vec<String>,
    credentials: Option<Credentials>,
    token_type: TokenType,
    leeway: Option<Duration>,
    stale_policy: StalePolicy,
    max_staleness: Duration,
    request_timeout: Duration,
    silence_timeout: Duration,
    key_cool_down: Duration,
    cached_tokens: usize,
    reach_at: Option<String>,
    trusted: Vec<String>,
    root_certificates: Vec<Vec<u8>>,
    allow_http: bool,
    clock: Clock,
    monotonic: Monotonic,
}

impl ValidatorBuilder {
    pub(super) fn new(issuer: String, audience: String) -> Self {
        Self {
            issuer,
            audience,
            other_audiences: Vec::new(),
            credentials: None,
            token_type: TokenType::default(),
            leeway: None,
            stale_policy: StalePolicy::default(),
            max_staleness: Duration::from_secs(2),
            request_timeout: Duration::from_secs(2),
            silence_timeout: Duration::from_secs(3),
            key_cool_down: Duration::from_secs(10),
            cached_tokens: 10_000,
            reach_at: None,
            trusted: Vec::new(),
            root_certificates: Vec::new(),
            allow_http: false,
            clock: Clock::default(),
            monotonic: Monotonic::default(),
        }
    }

    /// Who this service is to the issuer: a client that may have the scope `revocations:read`, and
    /// may introspect where that is wanted. Needed for every policy but [`StalePolicy::Allow`], which
    /// without them knows of no revocation.
    pub fn credentials(mut self, client_id: impl Into<String>, secret: impl Into<ClientSecret>) -> Self {
        self.credentials = Some(Credentials { id: client_id.into(), secret: secret.into() });
        self
    }

    /// One audience more: a token for any of them will do. It is compared to the letter as well.
    pub fn another_audience(mut self, audience: impl Into<String>) -> Self {
        self.other_audiences.push(audience.into());
        self
    }

    /// What to do while the revocations are stale; [`StalePolicy::Reject`] unless set.
    pub fn stale_policy(mut self, policy: StalePolicy) -> Self {
        self.stale_policy = policy;
        self
    }

    /// How old the knowledge of revocations may be; two seconds unless set. It counts from the moment at
    /// which the issuer had looked, and not from when its heartbeat arrives: a feed that is late is as
    /// old as it is late. A heartbeat comes every second, so less than two makes the knowledge stale now
    /// and then.
    pub fn max_staleness(mut self, age: Duration) -> Self {
        self.max_staleness = age;
        self
    }

    /// The `typ` that tokens must have; `at+jwt` unless set.
    pub fn token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// How far the issuer's clock and this machine's may differ; five seconds unless set.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// How long the issuer may take to answer, and a caller to wait for it; two seconds unless set.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// After how long without an event or a heartbeat the stream is given up and opened anew; three
    /// seconds unless set. It decides how soon the feed is back, not whether it is trusted.
    pub fn silence_timeout(mut self, timeout: Duration) -> Self {
        self.silence_timeout = timeout;
        self
    }

    /// The least time between two fetches of the keys that tokens with unknown key ids cause; ten
    /// seconds unless set. Within it, such a token is refused by the keys that were fetched.
    pub fn key_cool_down(mut self, cool_down: Duration) -> Self {
        self.key_cool_down = cool_down;
        self
    }

    /// For about how many tokens to remember that their signature is right; 10,000 unless set, 0 for
    /// none. Times and revocation are checked on every use nevertheless.
    pub fn token_cache(mut self, tokens: usize) -> Self {
        self.cached_tokens = tokens;
        self
    }

    /// Where the issuer is reached, if not at its own URL: `http://hallpass:8080` inside a cluster,
    /// say. Tokens and metadata must name the issuer all the same.
    pub fn reach_at(mut self, url: impl Into<String>) -> Self {
        self.reach_at = Some(url.into());
        self
    }

    /// Another origin, as a URL, whose endpoints the issuer's metadata may name. Without it they are
    /// the issuer's own, or the metadata is refused.
    pub fn trust_origin(mut self, url: impl Into<String>) -> Self {
        self.trusted.push(url.into());
        self
    }

    /// Certificates (PEM) to trust beside those of the machine: an own certificate authority's.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Allows an issuer without TLS that is not on this machine. Whoever is on the way there can read
    /// the client's secret, put keys in place of the issuer's and keep revocations back.
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Where the time of day comes from: for tests.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Where the time comes from that the age of what is known is counted by: how long it is since some
    /// moment, with the time in which the machine slept. For tests.
    ///
    /// Unless set, it is `CLOCK_BOOTTIME` on Linux and Android, `CLOCK_MONOTONIC` on Apple's systems, which
    /// goes on as well while they sleep, and [`Instant`](std::time::Instant) elsewhere.
    pub fn monotonic_clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.monotonic = Monotonic::new(now);
        self
    }

    /// Fetches the issuer's metadata, keys and revocations, and follows them from then on.
    ///
    /// # Errors
    /// [`ConnectError`] when a part of it cannot be had: nothing is tried twice.
    pub async fn connect(self) -> Result<Validator, ConnectError> {
        let (shared, start) = self.prepare()?;
        let endpoints = start.issuer.discover().await?;
        let mut work = start.work(&shared, endpoints)?;
        let keys = work.keeper.fetch(false).await.map_err(ConnectError::Keys)?;
        if let Some(follower) = &mut work.follower {
            follower.fetch_snapshot().await.map_err(ConnectError::Revocations)?;
        }
        Ok(Validator::new(shared, work.run(keys)))
    }

    /// The same in the background: until the issuer is reached, no token can be checked.
    ///
    /// # Errors
    /// [`BuildError`] when the settings do not fit together. An issuer that cannot be reached, or
    /// that does not have what is needed, is tried again and again; the log says why.
    pub fn connect_lazy(self) -> Result<Validator, BuildError> {
        let (shared, start) = self.prepare()?;
        let background = start.run(shared.clone());
        Ok(Validator::new(shared, background))
    }

    pub(super) fn prepare(self) -> Result<(Arc<Shared>, Start), BuildError> {
        Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        if self.credentials.is_none() && self.stale_policy != StalePolicy::Allow {
            return Err(BuildError::NoCredentials);
        }
        let issuer = Arc::new(self.issuer()?);
        let leeway = self.leeway.unwrap_or(crate::verifier::DEFAULT_LEEWAY);
        let shared = Arc::new(Shared {
            keys: Arc::new(Keys::new(self.key_cool_down)),
            feed: Arc::new(Feed::new(self.monotonic.clone())),
            introspection: Introspection::new(issuer.clone(), self.request_timeout),
            endpoints: OnceLock::new(),
            clock: self.clock.clone(),
            policy: self.stale_policy,
            max_staleness: self.max_staleness,
            patience: self.request_timeout,
        });
        let rules = Verifier::new(KeySet::default(), &self.issuer, &self.audience)
            .with_token_type(self.token_type)
            .with_leeway(leeway);
        let rules = self.other_audiences.iter().fold(rules, Verifier::with_another_audience);
        Ok((shared, Start { settings: self, issuer, rules, leeway }))
    }

    fn issuer(&self) -> Result<Issuer, BuildError> {
        let url = self.url(&self.issuer, self.reach_at.is_none())?;
        let reach_at = self.reach_at.as_deref().map(|way| self.url(way, true)).transpose()?;
        let trusted = self.trusted.iter().map(|url| self.url(url, true)).collect::<Result<Vec<_>, _>>()?;
        let tls = [&url].into_iter().chain(&reach_at).chain(&trusted).any(|url| url.scheme() == "https");
        Ok(Issuer {
            name: self.issuer.clone(),
            http: Http::new(tls, &self.root_certificates, self.request_timeout)?,
            trusted: trusted.iter().map(Url::origin).collect(),
            credentials: self.credentials.clone(),
            url,
            reach_at,
        })
    }

    /// An address of the issuer; `travelled` when requests go to it.
    fn url(&self, text: &str, travelled: bool) -> Result<Url, BuildError> {
        let url = Url::parse(text).map_err(|_| BuildError::NotAnUrl(text.to_owned()))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.allow_http || !travelled || is_loopback(&url) => Ok(url),
            "http" => Err(BuildError::PlainHttp(text.to_owned())),
            _ => Err(BuildError::NotAnUrl(text.to_owned())),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Everything that is known before the issuer has been asked.
pub(super) struct Start {
    settings: ValidatorBuilder,
    issuer: Arc<Issuer>,
    rules: Verifier,
    leeway: Duration,
}

/// The background work, ready to begin.
pub(super) struct Work {
    pub(super) keeper: KeyKeeper,
    /// Without credentials, nothing can be followed.
    pub(super) follower: Option<Follower>,
}

impl Start {
    /// Lays out the work, now that the issuer has said where everything is.
    pub(super) fn work(&self, shared: &Shared, endpoints: Endpoints) -> Result<Work, ConnectError> {
        let keeper = KeyKeeper::new(
            self.issuer.clone(),
            shared.keys.clone(),
            endpoints.jwks.clone(),
            self.rules.clone(),
            self.settings.cached_tokens,
        );
        let follower = self.follower(shared, &endpoints)?;
        if shared.policy == StalePolicy::Introspect && endpoints.introspection.is_none() {
            return Err(ConnectError::MissingEndpoint { name: "introspection_endpoint" });
        }
        // Nobody else sets it: it cannot be set yet.
        let _ = shared.endpoints.set(endpoints);
        Ok(Work { keeper, follower })
    }

    fn follower(&self, shared: &Shared, endpoints: &Endpoints) -> Result<Option<Follower>, ConnectError> {
        let (revocations, token_endpoint) = match (&endpoints.revocations, &endpoints.token) {
            _ if self.settings.credentials.is_none() => return Ok(None),
            (Some(revocations), Some(token)) => (revocations.clone(), token.clone()),
            // Every token is introspected then, or none is refused.
            _ if shared.policy != StalePolicy::Reject => return Ok(None),
            (None, _) => return Err(ConnectError::MissingEndpoint { name: "hallpass_revocations_endpoint" }),
            (_, None) => return Err(ConnectError::MissingEndpoint { name: "token_endpoint" }),
        };
        Ok(Some(Follower {
            issuer: self.issuer.clone(),
            intake: Intake {
                feed: shared.feed.clone(),
                keys: shared.keys.clone(),
                clock: self.settings.clock.clone(),
                leeway: self.leeway,
                max_staleness: self.settings.max_staleness,
                has_stream: endpoints.revocations_stream.is_some(),
                progress: Progress::default(),
            },
            own_token: OwnToken::default(),
            token_endpoint,
            revocations,
            stream: endpoints.revocations_stream.clone(),
            silence: self.settings.silence_timeout,
            poll_every: self.settings.max_staleness / 3,
        }))
    }

    /// Asks the issuer until it answers, then begins.
    fn run(self, shared: Arc<Shared>) -> Background {
        let task = tokio::spawn(async move {
            let mut backoff = Backoff::default();
            let work = loop {
                let laid_out = match self.issuer.discover().await {
                    Ok(endpoints) => self.work(&shared, endpoints),
                    Err(error) => Err(error),
                };
                match laid_out {
                    Ok(work) => break work,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the issuer is of no use yet"
                        );
                        tokio::time::sleep(backoff.next()).await;
                    }
                }
            };
            // Keys that are good for no time at all are fetched at once.
            work.go(Duration::ZERO).await;
        });
        Background(task.abort_handle())
    }
}

impl Work {
    /// Begins, with keys that are good for `keys`.
    fn run(self, keys: Duration) -> Background {
        Background(tokio::spawn(self.go(keys)).abort_handle())
    }

    async fn go(self, keys: Duration) {
        let follow = async {
            if let Some(follower) = self.follower {
                follower.run().await;
            }
        };
        tokio::join!(self.keeper.run(keys), follow);
    }
}

impl Validator {
    pub(super) fn new(shared: Arc<Shared>, background: Background) -> Self {
        Self { shared, _background: Arc::new(background) }
    }
}
