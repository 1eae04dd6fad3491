use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::Feed;
use super::issuer_clock::{ClockWasSet, IssuerClock};
use super::snapshot::Snapshot;
use super::sse::{Event, SseParser};
use crate::client::backoff::Backoff;
use crate::client::clock::Clock;
use crate::client::error::RequestError;
use crate::client::http::{self, next_piece};
use crate::client::issuer::Issuer;
use crate::client::keys::Keys;
use crate::client::own_token::OwnToken;
use crate::denylist::{Revocation, RevocationTarget};
use crate::verifier::unix_seconds;

/// More than a million entries.
const SNAPSHOT_MAX_BYTES: usize = 256 * 1024 * 1024;
const PRUNE_EVERY: Duration = Duration::from_secs(30);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Up to when nothing is missing, in an answer that has no body to say it.
const COMPLETE_UNTIL: HeaderName = HeaderName::from_static("hallpass-complete-until");

/// Follows the feed; there is one a validator.
pub(crate) struct Follower {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) feed: Arc<Feed>,
    /// To be asked for when one of them is revoked.
    pub(crate) keys: Arc<Keys>,
    pub(crate) token_endpoint: Url,
    pub(crate) revocations: Url,
    /// Without it, the snapshot is fetched again and again.
    pub(crate) stream: Option<Url>,
    pub(crate) clock: Clock,
    /// How much longer than their `exp` tokens are accepted, and entries kept.
    pub(crate) leeway: Duration,
    /// How long a stream may say nothing.
    pub(crate) silence: Duration,
    /// How old the knowledge may be that anybody uses.
    pub(crate) max_staleness: Duration,
    /// How often the snapshot is fetched where there is no stream.
    pub(crate) poll_every: Duration,
    pub(crate) progress: Progress,
}

/// How far the follower has come.
#[derive(Default)]
pub(crate) struct Progress {
    own_token: OwnToken,
    /// Behind the last entry that was taken in; `None` when a snapshot is needed.
    cursor: Option<HeaderValue>,
    /// Of the last snapshot, where nothing but snapshots is taken in.
    etag: Option<HeaderValue>,
    /// The issuer's clock when it was last heard, seconds since the Unix epoch.
    server_time: i64,
    pruned_at: Option<Instant>,
}

/// Why the feed is not followed for a moment.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    /// The issuer no longer has what comes behind the cursor.
    #[error("the issuer wants the snapshot to be fetched again")]
    Reset,
    /// An entry or an event that cannot be read: what it revokes must come in another way.
    #[error("the feed says something that is not understood")]
    NotUnderstood(#[source] Box<dyn Error + Send + Sync>),
    /// The replica that sends it stops, and others do not.
    #[error("the feed goes on at another replica")]
    Moved,
    /// The connection is over.
    #[error("the feed has ended")]
    Closed,
    /// The connection says nothing.
    #[error("the feed fell silent")]
    Silent,
    /// What was measured of the issuer's clock does not fit what it says.
    #[error(transparent)]
    ClockWasSet(#[from] ClockWasSet),
    /// What arrives is too old to be of use.
    #[error("the feed is late")]
    Late,
    /// A request failed, or its connection did.
    #[error(transparent)]
    Failed(#[from] RequestError),
}

impl Interruption {
    fn not_understood(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::NotUnderstood(error.into())
    }

    /// Whether to go on from the cursor is of no use.
    fn calls_for_a_snapshot(&self) -> bool {
        match self {
            Self::Reset | Self::NotUnderstood(_) => true,
            Self::Failed(error) => matches!(error.status(), Some(400 | 404 | 409 | 410 | 416)),
            Self::Moved | Self::Closed | Self::Silent | Self::ClockWasSet(_) | Self::Late => false,
        }
    }

    /// Streams are ended now and then by the issuer, or by a proxy; that alone is nothing to mend.
    fn log(&self) {
        let error = self as &dyn Error;
        match self {
            Self::Moved | Self::Closed => tracing::debug!(error, "the revocation feed is opened anew"),
            _ => tracing::warn!(error, "the revocation feed is interrupted"),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(error) => error.retry_after(),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Heartbeat {
    server_time: i64,
    /// Up to when nothing is missing, milliseconds.
    server_time_ms: i64,
}

fn no_clock() -> RequestError {
    RequestError::unreadable("it does not say what the issuer's clock shows")
}

impl Follower {
    /// Follows the feed for ever.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let Err(interruption) = self.go_on(&mut backoff).await else { continue };
            interruption.log();
            if interruption.calls_for_a_snapshot() {
                self.progress.cursor = None;
            }
            let pause = match interruption {
                Interruption::Moved => backoff.soon(),
                _ => backoff.next_after(interruption.retry_after()),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does whatever comes next: begins with a snapshot, then reads the stream to its end.
    async fn go_on(&mut self, backoff: &mut Backoff) -> Result<(), Interruption> {
        let Some(cursor) = self.progress.cursor.clone() else {
            return Ok(self.fetch_snapshot().await?);
        };
        if let Some(stream) = self.stream.clone() {
            let (body, clock) = self.open(&stream, cursor).await?;
            return self.read(body, clock, backoff).await;
        }
        tokio::time::sleep(self.poll_every).await;
        self.fetch_snapshot().await?;
        backoff.reset();
        Ok(())
    }

    /// Fetches all revocations and puts them in the place of those that are known.
    pub(crate) async fn fetch_snapshot(&mut self) -> Result<(), RequestError> {
        let etag = self.progress.etag.clone().filter(|_| self.stream.is_none());
        let condition = etag.map(|etag| (header::IF_NONE_MATCH, etag));
        let url = self.revocations.clone();
        let request = http::get(&url, condition.into_iter().chain([self.authorization().await?]))?;
        let asked_at = self.feed.now();
        let answer = self.issuer.send(request, SNAPSHOT_MAX_BYTES).await?;
        if answer.status == StatusCode::NOT_MODIFIED && self.stream.is_none() {
            let clock =
                IssuerClock::of_answer(asked_at, self.feed.now(), &answer.headers).ok_or_else(no_clock)?;
            let until =
                answer.headers.get(COMPLETE_UNTIL).and_then(|value| value.to_str().ok()?.parse().ok());
            self.completed_in_answer(&clock, until.ok_or_else(no_clock)?);
            return Ok(());
        }
        let answer = self.unless_refused(answer.ok())?;
        let clock =
            IssuerClock::of_answer(asked_at, self.feed.now(), &answer.headers).ok_or_else(no_clock)?;
        let etag = answer.etag();
        // A long list takes its time to read, and a runtime's thread has other things to do.
        let snapshot = tokio::task::spawn_blocking(move || answer.json::<Snapshot>());
        let snapshot = snapshot.await.map_err(RequestError::unreadable)??;
        let cursor = HeaderValue::from_str(&snapshot.cursor).map_err(RequestError::unreadable)?;
        tracing::info!(entries = snapshot.entries.len(), "the revocations have been fetched");
        self.feed.replace(snapshot.entries);
        self.completed_in_answer(&clock, snapshot.server_time_ms);
        self.progress.cursor = Some(cursor);
        self.progress.etag = etag;
        self.progress.server_time = snapshot.server_time;
        Ok(())
    }

    /// An answer that names a moment after itself says nothing of how old it is.
    fn completed_in_answer(&self, clock: &IssuerClock, stated: i64) {
        match clock.moment_in_answer(stated) {
            Some(moment) => self.feed.completed(moment),
            None => tracing::warn!("the issuer's clock was set while it answered"),
        }
    }

    /// The stream, and where the clock of the replica stands that sends it.
    async fn open(
        &mut self,
        url: &Url,
        cursor: HeaderValue,
    ) -> Result<(Incoming, IssuerClock), RequestError> {
        let accept = (header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let headers = [accept, (LAST_EVENT_ID, cursor), self.authorization().await?];
        let request = http::get(url, headers)?;
        let asked_at = self.feed.now();
        let response = self.issuer.open(request).await?;
        if response.status() == StatusCode::OK {
            let clock =
                IssuerClock::of_answer(asked_at, self.feed.now(), response.headers()).ok_or_else(no_clock)?;
            return Ok((response.into_body(), clock));
        }
        self.unless_refused(Err(http::refusal(response.status(), response.headers())))
    }

    /// Takes in events until there are no more, or until the clock should be measured again.
    async fn read(
        &mut self,
        mut body: Incoming,
        mut clock: IssuerClock,
        backoff: &mut Backoff,
    ) -> Result<(), Interruption> {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        let mut silent_at = Instant::now() + self.silence;
        let mut was_told = false;
        while !clock.is_over(self.feed.now()) {
            let piece = timeout_at(silent_at, next_piece(&mut body)).await;
            let piece = piece.map_err(|_| Interruption::Silent)??.ok_or(Interruption::Closed)?;
            parser.read(&piece, &mut events).map_err(Interruption::not_understood)?;
            for event in events.drain(..) {
                silent_at = Instant::now() + self.silence;
                match event.name.as_str() {
                    "heartbeat" => was_told = true,
                    // One that only sends others away is no better than one that ends.
                    "reconnect" if !was_told => return Err(Interruption::Closed),
                    "reconnect" => return Err(Interruption::Moved),
                    _ => {}
                }
                self.take_in(event, &mut clock, backoff)?;
            }
            self.prune();
        }
        Ok(())
    }

    /// Takes in an event; only a heartbeat says that nothing is missing (model: OnlyCompleteReadsCount).
    fn take_in(
        &mut self,
        event: Event,
        clock: &mut IssuerClock,
        backoff: &mut Backoff,
    ) -> Result<(), Interruption> {
        match event.name.as_str() {
            "revocation" => {
                let revocation = serde_json::from_str(&event.data).map_err(Interruption::not_understood)?;
                self.insert(&revocation);
            }
            // Only a heartbeat says that nothing is missing: what comes first after a disconnect may
            // be the oldest of many that were missed.
            "heartbeat" => {
                let heartbeat: Heartbeat =
                    serde_json::from_str(&event.data).map_err(Interruption::not_understood)?;
                let heard_at = self.feed.now();
                let moment = clock.moment_of(heartbeat.server_time_ms, heard_at)?;
                self.progress.server_time = heartbeat.server_time;
                self.feed.completed(moment);
                if self.feed.is_fresh(self.max_staleness) {
                    backoff.reset();
                } else if clock.may_be_wrong(heard_at) {
                    return Err(Interruption::Late);
                }
            }
            "reset" => return Err(Interruption::Reset),
            _ => {}
        }
        if let Some(cursor) = event.id {
            let cursor = HeaderValue::from_str(&cursor).map_err(Interruption::not_understood)?;
            self.progress.cursor = Some(cursor);
        }
        Ok(())
    }

    fn insert(&self, revocation: &Revocation) {
        self.feed.denylist().insert(revocation);
        if matches!(revocation.target, RevocationTarget::Key(_)) {
            self.keys.want();
        }
    }

    /// Forgets what is over by this machine's clock and by the issuer's: one that jumps ahead and
    /// back must not bring a revoked token to life.
    fn prune(&mut self) {
        if self.progress.pruned_at.is_some_and(|at| at.elapsed() < PRUNE_EVERY) {
            return;
        }
        self.progress.pruned_at = Some(Instant::now());
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let now = unix_seconds(self.clock.now()).min(self.progress.server_time);
        self.feed.denylist().prune(now.saturating_sub(leeway));
    }

    async fn authorization(&mut self) -> Result<(HeaderName, HeaderValue), RequestError> {
        let bearer = self.progress.own_token.bearer(&self.issuer, &self.token_endpoint).await?;
        Ok((header::AUTHORIZATION, bearer))
    }

    /// Lets go of a token that the issuer does not take.
    fn unless_refused<T>(&mut self, answer: Result<T, RequestError>) -> Result<T, RequestError> {
        if let Err(error) = &answer
            && error.status() == Some(StatusCode::UNAUTHORIZED.as_u16())
        {
            self.progress.own_token.forget();
        }
        answer
    }
}
