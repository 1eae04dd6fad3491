//! What connections had of memory, given back to the system when many of them have gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::admission::Admission;

/// How long what is left of connections that have gone may take to be freed. It also bounds what visitors who
/// come and go in crowds can make this cost: some milliseconds a second.
const SETTLING: Duration = Duration::from_secs(1);

/// Gives memory back after each ebb, until what is answered is dropped.
pub(super) fn keep_low(admission: Arc<Admission>) -> JoinSet<()> {
    let mut keeping = JoinSet::new();
    keeping.spawn(async move {
        loop {
            admission.ebb().await;
            tokio::time::sleep(SETTLING).await;
            // It takes longer than a worker of the runtime may be held up.
            let _ = tokio::task::spawn_blocking(give_back).await;
        }
    });
    keeping
}

fn give_back() {
    let began = Instant::now();
    let gave = hallpass_heap::give_back();
    let took = began.elapsed();
    tracing::debug!(gave, ?took, "many connections have gone: what memory is free was given back");
}
