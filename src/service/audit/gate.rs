//! What anybody can bring about must not fill the log, of which nothing can be deleted for months: how
//! much of it is noted entry by entry, and what becomes of the rest.

use std::collections::HashMap;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::audit::{AuditAction, AuditActor, AuditEntry, Reason};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::place::Place;
use crate::domain::rate_limit::AccountMark;

/// How many attempts of strangers are noted entry by entry in a minute.
pub(super) const ATTEMPTS_MAX: usize = 600;

/// How long the same is not noted again that is to be noted seldom; as long as attempts are counted
/// together.
pub(super) const SELDOM: Duration = Duration::from_secs(60);

/// How many things are remembered that were noted seldom, within twice that time.
pub(super) const RECENT_MAX: usize = 4_096;

/// How an entry is to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Often {
    /// As often as it comes.
    Always,
    /// Not again while the same was noted of late. The account that it is about makes a difference also
    /// where the entry may not name it.
    Seldom(Option<AccountMark>),
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is noted.
    Noted,
    /// It is counted, for one entry that stands for all of its kind.
    Counted,
    /// The same was noted a moment ago.
    Repeated,
}

/// Judges entries one by one, in constant time.
///
/// Attempts of strangers share [`ATTEMPTS_MAX`] a minute, of which no place has more than are left for all
/// others. The rest, and what is to be noted seldom and comes in more kinds than can be remembered, is
/// counted, by what was tried and why it failed.
#[derive(Default)]
pub(super) struct Gate {
    recent: Recent,
    minute: Option<Minute>,
    counted: HashMap<(AuditAction, Option<Reason>), AuditEntry>,
    counted_since: Option<Instant>,
}

/// What was noted of strangers since it began.
struct Minute {
    since: Timestamp,
    noted: usize,
    of_places: HashMap<Place, usize>,
}

impl Gate {
    /// What becomes of an entry. Entries that stand for what was counted before it, and are due, come with
    /// the answer.
    pub(super) fn judge(&mut self, entry: &AuditEntry, often: Often) -> (Verdict, Vec<AuditEntry>) {
        let due = self.begin_minute(entry.at);
        (self.verdict(entry, often), due)
    }

    fn verdict(&mut self, entry: &AuditEntry, often: Often) -> Verdict {
        let key = match often {
            Often::Always => None,
            Often::Seldom(account) => {
                let key = Key::of(entry, account);
                if self.recent.has(&key, entry.at) {
                    return Verdict::Repeated;
                }
                Some(key)
            }
        };
        let has_room = (key.is_none() || self.recent.has_room()) && self.takes_part(entry);
        if !has_room {
            self.count(entry);
            return Verdict::Counted;
        }
        if let Some(key) = key {
            self.recent.note(key, entry.at);
        }
        Verdict::Noted
    }

    /// Whether an entry is no stranger's attempt, or one of those that are noted.
    fn takes_part(&mut self, entry: &AuditEntry) -> bool {
        if !is_stranger_s_attempt(entry) {
            return true;
        }
        let Some(minute) = &mut self.minute else { return false };
        let left = ATTEMPTS_MAX.saturating_sub(minute.noted);
        let place = Place::of(entry.address);
        if minute.of_places.get(&place).copied().unwrap_or(0) >= left {
            return false;
        }
        minute.noted += 1;
        *minute.of_places.entry(place).or_default() += 1;
        true
    }

    fn count(&mut self, entry: &AuditEntry) {
        self.counted_since.get_or_insert_with(Instant::now);
        let kind = (entry.action, entry.reason);
        let one = self.counted.entry(kind).or_insert_with(|| AuditEntry {
            actor: entry.actor.clone(),
            action: entry.action,
            reason: entry.reason,
            event: entry.event,
            at: entry.at,
            count: Some(0),
            user: None,
            session: None,
            token: None,
            address: None,
            object: None,
        });
        // Of more actors than one it is nobody's in particular.
        if one.actor != entry.actor {
            one.actor = AuditActor::Anonymous;
        }
        one.count = one.count.map(|count| count + 1);
    }

    /// Begins another minute where one is over, or where the clock has gone back; answers what is due then.
    fn begin_minute(&mut self, now: Timestamp) -> Vec<AuditEntry> {
        let goes_on = |minute: &Minute| now >= minute.since && now.since(minute.since) < SELDOM;
        if self.minute.as_ref().is_some_and(goes_on) {
            return Vec::new();
        }
        self.minute = Some(Minute { since: now, noted: 0, of_places: HashMap::new() });
        self.take_counted()
    }

    /// The entries that stand for what was counted so far.
    pub(super) fn take_counted(&mut self) -> Vec<AuditEntry> {
        self.counted_since = None;
        mem::take(&mut self.counted).into_values().collect()
    }

    /// When what was counted is to be written, at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.counted_since.map(|since| since + SELDOM)
    }
}

/// Whether anybody can bring it about, as often as they like.
fn is_stranger_s_attempt(entry: &AuditEntry) -> bool {
    entry.actor == AuditActor::Anonymous && entry.action.is_attempt()
}

/// What is the same thing, if it comes again.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    action: AuditAction,
    reason: Option<Reason>,
    actor: AuditActor,
    user: Option<UserId>,
    session: Option<SessionId>,
    token: Option<Jti>,
    object: Option<String>,
    place: Place,
    account: Option<AccountMark>,
}

impl Key {
    fn of(entry: &AuditEntry, account: Option<AccountMark>) -> Self {
        Self {
            action: entry.action,
            reason: entry.reason,
            actor: entry.actor.clone(),
            user: entry.user,
            session: entry.session,
            token: entry.token,
            object: entry.object.clone(),
            place: Place::of(entry.address),
            account,
        }
    }
}

/// When things were noted that are noted seldom: those of late, and those of the time before, which are
/// forgotten all at once.
#[derive(Default)]
struct Recent {
    since: Option<Timestamp>,
    late: HashMap<Key, Timestamp>,
    before: HashMap<Key, Timestamp>,
}

impl Recent {
    /// Whether the same was noted within [`SELDOM`].
    fn has(&mut self, key: &Key, now: Timestamp) -> bool {
        let since = *self.since.get_or_insert(now);
        if now < since || now.since(since) >= SELDOM {
            self.before = mem::take(&mut self.late);
            self.since = Some(now);
        }
        let noted = self.late.get(key).or_else(|| self.before.get(key));
        noted.is_some_and(|noted| now.since(*noted) < SELDOM)
    }

    fn has_room(&self) -> bool {
        self.late.len() < RECENT_MAX
    }

    fn note(&mut self, key: Key, now: Timestamp) {
        self.late.insert(key, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    /// A login at the `at`th millisecond that failed.
    fn attempt(at: u64, address: &str) -> AuditEntry {
        let entry =
            AuditEntry { action: AuditAction::LoginFailed, actor: AuditActor::Anonymous, ..entry(at) };
        entry.from(Some(address.parse().expect("an address"))).because(Reason::WrongPassword)
    }

    fn verdicts(gate: &mut Gate, entries: impl IntoIterator<Item = AuditEntry>) -> [usize; 2] {
        let verdicts: Vec<_> = entries.into_iter().map(|entry| gate.judge(&entry, Often::Always).0).collect();
        [Verdict::Noted, Verdict::Counted]
            .map(|wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count())
    }

    #[test]
    fn strangers_have_so_many_entries_a_minute_and_the_rest_is_one() {
        let mut gate = Gate::default();
        let from_anywhere = (0..10_000_u64).map(|n| attempt(n, &format!("10.0.{}.{}", n / 250, n % 250)));
        assert_eq!(verdicts(&mut gate, from_anywhere), [600, 9_400]);
        // What others do and what changes something is noted in any case.
        for other in [
            AuditEntry { action: AuditAction::AccountCreated, ..attempt(10_000, "10.1.0.1") },
            AuditEntry { action: AuditAction::RefreshTokenReused, ..attempt(10_000, "10.1.0.1") },
            AuditEntry { actor: AuditActor::Operator, ..attempt(10_000, "10.1.0.1") },
        ] {
            assert_eq!(gate.judge(&other, Often::Always), (Verdict::Noted, Vec::new()));
        }
        let of_another_kind = attempt(59_999, "10.2.0.1").because(Reason::UnknownAccount);
        assert_eq!(gate.judge(&of_another_kind, Often::Always), (Verdict::Counted, Vec::new()));

        let (verdict, mut due) = gate.judge(&attempt(60_000, "10.3.0.1"), Often::Always);
        assert_eq!(verdict, Verdict::Noted);
        due.sort_by_key(|entry| entry.count);
        let told: Vec<_> = due.iter().map(|entry| (entry.reason, entry.count, entry.address)).collect();
        assert_eq!(
            told,
            [(Some(Reason::UnknownAccount), Some(1), None), (Some(Reason::WrongPassword), Some(9_400), None)]
        );
        assert_eq!(gate.take_counted(), [], "once");
    }

    #[test]
    fn one_place_leaves_entries_to_all_others() {
        let mut gate = Gate::default();
        // A network of 64 bits is one place, whatever address of it one takes.
        let rude = (0..10_000_u64).map(|n| attempt(0, &format!("2001:db8:1:2::{n:x}")));
        assert_eq!(verdicts(&mut gate, rude), [300, 9_700]);
        assert_eq!(verdicts(&mut gate, (0..100).map(|n| attempt(n, "192.0.2.1"))), [100, 0]);
        assert_eq!(verdicts(&mut gate, (0..100).map(|n| attempt(n, "2001:db8:1:3::1"))), [100, 0]);
    }

    #[test]
    fn what_is_noted_seldom_is_told_apart_by_place_and_account() {
        let mut gate = Gate::default();
        let mark = |byte| Often::Seldom(Some(AccountMark::new([byte; 16])));
        let mut judge = |entry: AuditEntry, often| gate.judge(&entry, often).0;
        use Verdict::{Noted, Repeated};
        for (address, account, verdict) in [
            ("2001:db8:1:2::1", 1, Noted),
            ("2001:db8:1:2::2", 1, Repeated),
            ("2001:db8:1:2::2", 2, Noted),
            ("2001:db8:1:3::2", 2, Noted),
        ] {
            assert_eq!(judge(attempt(0, address), mark(account)), verdict, "{address} {account}");
        }
        assert_eq!(judge(attempt(59_999, "2001:db8:1:2::3"), mark(1)), Repeated);
        assert_eq!(judge(attempt(60_000, "2001:db8:1:2::3"), mark(1)), Noted);
        assert_eq!(judge(attempt(119_999, "2001:db8:1:2::3"), mark(1)), Repeated, "since the last entry");
        assert_eq!(judge(attempt(120_000, "2001:db8:1:2::3"), mark(1)), Noted);
        // Each by its own minute.
        assert_eq!(judge(attempt(150_000, "192.0.2.1"), mark(1)), Noted);
        assert_eq!(judge(attempt(180_000, "192.0.2.1"), mark(1)), Repeated);
        assert_eq!(judge(attempt(209_999, "192.0.2.1"), mark(1)), Repeated);
        assert_eq!(judge(attempt(210_000, "192.0.2.1"), mark(1)), Noted);
    }

    #[test]
    fn of_too_many_kinds_at_once_the_rest_is_counted() {
        let mut gate = Gate::default();
        let kind = |n: usize, at: u64| AuditEntry { object: Some(n.to_string()), ..entry(at) };
        let mut judge = |n, at| gate.judge(&kind(n, at), Often::Seldom(None)).0;
        assert!((0..RECENT_MAX).all(|n| judge(n, 0) == Verdict::Noted));
        assert_eq!(judge(0, 1), Verdict::Repeated);
        assert_eq!(judge(RECENT_MAX, 1), Verdict::Counted);
        assert_eq!(judge(RECENT_MAX, 60_000), Verdict::Noted, "a minute later there is room again");
        assert_eq!(gate.take_counted().len(), 0, "was due with that");
        let _ = gate.judge(&kind(0, 600_000), Often::Seldom(None));
        assert_eq!(gate.recent.late.len() + gate.recent.before.len(), 2, "all before is forgotten");
    }

    #[test]
    fn a_clock_that_goes_back_stops_nothing() {
        let mut gate = Gate::default();
        let rude = |at| (0..1_000_u64).map(move |n| attempt(at, &format!("10.0.{}.{}", n / 250, n % 250)));
        assert_eq!(verdicts(&mut gate, rude(1_000_000)), [600, 400]);
        assert_eq!(verdicts(&mut gate, rude(0)), [600, 400]);
    }
}
