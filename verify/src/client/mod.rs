//! A validator that follows its issuer.

mod backoff;
mod builder;
mod clock;
mod credentials;
mod error;
mod feed;
mod http;
mod introspection;
mod issuer;
mod keys;
mod own_token;
#[doc(hidden)]
pub mod replay;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::AbortHandle;

pub use builder::{StalePolicy, ValidatorBuilder};
pub use credentials::ClientSecret;
pub use error::{BuildError, CannotTell, ConnectError, RequestError, ValidationError};

use crate::cache::KnownToken;
use crate::claims::AccessClaims;
use crate::rejection::Rejection;
use clock::Clock;
use feed::Feed;
use introspection::Introspection;
use issuer::Endpoints;
use keys::{Keys, UnknownKid};

/// Checks access tokens in this process, by keys and revocations that it fetches from the issuer in
/// the background.
///
/// Make one per issuer and audience and clone it: clones share everything. When the last one is
/// dropped, the fetching ends.
///
/// ```no_run
/// use hallpass_verify::client::{StalePolicy, Validator};
/// # async fn start(secret: String) -> Result<(), Box<dyn std::error::Error>> {
/// let validator = Validator::builder("https://id.example.com", "https://api.example.com")
///     .credentials("orders", secret)
///     .stale_policy(StalePolicy::Reject)
///     .connect()
///     .await?;
/// match validator.validate("eyJ…").await {
///     Ok(claims) => println!("user {} with {:?}", claims.sub, claims.roles),
///     Err(error) if error.is_verdict() => println!("401: {error}"),
///     Err(error) => println!("503: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Validator {
    shared: Arc<Shared>,
    /// Ends the background work with the last clone.
    _background: Arc<Background>,
}

/// What callers and the background work share.
struct Shared {
    keys: Arc<Keys>,
    feed: Arc<Feed>,
    introspection: Introspection,
    /// Set once, when the issuer has said where it is.
    endpoints: OnceLock<Endpoints>,
    clock: Clock,
    policy: StalePolicy,
    max_staleness: Duration,
    /// How long a caller waits for keys that are being fetched.
    patience: Duration,
}

struct Background(AbortHandle);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What this process knows on its own.
enum Finding {
    /// The token stands.
    Stands(Arc<KnownToken>),
    /// Nothing known speaks against the token, but what is known is too old.
    Stale(Arc<KnownToken>, CannotTell),
    /// The token names a key that is not known.
    UnknownKid,
}

/// How a [`Validator`] is doing: for health checks and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How many keys are in use. With none, no token can be checked.
    pub keys: usize,
    /// How many revocations are known.
    pub revocations: usize,
    /// How old the knowledge of revocations is; `None` when there never was any.
    pub feed_age: Option<Duration>,
    /// Whether that is young enough.
    pub is_fresh: bool,
}

impl Validator {
    /// Begins with the issuer's URL and the audience, both exactly as tokens have them.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> ValidatorBuilder {
        ValidatorBuilder::new(issuer.into(), audience.into())
    }

    /// Checks a token: signature, claims, revocation.
    ///
    /// It waits for the issuer in two cases only: for its keys, when the token names one that is not
    /// known (once a cool-down at most), and with [`StalePolicy::Introspect`] while the feed is stale.
    /// Dropping the future is safe.
    ///
    /// # Errors
    /// [`ValidationError`]; [`ValidationError::is_verdict`] tells 401 from 503.
    pub async fn validate(&self, token: &str) -> Result<AccessClaims, ValidationError> {
        let mut finding = self.shared.look_at(token)?;
        if matches!(finding, Finding::UnknownKid) {
            if !self.shared.keys.settle(self.shared.patience).await {
                return Err(CannotTell::KeysOutOfDate.into());
            }
            finding = self.shared.look_at(token)?;
        }
        match finding {
            Finding::Stands(known) => Ok(known.claims.clone()),
            Finding::Stale(known, stale) => self.shared.when_stale(token, &known, stale).await,
            Finding::UnknownKid => Err(Rejection::UnknownKey.into()),
        }
    }

    /// The same without waiting for anything: what this process cannot tell by itself, it cannot
    /// tell. A token with an unknown key id makes the keys be fetched, so that the next try knows.
    ///
    /// # Errors
    /// [`ValidationError`]. While the feed is stale, [`StalePolicy::Introspect`] is like
    /// [`StalePolicy::Reject`] here.
    pub fn check(&self, token: &str) -> Result<AccessClaims, ValidationError> {
        match self.shared.look_at(token)? {
            Finding::Stands(known) => Ok(known.claims.clone()),
            Finding::Stale(_, stale) => Err(stale.into()),
            Finding::UnknownKid => Err(match self.shared.keys.on_unknown_kid() {
                UnknownKid::Settled => Rejection::UnknownKey.into(),
                UnknownKid::Failing => CannotTell::KeysOutOfDate.into(),
                UnknownKid::Due => {
                    self.shared.keys.want();
                    CannotTell::KeysOutOfDate.into()
                }
            }),
        }
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        let feed_age = self.shared.feed.age();
        Status {
            keys: self.shared.keys.len(),
            revocations: self.shared.feed.denylist().len(),
            feed_age,
            is_fresh: feed_age.is_some_and(|age| age <= self.shared.max_staleness),
        }
    }
}

impl Shared {
    /// A list that is too old says yes to nothing, unless the policy allows it (model: StaleSaysNothing).
    fn look_at(&self, token: &str) -> Result<Finding, ValidationError> {
        let keys = self.keys.current();
        let keys = keys.as_ref().ok_or(CannotTell::NoKeys)?;
        let known = match keys.verify(token, self.clock.now()) {
            Ok(known) => known,
            Err(Rejection::UnknownKey) => return Ok(Finding::UnknownKid),
            Err(rejection) => return Err(rejection.into()),
        };
        // The age before the list: the list may only be younger than the age that is judged.
        let age = self.feed.age();
        if self.feed.denylist().is_revoked(&known.claims, &known.kid) {
            return Err(ValidationError::Revoked);
        }
        let is_fresh = age.is_some_and(|age| age <= self.max_staleness);
        if is_fresh || self.policy == StalePolicy::Allow {
            return Ok(Finding::Stands(known));
        }
        Ok(Finding::Stale(known, CannotTell::Stale { age }))
    }

    async fn when_stale(
        &self,
        token: &str,
        known: &KnownToken,
        stale: CannotTell,
    ) -> Result<AccessClaims, ValidationError> {
        let endpoint = self.endpoints.get().and_then(|endpoints| endpoints.introspection.as_ref());
        let (StalePolicy::Introspect, Some(endpoint)) = (self.policy, endpoint) else {
            return Err(stale.into());
        };
        match self.introspection.is_active(endpoint, token).await {
            Ok(true) => Ok(known.claims.clone()),
            Ok(false) => Err(ValidationError::Revoked),
            Err(error) => Err(CannotTell::Introspection(error).into()),
        }
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("status", &self.status()).finish_non_exhaustive()
    }
}
