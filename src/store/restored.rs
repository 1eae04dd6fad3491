//! Accounts of a database that was restored.

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;

/// What moves all accounts on at once, after a database went back in time.
#[async_trait]
pub trait RestoredAccounts: Send + Sync + 'static {
    /// Moves the security versions of at most `limit` accounts on, in the order of their ids from the one
    /// after `after` on, each to one that is no smaller than the time `now`; answers whose.
    ///
    /// It writes nothing into the journal. Whoever calls it begins another incarnation of the token store when
    /// all are moved on, which ends what was opened before, whatever its version.
    async fn advance_security_versions(
        &self,
        after: Option<UserId>,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<Vec<UserId>>;
}
