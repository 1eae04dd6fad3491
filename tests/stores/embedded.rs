//! The embedded store: the contract, and what only a file can promise.

use std::sync::Arc;

use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::store::embedded::EmbeddedTokenStore;
use tempfile::TempDir;

use crate::token_store::SharedStore;

async fn in_a_fresh_folder(clock: Arc<ManualClock>) -> (SharedStore, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let clock: Arc<dyn Clock> = clock;
    let store = EmbeddedTokenStore::open(&folder.path().join("tokens.db"), clock).await.expect("a store");
    (Arc::new(store), folder)
}

crate::token_store::contract!(in_a_fresh_folder);
