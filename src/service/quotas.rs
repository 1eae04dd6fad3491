//! What is left of a visitor's quotas, recorded while a request is served and told with its answer.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::rate_limit::{Bucket, BucketId, Level, Rate};

/// A limit that a request came under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit's name, which is that of its setting below `rate_limits`.
    pub name: &'static str,
    /// How much is allowed to one place.
    pub rate: Rate,
    /// What is left; `None` where nothing was counted, or where it is not for this visitor to know.
    pub level: Option<Level>,
}

/// Records the limits that one request comes under. Clones share the record.
#[derive(Clone, Debug, Default)]
pub struct QuotaLog(Arc<Mutex<Vec<Recorded>>>);

/// A limit, what is left in each of its buckets that the request has come to, and whether that may be told.
#[derive(Clone, Debug)]
struct Recorded {
    name: &'static str,
    rate: Rate,
    levels: Vec<(BucketId, Level)>,
    is_told: bool,
}

impl Recorded {
    fn seen(&self) -> Quota {
        let levels = self.levels.iter().map(|(_, level)| *level);
        let least = levels.min_by_key(|level| (level.remaining, Reverse(level.more_in)));
        Quota { name: self.name, rate: self.rate, level: least.filter(|_| self.is_told) }
    }
}

impl QuotaLog {
    /// The limits so far, in the order in which the request came under them.
    pub fn quotas(&self) -> Vec<Quota> {
        self.lock().iter().map(Recorded::seen).collect()
    }

    /// Records that a limit applies, before anything is counted.
    pub(super) fn announce(&self, name: &'static str, rate: Rate) {
        let mut recorded = self.lock();
        if recorded.iter().all(|known| known.name != name) {
            recorded.push(Recorded { name, rate, levels: Vec::new(), is_told: false });
        }
    }

    /// Records what is left in a bucket of the limit; a later record replaces an earlier one. The level may be
    /// told where one of the limit's buckets `is_told`.
    pub(super) fn record(&self, name: &'static str, bucket: &Bucket, level: Level, is_told: bool) {
        let Bucket { id, rate } = *bucket;
        self.announce(name, rate);
        let mut recorded = self.lock();
        if let Some(known) = recorded.iter_mut().find(|known| known.name == name) {
            known.levels.retain(|(known, _)| *known != id);
            known.levels.push((id, level));
            known.is_told |= is_told;
        }
    }

    /// Lets the visitor know also what is left for their account: they have shown its password.
    pub(super) fn tell_all(&self) {
        self.lock().iter_mut().for_each(|known| known.is_told = true);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
