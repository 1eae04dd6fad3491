//! Cut-offs: what a security event ends, or the end of a client.

use std::convert::Infallible;

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::Link;
use crate::domain::user::SecurityVersion;

/// A cut-off to be carried out: everything of the user from before `version` ends. It stands in the
/// journal, so whoever finds it carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOffOrder {
    /// Whose.
    pub user: UserId,
    /// The first version that still counts. For an account that was deleted that is one which it
    /// never had.
    pub version: SecurityVersion,
    /// Where it stands.
    pub link: Link,
    /// Until when it matters.
    pub until: Timestamp,
}

/// The end of a client that was deleted, to be carried out. It stands in the journal, so whoever finds it carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEnd {
    /// Which.
    pub client: ClientId,
    /// Where it stands.
    pub link: Link,
    /// Until when it matters.
    pub until: Timestamp,
}

/// Ends everything of a user at once. Each method is atomic under any interleaving.
#[async_trait]
pub trait CutOffStore: Send + Sync + 'static {
    /// Sees that a new account has nothing of an earlier holder of its id: a database that was restored gives
    /// ids again, and there may be sessions of theirs. Answers those that ended.
    ///
    /// # Errors
    /// [`RevocationPending`] also where it is not known whether there are any.
    ///
    /// [`RevocationPending`]: super::error::StoreError::RevocationPending
    async fn begin_account(&self, user: UserId, version: SecurityVersion) -> StoreResult<Vec<SessionId>>;

    /// The cut-off of a security event: ends every session of the user that was opened under a
    /// version before the ordered one, denies their access tokens, refuses sessions that
    /// are still being opened under an older version, and voids outstanding reset tokens.
    /// Answers the sessions that ended.
    async fn cut_off(&self, order: &CutOffOrder) -> StoreResult<Vec<SessionId>>;

    /// Announces that a client was deleted: whoever follows revocations refuses what was issued to it, and what it acts by.
    async fn end_client(&self, end: &ClientEnd) -> StoreResult<()>;

    /// A [cut-off](Self::cut_off) while the database is away, which the answer ([`RevocationPending`]) says: the version is the
    /// next that the store knows of, and the database takes it over when it is back.
    ///
    /// [`RevocationPending`]: super::error::StoreError::RevocationPending
    async fn cut_off_ahead(&self, user: UserId) -> StoreResult<Infallible>;

    /// Writes down what is owed to the journal of that user, now: of their security events in particular.
    async fn settle_owed(&self, user: UserId) -> StoreResult<()>;
}
