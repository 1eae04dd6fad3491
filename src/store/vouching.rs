//! What was vouched for: nothing is judged by data that may have gone back in time.
//!
//! [`JournaledTokenStore`](super::journaled::JournaledTokenStore) sees to that. So each operation of an engine is
//! told by which [`Vouched`] it is asked, and is refused ([`BackendError::Unvouched`]) where the data is of another
//! (model: VouchingIsPassed).

use super::error::StoreError;
use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;

/// What this process has found whole: on which server, and by which vouching of each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Which server, and which history of it.
    pub server: String,
    /// Each partition, in the order of [`Partition::all`].
    partitions: Vec<VouchedPartition>,
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
    /// All partitions, in the order of [`Partition::all`]; `None` where one is missing.
    pub fn new(server: String, partitions: Vec<VouchedPartition>) -> Option<Self> {
        (partitions.len() == Partition::COUNT).then_some(Self { server, partitions })
    }

    /// What a partition was found whole by.
    pub fn of(&self, partition: Partition) -> VouchedPartition {
        let nothing = VouchedPartition { incarnation: 0, vouching: VouchingId::NONE };
        self.partitions.get(partition.index()).copied().unwrap_or(nothing)
    }

    /// The incarnation of each partition, in the order of [`Partition::all`].
    pub fn incarnations(&self) -> Vec<i64> {
        self.partitions.iter().map(|partition| partition.incarnation).collect()
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
