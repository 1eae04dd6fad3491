//! A Redis Cluster: the whole contract, and how its nodes are found and followed.

mod entry;
mod failover;
mod idle;
mod mirrors;
mod slots;
mod vouching;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::partition::Partition;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use hallpass::store::{AccessSubject, DenylistStore};
use tokio::time::timeout;

use super::keys;
use crate::journaled::{Journal, TestStore};
use crate::presence::SharedPresence;
use crate::rate_limits::SharedLimits;
use crate::support::cluster::RedisCluster;
use crate::token_store::SharedStore;
use crate::token_store::support::*;

/// Long enough for anything that happens at all, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The servers of all cases that break none.
static SHARED: LazyLock<RedisCluster> = LazyLock::new(|| {
    let starting = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(RedisCluster::start())
    });
    starting.join().expect("servers")
});

crate::token_store::contract!(open_store);

pub(crate) async fn open_store(clock: Arc<ManualClock>) -> (SharedStore, ()) {
    let backend = Arc::new(lazy(&SHARED.url(), &fresh_mark(), &clock));
    (Arc::new(TestStore::new(backend, clock).await.found_whole().await), ())
}

mod limits {
    crate::rate_limits::contract!(super::open_limits);
}

async fn open_limits(clock: Arc<ManualClock>) -> (SharedLimits, ()) {
    (Arc::new(lazy(&SHARED.url(), &fresh_mark(), &clock)), ())
}

mod presences {
    crate::presence::contract!(super::open_presences);
}

async fn open_presences(clock: Arc<ManualClock>) -> (SharedPresence, ()) {
    (Arc::new(lazy(&SHARED.url(), &fresh_mark(), &clock)), ())
}

fn lazy(url: &str, mark: &DeploymentMark, clock: &Arc<ManualClock>) -> RedisTokenStore {
    let store = RedisTokenStore::connect_lazy(url, mark, RedisOptions::default()).expect("a store");
    store.with_time(laid_over(clock))
}

/// A store at that address, with a journal of its own.
async fn store_at(url: &str, clock: &Arc<ManualClock>) -> SharedStore {
    store_by(url, RedisOptions::default(), clock).await
}

async fn store_by(url: &str, options: RedisOptions, clock: &Arc<ManualClock>) -> SharedStore {
    let backend = RedisTokenStore::connect_lazy(url, &mark(), options).expect("a store");
    let backend = Arc::new(backend.with_time(laid_over(clock)));
    Arc::new(TestStore::over(backend, Journal::new().await, clock.clone()).found_whole().await)
}

/// The slot of a key, and the number of the node that has it at the start.
async fn home_of(key: &str) -> (u16, usize) {
    // Of another Cluster, none of whose nodes is ever away.
    let slot: u16 = SHARED.nodes[0].command(&["CLUSTER", "KEYSLOT", key]).await;
    let has = |node: &usize| {
        let (first, last) = RedisCluster::slots_of(*node);
        (first..=last).contains(&u32::from(slot))
    };
    (slot, (0..3).find(has).expect("a master"))
}

async fn slot_of(partition: Partition) -> u16 {
    home_of(&keys().partition(partition).state()).await.0
}

/// Somebody whose partition a node has, and somebody of another partition there.
async fn people_of(node: usize) -> [Person; 2] {
    let mut found = Vec::<Person>::new();
    loop {
        let person = Person::new();
        let partition = Partition::of(person.user);
        let (_, home) = home_of(&keys().partition(partition).state()).await;
        let is_new = found.iter().all(|other| Partition::of(other.user) != partition);
        if home == node && is_new {
            found.push(person);
        }
        if let Ok(both) = <[Person; 2]>::try_from(std::mem::take(&mut found)).map_err(|fewer| found = fewer) {
            return both;
        }
    }
}

/// Asks about a token until the store answers.
async fn recovered(store: &SharedStore, token: &AccessSubject, within: Duration) {
    let asking = async {
        while store.access_status(token).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(within, asking).await.expect("recovery");
}
