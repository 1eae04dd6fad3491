//! Sessions in Redis as the service's own store opens them, for what has no service around it.

use std::sync::Arc;
use std::time::Duration;

use hallpass::app::SystemRandom;
use hallpass::domain::clock::SystemClock;
use hallpass::domain::deployment::DeploymentMark;
use hallpass::domain::email::Email;
use hallpass::domain::ids::{SessionId, UserId};
use hallpass::domain::session::{NewSession, SessionLifetimes};
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::timekeeper::Timekeeper;
use hallpass::domain::user::{Role, SecurityVersion};
use hallpass::store::SessionStore;
use hallpass::store::backend::TokenBackend;
use hallpass::store::journaled::{JournaledTokenStore, Parts};
use hallpass::store::redis::{RedisOptions, RedisTokenStore, StoreTime};
use hallpass::store::sql::sqlite::{SqliteOptions, SqliteStore};
use uuid::Uuid;

use crate::stack::Folder;

pub(crate) const LIFETIMES: SessionLifetimes = SessionLifetimes {
    idle: Duration::from_secs(7 * 24 * 60 * 60),
    absolute: Duration::from_secs(30 * 24 * 60 * 60),
    rotation_grace_period: Duration::from_secs(30),
    access_token: Duration::from_secs(15 * 60),
    leeway: Duration::from_secs(5),
};

/// As long as that of an account is: the time of its newest security event, in milliseconds.
const VERSION: SecurityVersion = SecurityVersion::new(1_790_000_000_000);

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// What the keys begin with.
pub(crate) fn mark() -> DeploymentMark {
    DeploymentMark::parse("speed").expect("a mark")
}

/// The user and the session of that number.
pub(crate) fn ids(number: u32) -> (UserId, SessionId) {
    let user = UserId::try_from(i64::from(number) + 1).expect("a user id");
    (user, SessionId::from(Uuid::from_u128((u128::from(number) + 1) << 60)))
}

/// The session of that number, as it is opened: a browser's.
pub(crate) fn new_session(number: u32) -> NewSession {
    let (user, id) = ids(number);
    let email = Email::parse("ada.lovelace@example.com").expect("an address");
    let origin = SessionOrigin::new("192.0.2.7".parse().ok(), Some(BROWSER), "hallpass");
    let carried = Carried { email_verified: true, ..Carried::new(email, Role::Member, origin) };
    NewSession { id, user, security_version: VERSION, carried }
}

/// The service's store over that Redis, and the folder of its journal.
pub(crate) async fn store(redis: &str) -> (JournaledTokenStore, Folder) {
    let folder = Folder::new("journal");
    let backend = RedisTokenStore::connect(redis, &mark(), RedisOptions::default()).await.expect("a store");
    (journaled(Arc::new(backend.with_time(StoreTime::default())), &folder).await, folder)
}

/// The database in that folder.
pub(crate) async fn sqlite(folder: &Folder) -> Arc<SqliteStore> {
    let file = format!("sqlite://{}/hallpass.db", folder.path().display());
    let store = SqliteStore::connect(&file, SqliteOptions::default()).await.expect("a file");
    store.migrate().await.expect("its tables");
    Arc::new(store)
}

/// A store that a journal in that folder keeps whole.
pub(crate) async fn journaled(backend: Arc<dyn TokenBackend>, folder: &Folder) -> JournaledTokenStore {
    let journal = sqlite(folder).await;
    let store = JournaledTokenStore::new(Parts {
        backend,
        journal: journal.clone(),
        users: journal,
        keeper: Arc::new(Timekeeper::new(Arc::new(SystemClock), LIFETIMES.leeway)),
        random: Arc::new(SystemRandom),
        spans: (&LIFETIMES).into(),
    });
    store.keep().await.expect("a look");
    store
}

/// Opens sessions, each of its own user, whose numbers are below `count`.
pub(crate) async fn open(redis: &str, count: u32) {
    let (store, _folder) = store(redis).await;
    for number in 0..count {
        store.open_session(&new_session(number), &LIFETIMES).await.expect("a session");
    }
}

/// What a session takes of the memory of Redis, bytes, with its share of all that comes with it.
pub(crate) async fn bytes(redis: &str) -> u64 {
    const MEASURED: u32 = 20_000;
    open(redis, 1_000).await;
    let before = used_memory(redis).await;
    open(redis, 1_000 + MEASURED).await;
    (used_memory(redis).await - before) / u64::from(MEASURED)
}

/// What that Redis has in memory, bytes.
pub(crate) async fn used_memory(redis: &str) -> u64 {
    let client = redis::Client::open(redis).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let info: String =
        redis::cmd("INFO").arg("memory").query_async(&mut connection).await.expect("its memory");
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("a figure");
    line.trim().parse().expect("a number")
}
