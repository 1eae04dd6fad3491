//! What is made of the issuer's answers: no requests and no waiting.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::issuer_clock::{ClockWasSet, IssuerClock};
use super::snapshot::Snapshot;
use super::sse::{Event, SseParser};
use super::{Feed, Moment};
use crate::client::clock::Clock;
use crate::client::error::RequestError;
use crate::client::http::Answer;
use crate::client::keys::Keys;
use crate::denylist::{Revocation, RevocationTarget};
use crate::verifier::unix_seconds;

const PRUNE_EVERY_MS: i64 = 30_000;
/// Up to when nothing is missing, in an answer that has no body to say it.
const COMPLETE_UNTIL: HeaderName = HeaderName::from_static("hallpass-complete-until");

/// Takes in what the issuer says; there is one a validator.
pub(crate) struct Intake {
    pub(crate) feed: Arc<Feed>,
    /// To be asked for when one of them is revoked.
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Clock,
    /// How much longer than their `exp` tokens are accepted, and entries kept.
    pub(crate) leeway: Duration,
    /// How old the knowledge may be that anybody uses.
    pub(crate) max_staleness: Duration,
    /// Whether there is a stream; without it, the list is fetched again and again.
    pub(crate) has_stream: bool,
    pub(crate) progress: Progress,
}

/// How far it has come.
#[derive(Default)]
pub(crate) struct Progress {
    /// Behind the last entry that was taken in; `None` when a snapshot is needed.
    pub(crate) cursor: Option<HeaderValue>,
    /// Of the last snapshot, where nothing but snapshots is taken in.
    etag: Option<HeaderValue>,
    /// The issuer's clock when it was last heard, seconds since the Unix epoch.
    server_time: i64,
    pruned_at: Option<Moment>,
}

/// A stream that was opened, and where the clock of the replica stands that sends it.
pub(crate) struct Stream {
    clock: IssuerClock,
    parser: SseParser,
    /// Whether a heartbeat has come.
    was_told: bool,
}

/// What some bytes of a stream have brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Whether an event has ended in them.
    pub(crate) any: bool,
    /// Whether a heartbeat has made the knowledge young enough.
    pub(crate) fresh: bool,
}

/// Why the feed is not followed for a moment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interruption {
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
    pub(crate) fn log(&self) {
        let error = self as &dyn Error;
        match self {
            Self::Moved | Self::Closed => tracing::debug!(error, "the revocation feed is opened anew"),
            _ => tracing::warn!(error, "the revocation feed is interrupted"),
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
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

impl Intake {
    /// What the next request for the list may name, to be told that nothing has changed.
    pub(crate) fn etag(&self) -> Option<HeaderValue> {
        self.progress.etag.clone().filter(|_| !self.has_stream)
    }

    /// What an answer that has no list says of how old the last one is; whether it was one.
    ///
    /// # Errors
    /// When it does not say it.
    pub(crate) fn unchanged(&self, answer: &Answer, asked_at: Moment) -> Result<bool, RequestError> {
        if answer.status != StatusCode::NOT_MODIFIED || self.has_stream {
            return Ok(false);
        }
        let clock = self.clock_of(asked_at, &answer.headers)?;
        let until = answer.headers.get(COMPLETE_UNTIL).and_then(|value| value.to_str().ok()?.parse().ok());
        self.completed_in_answer(&clock, until.ok_or_else(no_clock)?);
        Ok(true)
    }

    /// Where the issuer's clock stands, by an answer that came now.
    ///
    /// # Errors
    /// When the answer does not show it.
    pub(crate) fn clock_of(
        &self,
        asked_at: Moment,
        headers: &HeaderMap,
    ) -> Result<IssuerClock, RequestError> {
        IssuerClock::of_answer(asked_at, self.feed.now(), headers).ok_or_else(no_clock)
    }

    /// Puts a list in the place of what is known.
    ///
    /// # Errors
    /// When its cursor is none.
    pub(crate) fn replace(
        &mut self,
        snapshot: Snapshot,
        etag: Option<HeaderValue>,
        clock: &IssuerClock,
    ) -> Result<(), RequestError> {
        let cursor = HeaderValue::from_str(&snapshot.cursor).map_err(RequestError::unreadable)?;
        tracing::info!(entries = snapshot.entries.len(), "the revocations have been fetched");
        self.feed.replace(snapshot.entries);
        self.completed_in_answer(clock, snapshot.server_time_ms);
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

    /// A stream, by the head of the answer that it is.
    ///
    /// # Errors
    /// When that does not show the issuer's clock.
    pub(crate) fn opened(&self, asked_at: Moment, headers: &HeaderMap) -> Result<Stream, RequestError> {
        let clock = self.clock_of(asked_at, headers)?;
        Ok(Stream { clock, parser: SseParser::default(), was_told: false })
    }

    /// Whether the issuer's clock should be measured again, by opening a stream anew.
    pub(crate) fn is_over(&self, stream: &Stream) -> bool {
        stream.clock.is_over(self.feed.now())
    }

    /// Takes in the events that end in these bytes.
    ///
    /// # Errors
    /// The stream is of no use any more; see [`interrupted`](Self::interrupted).
    pub(crate) fn read(&mut self, stream: &mut Stream, bytes: &[u8]) -> Result<Heard, Interruption> {
        let mut events = Vec::new();
        // What stands before a fault counts.
        let outcome = stream.parser.read(bytes, &mut events).map_err(Interruption::not_understood);
        let mut heard = Heard { any: !events.is_empty(), fresh: false };
        for event in events {
            heard.fresh |= self.take_in(event, stream)?;
        }
        outcome?;
        self.prune();
        Ok(heard)
    }

    /// What to do about an interruption: whether to go on from the cursor is of use.
    pub(crate) fn interrupted(&mut self, interruption: &Interruption) {
        if interruption.calls_for_a_snapshot() {
            self.progress.cursor = None;
        }
    }

    /// Takes in an event; whether it makes the knowledge young enough. Only a heartbeat says that
    /// nothing is missing (model: OnlyCompleteReadsCount).
    fn take_in(&mut self, event: Event, stream: &mut Stream) -> Result<bool, Interruption> {
        let mut fresh = false;
        match event.name.as_str() {
            "revocation" => {
                let revocation = serde_json::from_str(&event.data).map_err(Interruption::not_understood)?;
                self.insert(&revocation);
            }
            // What comes first after a disconnect may be the oldest of many that were missed.
            "heartbeat" => fresh = self.beat(&event.data, stream)?,
            "reset" => return Err(Interruption::Reset),
            // One that only sends others away is no better than one that ends.
            "reconnect" if !stream.was_told => return Err(Interruption::Closed),
            "reconnect" => return Err(Interruption::Moved),
            _ => {}
        }
        if let Some(cursor) = event.id {
            let cursor = HeaderValue::from_str(&cursor).map_err(Interruption::not_understood)?;
            self.progress.cursor = Some(cursor);
        }
        Ok(fresh)
    }

    fn beat(&mut self, data: &str, stream: &mut Stream) -> Result<bool, Interruption> {
        stream.was_told = true;
        let heartbeat: Heartbeat = serde_json::from_str(data).map_err(Interruption::not_understood)?;
        let heard_at = self.feed.now();
        let moment = stream.clock.moment_of(heartbeat.server_time_ms, heard_at)?;
        self.progress.server_time = heartbeat.server_time;
        self.feed.completed(moment);
        let fresh = self.feed.is_fresh(self.max_staleness);
        if !fresh && stream.clock.may_be_wrong(heard_at) {
            return Err(Interruption::Late);
        }
        Ok(fresh)
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
        let now = self.feed.now();
        let last = self.progress.pruned_at.map(Moment::millis);
        if last.is_some_and(|at| now.millis().saturating_sub(at) < PRUNE_EVERY_MS) {
            return;
        }
        self.progress.pruned_at = Some(now);
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let seconds = unix_seconds(self.clock.now()).min(self.progress.server_time);
        self.feed.denylist().prune(seconds.saturating_sub(leeway));
    }
}
