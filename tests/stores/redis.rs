//! [`RedisTokenStore`]: the contract, and what is Redis' own.

mod failure;
mod layout;
mod mirrors;
mod rate_limits;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::store::redis::keys::Partition;
use hallpass::store::redis::{RedisOptions, RedisTokenStore};
use redis::aio::MultiplexedConnection;

use crate::support::redis::RedisServer;
use crate::token_store::SharedStore;

/// The server of all cases that neither break nor empty it.
static SHARED: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

crate::token_store::contract!(open_store);

/// A store on the shared server. All partitions hold an incarnation from the start of the case
/// (each case starts its clock at the same moment), as if somebody had logged in to each of them.
async fn open_store(clock: Arc<ManualClock>) -> (SharedStore, ()) {
    let mut redis = client(&SHARED).await;
    for partition in Partition::all() {
        let key = partition.incarnation();
        let now = clock.now().as_millis();
        redis::cmd("SETNX").arg(key).arg(now).query_async::<()>(&mut redis).await.expect("SETNX");
    }
    (Arc::new(store(&SHARED).await), ())
}

/// A store on that server.
async fn store(server: &RedisServer) -> RedisTokenStore {
    RedisTokenStore::connect(&server.url(), RedisOptions::default()).await.expect("a store")
}

/// A plain connection to that server.
async fn client(server: &RedisServer) -> MultiplexedConnection {
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
