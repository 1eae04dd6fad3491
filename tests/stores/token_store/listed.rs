//! What is listed: `list_sessions`.

use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::ids::SessionId;
use hallpass::domain::session::Session;
use hallpass::store::{AccessStatus, OpenOutcome, RefreshOutcome, SessionStore};

use super::support::*;

/// How many walks there are, and how long each is.
const WALKS: u64 = 6;
const STEPS: u32 = 80;

pub async fn a_user_without_sessions_has_none_listed(store: &SharedStore, clock: &ManualClock) {
    assert_eq!(listed(store, clock, &Person::new()).await, []);
}

pub async fn sessions_are_listed_newest_first(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.insert(0, ada.log_in(store, clock).await);
        clock.advance(MILLISECOND);
    }
    assert_eq!(listed(store, clock, &ada).await, sessions);
}

pub async fn a_listed_session_is_as_its_last_rotation_left_it(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    clock.advance(DAY);
    let RefreshOutcome::Current(rotated) = rotate(store, session.token(0)).await else {
        panic!("the token is current");
    };
    assert_eq!(rotated.issued_at, clock.now());
    assert_eq!(listed(store, clock, &ada).await, [rotated]);
}

pub async fn nobody_elses_sessions_are_listed(store: &SharedStore, clock: &ManualClock) {
    let (ada, grace) = (Person::new(), Person::new());
    let adas = ada.log_in(store, clock).await;
    let hers = grace.log_in(store, clock).await;
    assert_eq!(listed(store, clock, &ada).await, [adas]);
    assert_eq!(listed(store, clock, &grace).await, [hers]);
}

pub async fn sessions_of_many_are_counted_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let people: Vec<_> = (0..70).map(|_| Person::new()).collect();
    let users: Vec<_> = people.iter().map(|person| person.user).collect();
    let count = async |users| store.count_sessions(users, clock.now()).await.expect("count_sessions");
    assert_eq!((count(&users).await, count(&[]).await), (0, 0));
    let first = people[0].log_in(store, clock).await;
    clock.advance(SECOND);
    for person in &people[..66] {
        person.log_in(store, clock).await;
    }
    assert_eq!((count(&users).await, count(&users[..1]).await, count(&users[66..]).await), (67, 2, 0));
    people[1].after_a_security_event().cut_off(store, clock).await;
    assert_eq!(count(&users).await, 66, "a cut-off");
    clock.advance(LIFETIMES.idle - SECOND - MILLISECOND);
    assert_eq!(count(&users).await, 66);
    clock.advance(MILLISECOND);
    assert_eq!((clock.now(), count(&users).await), (first.idle_deadline, 65), "an end");
}

pub async fn a_revoked_session_is_not_listed(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (revoked, left) = (ada.log_in(store, clock).await, ada.log_in(store, clock).await);
    assert!(store.revoke_session(ada.user, revoked.id, OnUnknown::Ignore).await.expect("revoke_session"));
    assert_eq!(listed(store, clock, &ada).await, [left]);
}

pub async fn a_session_ended_by_reuse_is_not_listed(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let (stolen, left) = (ada.log_in(store, clock).await, ada.log_in(store, clock).await);
    rotate(store, stolen.token(0)).await;
    rotate(store, stolen.token(1)).await;
    assert_eq!(rotate(store, stolen.token(0)).await, RefreshOutcome::Reused);
    assert_eq!(listed(store, clock, &ada).await, [left]);
}

pub async fn a_cut_off_session_is_not_listed(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    ada.log_in(store, clock).await;
    let changed = ada.after_a_security_event();
    let spared = changed.log_in(store, clock).await;
    changed.cut_off(store, clock).await;
    assert_eq!(listed(store, clock, &ada).await, [spared]);
}

pub async fn a_session_is_listed_until_its_end_to_the_millisecond(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let idle = ada.log_in(store, clock).await;
    let mut used = ada.log_in(store, clock).await;
    clock.advance(LIFETIMES.idle - MILLISECOND);
    used = rotated(store, clock, &used).await;
    let both = listed(store, clock, &ada).await;
    assert!(both.contains(&idle) && both.contains(&used) && both.len() == 2, "{both:?}");
    clock.advance(MILLISECOND);
    assert_eq!(listed(store, clock, &ada).await, [used.clone()]);

    while used.idle_deadline < used.absolute_deadline {
        clock.advance(LIFETIMES.idle - SECOND);
        used = rotated(store, clock, &used).await;
    }
    let left = used.absolute_deadline.as_millis() - clock.now().as_millis();
    clock.advance(Duration::from_millis(left.unsigned_abs()) - MILLISECOND);
    assert_eq!(listed(store, clock, &ada).await, [used]);
    clock.advance(MILLISECOND);
    assert_eq!(listed(store, clock, &ada).await, []);
}

pub async fn fifty_logins_at_once_are_all_listed(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let sessions: Vec<_> = (0..RACERS).map(|_| ada.session()).collect();
    let calls = sessions.iter().cloned().map(|session| {
        let store = Arc::clone(store);
        async move { store.open_session(&session, &LIFETIMES).await }
    });
    let outcomes = race(calls).await;
    let opened = |outcome: &OpenOutcome| matches!(outcome, OpenOutcome::Opened(_));
    assert!(outcomes.iter().all(opened), "{outcomes:?}");
    assert_eq!(sorted_ids(&listed(store, clock, &ada).await), sorted_ids(&sessions));
}

pub async fn fifty_revocations_at_once_leave_nothing_listed(store: &SharedStore, clock: &ManualClock) {
    let ada = Person::new();
    let mut sessions = Vec::new();
    for _ in 0..RACERS {
        sessions.push(ada.log_in(store, clock).await.id);
    }
    let calls = sessions.into_iter().map(|session: SessionId| {
        let store = Arc::clone(store);
        async move { store.revoke_session(ada.user, session, OnUnknown::Ignore).await }
    });
    assert_eq!(race(calls).await, [true; RACERS]);
    assert_eq!(listed(store, clock, &ada).await, []);
}

pub async fn the_list_is_that_of_a_model_after_any_interleaving(store: &SharedStore, clock: &ManualClock) {
    for seed in 1..=WALKS {
        let mut walk = Walk { dice: Dice::seeded(seed), person: Person::new(), known: Vec::new() };
        for step in 0..STEPS {
            let what = walk.step(store, clock).await;
            walk.compare(store, clock, &format!("walk {seed}, step {step}: {what}")).await;
        }
    }
}

/// One user's sessions, and what should have become of them.
struct Walk {
    dice: Dice,
    person: Person,
    /// Every session that was opened, and whether it was revoked.
    known: Vec<(Session, bool)>,
}

impl Walk {
    /// Does one thing to the store and to the model; answers what.
    async fn step(&mut self, store: &SharedStore, clock: &ManualClock) -> &'static str {
        let roll = self.dice.below(40);
        if roll < 6 || self.known.is_empty() {
            self.known.push((self.person.log_in(store, clock).await, false));
            return "open";
        }
        if roll == 6 {
            self.person = self.person.after_a_security_event();
            self.person.cut_off(store, clock).await;
            for (session, ended) in &mut self.known {
                *ended |= session.security_version < self.person.version;
            }
            return "cut off";
        }
        if roll < 16 {
            let span = [MILLISECOND, SECOND * 31, DAY * 2, DAY * 4][self.dice.below(4)];
            clock.advance(span);
            return "wait";
        }
        // One of the last few: most of the older ones have ended.
        let chosen = self.known.len() - 1 - self.dice.below(self.known.len().min(6));
        let (session, ended) = &mut self.known[chosen];
        let is_live = !*ended && !session.is_expired(clock.now());
        let generation = session.generation.get();
        if roll < 30 {
            let outcome = rotate(store, session.token(generation)).await;
            assert_eq!(matches!(outcome, RefreshOutcome::Current(_)), is_live, "{outcome:?}");
            if is_live {
                *session = Session {
                    generation: session.generation.next(),
                    rotated_at: clock.now(),
                    issued_at: clock.now(),
                    idle_deadline: LIFETIMES.idle_deadline(clock.now(), session.absolute_deadline),
                    ..session.clone()
                };
            }
            return "rotate";
        }
        if roll < 34 && generation >= 2 {
            let outcome = rotate(store, session.token(generation - 2)).await;
            assert_eq!(outcome == RefreshOutcome::Reused, is_live, "{outcome:?}");
            *ended |= is_live;
            return "reuse";
        }
        let was_live = store.revoke_session(session.user, session.id, OnUnknown::Ignore).await;
        assert_eq!(was_live.expect("revoke_session"), is_live);
        *ended |= is_live;
        "revoke"
    }

    /// Asserts that the store lists what the model has, and that access tokens stand accordingly.
    async fn compare(&self, store: &SharedStore, clock: &ManualClock, what: &str) {
        let now = clock.now();
        let is_live = |(session, ended): &&(Session, bool)| !*ended && !session.is_expired(now);
        let mut expected: Vec<_> =
            self.known.iter().filter(is_live).map(|(session, _)| session.clone()).collect();
        expected.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        assert_eq!(listed(store, clock, &self.person).await, expected, "{what}");
        for entry in &self.known {
            let stands = status(store, &entry.0.access_token()).await == AccessStatus::Live;
            assert_eq!(stands, is_live(&entry), "{what}: {:?}", entry.0);
        }
    }
}

/// Chance that is the same in every run (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `sides`.
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) as usize) % sides
    }
}

async fn listed(store: &SharedStore, _: &ManualClock, person: &Person) -> Vec<Session> {
    store.list_sessions(person.user, None, 1_000).await.expect("list_sessions")
}

/// Redeems the session's current token; answers the session after it.
async fn rotated(store: &SharedStore, _: &ManualClock, session: &Session) -> Session {
    match rotate(store, session.token(session.generation.get())).await {
        RefreshOutcome::Current(session) => session,
        outcome => panic!("{outcome:?}"),
    }
}
