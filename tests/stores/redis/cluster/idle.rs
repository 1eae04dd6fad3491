//! What a replica of the service costs a Cluster that nobody uses.

use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::store::revocations::{ReaderRole, RevocationStore};
use tokio::time::Instant;

use super::store_at;
use crate::support::cluster::RedisCluster;
use crate::token_store::support::*;

/// The feed waits this long for something to come, as the service does.
const READ_WAIT: std::time::Duration = std::time::Duration::from_millis(250);

const READS: u32 = 8;

/// With four reads and a look a second these are about 680. One Redis gets as many: the streams of 65 partitions are read by one, and each partition is
/// compared with what was vouched for, before and after. Here each stream is read by itself, and compared once.
#[tokio::test]
async fn an_idle_replica_sends_no_storm_of_commands() {
    let cluster = RedisCluster::start().await;
    let clock = Arc::new(ManualClock::at(START));
    let store = store_at(&cluster.url(), &clock).await;
    let name = uuid::Uuid::from_u128(1);
    let mut reader = store.reader(ReaderRole::Mirror { name, max_staleness: SECOND });
    // It is a member from its second read on.
    for _ in 0..2 {
        reader.read(MILLISECOND).await.expect("the feed");
        reader.confirm().await.expect("an answer");
    }
    let (before, began) = (cluster.commands().await, Instant::now());
    for read in 1..=READS {
        let batch = reader.read(READ_WAIT).await.expect("the feed");
        assert!(batch.announced.is_empty() && batch.is_complete);
        reader.confirm().await.expect("an answer");
        if read % 4 == 0 {
            store.keep().await.expect("a look");
        }
    }
    let (sent, took) = (cluster.commands().await - before, began.elapsed());
    assert!(took >= READ_WAIT * READS, "it waits for something to come: {took:?}");
    let looks = u64::from(READS / 4);
    eprintln!("an idle replica sends {} commands in {took:?}, {looks} looks among them", sent);
    // Each read 64 streams, the two of everybody, 65 vouchings, three clocks, two for the register; each look 134.
    assert!(sent < u64::from(READS) * 140 + looks * 150, "{sent}");
}
