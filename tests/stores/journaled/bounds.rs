//! What somebody can bring about who asks for the same again and again, and what waits for what.

use std::sync::Arc;
use std::time::Duration;

use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::domain::ids::{Jti, SessionId, UserId};
use hallpass::domain::journal::{EntryId, Journaled, NewEntry, VouchingId};
use hallpass::domain::partition::Partition;
use hallpass::domain::revocation::Revoked;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::journaled::{PRUNED_AT_ONCE, Pruned};
use hallpass::store::revocations::{ReaderRole, RevocationStore};
use hallpass::store::{
    CutOffStore, DenylistStore, OnUnknown, SessionStore, StoreError, StoreResult, TokenStore,
};

use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// No entry is taken, or none about that.
async fn refuse(store: &SharedStore, subject: Option<String>) {
    let condition = subject.map(|subject| format!("WHEN NEW.subject = '{subject}'")).unwrap_or_default();
    let refuse = "BEGIN SELECT RAISE(ABORT, 'refused'); END";
    let trigger = format!(
        "DROP TRIGGER IF EXISTS refused; CREATE TRIGGER refused BEFORE INSERT ON journal {condition} {refuse}"
    );
    store.journal.execute(&trigger).await;
}

async fn refuse_nothing(store: &SharedStore) {
    store.journal.execute("DROP TRIGGER refused").await;
}

/// How often the feed tells of it.
async fn times_told(store: &SharedStore, _: &ManualClock, of: &Revoked) -> usize {
    let mut reader = store.reader(ReaderRole::Observer);
    let batch = reader.read(Duration::ZERO).await.expect("the feed");
    assert!(batch.is_complete);
    batch.announced.iter().filter(|told| told.revoked == *of).count()
}

/// Ways to ask that one thing be revoked.
enum Asked {
    Token(Person, Jti),
    Machine(Jti),
    Session(Person, SessionId),
}

impl Asked {
    async fn again(&self, store: &SharedStore, clock: &ManualClock, until: Timestamp) -> StoreResult<()> {
        let rest = until.since(clock.now());
        match self {
            Self::Token(person, token) => store.revoke_access_token(person.user, *token, rest).await,
            Self::Machine(token) => store.revoke_machine_token(*token, rest).await,
            Self::Session(person, session) => {
                store.revoke_session(person.user, *session, OnUnknown::Deny).await.map(drop)
            }
        }
    }

    fn told(&self) -> Revoked {
        match self {
            Self::Token(_, token) | Self::Machine(token) => Revoked::Token(*token),
            Self::Session(_, session) => Revoked::Session(*session),
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Token(_, token) | Self::Machine(token) => token.to_string(),
            Self::Session(_, session) => session.to_string(),
        }
    }
}

/// A token, a machine's, a session, one that has ended by itself, and one that the store does not know.
async fn one_of_each(store: &SharedStore, clock: &ManualClock) -> [Asked; 5] {
    let ada = Person::new();
    let over = ada.log_in(store, clock).await;
    clock.advance(LIFETIMES.idle);
    let session = ada.log_in(store, clock).await;
    let unknown = ada.session();
    [
        Asked::Token(ada, session.access_token().token),
        Asked::Machine(session.access_token().token),
        Asked::Session(ada, over.id),
        Asked::Session(ada, ada.log_in(store, clock).await.id),
        Asked::Session(ada, unknown.id),
    ]
}

pub async fn what_is_revoked_is_written_down_and_told_once(store: &SharedStore, clock: &ManualClock) {
    for asked in one_of_each(store, clock).await {
        let (until, before) = (clock.now().after(LIFETIMES.access_token), store.journal.count().await);
        for _ in 0..20 {
            asked.again(store, clock, until).await.expect("a revocation");
            clock.advance(MILLISECOND);
        }
        assert_eq!(store.journal.count().await, before + 1, "{:?}", asked.told());
        assert_eq!(times_told(store, clock, &asked.told()).await, 1, "{:?}", asked.told());
    }
}

/// What was denied for too short a time is denied anew.
pub async fn a_token_is_revoked_once_more_where_it_would_outlive_its_denial(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let [token, machine, ..] = one_of_each(store, clock).await;
    for asked in [token, machine] {
        let before = store.journal.count().await;
        asked.again(store, clock, clock.now().after(denial())).await.expect("a revocation");
        clock.advance(MILLISECOND);
        for _ in 0..2 {
            asked.again(store, clock, clock.now().after(denial())).await.expect("a revocation");
        }
        assert_eq!(store.journal.count().await, before + 2, "{:?}", asked.told());
    }
}

/// Nobody hears that it is done before the entry stands, however often they ask.
pub async fn a_revocation_that_is_owed_is_pending_and_told_once(store: &SharedStore, clock: &ManualClock) {
    for asked in one_of_each(store, clock).await {
        let (until, before) = (clock.now().after(LIFETIMES.access_token), store.journal.count().await);
        refuse(store, Some(asked.subject())).await;
        for _ in 0..5 {
            let answer = asked.again(store, clock, until).await;
            assert!(matches!(answer, Err(StoreError::RevocationPending(_))), "{answer:?}");
        }
        assert_eq!(store.journal.count().await, before, "{:?}", asked.told());
        assert_eq!(times_told(store, clock, &asked.told()).await, 1, "{:?}", asked.told());
        refuse_nothing(store).await;
        for _ in 0..5 {
            asked.again(store, clock, until).await.expect("a revocation");
        }
        assert_eq!(store.journal.count().await, before + 1, "{:?}", asked.told());
        // Settled by the entry that it was owed under: there is nothing left to write down.
        store.keep().await.expect("both stores answer");
        assert_eq!(store.journal.count().await, before + 1, "{:?}", asked.told());
    }
}

/// Somebody has written it down, and was gone before it was carried out.
pub async fn what_a_writer_left_behind_is_told_until_it_is_carried_out(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let ada = Person::new();
    let session = ada.log_in(store, clock).await;
    let behind = || store.journal_lag().expect("a look").behind;
    store.keep().await.expect("both stores answer");
    assert_eq!(behind(), 0);
    let revoked = Journaled::Session { user: ada.user, session: session.id };
    let until = clock.now().after(LIFETIMES.idle);
    let entry = NewEntry { id: EntryId::generate(&SystemRandom), revoked, until };
    store.journal.store.append_entry(&entry).await.expect("an entry");
    // It may be under way still.
    store.keep().await.expect("both stores answer");
    assert_eq!(behind(), 0);
    store.keep().await.expect("both stores answer");
    assert_eq!(behind(), 1);
    assert_dead(store, &session).await;
    store.keep().await.expect("both stores answer");
    assert_eq!(behind(), 0);
}

/// One that cannot be written down stays owed, and holds up no other.
pub async fn what_is_owed_is_settled_each_for_itself(store: &SharedStore, clock: &ManualClock) {
    let people: Vec<_> = (0..40).map(|_| Person::new()).collect();
    let mut sessions = Vec::new();
    for person in &people {
        sessions.push(person.log_in(store, clock).await);
    }
    let before = store.journal.count().await;
    refuse(store, None).await;
    assert_eq!(store.journal_lag().map_or(0, |lag| lag.owed), 0);
    for session in &sessions {
        let user = session.user;
        let owed = store.revoke_session(user, session.id, OnUnknown::Deny).await;
        assert!(matches!(owed, Err(StoreError::RevocationPending(_))), "{owed:?}");
    }
    store.keep().await.expect("both stores answer");
    assert_eq!(store.journal_lag().expect("a look").owed, 40);
    let stuck = &sessions[3];
    refuse(store, Some(stuck.id.to_string())).await;
    for _ in 0..2 {
        store.keep().await.expect("both stores answer");
        assert_eq!(store.journal.count().await, before + 39);
    }
    assert_eq!(store.journal_lag().expect("a look").owed, 1);
    // Whoever asks for one person is told of that person's alone.
    store.settle_owed(people[4].user).await.expect("nothing is owed of this one");
    assert!(store.settle_owed(people[3].user).await.is_err());
    refuse_nothing(store).await;
    store.settle_owed(people[3].user).await.expect("it is written down");
    assert_eq!(store.journal.count().await, before + 40);
    store.keep().await.expect("both stores answer");
    assert_eq!(store.journal.count().await, before + 40, "nothing is owed any more");
    assert_eq!(store.journal_lag().expect("a look").owed, 0);
    for session in &sessions {
        assert_dead(store, session).await;
    }
}

#[tokio::test]
async fn the_journal_is_pruned_in_pieces() {
    let clock = Arc::new(ManualClock::at(START));
    let (store, _guard) = crate::embedded::in_a_fresh_folder(clock.clone()).await;
    let entries = PRUNED_AT_ONCE + 1;
    let write = format!(
        "INSERT INTO journal (partition, position, entry, previous, kind, user_id, subject, until)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {entries})
         SELECT 0, i, i, i - 1, 'token', 64, '00000000-0000-4000-8000-000000000000', 1 FROM n"
    );
    store.journal.execute(&write).await;
    // Of another partition than those.
    let user = UserId::try_from(65).expect("an id");
    let matters = Journaled::Session { user, session: fresh_session_id() };
    let (until, partition) = (clock.now(), matters.partition());
    let kept = NewEntry { id: EntryId::generate(&SystemRandom), revoked: matters, until };
    store.journal.store.append_entry(&kept).await.expect("an entry");
    for expected in [
        Pruned { entries: PRUNED_AT_ONCE, is_all: false },
        Pruned { entries: 1, is_all: true },
        Pruned { entries: 0, is_all: true },
    ] {
        assert_eq!(store.prune_journal().await.expect("the database"), expected);
    }
    let left = store.journal.store.list_entries(partition, 0, i64::MAX, 10).await.expect("the entries");
    assert_eq!(left.iter().map(|entry| entry.link.at.entry).collect::<Vec<_>>(), [kept.id]);
}

/// Somebody else vouches for all that stands there.
async fn vouch_anew(store: &SharedStore) {
    let mut examination = store.backend.examine().await.expect("a connection");
    let states = examination.view().await.expect("a view").states;
    let standing: Vec<_> =
        Partition::all().zip(states.into_iter().map(|state| state.expect("whole"))).collect();
    examination.seal(&standing, VouchingId::generate(&SystemRandom)).await.expect("vouched for");
}

/// Whether data can be relied on is asked of the data, and not of who has last looked: a balancer sends requests
/// to whoever says so.
pub async fn a_ping_is_not_answered_by_what_was_whole_once(store: &SharedStore, clock: &ManualClock) {
    let session = Person::new().log_in(store, clock).await;
    vouch_anew(store).await;
    store.journal.execute("ALTER TABLE journal_heads RENAME TO away").await;
    let answer = store.ping().await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    store.journal.execute("ALTER TABLE away RENAME TO journal_heads").await;
    // At once: the look that has just failed is not held against whoever asks after it.
    store.ping().await.expect("it is whole");
    assert_live(store, &session, 0).await;
}

/// As the ping is, a token is looked at anew.
pub async fn a_look_that_failed_before_a_token_was_asked_about_refuses_none(
    store: &SharedStore,
    clock: &ManualClock,
) {
    let session = Person::new().log_in(store, clock).await;
    for _ in 0..3 {
        vouch_anew(store).await;
        store.journal.execute("ALTER TABLE journal_heads RENAME TO away").await;
        assert!(store.access_status(&session.access_token()).await.is_err());
        store.journal.execute("ALTER TABLE away RENAME TO journal_heads").await;
        assert_live(store, &session, 0).await;
    }
}
