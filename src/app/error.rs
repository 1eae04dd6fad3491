//! Why the service did not start.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::leftovers::LeftoversError;
use super::long_tokens::ClaimsTooLong;
use super::mail::MailError;
use super::roles::RolesTakenOut;
use super::secrets::MarkKeyError;
use crate::config::ServerSecretError;
use crate::crypto::keys::SigningKeyError;
use crate::crypto::password::PasswordHashError;
use crate::crypto::secret::SecretError;
use crate::service;
use crate::service::key_ring::KeyRingError;
use crate::store::StoreError;
use crate::store::redis::RedisUrlError;
use crate::store::sql::DatabaseError;

/// An error of any kind.
pub type BoxedError = Box<dyn Error + Send + Sync>;

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
    /// The token store cannot be opened.
    #[error("the {name} token store cannot be opened")]
    TokenStore {
        /// Its name, as `token_store` has it.
        name: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The token store belongs to another process, which runs.
    #[error("the {name} token store cannot be opened")]
    TokenStoreInUse {
        /// Its name, as `token_store` has it.
        name: &'static str,
        /// What was found.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The token store is to be a Redis, and none is named.
    #[error("`redis.url` is not set")]
    NoRedisUrl,
    /// The address of Redis cannot be used.
    #[error(transparent)]
    RedisUrl(#[from] RedisUrlError),
    /// The database does not tell which deployment this is.
    #[error("it cannot be read from the database which deployment this is")]
    Deployment(#[source] StoreError),
    /// The example people cannot be made.
    #[error("the example people cannot be made")]
    ExamplePeople(#[source] service::Error),
    /// Redis may throw sessions and revocations away.
    #[error(
        "Redis has the maxmemory-policy {policy}, which throws sessions and revocations away when memory runs out; set it to noeviction (or, knowing that, redis.danger_allow_eviction = true)"
    )]
    EvictingRedis {
        /// The policy.
        policy: String,
    },
    /// Redis can never be used as it is set up.
    #[error("Redis cannot be used as it is set up")]
    UnfitRedis(#[source] StoreError),
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
    /// What limits are keyed by cannot be had.
    #[error(transparent)]
    MarkKey(#[from] MarkKeyError),
    /// The cost of password hashes cannot be used.
    #[error(transparent)]
    PasswordHash(#[from] PasswordHashError),
    /// The mail server cannot be talked to as the settings say.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The administrator cannot be created.
    #[error("the administrator cannot be created")]
    Admin(#[source] service::Error),
    /// The sample client of `hallpass dev` cannot be created.
    #[error("the sample client cannot be created")]
    SampleClient(#[source] service::Error),
    /// Accounts have roles that are none any more, or it cannot be told whether some have.
    #[error(transparent)]
    Roles(#[from] RolesTakenOut),
    /// No token would be short enough.
    #[error(transparent)]
    Claims(#[from] ClaimsTooLong),
    /// The database has what `hallpass dev` left there, or does not tell whether it has.
    #[error(transparent)]
    Leftovers(#[from] LeftoversError),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for")]
    Signals(#[source] io::Error),
}
