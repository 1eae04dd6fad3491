//! Where a command belongs.

use super::cluster::Slot;
use crate::domain::partition::Partition;
use crate::store::vouching::Vouched;

/// Where a command belongs: in a Cluster the slot says the node. On one server alone, where one is named.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::redis) struct At<'a> {
    pub(super) slot: Slot,
    /// Which server, and which history of it (model: SealIsTheServer).
    pub(super) server: Option<&'a str>,
}

impl<'a> At<'a> {
    /// Where a key is, whichever server that is.
    pub(in crate::store::redis) fn key(key: &str) -> Self {
        Self { slot: Slot::of_key(key), server: None }
    }

    /// Where a partition is, whichever server that is.
    pub(in crate::store::redis) fn partition(partition: Partition) -> Self {
        Self { slot: Slot::of_partition(partition), server: None }
    }

    /// Where a partition is, on the server that it was found whole on alone.
    pub(in crate::store::redis) fn vouched(by: &'a Vouched, partition: Partition) -> Self {
        Self { server: Some(by.server(partition)), ..Self::partition(partition) }
    }

    /// The same place, on that server alone.
    pub(in crate::store::redis) fn on<'b>(self, server: &'b str) -> At<'b> {
        At { slot: self.slot, server: Some(server) }
    }
}
