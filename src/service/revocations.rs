//! This process's copy of the revocation feed: what it tells validators elsewhere, and how sure it
//! is of it.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hallpass_verify::{AccessClaims, Denylist, RevocationTarget};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::Jti;
use crate::domain::random::{self, Random};
use crate::domain::revocation::{Revocation, Revoked};
use crate::store::StoreResult;
use crate::store::feed::{Announced, FeedBatch, RevocationFeed};

/// How long one read of the feed waits for something to come: without revocations the copy is
/// confirmed this often.
const READ_WAIT: Duration = Duration::from_millis(250);

/// How long to wait after the feed could not be read.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A copy that was confirmed longer ago than this is not handed out: two reads that failed.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How many entries may come before those that have ended are dropped.
const PRUNE_EVERY: usize = 4_096;

/// A place in this process's copy. It means nothing to another process, which then tells all it
/// knows: entries can be told twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    copy: Uuid,
    position: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.copy.simple(), self.position)
    }
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of the revocation feed")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (copy, position) = text.split_once('.').ok_or(CursorError)?;
        let copy = Uuid::try_parse(copy).map_err(|_| CursorError)?;
        Ok(Self { copy, position: position.parse().map_err(|_| CursorError)? })
    }
}

/// The copy is not up to date just now: the token store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the revocation feed is not up to date")]
pub struct Stale;

/// Entries of the copy, and the place behind the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    /// What is revoked, oldest first.
    pub revocations: Vec<hallpass_verify::Revocation>,
    /// Where to go on.
    pub cursor: Cursor,
}

/// The copy, and the task that keeps it up to date. Cheap to clone.
#[derive(Clone)]
pub struct Revocations(Arc<Shared>);

struct Shared {
    feed: Arc<dyn RevocationFeed>,
    clock: Arc<dyn Clock>,
    /// How long a revocation matters.
    memory: Duration,
    copy: Uuid,
    state: RwLock<State>,
    /// Rings when something was added or confirmed.
    bell: watch::Sender<()>,
    is_closed: AtomicBool,
}

#[derive(Default)]
struct State {
    log: VecDeque<hallpass_verify::Revocation>,
    /// The position of the first entry of the log.
    first: u64,
    denylist: Denylist,
    remembers_since: Option<Timestamp>,
    /// When the copy was last known to hold everything.
    confirmed: Option<Instant>,
    added_since_pruned: usize,
}

/// A revocation as validators read it. Moments are whole seconds there: a not-before time is rounded
/// down and an end up, so that neither ever says too much.
fn told(Revocation { revoked, until }: &Revocation) -> hallpass_verify::Revocation {
    let target = match revoked {
        Revoked::Token(jti) => RevocationTarget::Token(*jti.as_uuid()),
        Revoked::Session(sid) => RevocationTarget::Session(*sid.as_uuid()),
        Revoked::User { user, not_before } => {
            RevocationTarget::User { sub: user.to_string(), not_before: not_before.as_secs() }
        }
        Revoked::Key(kid) => RevocationTarget::Key(kid.as_str().to_owned()),
        Revoked::Everything { not_before } => RevocationTarget::All { not_before: not_before.as_secs() },
    };
    hallpass_verify::Revocation { target, exp: until.after(ALMOST_A_SECOND).as_secs() }
}

const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

impl State {
    fn add(&mut self, revocation: &Revocation) {
        let revocation = told(revocation);
        self.denylist.insert(&revocation);
        self.log.push_back(revocation);
        self.added_since_pruned += 1;
    }

    fn prune(&mut self, now: Timestamp) {
        self.added_since_pruned = 0;
        while self.log.front().is_some_and(|revocation| revocation.exp <= now.as_secs()) {
            self.log.pop_front();
            self.first += 1;
        }
        self.denylist.prune(now.as_secs());
    }

    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    /// The entries from a position on; all of them where it is none of this log.
    fn from(&self, position: Option<u64>) -> impl Iterator<Item = &hallpass_verify::Revocation> {
        let known = position.filter(|position| (self.first..=self.end()).contains(position));
        let skip = known.map_or(0, |position| position - self.first);
        self.log.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    fn is_fresh(&self) -> bool {
        self.confirmed.is_some_and(|confirmed| confirmed.elapsed() < FRESH_FOR)
    }
}

impl Revocations {
    /// An empty copy of the feed, which is not up to date before it is followed.
    pub fn new(
        feed: Arc<dyn RevocationFeed>,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
        memory: Duration,
    ) -> Self {
        let copy = random::uuid(random);
        let (state, bell) = (RwLock::default(), watch::Sender::new(()));
        let is_closed = AtomicBool::new(false);
        Self(Arc::new(Shared { feed, clock, memory, copy, state, bell, is_closed }))
    }

    /// Everything that still matters.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn snapshot(&self) -> Result<Entries, Stale> {
        self.entries(None)
    }

    /// What came behind `cursor`; all of it where that is not of this process, or of long ago.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn since(&self, cursor: Cursor) -> Result<Entries, Stale> {
        self.entries((cursor.copy == self.0.copy).then_some(cursor.position))
    }

    fn entries(&self, from: Option<u64>) -> Result<Entries, Stale> {
        let now = self.0.clock.now();
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.is_fresh() {
            return Err(Stale);
        }
        let revocations = state.from(from).filter(|entry| now.as_secs() < entry.exp).cloned().collect();
        Ok(Entries { revocations, cursor: Cursor { copy: self.0.copy, position: state.end() } })
    }

    /// Whether the copy held everything a moment ago.
    pub fn is_fresh(&self) -> bool {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).is_fresh()
    }

    /// Whether the copy speaks against a token with these claims that the key `kid` signed.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn is_revoked(&self, claims: &AccessClaims, kid: &str) -> Result<bool, Stale> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.is_fresh() {
            return Err(Stale);
        }
        Ok(state.denylist.is_revoked(claims, kid))
    }

    /// Rings whenever the copy has grown or was confirmed.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.bell.subscribe()
    }

    /// The service stops: whoever listens is to go.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.bell.send_replace(());
    }

    /// Whether the service stops.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// Takes back a token that belongs to no user.
    ///
    /// # Errors
    /// The token store does not answer.
    pub async fn announce_token(&self, token: Jti) -> StoreResult<()> {
        let now = self.0.clock.now();
        let revocation = Revocation { revoked: Revoked::Token(token), until: now.after(self.0.memory) };
        self.0.feed.announce(&revocation, now).await
    }

    /// Keeps the copy up to date for as long as it is polled.
    pub async fn keep_following(self) {
        let mut reader = self.0.feed.reader();
        loop {
            // Whatever was announced before this moment is in what comes back.
            let asked = Instant::now();
            let now = self.0.clock.now();
            match reader.read(now, READ_WAIT).await {
                Ok(batch) => self.apply(batch, now, asked),
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the revocation feed cannot be read"
                    );
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }

    fn apply(&self, batch: FeedBatch, now: Timestamp, asked: Instant) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.remembers_since.replace(batch.remembers_since) != Some(batch.remembers_since) {
            let until = batch.remembers_since.after(self.0.memory);
            if now < until {
                let not_before = batch.remembers_since;
                state.add(&Revocation { revoked: Revoked::Everything { not_before }, until });
            }
        }
        for Announced::Revocation(revocation) in batch.announced {
            state.add(&revocation);
        }
        if batch.is_complete {
            state.confirmed = Some(asked);
        }
        if state.added_since_pruned >= PRUNE_EVERY {
            state.prune(now);
        }
        drop(state);
        self.0.bell.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;

    const NOW: Timestamp = Timestamp::from_millis(1_796_169_600_500);

    fn revocation(revoked: Revoked, seconds: u64) -> Revocation {
        Revocation { revoked, until: NOW.after(Duration::from_secs(seconds)) }
    }

    fn session(number: u128) -> Revoked {
        Revoked::Session(Uuid::from_u128(number).into())
    }

    #[test]
    fn moments_are_rounded_so_that_no_rightful_token_is_refused_and_no_denial_ends_early() {
        let user = UserId::try_from(3).unwrap();
        let told = told(&revocation(Revoked::User { user, not_before: NOW }, 900));
        assert_eq!(told.exp, NOW.as_secs() + 901);
        let expected = RevocationTarget::User { sub: "3".to_owned(), not_before: NOW.as_secs() };
        assert_eq!(told.target, expected);
    }

    #[test]
    fn what_has_ended_is_dropped_and_positions_stay() {
        let mut state = State::default();
        for (number, seconds) in [(1, 10), (2, 20), (3, 900)] {
            state.add(&revocation(session(number), seconds));
        }
        let place = 2;
        state.prune(NOW.after(Duration::from_secs(30)));
        assert_eq!((state.first, state.end()), (2, 3));
        assert_eq!(state.denylist.len(), 1);
        let behind: Vec<_> = state.from(Some(place)).cloned().collect();
        assert_eq!(behind, [told(&revocation(session(3), 900))]);
        assert_eq!(state.from(Some(state.end())).count(), 0);
        // From before the log, or from its future: all there is.
        assert_eq!(state.from(Some(0)).count(), 1);
        assert_eq!(state.from(Some(99)).count(), 1);
    }

    #[test]
    fn a_cursor_reads_back_and_other_text_is_refused() {
        let cursor = Cursor { copy: Uuid::from_u128(7), position: 42 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "7", "7.42", "00000000000000000000000000000007.", "x.1", "\u{0}"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }
}
