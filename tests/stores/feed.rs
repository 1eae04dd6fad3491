//! The contract of [`RevocationStore`], on every store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::ids::KeyId;
use hallpass::domain::partition::Partition;
use hallpass::domain::revocation::{Revocation, Revoked};
use hallpass::store::embedded::{EmbeddedTime, EmbeddedTokenStore};
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::revocations::{ReaderRole, RevocationReader, RevocationStore};
use hallpass::store::{CutOffStore, DenylistStore, OnReuse, RefreshOutcome, SessionStore};

use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

/// Runs every case against every store.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod embedded {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let folder = tempfile::tempdir().expect("a folder");
                let clock = std::sync::Arc::new(super::ManualClock::at(super::START));
                let path = folder.path().join("tokens.db");
                let chance = &hallpass::app::SystemRandom;
                let store = super::EmbeddedTokenStore::open(&path, super::EmbeddedTime { clock: clock.clone(), keeper: None }, chance).await;
                let store = super::TestStore::new(std::sync::Arc::new(store.expect("a store")), clock.clone());
                super::$case(std::sync::Arc::new(store.await), clock).await;
            }
        )*}

        mod redis {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let server = super::RedisServer::start();
                let clock = std::sync::Arc::new(super::ManualClock::at(super::START));
                let url = server.url();
                let mark = super::mark();
                let store = super::RedisTokenStore::connect(&url, &mark, super::RedisOptions::default());
                let store = store.await.expect("Redis").with_time(super::laid_over(&clock));
                let store = std::sync::Arc::new(store);
                let store = super::TestStore::new(store, clock.clone()).await;
                super::$case(std::sync::Arc::new(store), clock).await;
            }
        )*}

        mod cluster {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let clock = std::sync::Arc::new(super::ManualClock::at(super::START));
                let (store, ()) = crate::redis::cluster::open_store(clock.clone()).await;
                super::$case(store, clock).await;
            }
        )*}
    };
}

on_every_store! {
    every_revocation_is_told_with_what_it_names,
    a_client_whose_deletion_was_left_behind_ends_all_the_same,
    a_reader_that_comes_later_is_told_the_same,
    a_reader_is_told_each_thing_once,
    a_waiting_reader_hears_at_once,
    what_no_longer_matters_is_not_told,
    a_session_that_is_not_the_users_is_told_to_nobody,
    nothing_is_missed_while_thousands_are_revoked,
    an_incarnation_is_told_as_long_as_nothing_is_lost,
}

const NOW_OR_NEVER: Duration = Duration::ZERO;

/// Everything that there is to read just now.
async fn read_all(reader: &mut dyn RevocationReader) -> Vec<Revocation> {
    let mut all = Vec::new();
    loop {
        let batch = reader.read(NOW_OR_NEVER).await.expect("the feed");
        all.extend(batch.announced);
        if batch.is_complete {
            return all;
        }
    }
}

fn revoked(read: &[Revocation]) -> Vec<Revoked> {
    read.iter().map(|revocation| revocation.revoked.clone()).collect()
}

/// Revokes in every way there is; answers what is to be told of it. The order is that within one
/// user, since each user's revocations have an order of their own.
async fn revoke_in_every_way(store: &SharedStore, clock: &ManualClock) -> Vec<Revoked> {
    let shared = store.clone();
    let ada = Person::new();
    let (first, second, third) = (
        ada.log_in(&shared, clock).await,
        ada.log_in(&shared, clock).await,
        ada.log_in(&shared, clock).await,
    );
    store.revoke_session(ada.user, first.id, OnUnknown::Ignore).await.expect("revoke_session");
    let token = second.access_token().token;
    store.revoke_access_token(ada.user, token, denial()).await.expect("revoke_access_token");
    rotate(&shared, third.token(0)).await;
    rotate(&shared, third.token(1)).await;
    assert_eq!(rotate(&shared, third.token(0)).await, RefreshOutcome::Reused);
    let fourth = ada.log_in(&shared, clock).await;
    rotate(&shared, fourth.token(0)).await;
    rotate(&shared, fourth.token(1)).await;
    let checked = store.check_refresh(&fourth.token(0), &LIFETIMES, OnReuse::Revoke).await;
    assert_eq!(checked.expect("check_refresh"), RefreshOutcome::Reused);
    let after = ada.after_a_security_event();
    after.cut_off(&shared, clock).await;
    vec![
        Revoked::Session(first.id),
        Revoked::Token(token),
        Revoked::Session(third.id),
        Revoked::Session(fourth.id),
        Revoked::Session(second.id),
        Revoked::User { user: ada.user, below: after.version },
    ]
}

async fn every_revocation_is_told_with_what_it_names(store: SharedStore, clock: Arc<ManualClock>) {
    let mut reader = store.reader(ReaderRole::Observer);
    assert!(read_all(&mut *reader).await.is_empty());
    let expected = revoke_in_every_way(&store, &clock).await;

    let told = read_all(&mut *reader).await;
    assert_eq!(revoked(&told), expected);
    assert!(told.iter().all(|revocation| revocation.until == clock.now().after(denial())), "{told:?}");

    let until = clock.now().after(denial());
    store.announce_key(&KeyId::new("a-kid_1"), denial()).await.expect("announce_key");
    let revoked = Revoked::Key(KeyId::new("a-kid_1"));
    assert_eq!(read_all(&mut *reader).await, [Revocation { revoked, until }]);
    let machine = hallpass::domain::ids::Jti::from(*fresh_session_id().as_uuid());
    store.revoke_machine_token(machine, denial()).await.expect("revoke_machine_token");
    let revoked = Revoked::Token(machine);
    assert_eq!(read_all(&mut *reader).await, [Revocation { revoked, until }]);
    let end = deleted_client(&store, clock.now().after(denial() + SECOND)).await;
    store.end_client(&end).await.expect("end_client");
    let told = Revocation { revoked: Revoked::Client(end.client.clone()), until: end.until };
    assert_eq!(read_all(&mut *reader).await, std::slice::from_ref(&told));
    assert!(read_all(&mut *store.reader(ReaderRole::Observer)).await.contains(&told));
}

/// Its entry stands in the journal: whoever has the store carries it out.
async fn a_client_whose_deletion_was_left_behind_ends_all_the_same(
    store: SharedStore,
    clock: Arc<ManualClock>,
) {
    let mut reader = store.reader(ReaderRole::Observer);
    read_all(&mut *reader).await;
    store.keep().await.expect("keep");
    let until = clock.now().after(denial() + SECOND);
    let end = deleted_client(&store, until).await;
    store.keep().await.expect("keep");
    // That one may just be at it who has written it: only the next look takes it for left behind.
    store.keep().await.expect("keep");
    let told = Revocation { revoked: Revoked::Client(end.client.clone()), until };
    assert_eq!(read_all(&mut *reader).await, std::slice::from_ref(&told));
    store.end_client(&end).await.expect("end_client");
    assert!(read_all(&mut *reader).await.iter().all(|again| *again == told));
    clock.advance(denial() + SECOND);
    assert!(read_all(&mut *store.reader(ReaderRole::Observer)).await.is_empty());
}

async fn a_reader_that_comes_later_is_told_the_same(store: SharedStore, clock: Arc<ManualClock>) {
    let expected = revoke_in_every_way(&store, &clock).await;
    clock.advance(SECOND);
    for _ in 0..2 {
        assert_eq!(revoked(&read_all(&mut *store.reader(ReaderRole::Observer)).await), expected);
    }
}

async fn a_reader_is_told_each_thing_once(store: SharedStore, clock: Arc<ManualClock>) {
    let mut reader = store.reader(ReaderRole::Observer);
    for _ in 0..3 {
        let expected = revoke_in_every_way(&store, &clock).await;
        assert_eq!(revoked(&read_all(&mut *reader).await), expected);
        assert!(read_all(&mut *reader).await.is_empty());
    }
}

async fn a_waiting_reader_hears_at_once(store: SharedStore, clock: Arc<ManualClock>) {
    let mut reader = store.reader(ReaderRole::Observer);
    read_all(&mut *reader).await;
    // Far longer than any test waits: it is the revocation that ends the wait.
    let waiting = tokio::spawn(async move { reader.read(Duration::from_secs(600)).await });
    let shared = store.clone();
    let session = Person::new().log_in(&shared, &clock).await;
    store.revoke_session(session.user, session.id, OnUnknown::Ignore).await.expect("revoke_session");
    let batch = waiting.await.expect("no panic").expect("the feed");
    assert_eq!(revoked(&batch.announced), [Revoked::Session(session.id)]);
}

async fn what_no_longer_matters_is_not_told(store: SharedStore, clock: Arc<ManualClock>) {
    revoke_in_every_way(&store, &clock).await;
    clock.advance(denial());
    assert!(read_all(&mut *store.reader(ReaderRole::Observer)).await.is_empty());
}

async fn a_session_that_is_not_the_users_is_told_to_nobody(store: SharedStore, clock: Arc<ManualClock>) {
    let shared = store.clone();
    let ada = Person::new().log_in(&shared, &clock).await;
    // Of the same partition as Ada, of another, and a session that never was.
    for (stranger, session) in
        [(fresh_user(), ada.id), (fresh_user(), ada.id), (ada.user, fresh_session_id())]
    {
        let was_live = store.revoke_session(stranger, session, OnUnknown::Ignore).await;
        assert!(!was_live.expect("revoke_session"));
    }
    assert!(read_all(&mut *store.reader(ReaderRole::Observer)).await.is_empty());
    assert_live(&shared, &ada, 0).await;
}

async fn nothing_is_missed_while_thousands_are_revoked(store: SharedStore, _: Arc<ManualClock>) {
    const COUNT: usize = 2_500;
    let mut reader = store.reader(ReaderRole::Observer);
    read_all(&mut *reader).await;
    let user = fresh_user();
    let revoking = tokio::spawn({
        let store = store.clone();
        async move {
            let mut tokens = BTreeSet::new();
            for _ in 0..COUNT {
                let token = hallpass::domain::ids::Jti::from(*fresh_session_id().as_uuid());
                store.revoke_access_token(user, token, denial()).await.expect("revoke_access_token");
                tokens.insert(token);
            }
            tokens
        }
    });
    let mut told = Vec::new();
    while told.len() < COUNT {
        let batch = reader.read(Duration::from_secs(60)).await.expect("the feed");
        assert!(!batch.announced.is_empty(), "only {} came", told.len());
        told.extend(batch.announced);
    }
    let revoked = revoking.await.expect("no panic");
    let tokens: Vec<_> = told
        .iter()
        .map(|revocation| match revocation.revoked {
            Revoked::Token(token) => token,
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tokens.len(), COUNT, "each once");
    assert_eq!(tokens.into_iter().collect::<BTreeSet<_>>(), revoked);
}

/// Else everything from before would be refused again at each look.
async fn an_incarnation_is_told_as_long_as_nothing_is_lost(store: SharedStore, clock: Arc<ManualClock>) {
    let mut reader = store.reader(ReaderRole::Observer);
    let first = reader.read(NOW_OR_NEVER).await.expect("the feed");
    assert_eq!(first.incarnations.len(), Partition::COUNT);
    for _ in 0..3 {
        clock.advance(SECOND);
        Person::new().log_in(&store, &clock).await;
        let batch = reader.read(NOW_OR_NEVER).await.expect("the feed");
        assert_eq!((batch.incarnations, batch.vouching), (first.incarnations.clone(), first.vouching));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_its_data_begins_another_incarnation() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let backend = RedisTokenStore::connect(&server.url(), &mark(), RedisOptions::default()).await;
    let store =
        TestStore::new(Arc::new(backend.expect("Redis").with_time(laid_over(&clock))), clock.clone()).await;
    let mut reader = store.reader(ReaderRole::Observer);
    let before = reader.read(NOW_OR_NEVER).await.expect("the feed");
    let store = Arc::new(store);
    let end = deleted_client(&store, clock.now().after(denial() + SECOND)).await;
    store.end_client(&end).await.expect("end_client");
    let over = deleted_client(&store, clock.now()).await;
    store.end_client(&over).await.expect("end_client");

    let client = ::redis::Client::open(server.url()).expect("the address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    ::redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.expect("FLUSHALL");

    // The first read finds out, and tells of nothing that is in doubt.
    let after = reader.read(NOW_OR_NEVER).await.expect("the feed");
    assert!(after.incarnations.iter().zip(&before.incarnations).all(|(after, before)| after > before));
    assert_ne!(after.vouching, before.vouching);
    // What a client acts by is of other partitions, which may have lost nothing where there are several servers.
    let told = Revocation { revoked: Revoked::Client(end.client), until: end.until };
    assert_eq!(after.announced, [told]);
    // Ids in the new streams may lie before those that were read: they are read all the same.
    let until = clock.now().after(denial());
    store.announce_key(&KeyId::new("k"), denial()).await.expect("announce_key");
    let late = Revocation { revoked: Revoked::Key(KeyId::new("k")), until };
    assert_eq!(read_all(&mut *reader).await, [late]);
}
