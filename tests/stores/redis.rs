//! [`RedisTokenStore`]: the contract, and what is Redis' own.

mod as_it_runs;
mod carried;
mod checks;
mod clock;
pub(crate) mod cluster;
mod failure;
mod layout;
mod lease;
mod ledger;
mod mirrors;
mod owner;
mod rate_limits;
mod replay;
mod replicas;
mod sentinel;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use hallpass::domain::clock::ManualClock;
use hallpass::domain::deployment::DeploymentMark;
use hallpass::store::redis::keys::Keys;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use redis::aio::MultiplexedConnection;

use crate::journaled::TestStore;
use crate::presence::SharedPresence;
use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;
use crate::token_store::support::{fresh_mark, laid_over, mark};

/// The server of all cases that neither break nor empty it.
static SHARED: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

crate::token_store::contract!(open_store);

mod presences {
    crate::presence::contract!(super::open_presences);
}

/// Where replicas speak, with keys of its own.
async fn open_presences(clock: Arc<ManualClock>) -> (SharedPresence, ()) {
    (backend(&SHARED, &fresh_mark(), &clock).await, ())
}

/// A store on the shared server, with keys of its own.
async fn open_store(clock: Arc<ManualClock>) -> (SharedStore, ()) {
    let backend = backend(&SHARED, &fresh_mark(), &clock).await;
    (Arc::new(TestStore::new(backend, clock).await), ())
}

/// A store on a server that nobody else uses.
async fn store(server: &RedisServer, clock: &Arc<ManualClock>) -> SharedStore {
    Arc::new(TestStore::new(backend(server, &mark(), clock).await, clock.clone()).await)
}

/// What is behind a store.
pub(crate) async fn backend(
    server: &RedisServer,
    mark: &DeploymentMark,
    clock: &Arc<ManualClock>,
) -> Arc<RedisTokenStore> {
    let url = server.url();
    let connecting = RedisTokenStore::connect(&url, mark, RedisOptions::default());
    Arc::new(connecting.await.expect("a store").with_time(laid_over(clock)))
}

/// The keys of these stores.
pub(crate) fn keys() -> Keys {
    Keys::new(&mark())
}

/// A plain connection to that server.
pub(crate) async fn client(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).expect("an address");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

/// Every key there is.
async fn all_keys(redis: &mut MultiplexedConnection) -> BTreeSet<String> {
    let (mut cursor, mut keys) = (0_u64, BTreeSet::new());
    loop {
        let (next, page): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).query_async(redis).await.expect("SCAN");
        keys.extend(page);
        if next == 0 {
            return keys;
        }
        cursor = next;
    }
}

/// The remaining time of a key, in milliseconds; `None` when it has no TTL.
async fn ttl_ms(redis: &mut MultiplexedConnection, key: &str) -> Option<i64> {
    let ttl: i64 = redis::cmd("PTTL").arg(key).query_async(redis).await.expect("PTTL");
    assert_ne!(ttl, -2, "{key} does not exist");
    (ttl >= 0).then_some(ttl)
}
