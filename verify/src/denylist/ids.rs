use std::array;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use uuid::{Bytes, Uuid};

/// Into how many maps the ids are spread: a map that grows or is pruned holds up the readers of its
/// own ids alone.
const SHARDS: usize = 64;

/// A set of ids, each with an end.
pub(super) struct ExpiringIds {
    /// To the end, seconds since the Unix epoch. Bytes instead of a number: a number of 16 bytes
    /// would take 32 with its neighbour.
    shards: [RwLock<HashMap<Bytes, u32>>; SHARDS],
}

impl Default for ExpiringIds {
    fn default() -> Self {
        Self { shards: array::from_fn(|_| RwLock::default()) }
    }
}

impl ExpiringIds {
    pub(super) fn insert(&self, id: Uuid, exp: u32) {
        let mut ids = self.shard(id).write().unwrap_or_else(PoisonError::into_inner);
        let end = ids.entry(id.into_bytes()).or_default();
        *end = exp.max(*end);
    }

    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).contains_key(id.as_bytes())
    }

    /// Forgets what ended at `now` or before, and gives back room that is no longer needed.
    pub(super) fn prune(&self, now: u32) {
        for shard in &self.shards {
            let mut ids = shard.write().unwrap_or_else(PoisonError::into_inner);
            ids.retain(|_, exp| *exp > now);
            if ids.len() < ids.capacity() / 4 {
                ids.shrink_to_fit();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|ids| ids.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// The low bits are random in every version of UUID that tokens and sessions are given.
    fn shard(&self, id: Uuid) -> &RwLock<HashMap<Bytes, u32>> {
        let [.., last] = id.into_bytes();
        &self.shards[usize::from(last) % SHARDS]
    }
}

/// Seconds since the Unix epoch in half the space: to the year 2106, and what ends later does not end.
pub(super) fn expiry(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}
