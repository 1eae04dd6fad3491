//! The revocation journal: what a row takes in the files of either database, with its indexes.

use hallpass::app::SystemRandom;
use hallpass::domain::clock::Timestamp;
use hallpass::domain::journal::{EntryId, Journaled, NewEntry};
use hallpass::store::journal::RevocationJournal;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use sqlx::{Connection, PgConnection};

use crate::sessions::{ids, sqlite};
use crate::stack::Folder;
use crate::support::postgres::PostgresServer;

const ROWS: u32 = 10_000;

pub(super) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        println!("| the journal in | bytes a row |");
        println!("| --- | --- |");
        println!("| SQLite | {} |", in_sqlite().await);
        println!("| Postgres | {} |", in_postgres().await);
    });
}

async fn in_sqlite() -> u64 {
    let folder = Folder::new("rows");
    // What was written stands in the file itself once it was closed.
    let size = || std::fs::metadata(folder.path().join("hallpass.db")).expect("the file").len();
    sqlite(&folder).await.close().await;
    let before = size();
    let store = sqlite(&folder).await;
    write_rows(&*store).await;
    store.close().await;
    (size() - before) / u64::from(ROWS)
}

async fn in_postgres() -> u64 {
    let server = PostgresServer::start();
    let database = server.create_database().await;
    let store = PostgresStore::connect(&database, PostgresOptions::default()).await.expect("the server");
    store.migrate().await.expect("its tables");
    write_rows(&store).await;
    let mut connection = PgConnection::connect(&database).await.expect("a connection");
    let size: i64 = sqlx::query_scalar("SELECT pg_total_relation_size('journal')")
        .fetch_one(&mut connection)
        .await
        .expect("a size");
    size.unsigned_abs() / u64::from(ROWS)
}

async fn write_rows(journal: &dyn RevocationJournal) {
    for number in 0..ROWS {
        let (user, session) = ids(number);
        let revoked = Journaled::Session { user, session };
        let until = Timestamp::from_millis(1_790_000_000_000);
        let entry = NewEntry { id: EntryId::generate(&SystemRandom), revoked, until };
        journal.append_entry(&entry).await.expect("a row");
    }
}
