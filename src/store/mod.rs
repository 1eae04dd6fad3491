//! What must be kept, as traits: the service layer knows these and no driver.
//!
//! A noun has a file here, with its trait and what its methods answer, and a file of the same name in each
//! folder that keeps it.
//!
//! - In SQL: [`users`], [`clients`], [`signing_keys`], [`sealed_values`], the [`audit`] log, the id of the [`deployment`], and
//!   the revocation [`journal`], which has every revocation before it is acknowledged. What was [`restored`] is
//!   moved on by all accounts at once.
//! - In the [token store](token_store), short-lived and read on every request: [`sessions`], the
//!   [`denylist`], [`reset_tokens`], [`cut_offs`] of all these, and the feed of [`revocations`]. The
//!   [`journal`] keeps it [whole](journaled) on a [`backend`], [Redis](redis) or the [embedded] store: so
//!   each of these nouns has two traits, what the service asks and what a backend has to be able to do.
//! - [`rate_limits`] count attempts, and replicas leave their [`presence`], in the same place as the token store.
//!
//! A method is one *atomic operation* of the domain, never a get followed by a set. Verbs: `find_*`
//! may be absent, `list_*` pages, `insert_*` adds, `take_*` reads and deletes once, `revoke_*` is
//! idempotent. Expected outcomes are values; an error means that the answer is not known.
//!
//! Where a moment decides, the token store's own clock does: callers say how long, never when. A test
//! clock can be laid over it.

pub mod audit;
pub mod backend;
mod breaker;
pub mod clients;
pub mod cut_offs;
pub mod denylist;
pub mod deployment;
pub mod embedded;
pub mod error;
pub mod examination;
pub mod journal;
pub mod journaled;
mod patience;
pub mod pools;
pub mod presence;
pub mod rate_limits;
pub mod redis;
pub mod reset_tokens;
pub mod restored;
pub mod revocations;
pub mod sealed_values;
pub mod sessions;
pub mod signing_keys;
pub mod sql;
mod sqlite_pool;
pub mod token_store;
pub mod unreachable;
pub mod users;
pub mod vouching;

pub use self::audit::AuditStore;
pub use self::cut_offs::{ClientEnd, CutOffOrder, CutOffStore};
pub use self::denylist::{AccessStatus, AccessSubject, DenylistStore};
pub use self::error::{StoreError, StoreResult};
pub use self::pools::Pooled;
pub use self::rate_limits::{RateLimitStore, Take};
pub use self::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace, ResetTokenStore};
pub use self::sessions::{OnReuse, OnUnknown, OpenOutcome, RefreshOutcome, SessionStore};
pub use self::token_store::{Probe, TokenStore};
pub use self::users::{ChangeOutcome, DeleteOutcome, InsertUserOutcome, SecurityEvent, UserStore};

/// The token stores that there are. The setting `token_store` names one, and `app` opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStoreKind {
    /// A Redis, which replicas share.
    Redis,
    /// SQLite files in the data folder, for a single process.
    Embedded,
}

impl TokenStoreKind {
    /// All of them, in the order in which a mistake names them.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Embedded];

    /// Its name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Embedded => "embedded",
        }
    }

    /// Whether it is in the process of the service: replicas cannot share it, reads need no mirror, and its keys
    /// need no mark of the deployment.
    pub const fn is_in_process(self) -> bool {
        match self {
            Self::Redis => false,
            Self::Embedded => true,
        }
    }
}
