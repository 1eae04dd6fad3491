//! How a store is made whole, step by step.

use std::sync::Arc;
use std::time::Duration;

use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::ids::UserId;
use hallpass::domain::journal::{EntryId, JournalEntry, Journaled, Link, Mark, NewEntry, VouchingId};
use hallpass::domain::partition::Partition;
use hallpass::store::backend::TokenBackend;
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::examination::{Examination, NewPartition, PartitionState, ReplayStep};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::revocations::ReaderRole;
use hallpass::store::sessions::Opening;
use hallpass::store::vouching::{BackendError, Vouched, VouchedPartition};
use hallpass::store::{OnUnknown, OpenOutcome, SessionStore};
use tempfile::TempDir;

use super::{Journal, TestStore};
use crate::token_store::support::*;

/// What stands where a partition begins.
fn begun(partition: Partition) -> NewPartition {
    let mark = Mark { position: 5, entry: EntryId::new(50) };
    let state = PartitionState { incarnation: 1, vouching: VouchingId::new(7), mark, seal: String::new() };
    NewPartition { partition, read: None, state, deleted_clients: Vec::new() }
}

fn entry(user: UserId, position: i64) -> JournalEntry {
    let at = Mark { position, entry: EntryId::new(position * 10) };
    let link = Link { at, previous: EntryId::new(position * 10 - 10) };
    let revoked = Journaled::Session { user, session: fresh_session_id() };
    JournalEntry { link, revoked, until: START.after(DAY) }
}

/// A store all of whose partitions were begun, and what it was found whole by.
async fn whole(backend: &dyn TokenBackend) -> (Box<dyn Examination>, Vouched) {
    let mut examination = backend.examine().await.expect("a connection");
    let new: Vec<_> = Partition::all().map(begun).collect();
    let server =
        examination.view().await.expect("a view").server(Partition::EVERYBODY).expect("a server").to_string();
    examination.begin(&new, Duration::from_secs(900)).await.expect("begun");
    let partition = VouchedPartition { incarnation: 1, vouching: VouchingId::new(7) };
    let vouched = Vouched::new(server, vec![partition; Partition::COUNT]).expect("all partitions");
    (examination, vouched)
}

/// A position that was given again is another one.
async fn a_mark_moves_only_from_the_entry_that_it_stood_at(backend: &dyn TokenBackend) {
    let (mut examination, _) = whole(backend).await;
    let (ada, eve) = (UserId::try_from(64).expect("an id"), UserId::try_from(65).expect("an id"));
    let step = |user: UserId, from: Mark| {
        let entries = vec![entry(user, 6), entry(user, 7)];
        ReplayStep {
            partition: Partition::of(user),
            from,
            entries,
            to: Mark { position: 7, entry: EntryId::new(70) },
        }
    };
    let (here, other) = (Mark { position: 5, entry: EntryId::new(50) }, EntryId::new(51));
    let mut replay = async |steps: &[ReplayStep]| {
        let moved = examination.replay(steps, denial()).await.expect("replayed");
        let states = examination.view().await.expect("a view").states;
        let mark = |user| states[Partition::of(user).index()].as_ref().expect("a state").mark.position;
        (moved, mark(ada), mark(eve))
    };
    let moved = replay(&[step(ada, Mark { entry: other, ..here }), step(eve, here)]).await;
    assert_eq!(moved, (vec![false, true], 5, 7), "each for itself");
    let moved = replay(&[step(ada, Mark { position: 4, ..here }), step(eve, here)]).await;
    assert_eq!(moved, (vec![false, false], 5, 7));
    assert_eq!(replay(&[step(ada, here)]).await, (vec![true], 7, 7));
    assert_eq!(replay(&[]).await, (vec![], 7, 7));
}

/// One partition alone can be lost and begun anew: then nothing is told of it by what it was before.
async fn nothing_is_answered_of_a_partition_that_was_begun_anew(backend: &dyn TokenBackend) {
    let (mut examination, by) = whole(backend).await;
    let ada = Person::new();
    let session = ada.session();
    let opened = backend.open_session(&by, &session, &LIFETIMES).await.expect("an answer");
    assert_eq!(opened, Opening::Settled(OpenOutcome::Opened(session.at(START, 1, &LIFETIMES))));
    let mut reader = backend.reader(ReaderRole::Observer);
    reader.read(&by, Duration::ZERO).await.expect("a batch");
    assert_eq!(backend.list_sessions(&by, ada.user, None, 9).await.expect("a list").len(), 1);

    let partition = Partition::of(ada.user);
    examination.condemn(&[(partition, begun(partition).state)]).await.expect("condemned");
    let assert_refused = async |reader: &mut dyn hallpass::store::revocations::BackendReader| {
        let stranger = Person { user: UserId::try_from(ada.user.get() + 64).expect("an id"), ..ada };
        let reset = ada.reset_token();
        let answers = [
            reader.read(&by, Duration::ZERO).await.map(drop),
            backend.list_sessions(&by, ada.user, None, 9).await.map(drop),
            backend.list_sessions(&by, stranger.user, None, 9).await.map(drop),
            backend.has_sessions(&by, ada.user).await.map(drop),
            backend.session_end(&by, ada.user, session.id).await.map(drop),
            backend.find_reset_token(&by, &reset).await.map(drop),
            backend
                .known_revocation(&by, &Journaled::Session { user: ada.user, session: session.id }, START)
                .await
                .map(drop),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            assert!(matches!(answer, Err(BackendError::Unvouched)), "{number}: {answer:?}");
        }
    };
    assert_refused(&mut *reader).await;
    let mut anew = NewPartition { read: Some(VouchingId::NONE), ..begun(partition) };
    (anew.state.vouching, anew.state.incarnation) = (VouchingId::new(8), 2);
    examination.begin(&[anew], Duration::from_secs(900)).await.expect("begun");
    assert_refused(&mut *reader).await;
}

macro_rules! on_both {
    ($($case:ident)+) => {$(
        mod $case {
            #[tokio::test]
            async fn in_redis() {
                let server = crate::support::redis::RedisServer::start();
                let clock = std::sync::Arc::new(super::ManualClock::at(super::START));
                super::$case(&*crate::redis::backend(&server, &super::mark(), &clock).await).await;
            }

            #[tokio::test]
            async fn in_the_embedded_store() {
                let folder = super::TempDir::new().expect("a folder");
                super::$case(&super::embedded(&folder, super::ManualClock::at(super::START)).await).await;
            }
        }
    )+};
}

on_both! {
    a_mark_moves_only_from_the_entry_that_it_stood_at
    nothing_is_answered_of_a_partition_that_was_begun_anew
}

async fn embedded(folder: &TempDir, clock: ManualClock) -> EmbeddedTokenStore {
    let path = folder.path().join("tokens.db");
    EmbeddedTokenStore::open(&path, EmbeddedTime { clock: Arc::new(clock), keeper: None }, &SystemRandom)
        .await
        .expect("a store")
}

/// How many entries of each partition a store lacks: more than one step of some, none of most.
const LACKED: [(i64, usize); 12] = [
    (0, 1_001),
    (1, 500),
    (2, 499),
    (3, 1),
    (10, 3),
    (11, 3),
    (12, 3),
    (13, 3),
    (14, 3),
    (15, 3),
    (16, 3),
    (63, 501),
];

/// Ends of sessions that the journal has and the store has not; answers some of the sessions.
async fn write_what_is_lacked(
    store: &TestStore,
    clock: &ManualClock,
    journal: &Journal,
) -> Vec<hallpass::domain::session::Session> {
    let mut sessions = Vec::new();
    for (partition, entries) in LACKED {
        let person = Person { user: UserId::try_from(64 + partition).expect("an id"), ..Person::new() };
        for number in 0..entries {
            // The first and the last of each have been opened.
            let session = match number == 0 || number + 1 == entries {
                true => {
                    let session = person.session();
                    let outcome = store.open_session(&session, &LIFETIMES).await.expect("a session");
                    let OpenOutcome::Opened(opened) = outcome else { panic!("{outcome:?}") };
                    sessions.push(opened);
                    session.id
                }
                false => fresh_session_id(),
            };
            let revoked = Journaled::Session { user: person.user, session };
            let entry = NewEntry {
                id: EntryId::generate(&SystemRandom),
                revoked,
                until: clock.now().after(LIFETIMES.idle),
            };
            journal.store.append_entry(&entry).await.expect("an entry");
        }
    }
    sessions
}

async fn assert_whole(store: &TestStore, backend: &dyn TokenBackend) {
    let heads = store.journal.store.journal_heads().await.expect("the heads");
    let view = backend.examine().await.expect("a connection").view().await.expect("a view");
    for (head, state) in heads.iter().zip(&view.states) {
        assert_eq!(state.as_ref().map(|state| state.mark), Some(head.newest), "{}", head.partition);
    }
}

/// Several partitions side by side, in steps that follow on one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_lacked_is_carried_out_in_redis() {
    let (server, clock) = (crate::support::redis::RedisServer::start(), Arc::new(ManualClock::at(START)));
    let journal = Journal::new().await;
    let open = async || {
        Arc::new(TestStore::over(
            crate::redis::backend(&server, &mark(), &clock).await,
            journal.clone(),
            clock.clone(),
        ))
    };
    let store = open().await;
    let live = Person::new().log_in(&store, &clock).await;
    let sessions = write_what_is_lacked(&store, &clock, &journal).await;
    let mut redis = crate::redis::client(&server).await;
    for partition in Partition::all() {
        let key = crate::redis::keys().partition(partition).state();
        let _: () = ::redis::cmd("HSET")
            .arg(key)
            .arg("seal")
            .arg("another")
            .query_async(&mut redis)
            .await
            .expect("HSET");
    }
    let store = open().await;
    store.keep().await.expect("both stores answer");
    assert_whole(&store, &*crate::redis::backend(&server, &mark(), &clock).await).await;
    for session in &sessions {
        assert_dead(&store, session).await;
    }
    assert_live(&store, &live, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_lacked_is_carried_out_in_the_embedded_store() {
    let (folder, clock) = (TempDir::new().expect("a folder"), Arc::new(ManualClock::at(START)));
    let journal = Journal::new().await;
    let open = async || {
        let tokens = Arc::new(embedded(&folder, ManualClock::at(START)).await);
        (Arc::new(TestStore::over(tokens.clone(), journal.clone(), clock.clone())), tokens)
    };
    let (store, tokens) = open().await;
    let live = Person::new().log_in(&store, &clock).await;
    let sessions = write_what_is_lacked(&store, &clock, &journal).await;
    tokens.close().await;
    drop((store, tokens));
    let (store, tokens) = open().await;
    store.keep().await.expect("both stores answer");
    assert_whole(&store, &*tokens).await;
    for session in &sessions {
        assert_dead(&store, session).await;
    }
    assert_live(&store, &live, 0).await;
    let user = live.user;
    assert!(store.revoke_session(user, live.id, OnUnknown::Ignore).await.expect("an end"));
}

/// What was written since, at positions that the store is past, is carried out all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_back_is_joined_in_many_partitions_at_once() {
    let (server, clock) = (crate::support::redis::RedisServer::start(), Arc::new(ManualClock::at(START)));
    let backend = crate::redis::backend(&server, &mark(), &clock).await;
    let store = Arc::new(TestStore::new(backend.clone(), clock.clone()).await);
    let (mut dead, mut live, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for partition in 0..20 {
        let person = Person { user: UserId::try_from(64 + partition).expect("an id"), ..Person::new() };
        for _ in 0..3 {
            let session = person.log_in(&store, &clock).await;
            store.revoke_session(person.user, session.id, OnUnknown::Deny).await.expect("an end");
            dead.push(session);
        }
        live.push(person.log_in(&store, &clock).await);
        last.push(person.log_in(&store, &clock).await);
    }
    store.keep().await.expect("a look");
    for statement in [
        "DELETE FROM journal WHERE position > 1",
        "UPDATE journal_heads SET position = 1, previous = 0, entry = (SELECT entry FROM journal
         WHERE journal.partition = journal_heads.partition) WHERE position = 3",
    ] {
        store.journal.execute(statement).await;
    }
    for session in &last {
        let revoked = Journaled::Session { user: session.user, session: session.id };
        let id = EntryId::generate(&SystemRandom);
        let entry = NewEntry { id, revoked, until: clock.now().after(LIFETIMES.idle) };
        let link = store.journal.store.append_entry(&entry).await.expect("an entry");
        assert_eq!(link.at.position, 2, "the store's mark is past it");
    }
    store.keep().await.expect("both stores answer");
    assert_whole(&store, &*backend).await;
    for session in dead.iter().chain(&last) {
        assert_dead(&store, session).await;
    }
    for session in &live {
        assert_live(&store, session, 0).await;
    }
}
