//! Fresh databases, and the accounts and keys that the cases start from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hallpass::domain::clock::Timestamp;
use hallpass::domain::email::Email;
use hallpass::domain::external_id::ExternalId;
use hallpass::domain::ids::{KeyId, UserId};
use hallpass::domain::journal::{EntryId, EventEntry};
use hallpass::domain::metadata::Metadata;
use hallpass::domain::name::Name;
use hallpass::domain::password::PasswordHash;
use hallpass::domain::signing_key::{SealedKey, SigningAlgorithm, StoredSigningKey};
use hallpass::domain::user::{NewUser, Role, User};
use hallpass::domain::user_filter::UserFilter;
pub use hallpass::domain::user_filter::UserOrder;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::sql::postgres::{PostgresOptions, PostgresStore};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use hallpass::store::{InsertUserOutcome, UserStore};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use crate::support::pgbouncer::{LEAST, PgBouncer};
use crate::support::postgres::PostgresServer;

/// A busy machine may take its time over fifty calls at once; how long they may queue is not what
/// the contract is about.
const PATIENCE: Duration = Duration::from_secs(60);

/// Accounts, and the journal that their security events stand in.
pub trait Accounts: UserStore + RevocationJournal {}

impl<T: UserStore + RevocationJournal> Accounts for T {}

/// A SQLite file in a folder of its own.
pub struct Sqlite {
    pub store: SqliteStore,
    pub url: String,
    pub folder: TempDir,
}

impl Sqlite {
    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}/data/hallpass.db", folder.path().display());
        let options = SqliteOptions {
            quiet_reads: PATIENCE,
            quiet_writes: PATIENCE,
            longest_wait: PATIENCE,
            ..SqliteOptions::default()
        };
        let store = SqliteStore::connect(&url, options).await.expect("a new file");
        Self { store, url, folder }
    }

    pub async fn migrated() -> Self {
        let database = Self::empty().await;
        database.store.migrate().await.expect("the steps");
        database
    }

    /// A connection beside the store's.
    pub async fn connection(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url).await.expect("a second connection")
    }
}

/// A database on the tests' own server.
pub struct Postgres {
    pub store: PostgresStore,
    pub url: String,
}

impl Postgres {
    pub async fn empty() -> Self {
        let url = PostgresServer::shared().create_database().await;
        let options = PostgresOptions { acquire_timeout: PATIENCE, ..PostgresOptions::default() };
        let store = PostgresStore::connect(&url, options).await.expect("a running server");
        Self { store, url }
    }

    pub async fn migrated() -> Self {
        let database = Self::empty().await;
        database.store.migrate().await.expect("the steps");
        database
    }

    /// Another store in the same database, through a pooler and as a role with the least rights.
    pub async fn behind_pgbouncer(&self) -> PostgresStore {
        PostgresServer::shared().role_in(&self.url, LEAST).await;
        self.store.grant_rights(LEAST).await.expect("the owner may");
        let url = PgBouncer::shared().url_of(&self.url, LEAST);
        let options = PostgresOptions { acquire_timeout: PATIENCE, ..PostgresOptions::default() };
        PostgresStore::connect(&url, options).await.expect("a pooler that leads to the server")
    }

    /// A connection beside the store's.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("a second connection")
    }
}

/// A list of all accounts.
pub static EVERYBODY: UserFilter =
    UserFilter { email: None, prefix: None, role: None, disabled: None, external_id: None };

pub fn email(text: &str) -> Email {
    Email::parse(text).expect("an address")
}

pub fn name(text: &str) -> Option<Name> {
    Name::parse(text).expect("a name")
}

pub fn user_id(id: i64) -> UserId {
    UserId::try_from(id).expect("an id")
}

pub fn external_id(text: &str) -> Option<ExternalId> {
    ExternalId::parse(text).expect("an external id")
}

pub fn new_user(address: &str) -> NewUser {
    NewUser {
        email: email(address),
        first_name: name("Ada"),
        last_name: name("Lovelace"),
        role: Role::Member,
        password: PasswordHash::from_phc("$argon2id$the-secret-hash"),
        email_verified: false,
        metadata: Metadata::default(),
        created_at: Timestamp::from_millis(1),
    }
}

/// Until when the entries of the cases matter.
pub const UNTIL: Timestamp = Timestamp::from_millis(9_000_000);

/// When the events of the cases happen: before any version that is counted.
pub const AT: Timestamp = Timestamp::from_millis(0);

/// An entry that no other is.
pub fn entry_id() -> EntryId {
    static LAST: AtomicI64 = AtomicI64::new(0);
    EntryId::new(LAST.fetch_add(1, Ordering::Relaxed) + 1)
}

/// How a security event is written down.
pub fn event() -> EventEntry {
    EventEntry { id: entry_id(), at: AT, until: UNTIL }
}

pub fn signing_key(kid: &str, algorithm: SigningAlgorithm, created_at: i64) -> StoredSigningKey {
    StoredSigningKey {
        id: KeyId::new(kid),
        algorithm,
        sealed: SealedKey::new(format!("sealed {kid} \0\u{ff}").into_bytes()),
        created_at: Timestamp::from_millis(created_at),
    }
}

pub async fn insert(store: &dyn UserStore, user: &NewUser) -> User {
    match store.insert_user(user).await.expect("an answer") {
        InsertUserOutcome::Inserted(user) => *user,
        InsertUserOutcome::EmailTaken => panic!("the address was free"),
    }
}
