//! A token store that cannot be reached.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::backend::{
    BackendReader, BackendResult, CarriedOut, Eviction, Examination, Known, Opening, Placement, Presented,
    TokenBackend, Vouched,
};
use super::feed::{FeedBatch, ReaderRole, Standing};
use super::{
    AccessStatus, AccessSubject, OnReuse, Probe, RateLimitStore, ResetGrant, ResetInsertion, ResetPlace,
    StoreError, StoreResult, Take,
};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::rate_limit::{AccountMark, Bucket, Level, PlaceMark};
use crate::domain::session::{NewSession, Session, SessionLifetimes};
use crate::domain::session_cap::{SessionCursor, SessionUse};
use crate::domain::tokens::{RefreshClaims, ResetClaims};
use crate::domain::user::SecurityVersion;

/// Stands in for a token store that another process has: every call says so. What it should have
/// ended stands in the journal then, and the process that has the store carries it out.
#[derive(Clone, Debug)]
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

    fn no_answer<T>(&self) -> BackendResult<T> {
        Ok(self.unavailable()?)
    }
}

#[async_trait]
impl BackendReader for UnreachableTokenStore {
    async fn read(&mut self, _: &Vouched, _: Duration) -> BackendResult<FeedBatch> {
        self.no_answer()
    }

    async fn confirm(&mut self, _: &Vouched) -> BackendResult<Standing> {
        self.no_answer()
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        self.unavailable()
    }
}

#[async_trait]
impl TokenBackend for UnreachableTokenStore {
    async fn examine(&self) -> StoreResult<Box<dyn Examination>> {
        self.unavailable()
    }

    async fn open_session(
        &self,
        _: &Vouched,
        _: &NewSession,
        _: &SessionLifetimes,
    ) -> BackendResult<Opening> {
        self.no_answer()
    }

    async fn has_sessions(&self, _: &Vouched, _: UserId) -> BackendResult<bool> {
        self.no_answer()
    }

    async fn rotate(
        &self,
        _: &Vouched,
        _: &RefreshClaims,
        _: EntryId,
        _: &SessionLifetimes,
    ) -> BackendResult<Presented> {
        self.no_answer()
    }

    async fn check_refresh(
        &self,
        _: &Vouched,
        _: &RefreshClaims,
        _: EntryId,
        _: &SessionLifetimes,
        _: OnReuse,
    ) -> BackendResult<Presented> {
        self.no_answer()
    }

    async fn session_end(&self, _: &Vouched, _: UserId, _: SessionId) -> BackendResult<Option<Timestamp>> {
        self.no_answer()
    }

    async fn known_revocation(&self, _: &Vouched, _: &Journaled, _: Timestamp) -> BackendResult<Known> {
        self.no_answer()
    }

    async fn evict_session(
        &self,
        _: &Vouched,
        _: &Eviction,
        _: EntryId,
        _: Duration,
    ) -> BackendResult<Option<Timestamp>> {
        self.no_answer()
    }

    async fn carry_out(
        &self,
        _: &Vouched,
        _: &NewEntry,
        _: Placement,
        _: Duration,
    ) -> BackendResult<CarriedOut> {
        self.no_answer()
    }

    async fn cut_off_ahead(
        &self,
        _: &Vouched,
        _: UserId,
        _: EntryId,
        _: Timestamp,
        _: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)> {
        self.no_answer()
    }

    async fn access_status(&self, _: &Vouched, _: &AccessSubject) -> BackendResult<AccessStatus> {
        self.no_answer()
    }

    async fn machine_status(&self, _: &Vouched, _: Jti, _: i64) -> BackendResult<AccessStatus> {
        self.no_answer()
    }

    async fn newest_access_tokens(&self, _: &Vouched, _: &[UserId]) -> BackendResult<Vec<Option<Timestamp>>> {
        self.no_answer()
    }

    async fn list_sessions(
        &self,
        _: &Vouched,
        _: UserId,
        _: Option<SessionCursor>,
        _: u32,
    ) -> BackendResult<Vec<Session>> {
        self.no_answer()
    }

    async fn session_uses(&self, _: &Vouched, _: UserId) -> BackendResult<Vec<SessionUse>> {
        self.no_answer()
    }

    async fn find_session(&self, _: &Vouched, _: UserId, _: SessionId) -> BackendResult<Option<Session>> {
        self.no_answer()
    }

    async fn insert_reset_token(
        &self,
        _: &Vouched,
        _: &ResetClaims,
        _: ResetPlace,
        _: SecurityVersion,
        _: Duration,
    ) -> BackendResult<ResetInsertion> {
        self.no_answer()
    }

    async fn find_reset_token(&self, _: &Vouched, _: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        self.no_answer()
    }

    async fn take_reset_token(&self, _: &Vouched, _: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        self.no_answer()
    }

    async fn restore_reset_token(&self, _: &Vouched, _: &ResetClaims, _: ResetGrant) -> BackendResult<()> {
        self.no_answer()
    }

    async fn passed_on(&self, _: &Vouched) -> BackendResult<()> {
        self.no_answer()
    }

    async fn announce_key(&self, _: &Vouched, _: &KeyId, _: Duration) -> BackendResult<()> {
        self.no_answer()
    }

    fn reader(&self, _: ReaderRole) -> Box<dyn BackendReader> {
        Box::new(self.clone())
    }

    async fn probe(&self, _: Probe) -> StoreResult<()> {
        self.unavailable()
    }

    async fn ping(&self) -> StoreResult<()> {
        self.unavailable()
    }
}

#[async_trait]
impl RateLimitStore for UnreachableTokenStore {
    async fn take(&self, _: &Bucket) -> StoreResult<Take> {
        self.unavailable()
    }

    async fn give_back(&self, _: &Bucket) -> StoreResult<Level> {
        self.unavailable()
    }

    async fn is_known_place(&self, _: AccountMark, _: PlaceMark) -> StoreResult<bool> {
        self.unavailable()
    }

    async fn remember_place(&self, _: AccountMark, _: PlaceMark) -> StoreResult<()> {
        self.unavailable()
    }
}
