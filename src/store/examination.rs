//! Looking at an engine, and making it whole.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreResult;
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::journal::{EntryId, JournalEntry, Mark, NewEntry, VouchingId};
use crate::domain::partition::Partition;

/// What a partition of the store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Since which loss of its data it has kept it.
    pub incarnation: i64,
    /// The vouching that its data was last found whole by.
    pub vouching: VouchingId,
    /// Up to where the journal was carried out.
    pub mark: Mark,
    /// The server that it was vouched for on; restored data names another.
    pub seal: String,
}

/// Some entries of a partition that are carried out again, and how its mark moves over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayStep {
    /// Which one.
    pub partition: Partition,
    /// Where its mark has to stand.
    pub from: Mark,
    /// What matters of what lies behind that, in order.
    pub entries: Vec<JournalEntry>,
    /// Where its mark is to stand then.
    pub to: Mark,
}

/// A partition that begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartition {
    /// Which one.
    pub partition: Partition,
    /// The vouching that was read there; `None` where there was nothing.
    pub read: Option<VouchingId>,
    /// What is to stand there.
    pub state: PartitionState,
    /// Clients that were deleted, and until when that matters: the feed tells of them again. Tokens that they act by are of
    /// other partitions, and outlive what this one has lost.
    pub deleted_clients: Vec<(ClientId, Timestamp)>,
}

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Which server answers for each partition, and which history of it, in the order of [`Partition::all`]; `None`
    /// where none does.
    pub servers: Vec<Option<Arc<str>>>,
    /// Each partition, in the order of [`Partition::all`]; `None` where there is nothing, or nobody answers.
    pub states: Vec<Option<PartitionState>>,
    /// Whether anything is owed to the journal.
    pub owes: bool,
    /// What the store's clock shows; of several the one that is ahead.
    pub time: Timestamp,
}

impl View {
    /// Of a store that is one server.
    pub fn of_one(
        server: impl Into<Arc<str>>,
        states: Vec<Option<PartitionState>>,
        owes: bool,
        time: Timestamp,
    ) -> Self {
        Self { servers: vec![Some(server.into()); Partition::COUNT], states, owes, time }
    }

    /// Which server answers for a partition.
    pub fn server(&self, partition: Partition) -> Option<&Arc<str>> {
        self.servers.get(partition.index())?.as_ref()
    }

    /// What a partition says of itself.
    pub fn state(&self, partition: Partition) -> Option<&PartitionState> {
        self.states.get(partition.index())?.as_ref()
    }

    /// Whether a server answers for every partition.
    pub fn is_complete(&self) -> bool {
        self.servers.iter().all(Option::is_some)
    }
}

/// Looks at a store, and makes it whole, over one connection: what was read of its server holds for
/// all that follows.
#[async_trait]
pub trait Examination: Send + Sync {
    /// What the store says of itself.
    async fn view(&mut self) -> StoreResult<View>;

    /// Takes or keeps the lease under which one replica makes the store whole; answers whether it has
    /// it, for `term`.
    async fn lease(&mut self, holder: EntryId, term: Duration) -> StoreResult<bool>;

    /// Ends the lease, if this holder has it: the others need not wait until its term is over.
    async fn end_lease(&mut self, holder: EntryId) -> StoreResult<()>;

    /// Takes back every vouching for partitions that stand exactly as they were read: by
    /// [`VouchingId::NONE`] nothing is answered.
    /// (model: CondemnedBeforeDrawn, StepsCompareAndSet)
    async fn condemn(&mut self, partitions: &[(Partition, PartitionState)]) -> StoreResult<()>;

    /// Begins partitions anew, if they stand as they were read: with nothing, or condemned. Revocations are remembered for
    /// `denial`.
    /// (model: StepsCompareAndSet)
    async fn begin(&mut self, partitions: &[NewPartition], denial: Duration) -> StoreResult<()>;

    /// Carries out entries of the journal, those of each partition in their order, and then moves the marks.
    /// Answers for each step whether its mark has moved: not if it is not where it was to begin.
    /// (model: AppliedBeforeTheMark, StepsCompareAndSet)
    async fn replay(&mut self, steps: &[ReplayStep], denial: Duration) -> StoreResult<Vec<bool>>;

    /// Vouches for partitions that stand as they were read: `vouching` replaces theirs, and their seal
    /// becomes this server's (model: SealIsTheServer, StepsCompareAndSet).
    async fn seal(
        &mut self,
        partitions: &[(Partition, PartitionState)],
        vouching: VouchingId,
    ) -> StoreResult<()>;

    /// Revocations that were carried out and are not in the journal yet.
    async fn owed(&mut self) -> StoreResult<Vec<NewEntry>>;
}
