//! Names for requests: each is another one, which is all that they are for. Nobody is kept from guessing them.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::domain::random::Random;

/// An odd number: multiples of it by the numbers of so many bits are all different.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The bits of a UUID's second half that are not its variant's.
const BITS: u32 = 62;

/// The ids of one process. They begin by chance, so that no two processes have the same.
pub(super) struct RequestIds {
    process: u64,
    begin: u64,
    asked: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        let (process, begin) = Uuid::from_bytes(bytes).as_u64_pair();
        Self { process, begin, asked: AtomicU64::new(0) }
    }

    /// An id that was not answered before, in the form of a version 4 UUID (RFC 9562 5.4).
    pub(super) fn next(&self) -> Uuid {
        let number = self.begin.wrapping_add(self.asked.fetch_add(1, Ordering::Relaxed));
        let spread = number.wrapping_mul(STEP) & ((1 << BITS) - 1);
        uuid::Builder::from_bytes(Uuid::from_u64_pair(self.process, spread).into_bytes())
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    struct Byte(u8);

    impl Random for Byte {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn no_two_requests_have_the_same_id_nor_do_two_processes() {
        let processes = [RequestIds::new(&Byte(0)), RequestIds::new(&Byte(0xff)), RequestIds::new(&Byte(7))];
        let ids: Vec<Uuid> = processes.iter().flat_map(|ids| (0..50_000).map(|_| ids.next())).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.get_version_num() == 4 && id.get_variant() == uuid::Variant::RFC4122));
    }
}
