//! Backends as the service uses them: kept whole by a journal, in a database of their own.

pub mod bounds;
mod overtaken;
mod replay;
mod rollback;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use hallpass::app::SystemRandom;
use hallpass::domain::clock::{Clock, ManualClock};
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::domain::user::SecurityVersion;
use hallpass::store::backend::TokenBackend;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::journaled::{JournaledTokenStore, Parts};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{CutOffOrder, CutOffStore, StoreResult};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;

use crate::token_store::support::LIFETIMES;

/// How long the first look may take.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// A journal, and the folder that it lies in.
#[derive(Clone)]
pub struct Journal {
    pub store: SqliteStore,
    folder: Arc<TempDir>,
}

impl Journal {
    pub async fn new() -> Self {
        Self::in_folder(Arc::new(tempfile::tempdir().expect("a temporary folder"))).await
    }

    /// The database in a folder, or a new one.
    pub async fn in_folder(folder: Arc<TempDir>) -> Self {
        Self { store: open(&folder).await, folder }
    }

    /// A statement of somebody else's.
    pub async fn execute(&self, statement: &str) {
        let mut connection = SqliteConnection::connect(&url(&self.folder)).await.expect("the database");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("done");
        connection.close().await.expect("a clean end");
    }

    /// How many entries it has given positions to.
    pub async fn count(&self) -> i64 {
        let heads = self.store.journal_heads().await.expect("the heads");
        heads.iter().map(|head| head.newest.position).sum()
    }
}

fn url(folder: &TempDir) -> String {
    format!("sqlite://{}/hallpass.db", folder.path().display())
}

async fn open(folder: &TempDir) -> SqliteStore {
    let store = SqliteStore::connect(&url(folder), SqliteOptions::default()).await.expect("a file");
    store.migrate().await.expect("the steps");
    store
}

/// A token store, and the journal that keeps it whole.
pub struct TestStore {
    store: JournaledTokenStore,
    pub backend: Arc<dyn TokenBackend>,
    pub keeper: Arc<Timekeeper>,
    pub journal: Journal,
}

impl TestStore {
    /// A backend with an empty journal.
    pub async fn new(backend: Arc<dyn TokenBackend>, clock: Arc<dyn Clock>) -> Self {
        Self::over(backend, Journal::new().await, clock)
    }

    /// A backend with that journal.
    pub fn over(backend: Arc<dyn TokenBackend>, journal: Journal, clock: Arc<dyn Clock>) -> Self {
        let asked = Arc::new(journal.store.clone());
        Self::asking(asked, backend, journal, clock)
    }

    /// The same, which asks its journal by way of `asked`.
    pub fn asking(
        asked: Arc<dyn RevocationJournal>,
        backend: Arc<dyn TokenBackend>,
        journal: Journal,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let keeper = Arc::new(Timekeeper::new(clock, LIFETIMES.leeway));
        let store = JournaledTokenStore::new(Parts {
            backend: backend.clone(),
            journal: asked,
            users: Arc::new(journal.store.clone()),
            keeper: keeper.clone(),
            random: Arc::new(SystemRandom),
            spans: (&LIFETIMES).into(),
        });
        Self { store, backend, keeper, journal }
    }

    /// It, once it was found whole. On a machine that is busy with other tests the first look may take longer than a
    /// call waits for it.
    pub async fn found_whole(self) -> Self {
        let looking = async {
            while self.store.keep().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(FIRST_LOOK, looking).await.expect("a look");
        self
    }

    /// The cut-off of a security event, written down as accounts do it.
    pub async fn end_below(
        &self,
        user: hallpass::domain::ids::UserId,
        version: SecurityVersion,
        clock: &ManualClock,
    ) -> StoreResult<Vec<hallpass::domain::ids::SessionId>> {
        let until = clock.now().after(LIFETIMES.absolute);
        let id = EntryId::generate(&SystemRandom);
        let revoked = Journaled::User { user, below: version };
        let link = self.journal.store.append_entry(&NewEntry { id, revoked, until }).await?;
        let order = CutOffOrder { user, version, link, until };
        self.store.cut_off(&order).await
    }
}

impl Deref for TestStore {
    type Target = JournaledTokenStore;

    fn deref(&self) -> &JournaledTokenStore {
        &self.store
    }
}
