//! An engine of the token store, as a whole: a backend remembers and judges.
//! [`JournaledTokenStore`](super::journaled::JournaledTokenStore) is what the service talks to.

use std::time::Duration;

use async_trait::async_trait;

use super::denylist::DenylistBackend;
use super::error::StoreResult;
use super::examination::Examination;
use super::reset_tokens::ResetTokenBackend;
use super::revocations::{BackendReader, FeedBatch, ReaderRole, RevocationBackend, Standing};
use super::sessions::SessionBackend;
use super::token_store::Probe;
use super::unreachable::UnreachableTokenStore;
use super::vouching::{BackendResult, Vouched};
use crate::domain::partition::Partition;

/// A token store of one engine. What each noun asks of it stands in that noun's trait.
#[async_trait]
pub trait TokenBackend: SessionBackend + DenylistBackend + ResetTokenBackend + RevocationBackend {
    /// A connection to look at the store by.
    async fn examine(&self) -> StoreResult<Box<dyn Examination>>;

    /// A reader of what was announced, that begins with all that still matters.
    fn reader(&self, role: ReaderRole) -> Box<dyn BackendReader>;

    /// As [`TokenStore::probe`](super::token_store::TokenStore::probe).
    async fn probe(&self, side: Probe) -> StoreResult<()>;

    /// Whether the store answers.
    async fn ping(&self) -> StoreResult<()>;

    /// Whether a partition is still what it was found whole by.
    async fn stands(&self, by: &Vouched, partition: Partition) -> BackendResult<()>;
}

#[async_trait]
impl TokenBackend for UnreachableTokenStore {
    async fn examine(&self) -> StoreResult<Box<dyn Examination>> {
        Err(self.unavailable())
    }

    fn reader(&self, _: ReaderRole) -> Box<dyn BackendReader> {
        Box::new(self.clone())
    }

    async fn probe(&self, _: Probe) -> StoreResult<()> {
        Err(self.unavailable())
    }

    async fn ping(&self) -> StoreResult<()> {
        Err(self.unavailable())
    }

    async fn stands(&self, _: &Vouched, _: Partition) -> BackendResult<()> {
        Err(self.unavailable().into())
    }
}

#[async_trait]
impl BackendReader for UnreachableTokenStore {
    async fn read(&mut self, _: &Vouched, _: Duration) -> BackendResult<FeedBatch> {
        Err(self.unavailable().into())
    }

    async fn confirm(&mut self, _: &Vouched) -> BackendResult<Standing> {
        Err(self.unavailable().into())
    }

    async fn step_back(&mut self) -> StoreResult<()> {
        Err(self.unavailable())
    }
}
