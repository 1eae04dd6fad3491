//! The one place that names concrete stores and wires everything.

pub mod checkup;
mod mail;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use poem::{Endpoint, Response};
use tokio::net::TcpListener;
use tokio::time::Instant;

pub use mail::MailError;

use crate::api::client_address::TrustedProxies;
use crate::api::compat::CompatApi;
use crate::config::{self, Profile, ResetDelivery, Secret, ServerSecretError, Settings, TokenStoreSettings};
use crate::crypto::keys::{SigningKey, SigningKeyError};
use crate::crypto::password::{PasswordHashError, PasswordHasher};
use crate::crypto::secret::{DerivedKeys, SecretError};
use crate::domain::client::REVOCATIONS_READ;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::random::Random;
use crate::domain::signing_key::KeyLife;
use crate::domain::tokens::ClientSecret;
use crate::service::audit::Audit;
use crate::service::key_ring::{Foundation, KeyRing, KeyRingError};
use crate::service::mail::Mailer;
use crate::service::password_workers::PasswordWorkers;
use crate::service::{self, AuthError, Context, Rules, Services};
use crate::store::clients::ClientRegistry;
use crate::store::embedded::{self, EmbeddedTokenStore};
use crate::store::feed::RevocationFeed;
use crate::store::redis::{EvictionPolicy, RedisOptions, RedisTokenStore, RedisUrlError};
use crate::store::signing_keys::SigningKeyStore;
use crate::store::sql::DatabaseError;
use crate::store::sql::postgres::{PostgresOptions, PostgresRepository};
use crate::store::sql::sqlite::{SqliteOptions, SqliteRepository};
use crate::store::unreachable::UnreachableTokenStore;
use crate::store::{AuditLog, RateLimitStore, Repository, TokenStore};
use crate::{api, server};

/// The file of the embedded token store, in the data folder.
const TOKENS_FILE: &str = "tokens.db";

/// How long a service that stops tries to tell the others that they need not wait for it.
const STEP_BACK_GRACE: Duration = Duration::from_secs(1);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server's secret is missing or cannot be read.
    #[error(transparent)]
    ServerSecret(#[from] ServerSecretError),
    /// The server's secret is too short.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The embedded token store cannot be opened.
    #[error("the embedded token store cannot be opened")]
    Embedded(#[from] embedded::OpenError),
    /// The address of Redis cannot be used.
    #[error(transparent)]
    RedisUrl(#[from] RedisUrlError),
    /// Redis may throw sessions and revocations away.
    #[error(
        "Redis has the maxmemory-policy {policy}, which throws sessions and revocations away when memory runs out; set it to noeviction (or, knowing that, redis.danger_allow_eviction = true)"
    )]
    EvictingRedis {
        /// The policy.
        policy: String,
    },
    /// Redis is older than the commands that hallpass uses.
    #[error("Redis is too old; hallpass needs 6.2 or later")]
    OldRedis,
    /// The signing key file cannot be read.
    #[error("the signing key file {} cannot be read", path.display())]
    SigningKeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The signing key of the file cannot be used.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The key ring cannot be opened.
    #[error(transparent)]
    KeyRing(#[from] KeyRingError),
    /// The cost of password hashes cannot be used.
    #[error(transparent)]
    PasswordHash(#[from] PasswordHashError),
    /// The mail server cannot be talked to as the settings say.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The administrator cannot be created.
    #[error("the administrator cannot be created")]
    Admin(#[source] AuthError),
    /// The sample client of `hallpass dev` cannot be created.
    #[error("the sample client cannot be created")]
    SampleClient(#[source] AuthError),
    /// The OpenAPI document cannot be built.
    #[error("the OpenAPI document cannot be built")]
    Document(#[from] serde_json::Error),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
}

/// The operating system's source of chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system for chance")]
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            // Without chance every token could be guessed: nothing may go on.
            tracing::error!(%error, "the operating system gives no random bytes");
            std::process::abort();
        }
    }
}

/// A password that nobody will guess: 24 characters, 144 bits.
pub fn random_password() -> String {
    let mut bytes = [0; 18];
    SystemRandom.fill(&mut bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// What keeps things, behind the traits.
#[derive(Clone)]
pub struct Stores {
    /// What lasts.
    pub database: Database,
    /// What is short-lived.
    pub tokens: TokenStores,
}

/// What is kept in SQL, by the part of the service that asks for it.
#[derive(Clone)]
pub struct Database {
    /// Accounts.
    pub repository: Arc<dyn Repository>,
    /// Signing keys.
    pub signing_keys: Arc<dyn SigningKeyStore>,
    /// OAuth clients.
    pub clients: Arc<dyn ClientRegistry>,
    /// What happened.
    pub audit_log: Arc<dyn AuditLog>,
}

impl Database {
    fn of<R: Repository + SigningKeyStore + ClientRegistry + AuditLog>(repository: R) -> Self {
        let repository = Arc::new(repository);
        Self {
            repository: repository.clone(),
            signing_keys: repository.clone(),
            clients: repository.clone(),
            audit_log: repository,
        }
    }
}

/// What is kept in the token store, by the part of the service that asks for it.
#[derive(Clone)]
pub struct TokenStores {
    /// Sessions, the denylist and reset tokens.
    pub token_store: Arc<dyn TokenStore>,
    /// What tells of revocations.
    pub revocation_feed: Arc<dyn RevocationFeed>,
    /// What counts attempts.
    pub rate_limits: Arc<dyn RateLimitStore>,
}

impl TokenStores {
    fn of<S: TokenStore + RevocationFeed + RateLimitStore>(store: S) -> Self {
        let store = Arc::new(store);
        Self { token_store: store.clone(), revocation_feed: store.clone(), rate_limits: store }
    }
}

/// What comes from outside.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Where mails go, if anywhere.
    pub mailer: Option<Arc<dyn Mailer>>,
}

impl World {
    /// The machine's clock and the operating system's chance; no mails.
    pub fn real() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom), mailer: None }
    }
}

/// Opens the database that the settings name and brings its schema up to date; answers the names
/// of the steps that were taken as well.
///
/// # Errors
/// [`DatabaseError`].
pub async fn open_database(settings: &Settings) -> Result<(Database, Vec<String>), DatabaseError> {
    let url = settings.database.url.expose();
    if url.starts_with("postgres") {
        let repository = PostgresRepository::connect(url, PostgresOptions::default()).await?;
        let steps = repository.migrate().await?;
        Ok((Database::of(repository), steps))
    } else {
        let repository = SqliteRepository::connect(url, SqliteOptions::default()).await?;
        let steps = repository.migrate().await?;
        Ok((Database::of(repository), steps))
    }
}

/// Opens the token store that the settings name, and with it what tells of revocations and what counts
/// attempts. A Redis that does not answer yet is no mistake: what needs it answers 503 until it comes.
///
/// # Errors
/// [`StartError`] when the store cannot be opened, or when Redis is set to forget keys.
pub async fn open_token_store(settings: &Settings, clock: Arc<dyn Clock>) -> Result<TokenStores, StartError> {
    match &settings.token_store {
        TokenStoreSettings::Embedded => {
            let path = settings.data_dir.join(TOKENS_FILE);
            Ok(TokenStores::of(EmbeddedTokenStore::open(&path, clock).await?))
        }
        TokenStoreSettings::Redis { url, danger_allow_eviction } => {
            let store = RedisTokenStore::connect_lazy(url.expose(), RedisOptions::default())?;
            inspect_redis(&store, *danger_allow_eviction).await?;
            Ok(TokenStores::of(store))
        }
    }
}

async fn inspect_redis(store: &RedisTokenStore, allow_eviction: bool) -> Result<(), StartError> {
    let inspection = match store.inspect().await {
        Ok(inspection) => inspection,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "Redis does not answer yet");
            return Ok(());
        }
    };
    if inspection.is_too_old() {
        return Err(StartError::OldRedis);
    }
    if let EvictionPolicy::Evicts(policy) = inspection.eviction {
        if !allow_eviction {
            return Err(StartError::EvictingRedis { policy });
        }
        tracing::warn!(policy, "Redis may throw sessions and revocations away");
    }
    if inspection.append_only == Some(false) {
        tracing::warn!("Redis keeps nothing on disk: its restart logs everybody out (appendonly yes)");
    }
    Ok(())
}

/// Wires the operations over their stores.
///
/// # Errors
/// [`StartError`].
pub async fn services(
    settings: &Settings,
    secret: &Secret,
    bound: SocketAddr,
    stores: Stores,
    world: World,
) -> Result<Services, StartError> {
    let issuer = settings.issuer(bound);
    let secrets = DerivedKeys::derive(secret.expose().as_bytes())?;
    let audit = Audit::start(stores.database.audit_log.clone());
    let key_ring = open_key_ring(settings, &secrets, &stores, &audit, &world).await?;
    let hasher = PasswordHasher::new(settings.passwords.argon2, &*world.random)?;
    let workers =
        PasswordWorkers::new(hasher, settings.passwords.hash_workers, settings.passwords.hash_queue);
    let rules = Rules {
        issuer: issuer.as_str().to_owned(),
        audience: settings.audience(&issuer),
        token_type: settings.tokens.typ,
        lifetimes: settings.tokens.lifetimes,
        validation: settings.validation,
        passwords: settings.passwords.policy,
        reset_ttl: settings.reset.ttl,
        reset_delivery: match settings.reset.delivery {
            ResetDelivery::Response => service::password_reset::ResetDelivery::Response,
            ResetDelivery::Log => service::password_reset::ResetDelivery::Log,
            ResetDelivery::Smtp => service::password_reset::ResetDelivery::Mail,
            ResetDelivery::Off => service::password_reset::ResetDelivery::Off,
        },
        verify_email: settings.registration.verify_email,
        conceal_existing: settings.registration.conceal_existing,
        verification_ttl: settings.verification.ttl,
        limits: settings.rate_limits,
    };
    let context = Context {
        clock: world.clock,
        random: world.random,
        audit,
        repository: stores.database.repository,
        clients: stores.database.clients,
        token_store: stores.tokens.token_store,
        revocation_feed: stores.tokens.revocation_feed,
        rate_limits: stores.tokens.rate_limits,
        secrets,
        mailer: world.mailer,
        rules,
    };
    Ok(Services::new(context, key_ring, workers))
}

/// Builds the service over its stores: the operations, and the HTTP surface over them.
///
/// # Errors
/// [`StartError`].
pub async fn build(
    settings: &Settings,
    secret: &Secret,
    bound: SocketAddr,
    stores: Stores,
    world: World,
) -> Result<(Services, impl Endpoint<Output = Response> + 'static), StartError> {
    let random = world.random.clone();
    let services = services(settings, secret, bound, stores, world).await?;
    // Two keys are published from the first day on.
    services.key_ring.catch_up().await?;
    if let Some(admin) = &settings.admin {
        let created = services
            .accounts
            .ensure_admin(admin.email.clone(), admin.password.clone())
            .await
            .map_err(StartError::Admin)?;
        if created {
            tracing::info!("administrator created");
        }
    }
    if settings.profile == Profile::Dev {
        ensure_sample_client(&services).await.map_err(StartError::SampleClient)?;
    }
    let compat: Vec<CompatApi> = settings
        .compat
        .iter()
        .map(|api| match api {
            config::CompatApi::Nest => CompatApi::Nest,
            config::CompatApi::AccessTokens => CompatApi::AccessTokens,
        })
        .collect();
    let proxies = TrustedProxies::new(&settings.trusted_proxies);
    let is_https = settings.issuer(bound).is_https();
    let endpoint = api::build(services.clone(), random, is_https, proxies, &compat)?;
    Ok((services, endpoint))
}

/// The client that the example microservice is, so that it runs against `hallpass dev` as it is.
async fn ensure_sample_client(services: &Services) -> Result<(), AuthError> {
    let (Ok(id), Ok(scopes)) = (config::SAMPLE_CLIENT_ID.parse(), REVOCATIONS_READ.parse()) else {
        return Ok(());
    };
    services.clients.ensure(id, scopes, &ClientSecret::new(config::SAMPLE_CLIENT_SECRET)).await
}

/// Opens what a command needs that an operator runs beside the service: the operations over the same
/// stores. The embedded token store belongs to the service while that runs; what a command changes
/// then is carried out by the service.
///
/// # Errors
/// [`StartError`].
pub async fn open_for_operator(settings: &Settings) -> Result<Services, StartError> {
    let world = World::real();
    let secret = config::existing_secret(settings, &*world.random)?;
    let (database, _) = open_database(settings).await?;
    let tokens = match open_token_store(settings, world.clock.clone()).await {
        Err(StartError::Embedded(error @ embedded::OpenError::InUse { .. })) => {
            TokenStores::of(UnreachableTokenStore::new(error))
        }
        opened => opened?,
    };
    services(settings, &secret, settings.listen, Stores { database, tokens }, world).await
}

/// Writes what the audit log still waits for, within `grace`.
pub async fn close_audit(audit: &Audit, grace: Duration) {
    let left = audit.close(grace).await;
    if left > 0 {
        tracing::warn!(left, "stopped with audit entries that are in this log alone");
    }
}

async fn open_key_ring(
    settings: &Settings,
    secrets: &DerivedKeys,
    stores: &Stores,
    audit: &Audit,
    world: &World,
) -> Result<KeyRing, StartError> {
    let Some(path) = &settings.keys.signing_key_file else {
        let lifetimes = &settings.tokens.lifetimes;
        let foundation = Foundation {
            store: stores.database.signing_keys.clone(),
            feed: stores.tokens.revocation_feed.clone(),
            clock: world.clock.clone(),
            random: world.random.clone(),
            secrets: secrets.clone(),
            audit: audit.clone(),
            life: KeyLife {
                algorithm: settings.keys.algorithm,
                publish_ahead: settings.keys.publish_ahead,
                rotate_every: settings.keys.rotate_every,
                access_token: lifetimes.revocation(),
                session: lifetimes.absolute,
            },
        };
        return Ok(KeyRing::open(foundation).await?);
    };
    let pem = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| StartError::SigningKeyFile { path: path.clone(), source })?;
    Ok(KeyRing::fixed(SigningKey::from_pem(settings.keys.algorithm, pem)?)?)
}

/// Runs the service by its settings until the process is told to stop. `listening` is told the
/// address once requests are answered there.
///
/// # Errors
/// [`StartError`]; once the service runs it does not fail.
pub async fn run(
    settings: Settings,
    listening: impl FnOnce(&Settings, SocketAddr),
) -> Result<(), StartError> {
    let world = World::real();
    let secret = config::server_secret(&settings, &*world.random)?;
    let (database, steps) = open_database(&settings).await?;
    for step in steps {
        tracing::info!(step, "database migrated");
    }
    let tokens = open_token_store(&settings, world.clock.clone()).await?;
    let at_listen = |source| StartError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(at_listen)?;
    let bound = listener.local_addr().map_err(at_listen)?;
    let stores = Stores { database, tokens };
    let clock = world.clock.clone();
    let (mailer, mail_queue) = mail::start(&settings, &settings.issuer(bound), &world).await?.unzip();
    let world = World { mailer: mailer.map(|mailer| Arc::new(mailer) as Arc<dyn Mailer>), ..world };
    let (services, endpoint) = build(&settings, &secret, bound, stores, world).await?;
    let stop = server::stop_signal().map_err(StartError::Signals)?;
    let keeping_up = tokio::spawn(services.key_ring.clone().keep_up(services.revocations.listen_for_keys()));
    let settling = tokio::spawn(services.cut_off.clone().keep_settling());
    let following = tokio::spawn(services.revocations.clone().keep_following());
    let pruning = settings
        .audit
        .retention
        .map(|retention| tokio::spawn(services.audit.clone().keep_pruning(clock, retention)));
    let revocations = services.revocations;
    let closing = revocations.clone();
    let told = OnceLock::new();
    let stop = async {
        stop.await;
        told.get_or_init(Instant::now);
        // Streams of it would last as long as the grace.
        closing.close();
    };
    listening(&settings, bound);
    tracing::info!(%bound, "listening");
    if !server::serve(listener, endpoint, stop, settings.shutdown_grace).await {
        tracing::warn!(grace = ?settings.shutdown_grace, "stopped with requests still running");
    }
    // Others would wait for a copy that is in use no more.
    if tokio::time::timeout(STEP_BACK_GRACE, revocations.has_stepped_back()).await.is_err() {
        tracing::debug!("stopped without stepping back from the mirrors");
    }
    settling.abort();
    keeping_up.abort();
    following.abort();
    if let Some(pruning) = pruning {
        pruning.abort();
    }
    let used = told.get().map_or(Duration::ZERO, Instant::elapsed);
    let left = settings.shutdown_grace.saturating_sub(used);
    tokio::join!(close_audit(&services.audit, left), async {
        if let Some(queue) = mail_queue {
            let lost = queue.finish(left).await;
            if lost > 0 {
                tracing::warn!(lost, "stopped with mails that were not sent");
            }
        }
    });
    tracing::info!("stopped");
    Ok(())
}
