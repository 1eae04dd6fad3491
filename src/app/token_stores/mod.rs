//! The token stores that there are: how each is opened, and what is looked at when everything is looked over.

mod journal;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::database::Database;
use super::environment::Environment;
use super::error::StartError;
use super::finding::{Condition, Finding};
use crate::config::Settings;
use crate::domain::causes::with_causes;
use crate::domain::clock::Clock;
use crate::domain::secret_mark::Presence;
use crate::domain::timekeeper::Timekeeper;
use crate::store::backend::TokenBackend;
use crate::store::embedded::{EmbeddedTime, EmbeddedTokenStore, OpenError};
use crate::store::journaled::{JournaledTokenStore, Parts};
use crate::store::pools::Pooled;
use crate::store::presence::PresenceStore;
use crate::store::revocations::RevocationStore;
use crate::store::unreachable::UnreachableTokenStore;
use crate::store::{RateLimitStore, StoreResult, TokenStore, TokenStoreKind};

pub use self::redis::OwnRedis;

/// The subject of a finding about the token store itself.
const SUBJECT: &str = "token store";

/// How long the first look at the token store is waited for.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// The file of the embedded token store, in the data folder.
pub(super) const EMBEDDED_FILE: &str = "tokens.db";

/// What keeps things, behind the traits.
#[derive(Clone)]
pub struct Stores {
    /// What lasts.
    pub database: Database,
    /// What is short-lived.
    pub tokens: TokenStores,
}

/// What is kept in the token store, by the part of the service that asks for it.
#[derive(Clone)]
pub struct TokenStores {
    /// Sessions, the denylist and reset tokens.
    pub token_store: Arc<dyn TokenStore>,
    /// What tells of revocations.
    pub revocation_feed: Arc<dyn RevocationStore>,
    /// What counts attempts.
    pub rate_limits: Arc<dyn RateLimitStore>,
    /// Which replicas run.
    pub presence: Arc<dyn PresenceStore>,
    /// The same token store, to be kept whole.
    pub journaled: JournaledTokenStore,
    /// What is known of the clocks.
    pub keeper: Arc<Timekeeper>,
    /// How its connections are used.
    pub connections: Arc<dyn Pooled>,
    /// The Redis behind them, where it is one.
    pub redis: Option<OwnRedis>,
}

/// How a token store is opened, and what is looked at when everything is looked over.
#[async_trait]
trait Backend: Sync {
    /// Opens it, and with it what tells of revocations and what counts attempts.
    async fn open(&self, opening: Opening<'_>) -> Result<TokenStores, StartError>;

    /// Looks at it, and changes nothing. `database` is `None` where that cannot be asked.
    async fn check(
        &self,
        settings: &Settings,
        database: Option<&Database>,
        clock: Arc<dyn Clock>,
    ) -> Vec<Finding>;

    /// Which replicas run; `None` where they cannot share the store, and there is one process.
    async fn presences(&self, settings: &Settings, database: &Database)
    -> Option<StoreResult<Vec<Presence>>>;
}

/// The one list of the token stores.
fn backend_of(kind: TokenStoreKind) -> &'static dyn Backend {
    match kind {
        TokenStoreKind::Redis => &redis::Redis,
        TokenStoreKind::Embedded => &Embedded,
    }
}

/// What a token store is opened with.
struct Opening<'a> {
    settings: &'a Settings,
    database: &'a Database,
    environment: &'a Environment,
    keeper: Arc<Timekeeper>,
    /// Whether the log is told what deserves a second thought: commands leave that to the service and to `doctor`.
    warns: bool,
}

impl<'a> Opening<'a> {
    fn new(settings: &'a Settings, database: &'a Database, environment: &'a Environment) -> Self {
        let leeway = settings.tokens.lifetimes.leeway;
        let keeper = Arc::new(Timekeeper::new(environment.clock.clone(), leeway));
        Self { settings, database, environment, keeper, warns: true }
    }

    /// A backend that the journal of the database keeps whole.
    fn keep_whole<S>(&self, store: Arc<S>) -> TokenStores
    where
        S: TokenBackend + RateLimitStore + PresenceStore + Pooled,
    {
        let Self { settings, database, environment, keeper, .. } = self;
        let journaled = JournaledTokenStore::new(Parts {
            backend: store.clone(),
            journal: database.journal.clone(),
            users: database.users.clone(),
            keeper: keeper.clone(),
            random: environment.random.clone(),
            spans: (&settings.tokens.lifetimes).into(),
        });
        let shared = Arc::new(journaled.clone());
        TokenStores {
            token_store: shared.clone(),
            revocation_feed: shared,
            rate_limits: store.clone(),
            presence: store.clone(),
            connections: store,
            journaled,
            keeper: keeper.clone(),
            redis: None,
        }
    }
}

/// Opens the token store that the settings name, and with it what tells of revocations and what counts
/// attempts. A Redis that does not answer yet is no mistake: what needs it answers 503 until it comes.
///
/// # Errors
/// [`StartError`] when the store cannot be opened, when Redis is set to forget keys, or when `database`
/// does not tell what the keys in Redis begin with.
pub async fn open_token_store(
    settings: &Settings,
    database: &Database,
    environment: &Environment,
) -> Result<TokenStores, StartError> {
    open(Opening::new(settings, database, environment)).await
}

async fn open(opening: Opening<'_>) -> Result<TokenStores, StartError> {
    let stores = backend_of(opening.settings.token_store).open(opening).await?;
    look_first(&stores.journaled).await;
    Ok(stores)
}

/// Whether a command can ask the token store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It can.
    Open,
    /// It cannot: the store is in the process of the running service.
    InService,
}

/// The same for a command that runs beside the service. Where the store belongs to the service's process, what
/// stands in for it fails whatever is asked of it; what it is to revoke stands in the journal.
pub(super) async fn open_beside_service(
    settings: &Settings,
    database: &Database,
    environment: &Environment,
) -> Result<(TokenStores, Reach), StartError> {
    match open(Opening { warns: false, ..Opening::new(settings, database, environment) }).await {
        Err(StartError::TokenStoreInUse { source, .. }) => {
            let store = Arc::new(UnreachableTokenStore::new(source));
            Ok((Opening::new(settings, database, environment).keep_whole(store), Reach::InService))
        }
        opened => Ok((opened?, Reach::Open)),
    }
}

/// What is to be said of the token store that the settings name.
pub(super) async fn check(
    settings: &Settings,
    database: Option<&Database>,
    clock: Arc<dyn Clock>,
) -> Vec<Finding> {
    backend_of(settings.token_store).check(settings, database, clock).await
}

/// Which replicas run, by the token store that the settings name; `None` where there is one process alone.
pub(super) async fn presences(
    settings: &Settings,
    database: &Database,
) -> Option<StoreResult<Vec<Presence>>> {
    backend_of(settings.token_store).presences(settings, database).await
}

/// The first look at a store takes longer than a request waits for one: 65 partitions may begin, or be made
/// whole. What it does not bring about in this time goes on beside the requests.
async fn look_first(journaled: &JournaledTokenStore) {
    let journaled = journaled.clone();
    let look = tokio::spawn(async move { journaled.keep().await });
    match tokio::time::timeout(FIRST_LOOK, look).await {
        Ok(Ok(Ok(_))) => {}
        Ok(Ok(Err(error))) => {
            tracing::debug!(error = %with_causes(&error), "the token store cannot be looked at just now");
        }
        Ok(Err(_)) | Err(_) => tracing::debug!("the first look at the token store goes on"),
    }
}

/// The store in the data folder.
struct Embedded;

#[async_trait]
impl Backend for Embedded {
    async fn open(&self, opening: Opening<'_>) -> Result<TokenStores, StartError> {
        let Opening { settings, environment, keeper, .. } = &opening;
        let path = settings.data_dir.join(EMBEDDED_FILE);
        let clock = environment.laid_over.token_store.as_ref().unwrap_or(&environment.clock).clone();
        let time = EmbeddedTime { clock, keeper: Some(keeper.clone()) };
        let opened = EmbeddedTokenStore::open(&path, time, &*environment.random).await;
        let store = opened.map_err(|error| {
            let name = TokenStoreKind::Embedded.name();
            match error {
                OpenError::InUse { .. } => StartError::TokenStoreInUse { name, source: error.into() },
                error => StartError::TokenStore { name, source: error.into() },
            }
        })?;
        Ok(opening.keep_whole(Arc::new(store)))
    }

    async fn check(&self, settings: &Settings, _: Option<&Database>, _: Arc<dyn Clock>) -> Vec<Finding> {
        let file = settings.data_dir.join(EMBEDDED_FILE);
        vec![match tokio::fs::try_exists(&file).await {
            Ok(true) => Finding::new(SUBJECT, Condition::Good, format!("embedded, in {}", file.display())),
            Ok(false) => {
                let text = format!("embedded; {} is not there yet: the first start makes it", file.display());
                Finding::new(SUBJECT, Condition::Warning, text)
            }
            Err(error) => Finding::bad(SUBJECT, &error),
        }]
    }

    async fn presences(&self, _: &Settings, _: &Database) -> Option<StoreResult<Vec<Presence>>> {
        None
    }
}
