//! This process's copy of the revocation feed: what it tells validators elsewhere, and how sure it
//! is of it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
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
    pub revocations: Vec<Revocation>,
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
}

#[derive(Default)]
struct State {
    log: VecDeque<Revocation>,
    /// The position of the first entry of the log.
    first: u64,
    index: Index,
    remembers_since: Option<Timestamp>,
    /// When the copy was last known to hold everything.
    confirmed: Option<Instant>,
    added_since_pruned: usize,
}

/// What is revoked, for looking up.
#[derive(Default)]
struct Index {
    tokens: HashMap<Jti, Timestamp>,
    sessions: HashMap<SessionId, Timestamp>,
    users: HashMap<UserId, (Timestamp, Timestamp)>,
    keys: HashMap<KeyId, Timestamp>,
    everything: Option<Timestamp>,
}

/// What of a token a revocation could concern.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Claim `jti`.
    pub token: Jti,
    /// Claim `sid`.
    pub session: SessionId,
    /// Claim `sub`.
    pub user: UserId,
    /// Claim `iat`: whole seconds.
    pub issued_at: Timestamp,
    /// The header's `kid`, if at hand.
    pub key: Option<&'a KeyId>,
}

impl Index {
    fn add(&mut self, Revocation { revoked, until }: &Revocation) {
        let later = |end: &mut Timestamp| *end = (*end).max(*until);
        match revoked {
            Revoked::Token(jti) => later(self.tokens.entry(*jti).or_insert(*until)),
            Revoked::Session(sid) => later(self.sessions.entry(*sid).or_insert(*until)),
            Revoked::Key(kid) => later(self.keys.entry(kid.clone()).or_insert(*until)),
            Revoked::User { user, not_before } => {
                let (moment, end) = self.users.entry(*user).or_insert((*not_before, *until));
                *moment = (*moment).max(*not_before);
                later(end);
            }
            Revoked::Everything { not_before } => {
                self.everything = self.everything.max(Some(*not_before));
            }
        }
    }

    fn prune(&mut self, now: Timestamp) {
        self.tokens.retain(|_, until| now < *until);
        self.sessions.retain(|_, until| now < *until);
        self.keys.retain(|_, until| now < *until);
        self.users.retain(|_, (_, until)| now < *until);
    }

    fn forbids(&self, question: &Question<'_>) -> bool {
        // `iat` has whole seconds: a token of the very second is not from before the moment.
        let from_before = |moment: Timestamp| question.issued_at.as_secs() < moment.as_secs();
        self.tokens.contains_key(&question.token)
            || self.sessions.contains_key(&question.session)
            || self.users.get(&question.user).is_some_and(|(moment, _)| from_before(*moment))
            || self.everything.is_some_and(from_before)
            || question.key.is_some_and(|kid| self.keys.contains_key(kid))
    }
}

impl State {
    fn add(&mut self, revocation: Revocation) {
        self.index.add(&revocation);
        self.log.push_back(revocation);
        self.added_since_pruned += 1;
    }

    fn prune(&mut self, now: Timestamp) {
        self.added_since_pruned = 0;
        while self.log.front().is_some_and(|revocation| revocation.until <= now) {
            self.log.pop_front();
            self.first += 1;
        }
        self.index.prune(now);
    }

    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    /// The entries from a position on; all of them where it is none of this log.
    fn from(&self, position: Option<u64>) -> impl Iterator<Item = &Revocation> {
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
        Self(Arc::new(Shared { feed, clock, memory, copy, state, bell }))
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
        let revocations = state.from(from).filter(|revocation| now < revocation.until).cloned().collect();
        Ok(Entries { revocations, cursor: Cursor { copy: self.0.copy, position: state.end() } })
    }

    /// Whether the copy held everything a moment ago.
    pub fn is_fresh(&self) -> bool {
        self.0.state.read().unwrap_or_else(PoisonError::into_inner).is_fresh()
    }

    /// Whether a token is revoked.
    ///
    /// # Errors
    /// [`Stale`].
    pub fn forbid(&self, question: &Question<'_>) -> Result<bool, Stale> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.is_fresh() {
            return Err(Stale);
        }
        Ok(state.index.forbids(question))
    }

    /// Rings whenever the copy has grown or was confirmed.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.bell.subscribe()
    }

    /// Announces that a key is revoked: nothing that it has signed counts any more.
    ///
    /// # Errors
    /// The token store does not answer.
    pub async fn announce_key(&self, key: KeyId) -> StoreResult<()> {
        let now = self.0.clock.now();
        let revocation = Revocation { revoked: Revoked::Key(key), until: now.after(self.0.memory) };
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
                state.add(Revocation { revoked: Revoked::Everything { not_before }, until });
            }
        }
        for Announced::Revocation(revocation) in batch.announced {
            state.add(revocation);
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

    const NOW: Timestamp = Timestamp::from_millis(1_796_169_600_500);

    fn revocation(revoked: Revoked, seconds: u64) -> Revocation {
        Revocation { revoked, until: NOW.after(Duration::from_secs(seconds)) }
    }

    fn session(number: u128) -> SessionId {
        SessionId::from(Uuid::from_u128(number))
    }

    fn user(id: i64) -> UserId {
        UserId::try_from(id).unwrap()
    }

    fn question(issued_at: Timestamp) -> Question<'static> {
        Question {
            token: Jti::from(Uuid::from_u128(1)),
            session: session(2),
            user: user(3),
            issued_at,
            key: None,
        }
    }

    #[test]
    fn each_kind_of_revocation_forbids_what_it_names_and_nothing_else() {
        let key = KeyId::new("k");
        let asked = Question { key: Some(&key), ..question(NOW) };
        let later = NOW.after(Duration::from_secs(1));
        for (revoked, other) in [
            (Revoked::Token(asked.token), Revoked::Token(Jti::from(Uuid::from_u128(9)))),
            (Revoked::Session(asked.session), Revoked::Session(session(9))),
            (
                Revoked::User { user: user(3), not_before: later },
                Revoked::User { user: user(9), not_before: later },
            ),
            (Revoked::Key(KeyId::new("k")), Revoked::Key(KeyId::new("x"))),
            (Revoked::Everything { not_before: later }, Revoked::Everything { not_before: NOW }),
        ] {
            let forbids = |revoked: &Revoked| {
                let mut index = Index::default();
                index.add(&revocation(revoked.clone(), 900));
                index.forbids(&asked)
            };
            assert!(forbids(&revoked), "{revoked:?}");
            assert!(!forbids(&other), "{other:?}");
        }
    }

    #[test]
    fn a_moment_never_decides_within_its_second() {
        let mut index = Index::default();
        index.add(&revocation(Revoked::User { user: user(3), not_before: NOW }, 900));
        let second = Timestamp::from_millis(NOW.as_secs() * 1000);
        assert!(!index.forbids(&question(second)));
        assert!(index.forbids(&question(Timestamp::from_millis(second.as_millis() - 1000))));
    }

    #[test]
    fn an_earlier_end_or_moment_takes_nothing_back() {
        let mut index = Index::default();
        let moment = NOW.after(Duration::from_secs(10));
        index.add(&revocation(Revoked::User { user: user(3), not_before: moment }, 900));
        index.add(&revocation(Revoked::User { user: user(3), not_before: NOW }, 100));
        index.prune(NOW.after(Duration::from_secs(500)));
        assert!(index.forbids(&question(NOW.after(Duration::from_secs(5)))));
    }

    #[test]
    fn what_has_ended_is_dropped_and_positions_stay() {
        let mut state = State::default();
        for (number, seconds) in [(1, 10), (2, 20), (3, 900)] {
            state.add(revocation(Revoked::Session(session(number)), seconds));
        }
        let place = 2;
        state.prune(NOW.after(Duration::from_secs(30)));
        assert_eq!((state.first, state.end()), (2, 3));
        assert_eq!(state.index.sessions.len(), 1);
        let behind: Vec<_> = state.from(Some(place)).map(|r| r.revoked.clone()).collect();
        assert_eq!(behind, [Revoked::Session(session(3))]);
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
