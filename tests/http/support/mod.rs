//! The service in this process, built as in production, over fresh stores, a clock that stands
//! still and chance that repeats itself.

mod actors;
mod chance;
mod exchange;
pub mod jwt;
pub mod log;
mod outbox;
mod secrets;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hallpass::app::{self, ClockOverrides, Environment, Stores, SystemRandom};
use hallpass::config::{
    self, AdminSettings, FlagValue, Profile, Purpose, ResetDelivery, Secret, Settings, Sources,
};
use hallpass::crypto::password::Argon2Cost;
use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::domain::email::Email;
use hallpass::domain::journal::{EntryId, EventEntry};
use hallpass::domain::password::PasswordHash;
use hallpass::domain::rate_limit::LimitRules;
use hallpass::domain::revocation::ValidationMode;
use hallpass::domain::session::SessionLifetimes;
use hallpass::domain::user::{ImportedUser, NewUser, Role, User};
use hallpass::service::Services;
use hallpass::store::journal::RevocationJournal;
use hallpass::store::journaled::JournaledTokenStore;
use hallpass::store::revocations::RevocationStore;
use hallpass::store::signing_keys::SigningKeyStore;
use hallpass::store::{StoreResult, TokenStore, UserStore};
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, Response};
use serde_json::json;
use tempfile::TempDir;

pub use actors::{ADMIN_EMAIL, ADMIN_PASSWORD, Actor, Admin, Anonymous, LoggedIn, Tokens};
pub use chance::SeededRandom;
pub use exchange::{Answer, Request};
pub use outbox::Outbox;

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;

/// When every test begins: some second, whole.
pub const START: Timestamp = Timestamp::from_millis(1_796_169_600_000);

/// What `app::build` is told that it listens on, hence the issuer.
pub const ISSUER: &str = "http://127.0.0.1:8080";

/// A password that every default policy takes.
pub const PASSWORD: &str = "an engine weaves patterns";

/// The server's secret.
pub const SERVER_SECRET: &str = "the server secret of the tests, of 32 bytes and more";

/// The cheapest hash that argon2 makes: what it costs is not what these tests are about.
const ARGON2: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

/// How soon the service works again after its stores do.
const RECOVERY: Duration = Duration::from_secs(10);

pub const SECOND: Duration = Duration::from_secs(1);
pub const MILLISECOND: Duration = Duration::from_millis(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs each case on SQLite and the embedded store, and on Redis and Postgres.
macro_rules! on_both_flavours {
    ($($case:ident),* $(,)?) => {
        mod embedded_and_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::support::TestApp::spawn().await).await;
            }
        )*}

        mod redis_and_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(crate::support::TestApp::on_redis_and_postgres().await).await;
            }
        )*}
    };
}
pub(crate) use on_both_flavours;

/// The same, and on a replica that answers from its own copy of the revocation feed.
macro_rules! on_all_flavours {
    ($($case:ident),* $(,)?) => {
        crate::support::on_both_flavours! { $($case),* }

        mod redis_in_mirror_mode {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let app = crate::support::TestApp::on_redis_and_postgres().await;
                super::$case(app.mirror().await).await;
            }
        )*}
    };
}
pub(crate) use on_all_flavours;

/// A running service. Cheap to clone.
#[derive(Clone)]
pub struct TestApp(Arc<Running>);

struct Running {
    endpoint: BoxEndpoint<'static, Response>,
    services: Services,
    settings: Settings,
    stores: Stores,
    surroundings: Arc<Surroundings>,
}

/// What several instances can share.
struct Surroundings {
    clock: Arc<ManualClock>,
    chance: Arc<SeededRandom>,
    outbox: Arc<Outbox>,
    folder: TempDir,
    redis: Option<Mutex<RedisServer>>,
    postgres: Mutex<Option<PostgresServer>>,
}

impl Surroundings {
    /// What the stores are opened in. What tests choose about chance is not about theirs.
    fn stores_world(&self) -> Environment {
        self.clocks().stores_world()
    }

    /// All clocks are one.
    fn clocks(&self) -> Clocks {
        let [own, token_store, database] = std::array::from_fn(|_| self.clock.clone());
        Clocks { own, token_store, database }
    }
}

/// The clocks that a replica sees.
#[derive(Clone)]
pub struct Clocks {
    /// Its own machine's.
    pub own: Arc<ManualClock>,
    /// The token store's.
    pub token_store: Arc<ManualClock>,
    /// The database's.
    pub database: Arc<ManualClock>,
}

impl Clocks {
    fn stores_world(&self) -> Environment {
        let laid_over = ClockOverrides {
            token_store: Some(self.token_store.clone()),
            database: Some(self.database.clone()),
        };
        Environment { clock: self.own.clone(), mailer: None, laid_over, ..Environment::real() }
    }
}

impl TestApp {
    /// A service as `hallpass dev` runs it: SQLite and the embedded store.
    pub async fn spawn() -> Self {
        Self::with(|_| ()).await
    }

    /// The same with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start(&[], change, None, None).await
    }

    /// The same with other settings, as somebody writes them: `key=value`.
    pub async fn set(assignments: &[&str]) -> Self {
        Self::start(assignments, |_| (), None, None).await
    }

    /// A service on a Redis of its own and a database on the tests' Postgres.
    pub async fn on_redis_and_postgres() -> Self {
        let database = PostgresServer::shared().create_database().await;
        Self::start_on_servers(&database, None).await
    }

    /// A service on a Redis and a Postgres of its own, which can be taken down.
    pub async fn on_servers_of_its_own() -> Self {
        let postgres = PostgresServer::start();
        let database = postgres.create_database().await;
        Self::start_on_servers(&database, Some(postgres)).await
    }

    /// A service on that Redis and a database on the tests' Postgres. It counts no attempts.
    pub async fn on_redis(redis: RedisServer) -> Self {
        let database = PostgresServer::shared().create_database().await;
        Self::start_on(&database, redis, None).await.counting_nothing().await
    }

    /// A service on that Redis and SQLite. It counts no attempts.
    pub async fn on_redis_and_sqlite(redis: RedisServer) -> Self {
        let url = format!("redis.url={}", redis.url());
        Self::start(&[&url], |_| (), Some(redis), None).await.counting_nothing().await
    }

    /// The same on stores of its own, which can be taken down.
    pub async fn on_redis_and_its_own_postgres(redis: RedisServer) -> Self {
        let postgres = PostgresServer::start();
        let database = postgres.create_database().await;
        Self::start_on(&database, redis, Some(postgres)).await.counting_nothing().await
    }

    /// The same where nobody has to wait for the attempts that they made.
    pub async fn counting_nothing(&self) -> Self {
        self.another_instance(|settings| settings.rate_limits = LimitRules::default()).await
    }

    async fn start_on_servers(database: &str, postgres: Option<PostgresServer>) -> Self {
        Self::start_on(database, RedisServer::start(), postgres).await
    }

    async fn start_on(database: &str, redis: RedisServer, postgres: Option<PostgresServer>) -> Self {
        let assignments = [format!("redis.url={}", redis.url()), format!("database.url={database}")];
        let assignments = assignments.each_ref().map(String::as_str);
        Self::start(&assignments, |_| (), Some(redis), postgres).await
    }

    async fn start(
        assignments: &[&str],
        change: impl FnOnce(&mut Settings),
        redis: Option<RedisServer>,
        postgres: Option<PostgresServer>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::start_in(folder, START, assignments, change, redis, postgres).await
    }

    /// A service in production, over what another one left in the folder and the stores that the
    /// assignments name, at that moment.
    pub async fn on_data_of_another(
        folder: TempDir,
        at: Timestamp,
        assignments: &[&str],
        redis: Option<RedisServer>,
    ) -> Self {
        let serve = |settings: &mut Settings| {
            settings.profile = Profile::Serve;
            settings.admin = AdminSettings::default();
        };
        Self::start_in(folder, at, assignments, serve, redis, None).await
    }

    async fn start_in(
        folder: TempDir,
        at: Timestamp,
        assignments: &[&str],
        change: impl FnOnce(&mut Settings),
        redis: Option<RedisServer>,
        postgres: Option<PostgresServer>,
    ) -> Self {
        let data_dir = format!("data_dir={}", folder.path().display());
        let flags = [data_dir.as_str()].into_iter().chain(assignments.iter().copied());
        let flags = flags.map(|flag| FlagValue::Set(flag.to_owned())).collect();
        let sources = Sources { flags, ..Sources::default() };
        let loaded = config::load(Profile::Dev, Purpose::Inspect, &sources).expect("settings");
        let mut settings = loaded.settings;
        settings.passwords.argon2 = ARGON2;
        change(&mut settings);

        let surroundings = Surroundings {
            clock: Arc::new(ManualClock::at(at)),
            chance: Arc::default(),
            outbox: Arc::default(),
            folder,
            redis: redis.map(Mutex::new),
            postgres: Mutex::new(postgres),
        };
        let (database, _) = app::open_database(&settings).await.expect("a database");
        let opening = app::open_token_store(&settings, &database, &surroundings.stores_world()).await;
        let stores = Stores { database, tokens: opening.expect("a token store") };
        Self::build(settings, stores, Arc::new(surroundings)).await
    }

    async fn build(settings: Settings, stores: Stores, surroundings: Arc<Surroundings>) -> Self {
        Self::build_by(surroundings.clocks(), settings, stores, surroundings).await
    }

    async fn build_by(
        clocks: Clocks,
        settings: Settings,
        stores: Stores,
        surroundings: Arc<Surroundings>,
    ) -> Self {
        let app = Self::build_unheard(clocks, settings, stores, surroundings).await;
        tokio::spawn(app.0.services.revocations.clone().keep_following());
        app
    }

    /// One that does not follow the revocation feed.
    async fn build_unheard(
        clocks: Clocks,
        settings: Settings,
        stores: Stores,
        surroundings: Arc<Surroundings>,
    ) -> Self {
        let bound = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        let secret = settings.secret.clone().unwrap_or_else(|| Secret::new(SERVER_SECRET));
        let environment = Environment {
            random: surroundings.chance.clone(),
            mailer: Some(surroundings.outbox.clone()),
            ..clocks.stores_world()
        };
        let (services, endpoint) =
            app::build(&settings, &secret, bound, stores.clone(), environment).await.expect("a service");
        let endpoint = endpoint.boxed();
        let app = Self(Arc::new(Running { endpoint, services, settings, stores, surroundings }));
        // As a service does when it begins; a store that is away is looked at when it is back.
        let _ = app.keep_journal().await;
        app
    }

    /// Another instance over the same stores, clock and chance, with other settings.
    pub async fn another_instance(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.0.settings.clone();
        change(&mut settings);
        Self::build(settings, self.0.stores.clone(), self.0.surroundings.clone()).await
    }

    /// The same service where so many passwords are hashed at once that nobody waits in a queue.
    pub async fn hashing_all_at_once(&self) -> Self {
        self.another_instance(|settings| settings.passwords.hash_workers = 100).await
    }

    /// Another process, as far as that can be had in one: an instance with a connection of its own to
    /// the token store.
    pub async fn another_replica(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.0.settings.clone();
        change(&mut settings);
        let database = self.0.stores.database.clone();
        let environment = self.0.surroundings.stores_world();
        let opening = app::open_token_store(&settings, &database, &environment).await;
        let stores = Stores { database, tokens: opening.expect("a token store") };
        Self::build(settings, stores, self.0.surroundings.clone()).await
    }

    /// Another process, whose clocks are these.
    pub async fn another_replica_by(&self, clocks: Clocks, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.0.settings.clone();
        change(&mut settings);
        let database = self.0.stores.database.clone();
        let opening = app::open_token_store(&settings, &database, &clocks.stores_world()).await;
        let stores = Stores { database, tokens: opening.expect("a token store") };
        Self::build_by(clocks, settings, stores, self.0.surroundings.clone()).await
    }

    /// The clock of the token store and the database, and of replicas that were given no other.
    pub fn clock(&self) -> Arc<ManualClock> {
        self.0.surroundings.clock.clone()
    }

    /// Compares the clocks, as a service does once a second.
    pub async fn compare_clocks(&self) {
        // A store that is away is looked at when it is back.
        let _ = self.keep_journal().await;
        self.0.services.clocks.compare().await;
    }

    /// A replica that has not heard of any revocation yet: it does not get to reading the feed.
    pub async fn replica_without_the_feed(&self) -> Self {
        let settings = self.0.settings.clone();
        let database = self.0.stores.database.clone();
        let opening = app::open_token_store(&settings, &database, &self.0.surroundings.stores_world()).await;
        let stores = Stores { database, tokens: opening.expect("a token store") };
        Self::build_unheard(self.0.surroundings.clocks(), settings, stores, self.0.surroundings.clone()).await
    }

    /// A replica that answers from its own copy of the revocation feed, once it does.
    pub async fn mirror(&self) -> Self {
        let max_staleness = Duration::from_secs(2);
        let mirror = ValidationMode::Mirror { max_staleness };
        let replica = self.another_replica(|settings| settings.validation = mirror).await;
        replica.answers_from_its_copy().await;
        replica
    }

    /// Waits until a mirror's copy is in use.
    pub async fn answers_from_its_copy(&self) {
        let asking = async {
            while !self.0.services.revocations.answers() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SECOND * 30, asking).await.expect("a copy that answers");
    }

    pub(self) async fn call(&self, request: poem::Request) -> Response {
        self.0.endpoint.get_response(request).await
    }

    /// The HTTP surface itself, for answers that do not end.
    pub fn endpoint(&self) -> &BoxEndpoint<'static, Response> {
        &self.0.endpoint
    }

    /// The operations behind the HTTP surface.
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// The source of chance.
    pub fn chance(&self) -> &SeededRandom {
        &self.0.surroundings.chance
    }

    /// The mails that were posted.
    pub fn outbox(&self) -> &Outbox {
        &self.0.surroundings.outbox
    }

    /// The same service where addresses must be proven, and reset tokens are mailed.
    pub async fn verifying(&self) -> Self {
        self.another_instance(|settings| {
            settings.registration.verify_email = true;
            settings.reset.delivery = ResetDelivery::Smtp;
        })
        .await
    }

    /// The same where registration conceals which addresses have an account, as well.
    pub async fn concealing(&self) -> Self {
        self.verifying()
            .await
            .another_instance(|settings| settings.registration.conceal_existing = true)
            .await
    }

    /// The URL of the SQLite file.
    pub fn sqlite_url(&self) -> String {
        format!("sqlite://{}/hallpass.db", self.0.surroundings.folder.path().display())
    }

    /// Whether there is a Redis behind the service.
    pub fn has_redis(&self) -> bool {
        self.0.surroundings.redis.is_some()
    }

    /// The URL of the database.
    pub fn database_url(&self) -> &str {
        self.0.settings.database.url.expose()
    }

    /// The Redis behind the service.
    pub fn redis(&self) -> MutexGuard<'_, RedisServer> {
        let redis = self.0.surroundings.redis.as_ref().expect("a flavour with Redis");
        redis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command to the Redis of this app.
    pub async fn command_redis(&self, command: &[&str]) {
        let url = self.redis().url();
        let client = ::redis::Client::open(url).expect("the address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let mut sent = ::redis::cmd(command[0]);
        sent.arg(&command[1..]);
        sent.query_async::<()>(&mut connection).await.expect("Redis takes the command");
    }

    /// How often each command of Redis was called so far, those of scripts included.
    pub async fn redis_commands(&self) -> BTreeMap<String, u64> {
        let url = self.redis().url();
        let client = ::redis::Client::open(url).expect("the address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let text: String =
            ::redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.expect("figures");
        let called = |line: &str| {
            let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), figures.split(',').next()?.parse().ok()?))
        };
        text.lines().filter_map(called).collect()
    }

    /// What keeps accounts, for changes that no request makes.
    pub fn users(&self) -> &dyn UserStore {
        &*self.0.stores.database.users
    }

    /// Takes the service's own Postgres down.
    pub fn stop_postgres(&self) {
        let mut postgres = self.0.surroundings.postgres.lock().unwrap_or_else(PoisonError::into_inner);
        postgres.take().expect("a Postgres of its own").stop();
    }

    /// Takes the service's own Postgres down, until it is brought back.
    pub fn take_postgres_down(&self) {
        self.with_postgres(PostgresServer::take_down);
    }

    /// Starts the service's own Postgres again.
    pub fn bring_postgres_back(&self) {
        self.with_postgres(PostgresServer::bring_back);
    }

    fn with_postgres(&self, act: impl FnOnce(&mut PostgresServer)) {
        let mut postgres = self.0.surroundings.postgres.lock().unwrap_or_else(PoisonError::into_inner);
        act(postgres.as_mut().expect("a Postgres of its own"));
    }

    /// Moves the clock.
    pub fn advance(&self, span: Duration) {
        self.0.surroundings.clock.advance(span);
    }

    /// The present second, as tokens have it.
    pub fn now(&self) -> i64 {
        self.0.surroundings.clock.now().as_secs()
    }

    /// The present moment.
    pub fn timestamp(&self) -> Timestamp {
        self.0.surroundings.clock.now()
    }

    /// Follows the key ring, as the service does every two seconds.
    pub async fn catch_up(&self) {
        let key_ring = &self.0.services.key_ring;
        key_ring.catch_up().await.expect("the ring");
        key_ring.announce_owed().await.expect("the feed");
    }

    /// Looks after the token store and its journal, as the service does every second.
    pub async fn keep_journal(&self) -> StoreResult<()> {
        self.0.services.cut_off.carry_out_left_behind(&self.0.stores.tokens.journaled).await
    }

    /// What the service keeps its stores whole by.
    pub fn journaled(&self) -> &JournaledTokenStore {
        &self.0.stores.tokens.journaled
    }

    /// The revocation journal.
    pub fn journal(&self) -> &dyn RevocationJournal {
        &*self.0.stores.database.journal
    }

    /// An entry of the revocation journal for a change that no request makes.
    pub fn journal_entry(&self) -> EventEntry {
        let at = self.timestamp();
        EventEntry { id: EntryId::generate(&SystemRandom), at, until: at.after(self.lifetimes().absolute) }
    }

    /// What keeps the signing keys.
    pub fn signing_key_store(&self) -> &dyn SigningKeyStore {
        &*self.0.stores.database.signing_keys
    }

    /// What the token store tells of revocations.
    pub fn revocation_feed(&self) -> &dyn RevocationStore {
        &*self.0.stores.tokens.revocation_feed
    }

    /// How long sessions and tokens live.
    pub fn lifetimes(&self) -> SessionLifetimes {
        self.0.settings.tokens.lifetimes
    }

    /// What keeps the sessions.
    pub fn token_store(&self) -> &dyn TokenStore {
        &*self.0.stores.tokens.token_store
    }

    /// An account as it is stored.
    pub async fn stored_user(&self, email: &str) -> Option<User> {
        let email = Email::parse(email).expect("an address");
        self.0.stores.database.users.find_user_by_email(&email).await.expect("a database that answers")
    }

    /// An account that was brought along with this hash.
    pub async fn import(&self, email: &str, hash: &str) {
        let account = NewUser {
            email: Email::parse(email).expect("an address"),
            first_name: None,
            last_name: None,
            role: Role::Member,
            password: PasswordHash::from_phc(hash),
            email_verified: true,
            metadata: Default::default(),
            created_at: START,
        };
        let users = [ImportedUser { account, disabled: false, external_id: None }];
        assert_eq!(self.0.stores.database.users.insert_users(&users, START).await.expect("a database"), 1);
    }

    /// Asks until the service is ready again; its stores space the attempts themselves.
    pub async fn recovered(&self) {
        let asking = async {
            while self.anonymous().get("/health/ready").send().await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(RECOVERY, asking).await.expect("recovery");
    }

    /// Asks until the service's database answers; connections that it has lost are replaced meanwhile.
    pub async fn has_its_database(&self) {
        let asking = async {
            while self.anonymous().get("/health/ready/login").send().await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(RECOVERY, asking).await.expect("recovery");
    }

    // Actors.

    /// Somebody without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous(self.clone())
    }

    /// A new account `<name>@example.com`, logged in.
    pub async fn member(&self, name: &str) -> LoggedIn {
        let email = format!("{name}@example.com");
        self.register(&email, PASSWORD).await.json(201);
        LoggedIn::log_in(self, &email, PASSWORD).await
    }

    /// The administrator, logged in.
    pub async fn admin(&self) -> Admin {
        Admin(LoggedIn::log_in(self, ADMIN_EMAIL, ADMIN_PASSWORD).await)
    }

    // Verbs, each one request.

    pub async fn register(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/register", &json!({"email": email, "password": password})).await
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", &json!({"email": email, "password": password})).await
    }

    /// By the refresh token alone, in its header.
    pub async fn refresh(&self, refresh: &str) -> Answer {
        self.anonymous().post("/auth/refresh-token").refresh(refresh).send().await
    }

    pub async fn auth_me(&self, access: &str, refresh: &str) -> Answer {
        self.anonymous().get("/auth/auth-me").access(access).refresh(refresh).send().await
    }

    pub async fn auth_me_by_refresh_token(&self, refresh: &str) -> Answer {
        self.anonymous().get("/auth/auth-me").refresh(refresh).send().await
    }

    /// `GET /users/me`, by the access token alone.
    pub async fn me(&self, access: &str) -> Answer {
        self.anonymous().get("/users/me").access(access).send().await
    }

    pub async fn log_out(&self, access: &str) -> Answer {
        self.anonymous().post("/auth/logout").access(access).send().await
    }

    pub async fn request_reset(&self, email: &str) -> Answer {
        self.post("/auth/reset-password-request", &json!({"email": email})).await
    }

    /// Requests a reset, which must work, and answers the token.
    pub async fn reset_token(&self, email: &str) -> String {
        let answer = self.request_reset(email).await.tokens(200);
        answer["passwordResetToken"].as_str().expect("a reset token").to_owned()
    }

    pub async fn request_verification(&self, email: &str) -> Answer {
        self.post("/auth/verify-email-request", &json!({"email": email})).await
    }

    pub async fn verify_email(&self, token: &str) -> Answer {
        self.post("/auth/verify-email", &json!({"verificationToken": token})).await
    }

    pub async fn reset_password(&self, token: &str, new: &str) -> Answer {
        self.post("/auth/reset-password", &json!({"resetToken": token, "newPassword": new})).await
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.anonymous().post(path).json(body).send().await
    }
}
