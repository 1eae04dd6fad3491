//! A token store that cannot be reached.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::feed::{FeedBatch, ReaderRole, RevocationFeed, RevocationReader, Standing};
use super::{
    AccessStatus, AccessSubject, OnReuse, OpenOutcome, RateLimitStore, RefreshOutcome, ResetGrant,
    StoreError, StoreResult, Take, TokenStore,
};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::rate_limit::{AccountMark, Bucket, Level, PlaceMark};
use crate::domain::revocation::Revocation;
use crate::domain::session::{Session, SessionLifetimes};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;

/// Stands in for a token store that another process has: every call says so. What it should have
/// ended is owed then, and the process that has the store settles it.
#[derive(Debug)]
pub struct UnreachableTokenStore {
    reason: Arc<dyn Error + Send + Sync>,
}

impl UnreachableTokenStore {
    /// A store that cannot be reached for `reason`.
    pub fn new(reason: impl Error + Send + Sync + 'static) -> Self {
        Self { reason: Arc::new(reason) }
    }

    fn unavailable<T>(&self) -> StoreResult<T> {
        Err(StoreError::Unavailable { store: "token store", source: self.reason.clone().into() })
    }
}

#[async_trait]
impl RevocationFeed for UnreachableTokenStore {
    fn reader(&self, _: ReaderRole) -> Box<dyn RevocationReader> {
        Box::new(Self { reason: self.reason.clone() })
    }

    async fn announce(&self, _: &Revocation, _: Timestamp) -> StoreResult<()> {
        self.unavailable()
    }
}

#[async_trait]
impl RevocationReader for UnreachableTokenStore {
    async fn read(&mut self, _: Timestamp, _: Duration) -> StoreResult<FeedBatch> {
        self.unavailable()
    }

    async fn confirm(&mut self, _: Timestamp) -> StoreResult<Standing> {
        self.unavailable()
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        self.unavailable()
    }
}

#[async_trait]
impl TokenStore for UnreachableTokenStore {
    async fn open_session(&self, _: &Session, _: Timestamp) -> StoreResult<OpenOutcome> {
        self.unavailable()
    }

    async fn rotate(
        &self,
        _: &RefreshClaims,
        _: Timestamp,
        _: &SessionLifetimes,
    ) -> StoreResult<RefreshOutcome> {
        self.unavailable()
    }

    async fn check_refresh(
        &self,
        _: &RefreshClaims,
        _: Timestamp,
        _: &SessionLifetimes,
        _: OnReuse,
    ) -> StoreResult<RefreshOutcome> {
        self.unavailable()
    }

    async fn revoke_session(&self, _: UserId, _: SessionId, _: Timestamp, _: Duration) -> StoreResult<bool> {
        self.unavailable()
    }

    async fn revoke_access_token(&self, _: UserId, _: Jti, _: Timestamp, _: Duration) -> StoreResult<()> {
        self.unavailable()
    }

    async fn cut_off(
        &self,
        _: UserId,
        _: SecurityVersion,
        _: Timestamp,
        _: Duration,
    ) -> StoreResult<Vec<SessionId>> {
        self.unavailable()
    }

    async fn access_status(&self, _: &AccessSubject, _: Timestamp) -> StoreResult<AccessStatus> {
        self.unavailable()
    }

    async fn newest_access_tokens(&self, _: &[UserId], _: Timestamp) -> StoreResult<Vec<Option<Timestamp>>> {
        self.unavailable()
    }

    async fn list_sessions(&self, _: UserId, _: Timestamp) -> StoreResult<Vec<Session>> {
        self.unavailable()
    }

    async fn insert_reset_token(&self, _: &ResetClaims, _: ResetGrant, _: Timestamp) -> StoreResult<()> {
        self.unavailable()
    }

    async fn find_reset_token(&self, _: &ResetClaims, _: Timestamp) -> StoreResult<Option<ResetGrant>> {
        self.unavailable()
    }

    async fn take_reset_token(&self, _: &ResetClaims, _: Timestamp) -> StoreResult<Option<ResetGrant>> {
        self.unavailable()
    }

    async fn restore_reset_token(&self, _: &ResetClaims, _: ResetGrant, _: Timestamp) -> StoreResult<()> {
        self.unavailable()
    }

    async fn ping(&self) -> StoreResult<()> {
        self.unavailable()
    }
}

#[async_trait]
impl RateLimitStore for UnreachableTokenStore {
    async fn take(&self, _: &Bucket, _: Timestamp) -> StoreResult<Take> {
        self.unavailable()
    }

    async fn give_back(&self, _: &Bucket, _: Timestamp) -> StoreResult<Level> {
        self.unavailable()
    }

    async fn is_known_place(&self, _: AccountMark, _: PlaceMark, _: Timestamp) -> StoreResult<bool> {
        self.unavailable()
    }

    async fn remember_place(&self, _: AccountMark, _: PlaceMark, _: Timestamp) -> StoreResult<()> {
        self.unavailable()
    }
}
