//! Buckets in this process' memory.
//!
//! Not in the file, as an attempt must not wait for the disk: each login would write to it several
//! times, most of all while somebody tries passwords. What a restart forgets is a few minutes of
//! failed attempts, and nobody outside can bring a restart about.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::clock::Timestamp;
use crate::domain::rate_limit::{Bucket, BucketId, Fill, Rate};

/// How many buckets are kept at most, some 20 MB. Who comes from ever new addresses makes one with
/// each attempt.
const BUCKETS_MAX: usize = 100_000;

/// All buckets that are not empty.
#[derive(Debug)]
pub(super) struct Buckets {
    filled: Mutex<Filled>,
    max: usize,
}

#[derive(Debug, Default)]
struct Filled {
    by_id: HashMap<BucketId, (Fill, Rate)>,
    /// When each is empty: the next to be forgotten comes first.
    by_end: BTreeSet<(Timestamp, BucketId)>,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self::with_room_for(BUCKETS_MAX)
    }

    fn with_room_for(max: usize) -> Self {
        Self { filled: Mutex::default(), max }
    }

    /// Takes one; answers the bucket after that, and whether there was room.
    pub(super) fn take(&self, bucket: &Bucket, now: Timestamp) -> (Fill, bool) {
        let mut filled = self.lock();
        let (fill, admitted) = filled.find(bucket, now).take(bucket.rate, now);
        if admitted {
            filled.put(bucket, fill);
            filled.forget(now, self.max);
        }
        (fill, admitted)
    }

    /// Gives one back; answers the bucket after that.
    pub(super) fn give_back(&self, bucket: &Bucket, now: Timestamp) -> Fill {
        let mut filled = self.lock();
        let fill = filled.find(bucket, now).give_back(bucket.rate, now);
        filled.put(bucket, fill);
        filled.forget(now, self.max);
        fill
    }

    fn lock(&self) -> MutexGuard<'_, Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filled {
    fn find(&self, bucket: &Bucket, now: Timestamp) -> Fill {
        self.by_id.get(&bucket.id).map_or(Fill::empty(now), |(fill, _)| *fill)
    }

    fn put(&mut self, bucket: &Bucket, fill: Fill) {
        self.remove(bucket.id);
        if fill.units > 0 {
            self.by_id.insert(bucket.id, (fill, bucket.rate));
            self.by_end.insert((fill.empty_at(bucket.rate), bucket.id));
        }
    }

    fn remove(&mut self, id: BucketId) {
        if let Some((fill, rate)) = self.by_id.remove(&id) {
            self.by_end.remove(&(fill.empty_at(rate), id));
        }
    }

    /// Forgets the buckets that are empty by now and, where there are more than `max`, those that
    /// would be next: they have hardly been used. An exhausted one stays, however many new ones
    /// somebody makes to push it out.
    fn forget(&mut self, now: Timestamp, max: usize) {
        while let Some((end, id)) = self.by_end.first().copied() {
            if now < end && self.by_id.len() <= max {
                break;
            }
            self.by_end.remove(&(end, id));
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(2_000_000_000_000);

    fn bucket(number: u64) -> Bucket {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let rate = Rate::new(10, Duration::from_secs(10)).expect("a rate");
        Bucket { id: BucketId::new(id), rate }
    }

    fn sizes(buckets: &Buckets) -> (usize, usize) {
        let filled = buckets.lock();
        (filled.by_id.len(), filled.by_end.len())
    }

    #[test]
    fn empty_buckets_take_no_room() {
        let buckets = Buckets::new();
        for number in 0..1_000 {
            buckets.take(&bucket(number), START);
        }
        assert_eq!(sizes(&buckets), (1_000, 1_000));
        buckets.take(&bucket(1_000), START.after(Duration::from_millis(999)));
        assert_eq!(sizes(&buckets), (1_001, 1_001));
        buckets.take(&bucket(1_001), START.after(Duration::from_secs(1)));
        assert_eq!(sizes(&buckets), (2, 2));
        for number in [1_000, 1_001] {
            buckets.give_back(&bucket(number), START.after(Duration::from_secs(1)));
        }
        assert_eq!(sizes(&buckets), (0, 0));
    }

    #[test]
    fn a_flood_of_new_buckets_pushes_no_exhausted_one_out() {
        let buckets = Buckets::with_room_for(100);
        let exhausted = bucket(0);
        for _ in 0..10 {
            assert!(buckets.take(&exhausted, START).1);
        }
        for number in 1..10_000 {
            buckets.take(&bucket(number), START);
        }
        assert_eq!(sizes(&buckets), (100, 100));
        assert!(!buckets.take(&exhausted, START).1);
    }
}
