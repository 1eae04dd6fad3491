//! The contract of [`PresenceStore`], as cases that know no backend; see `token_store`.

use std::future::Future;
use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::secret_mark::{Presence, SecretMark};
use hallpass::store::presence::{PRESENCE_TTL, PresenceStore};

use crate::token_store::support::{MILLISECOND, START, race};

/// The store under test, to be shared among tasks.
pub type SharedPresence = Arc<dyn PresenceStore>;

/// As the macro of the same name in `token_store`.
macro_rules! contract {
    ($open:path) => {
        $crate::presence::contract! {
            @cases $open;
            a_replica_is_there_for_its_time_to_the_millisecond
            what_a_replica_says_later_takes_the_place_of_what_it_said
            a_replica_that_withdraws_is_gone_and_no_other
            of_many_replicas_that_speak_at_once_all_are_heard
        }
    };
    (@cases $open:path; $($case:ident)+) => {$(
        #[test]
        fn $case() {
            $crate::presence::run($open, $crate::presence::$case);
        }
    )+};
}
pub(crate) use contract;

/// Makes a store, runs one case against it on two threads, and tidies up.
pub fn run<Opening, Guard>(
    open: impl FnOnce(Arc<ManualClock>) -> Opening,
    case: impl AsyncFnOnce(&SharedPresence, &ManualClock),
) where
    Opening: Future<Output = (SharedPresence, Guard)>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let clock = Arc::new(ManualClock::at(START));
        let (store, _guard) = open(Arc::clone(&clock)).await;
        case(&store, &clock).await;
    });
}

fn presence(replica: &str, mints: u8, accepts: &[u8]) -> Presence {
    let mark = |byte: u8| SecretMark::new([byte; 4]);
    Presence::new(replica, mark(mints), accepts.iter().map(|byte| mark(*byte)).collect())
}

async fn announce(store: &SharedPresence, presence: &Presence) {
    store.announce_presence(presence).await.expect("announce_presence");
}

async fn listed(store: &SharedPresence) -> Vec<Presence> {
    store.list_presences().await.expect("list_presences")
}

pub async fn a_replica_is_there_for_its_time_to_the_millisecond(store: &SharedPresence, clock: &ManualClock) {
    assert_eq!(listed(store).await, []);
    let (here, there) = (presence("a:1", 1, &[]), presence("b:1", 2, &[1, 3]));
    announce(store, &here).await;
    clock.advance(MILLISECOND);
    announce(store, &there).await;
    clock.advance(PRESENCE_TTL - MILLISECOND * 2);
    assert_eq!(listed(store).await, [here, there.clone()]);
    clock.advance(MILLISECOND);
    assert_eq!(listed(store).await, [there]);
    clock.advance(MILLISECOND);
    assert_eq!(listed(store).await, []);
}

pub async fn what_a_replica_says_later_takes_the_place_of_what_it_said(
    store: &SharedPresence,
    clock: &ManualClock,
) {
    // The name of the one is how that of the other begins.
    let (before, after, other) =
        (presence("a:1", 1, &[2]), presence("a:1", 2, &[1]), presence("a:11", 1, &[]));
    announce(store, &before).await;
    announce(store, &other).await;
    clock.advance(PRESENCE_TTL - MILLISECOND);
    announce(store, &after).await;
    assert_eq!(listed(store).await, [after.clone(), other]);
    clock.advance(MILLISECOND);
    announce(store, &after).await;
    clock.advance(PRESENCE_TTL - MILLISECOND);
    assert_eq!(listed(store).await, [after]);
}

pub async fn a_replica_that_withdraws_is_gone_and_no_other(store: &SharedPresence, _: &ManualClock) {
    let (here, there) = (presence("a:1", 1, &[]), presence("a:11", 1, &[]));
    announce(store, &here).await;
    announce(store, &there).await;
    for _ in 0..2 {
        store.withdraw_presence("a:1").await.expect("withdraw_presence");
        assert_eq!(listed(store).await, std::slice::from_ref(&there));
    }
}

pub async fn of_many_replicas_that_speak_at_once_all_are_heard(store: &SharedPresence, _: &ManualClock) {
    let all: Vec<Presence> = (10..30).map(|number| presence(&format!("a:{number}"), number, &[1])).collect();
    let calls = all.iter().cloned().map(|presence| {
        let store = Arc::clone(store);
        async move { store.announce_presence(&presence).await }
    });
    race(calls).await;
    assert_eq!(listed(store).await, all);
}
