//! The copy itself: what was told, in order, and since when it is whole.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hallpass_verify::{AccessClaims, Denylist, RevocationTarget};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;

/// A copy that was confirmed longer ago than this is not handed out: two reads that failed.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// A place in this process's copy. It means nothing to another process, which then tells all it
/// knows: entries can be told twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) copy: Uuid,
    pub(super) position: u64,
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

/// What was told so far.
pub(super) struct FeedCopy {
    /// Which copy this is: places in it mean nothing in another. It becomes another when the token
    /// store's data was vouched for anew.
    pub(super) id: Uuid,
    pub(super) log: VecDeque<hallpass_verify::Revocation>,
    /// The position of the first entry of the log.
    pub(super) first: u64,
    pub(super) denylist: Denylist,
    /// By which vouching the token store's data was found whole.
    pub(super) vouching: VouchingId,
    /// The incarnation of each partition of the token store.
    pub(super) incarnations: Vec<i64>,
    /// When the last read began that made the copy hold everything, and what the token store's clock showed
    /// then.
    pub(super) confirmed: Option<(Instant, Timestamp)>,
    /// When the read began on the strength of which it answers in place of the token store; as well by
    /// [`Clock::monotonic`]: a machine that sleeps stops the first.
    ///
    /// [`Clock::monotonic`]: crate::domain::clock::Clock::monotonic
    pub(super) answers_since: Option<(Instant, Duration)>,
    pub(super) added_since_pruned: usize,
}

/// A revocation as validators read it. Moments are whole seconds there: an end is rounded up.
fn told(Revocation { revoked, until }: &Revocation) -> hallpass_verify::Revocation {
    let target = match revoked {
        Revoked::Token(jti) => RevocationTarget::Token(*jti.as_uuid()),
        Revoked::Session(sid) => RevocationTarget::Session(*sid.as_uuid()),
        Revoked::User { user, below } => RevocationTarget::User { sub: user.to_string(), sv: below.get() },
        Revoked::Client(client) => {
            RevocationTarget::User { sub: client.to_string(), sv: SecurityVersion::OF_CLIENTS.get() }
        }
        Revoked::Key(kid) => RevocationTarget::Key(kid.as_str().to_owned()),
        Revoked::Everything { below, partition } => RevocationTarget::All {
            inc: *below,
            // Both know the same numbers.
            partition: partition.and_then(|partition| partition.number().try_into().ok()),
        },
    };
    hallpass_verify::Revocation { target, exp: until.after(ALMOST_A_SECOND).as_secs() }
}

fn same_for_all(numbers: &[i64]) -> Option<i64> {
    let first = numbers.first()?;
    numbers.iter().all(|number| number == first).then_some(*first)
}

const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

impl FeedCopy {
    pub(super) fn new(id: Uuid) -> Self {
        Self {
            id,
            log: VecDeque::new(),
            first: 0,
            denylist: Denylist::default(),
            vouching: VouchingId::NONE,
            incarnations: Vec::new(),
            confirmed: None,
            answers_since: None,
            added_since_pruned: 0,
        }
    }

    /// Takes in what the token store's data is. What is of an earlier incarnation is revoked, and `until`
    /// then no token of one is left.
    /// Another vouching makes another copy, whose readers begin anew (model: NewVouchingReadsAnew).
    pub(super) fn settle_on(
        &mut self,
        vouching: VouchingId,
        incarnations: &[i64],
        until: Timestamp,
        another: impl FnOnce() -> Uuid,
    ) {
        if self.vouching != vouching {
            self.vouching = vouching;
            self.id = another();
        }
        if self.incarnations == incarnations {
            return;
        }
        let everything = |below: i64, partition| Revocation {
            revoked: Revoked::Everything { below: u64::try_from(below).unwrap_or_default(), partition },
            until,
        };
        if let Some(below) = same_for_all(incarnations) {
            self.add(&everything(below, None));
        } else {
            for (partition, below) in Partition::all().zip(incarnations) {
                if self.incarnations.get(partition.index()) != Some(below) {
                    self.add(&everything(*below, Some(partition)));
                }
            }
        }
        self.incarnations = incarnations.to_vec();
    }

    pub(super) fn add(&mut self, revocation: &Revocation) {
        let revocation = told(revocation);
        self.denylist.insert(&revocation);
        self.log.push_back(revocation);
        self.added_since_pruned += 1;
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.added_since_pruned = 0;
        while self.log.front().is_some_and(|revocation| revocation.exp <= now.as_secs()) {
            self.log.pop_front();
            self.first += 1;
        }
        self.denylist.prune(now.as_secs());
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    /// The entries from a position on; all of them where it is none of this log.
    pub(super) fn from(&self, position: Option<u64>) -> impl Iterator<Item = &hallpass_verify::Revocation> {
        let known = position.filter(|position| (self.first..=self.end()).contains(position));
        let skip = known.map_or(0, |position| position - self.first);
        self.log.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.complete_until().is_some()
    }

    /// Up to when nothing is missing here, by the token store's clock, where that is not too long ago.
    /// (model: StaleSaysNothing)
    pub(super) fn complete_until(&self) -> Option<Timestamp> {
        self.confirmed.filter(|(began, _)| began.elapsed() < FRESH_FOR).map(|(_, as_of)| as_of)
    }

    /// How long ago nothing was missing here.
    pub(super) fn age(&self) -> Option<Duration> {
        self.confirmed.map(|(began, _)| began.elapsed())
    }

    /// Whether anything here but a revoked key speaks against a token with these claims.
    pub(super) fn speaks_against(&self, claims: &AccessClaims) -> bool {
        self.denylist.is_revoked(claims, "")
    }

    /// Whether the copy may answer in place of the token store.
    /// (model: StaleSaysNothing)
    pub(super) fn answers(&self, now: Duration, max_staleness: Duration) -> bool {
        self.answers_since.is_some_and(|(began, monotonic)| {
            began.elapsed() < max_staleness && now.saturating_sub(monotonic) < max_staleness
        })
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
    fn ends_are_rounded_up_so_that_no_denial_ends_early() {
        assert_eq!(told(&revocation(session(1), 900)).exp, NOW.as_secs() + 901);
    }

    #[test]
    fn numbers_are_told_as_they_are() {
        let user = UserId::try_from(3).unwrap();
        let event = told(&revocation(Revoked::User { user, below: SecurityVersion::new(7) }, 900));
        assert_eq!(event.target, RevocationTarget::User { sub: "3".to_owned(), sv: 7 });
        let client = told(&revocation(Revoked::Client("orders".parse().unwrap()), 900));
        assert_eq!(client.target, RevocationTarget::User { sub: "orders".to_owned(), sv: 1 });
        let all = told(&revocation(Revoked::Everything { below: 5, partition: None }, 900));
        assert_eq!(all.target, RevocationTarget::All { inc: 5, partition: None });
    }

    /// Else a loss of one partition would be told as one of all, or pass over its tokens.
    #[test]
    fn validators_know_the_same_partitions() {
        for partition in Partition::all() {
            let lost = Revoked::Everything { below: 5, partition: Some(partition) };
            let expected = hallpass_verify::Partition::try_from(partition.number()).ok();
            assert!(expected.is_some());
            let expected = RevocationTarget::All { inc: 5, partition: expected };
            assert_eq!(told(&revocation(lost, 900)).target, expected);
        }
        for user in [1, 63, 64, 65, UserId::MAX] {
            let ours = Partition::of(UserId::try_from(user).unwrap());
            assert_eq!(hallpass_verify::Partition::of(&user.to_string()).number(), ours.number());
        }
        let everybody = Partition::EVERYBODY.number();
        assert_eq!(hallpass_verify::Partition::of("orders").number(), everybody);
    }

    #[test]
    fn what_has_ended_is_dropped_and_positions_stay() {
        let mut state = FeedCopy::new(Uuid::nil());
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
