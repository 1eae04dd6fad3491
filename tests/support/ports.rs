//! Ports for servers of a test's own.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below those that a system gives to whoever connects, or listens at any: a server that is away for a while finds
/// its port free when it comes back. Ten thousand above each lies the bus of a node of a Cluster.
const RANGE: Range<u16> = 11_000..21_000;

/// A port that nobody listens at. This process hands it out once, until it has handed out all.
pub fn free_port() -> u16 {
    free_address().port()
}

/// The same, of loopback.
pub fn free_address() -> SocketAddr {
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    (0..RANGE.len()).map(|_| next()).find(is_free).expect("a port that nobody listens at")
}

/// Processes that run side by side begin at different places.
fn next() -> SocketAddr {
    static COUNT: OnceLock<AtomicUsize> = OnceLock::new();
    let count = COUNT.get_or_init(|| {
        let chance = RandomState::new().hash_one(std::process::id()) >> 33;
        AtomicUsize::new(usize::try_from(chance).expect("31 bits"))
    });
    let place = count.fetch_add(1, Ordering::Relaxed) % RANGE.len();
    let port = RANGE.start + u16::try_from(place).expect("a place in the range");
    (Ipv4Addr::LOCALHOST, port).into()
}
