//! From the settings to the database.

use std::sync::Arc;

use super::mailboxes;
use crate::config::{DatabaseSettings, Settings};
use crate::store::clients::ClientStore;
use crate::store::deployment::DeploymentStore;
use crate::store::journal::RevocationJournal;
use crate::store::pools::Pooled;
use crate::store::restored::RestoredAccounts;
use crate::store::sealed_values::SealedValueStore;
use crate::store::signing_keys::SigningKeyStore;
use crate::store::sql::DatabaseError;
use crate::store::sql::postgres::{PostgresOptions, PostgresStore};
use crate::store::sql::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{AuditStore, UserStore};

/// What is kept in SQL, by the part of the service that asks for it.
#[derive(Clone)]
pub struct Database {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Signing keys.
    pub signing_keys: Arc<dyn SigningKeyStore>,
    /// Values that all replicas share.
    pub sealed_values: Arc<dyn SealedValueStore>,
    /// What every revocation is written into.
    pub journal: Arc<dyn RevocationJournal>,
    /// OAuth clients.
    pub clients: Arc<dyn ClientStore>,
    /// Which deployment this is.
    pub deployment: Arc<dyn DeploymentStore>,
    /// What moves all accounts on after it went back in time.
    pub restored: Arc<dyn RestoredAccounts>,
    /// What happened.
    pub audit_log: Arc<dyn AuditStore>,
    /// How its connections are used.
    pub connections: Arc<dyn Pooled>,
}

impl Database {
    pub(super) fn of<R>(store: R) -> Self
    where
        R: UserStore
            + RevocationJournal
            + SigningKeyStore
            + SealedValueStore
            + ClientStore
            + DeploymentStore
            + RestoredAccounts
            + AuditStore
            + Pooled,
    {
        let store = Arc::new(store);
        Self {
            users: store.clone(),
            journal: store.clone(),
            signing_keys: store.clone(),
            sealed_values: store.clone(),
            clients: store.clone(),
            deployment: store.clone(),
            restored: store.clone(),
            audit_log: store.clone(),
            connections: store,
        }
    }
}

/// Opens the database that the settings name and brings its schema up to date; answers the names
/// of the steps that were taken as well.
///
/// # Errors
/// [`DatabaseError`].
pub async fn open_database(settings: &Settings) -> Result<(Database, Vec<String>), DatabaseError> {
    let url = settings.database.url.expose();
    if !is_postgres(url) {
        let store = SqliteStore::connect(url, SqliteOptions::default()).await?;
        let steps = store.migrate().await?;
        let database = Database::of(store);
        mailboxes::fill_in(&*database.users).await;
        return Ok((database, steps));
    }
    let store = connect(&settings.database, url).await?;
    let steps = match &settings.database.migrate_url {
        Some(owner) => migrate_as_owner(&settings.database, owner.expose(), &store).await?,
        None => store.migrate().await?,
    };
    let lacking = store.lacking_rights().await?;
    if !lacking.is_empty() {
        tracing::warn!("{}", describe_lack(&store.current_role().await?, &lacking));
    }
    let database = Database::of(store);
    mailboxes::fill_in(&*database.users).await;
    Ok((database, steps))
}

pub(super) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres")
}

/// Connects to the Postgres that one of the URLs names.
pub(super) async fn connect(settings: &DatabaseSettings, url: &str) -> Result<PostgresStore, DatabaseError> {
    let options = PostgresOptions {
        max_connections: settings.max_connections,
        acquire_timeout: settings.acquire_timeout,
        statement_timeout: settings.statement_timeout,
        connect_timeout: settings.connect_timeout,
    };
    PostgresStore::connect(url, options).await
}

/// Takes the steps as the role that owns the tables, and gives the one that the service runs as what it
/// needs of them.
async fn migrate_as_owner(
    settings: &DatabaseSettings,
    owner: &str,
    service: &PostgresStore,
) -> Result<Vec<String>, DatabaseError> {
    let owner = connect(settings, owner).await?;
    let steps = owner.migrate().await?;
    let role = service.current_role().await?;
    for given in owner.grant_rights(&role).await? {
        tracing::info!(role, right = %given, "right given");
    }
    owner.close().await;
    Ok(steps)
}

/// What is to be said of a role that lacks rights.
pub(super) fn describe_lack(role: &str, lacking: &[impl ToString]) -> String {
    let lacking: Vec<String> = lacking.iter().map(ToString::to_string).collect();
    format!(
        "the role {role} lacks {}: run `hallpass migrate` with `database.migrate_url`, which gives it what it needs, or \
         grant that by hand",
        lacking.join("; ")
    )
}
