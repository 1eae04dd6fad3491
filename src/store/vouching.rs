//! What was vouched for: nothing is judged by data that may have gone back in time.
//!
//! [`JournaledTokenStore`](super::journaled::JournaledTokenStore) sees to that. So each operation of an engine is
//! told by which [`Vouched`] it is asked, and is refused ([`BackendError::Unvouched`]) where the data is of another
//! (model: VouchingIsPassed). Partitions may lie on several servers, of which one fails and the others go on: each is
//! vouched for by itself.

use std::sync::Arc;

use super::error::StoreError;
use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;

/// What this process has found whole: each partition on which server, and by which vouching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Each partition, in the order of [`Partition::all`]; `None` where it is not found whole.
    partitions: Vec<Option<(Arc<str>, VouchedPartition)>>,
}

/// What a partition was found whole by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VouchedPartition {
    /// Since which loss of its data it has kept it.
    pub incarnation: i64,
    /// Which vouching.
    pub vouching: VouchingId,
}

impl Vouched {
    /// All partitions on one server, in the order of [`Partition::all`]; `None` where one is missing.
    pub fn new(server: String, partitions: Vec<VouchedPartition>) -> Option<Self> {
        let server: Arc<str> = server.into();
        let partitions: Vec<_> =
            partitions.into_iter().map(|partition| Some((server.clone(), partition))).collect();
        (partitions.len() == Partition::COUNT).then_some(Self { partitions })
    }

    /// No partition.
    pub(crate) fn none() -> Self {
        Self { partitions: vec![None; Partition::COUNT] }
    }

    /// What a partition was found whole by: [`VouchingId::NONE`], by which nothing is answered, where it was not.
    pub fn of(&self, partition: Partition) -> VouchedPartition {
        let nothing = VouchedPartition { incarnation: 0, vouching: VouchingId::NONE };
        self.at(partition).map_or(nothing, |(_, partition)| *partition)
    }

    /// On which server a partition was found whole, and which history of it; empty, which is no server's, where it was
    /// not.
    pub fn server(&self, partition: Partition) -> &str {
        self.at(partition).map_or("", |(server, _)| server)
    }

    /// Whether a partition was found whole.
    pub fn has(&self, partition: Partition) -> bool {
        self.at(partition).is_some()
    }

    /// On which server a partition was found whole and by what, if it was.
    pub(crate) fn found(&self, partition: Partition) -> Option<(Arc<str>, VouchedPartition)> {
        self.at(partition).cloned()
    }

    fn at(&self, partition: Partition) -> Option<&(Arc<str>, VouchedPartition)> {
        self.partitions.get(partition.index())?.as_ref()
    }

    /// The same with a partition, or without it.
    #[must_use]
    pub(crate) fn with(mut self, partition: Partition, found: Option<(Arc<str>, VouchedPartition)>) -> Self {
        if let Some(place) = self.partitions.get_mut(partition.index()) {
            *place = found;
        }
        self
    }

    /// The incarnation of each partition, in the order of [`Partition::all`].
    pub fn incarnations(&self) -> Vec<i64> {
        Partition::all().map(|partition| self.of(partition).incarnation).collect()
    }
}

/// Why a backend gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The data is not what was vouched for: it was lost, or has gone back, or somebody has vouched
    /// for it anew.
    #[error("the token store's data is not what was vouched for")]
    Unvouched,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of asking a backend.
pub type BackendResult<T> = Result<T, BackendError>;
