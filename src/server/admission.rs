//! How many connections there may be, and whose.
//!
//! - Nobody has more than their share: one place (an IPv6 network of 64 bits counts as one) has a bound of
//!   its own. Trusted proxies have none, since they speak for many.
//! - A part of all connections is kept for health checks: whoever fills the rest does not get the service
//!   started anew by those who watch it. A connection out of that part is short: one request, and soon.
//! - What has no place there either is refused at once. Nobody is left to wait in the kernel's queue.
//! - When many have gone, whoever waits for that is told, since what they had of memory can be given back.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Limits, Unbounded};
use crate::domain::place::Place;

/// How many of all connections are kept for health checks.
pub(super) const KEPT_FOR_HEALTH: usize = 64;

/// How many of those one place may have. Load balancers check from several addresses, each over a few
/// connections.
const KEPT_PER_PLACE: usize = KEPT_FOR_HEALTH / 4;

/// How many connections have to go, and at least half of them, before it is worth a look at the memory
/// that they had: some 10 MiB.
const EBB: usize = 256;

/// How often it is said that a bound was reached.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Counts connections.
pub(super) struct Admission {
    /// Without those that are kept for health checks.
    bound: usize,
    bound_per_place: usize,
    unbounded: Unbounded,
    counts: Mutex<Counts>,
    ebb: Notify,
}

#[derive(Default)]
struct Counts {
    all: Open,
    /// The most that there were at once since the last ebb.
    most: usize,
    places: HashMap<Place, Open>,
    said_of_place: Option<Instant>,
    said_of_all: Option<Instant>,
}

/// How many connections are open.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Within the bounds.
    within: usize,
    /// Beyond them.
    beyond: usize,
}

impl Open {
    fn count(&mut self, is_beyond: bool) -> &mut usize {
        if is_beyond { &mut self.beyond } else { &mut self.within }
    }

    fn sum(self) -> usize {
        self.within + self.beyond
    }
}

impl Counts {
    /// Whether many have gone since there were most; if so, that is counted anew.
    fn has_ebbed(&mut self) -> bool {
        let open = self.all.sum();
        let has_ebbed = self.most - open >= EBB && open <= self.most / 2;
        if has_ebbed {
            self.most = open;
        }
        has_ebbed
    }
}

/// A connection's place; dropping it makes room for another one.
pub(super) struct Permit {
    admission: Arc<Admission>,
    place: Place,
    is_beyond: bool,
}

impl Permit {
    /// Whether the connection is one of those that are kept for health checks.
    pub(super) fn is_beyond(&self) -> bool {
        self.is_beyond
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        *counts.all.count(self.is_beyond) -= 1;
        if let Some(open) = counts.places.get_mut(&self.place) {
            *open.count(self.is_beyond) -= 1;
            if open.sum() == 0 {
                counts.places.remove(&self.place);
            }
        }
        if counts.has_ebbed() {
            self.admission.ebb.notify_one();
        }
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            bound: limits.max_connections.saturating_sub(KEPT_FOR_HEALTH),
            bound_per_place: limits.max_connections_per_address,
            unbounded: limits.unbounded.clone(),
            counts: Mutex::default(),
            ebb: Notify::new(),
        })
    }

    /// Waits until many connections have gone: [`EBB`], and half of those that there were.
    pub(super) async fn ebb(&self) {
        self.ebb.notified().await;
    }

    /// Lets a connection in, if there is any place for it.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Permit> {
        let (peer, place) = (peer.to_canonical(), Place::of(Some(peer)));
        let mut counts = self.lock();
        let Open { within, beyond } = counts.places.get(&place).copied().unwrap_or_default();
        let is_unbounded = self.unbounded.contains(peer);
        let is_full = counts.all.within >= self.bound;
        let is_beyond = is_full || (within >= self.bound_per_place && !is_unbounded);
        if is_full && is_due(&mut counts.said_of_all) {
            tracing::warn!(
                connections = self.bound,
                "http.max_connections is reached: further ones are refused, but for health checks"
            );
        } else if is_beyond && !is_full && is_due(&mut counts.said_of_place) {
            tracing::warn!(
                address = %peer,
                connections = self.bound_per_place,
                "one address has all connections that http.max_connections_per_address allows: further ones from \
                 there are refused; if it is a proxy's, name it in trusted_proxies"
            );
        }
        if is_beyond && (counts.all.beyond >= KEPT_FOR_HEALTH || beyond >= KEPT_PER_PLACE) {
            return None;
        }
        *counts.all.count(is_beyond) += 1;
        counts.most = counts.most.max(counts.all.sum());
        *counts.places.entry(place).or_default().count(is_beyond) += 1;
        drop(counts);
        Some(Permit { admission: self.clone(), place, is_beyond })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something is to be said again; if so, it counts as said.
fn is_due(said: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let is_due = said.is_none_or(|said| now - said >= WARN_EVERY);
    if is_due {
        *said = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(all: usize, per_place: usize, unbounded: &str) -> Arc<Admission> {
        let unbounded = unbounded.split_whitespace().map(|network| network.parse().expect("a network"));
        Admission::new(&Limits {
            max_connections: all + KEPT_FOR_HEALTH,
            max_connections_per_address: per_place,
            unbounded: Unbounded::new(unbounded.collect()),
            ..Limits::of_tests()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many connections from there are within the bounds, and how many beyond.
    fn fill(admission: &Arc<Admission>, peer: &str, permits: &mut Vec<Permit>) -> (usize, usize) {
        let before = permits.len();
        while let Some(permit) = admission.admit(ip(peer)) {
            permits.push(permit);
        }
        let beyond = permits[before..].iter().filter(|permit| permit.is_beyond()).count();
        (permits.len() - before - beyond, beyond)
    }

    #[tokio::test]
    async fn one_place_has_its_share_and_others_have_theirs() {
        let (admission, mut permits) = (admission(100, 10, ""), Vec::new());
        for peer in ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::1", "2001:db8:0:1::1"] {
            assert_eq!(fill(&admission, peer, &mut permits).0, 10, "{peer}");
        }
        // The same household, and the same address in other clothes.
        for peer in ["2001:db8::2", "192.0.2.3"] {
            assert_eq!(fill(&admission, peer, &mut permits).0, 0, "{peer}");
        }
    }

    #[tokio::test]
    async fn what_is_kept_for_health_checks_no_place_has_alone() {
        let (admission, mut permits) = (admission(100, 1_000, ""), Vec::new());
        assert_eq!(fill(&admission, "192.0.2.1", &mut permits), (100, KEPT_PER_PLACE));
        for peer in ["192.0.2.2", "192.0.2.3", "192.0.2.4"] {
            assert_eq!(fill(&admission, peer, &mut permits), (0, KEPT_PER_PLACE), "{peer}");
        }
        assert_eq!(fill(&admission, "192.0.2.5", &mut permits), (0, 0), "all of them");
        permits.clear();
        assert!(admission.lock().places.is_empty(), "nobody is remembered who has left");
        assert_eq!(fill(&admission, "192.0.2.5", &mut permits), (100, KEPT_PER_PLACE));
    }

    #[tokio::test]
    async fn a_trusted_proxy_speaks_for_many() {
        let (admission, mut permits) = (admission(100, 10, "10.0.0.0/8"), Vec::new());
        assert_eq!(fill(&admission, "192.0.2.1", &mut permits).0, 10);
        assert_eq!(fill(&admission, "::ffff:10.1.2.3", &mut permits).0, 90);
    }

    #[tokio::test]
    async fn who_is_a_trusted_proxy_can_change() {
        let (admission, mut permits) = (admission(100, 10, "10.0.0.0/8"), Vec::new());
        assert_eq!(fill(&admission, "192.0.2.1", &mut permits).0, 10);
        admission.unbounded.change(vec!["192.0.2.0/24".parse().expect("a network")]);
        assert_eq!(fill(&admission, "10.1.2.3", &mut permits).0, 10);
        assert_eq!(fill(&admission, "192.0.2.1", &mut permits).0, 80);
    }

    #[tokio::test]
    async fn it_is_told_when_half_of_many_have_gone() {
        async fn has_ebbed(admission: &Admission) -> bool {
            tokio::select! {
                biased;
                () = admission.ebb() => true,
                () = std::future::ready(()) => false,
            }
        }
        let (admission, mut permits) = (admission(4 * EBB, 4 * EBB, ""), Vec::new());
        let places = |count| std::iter::repeat_n(ip("192.0.2.1"), count);
        let come = |permits: &mut Vec<_>, count| {
            permits.extend(places(count).filter_map(|peer| admission.admit(peer)));
        };
        come(&mut permits, EBB - 1);
        permits.clear();
        assert!(!has_ebbed(&admission).await, "few");
        come(&mut permits, 3 * EBB);
        permits.truncate(3 * EBB / 2 + 1);
        assert!(!has_ebbed(&admission).await, "not half of them");
        permits.truncate(3 * EBB / 2);
        assert!(has_ebbed(&admission).await);
        permits.truncate(EBB);
        assert!(!has_ebbed(&admission).await, "few since then");
        permits.clear();
        assert!(has_ebbed(&admission).await, "the rest");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bound_that_is_reached_is_told_once_a_minute() {
        let mut said = None;
        assert!(is_due(&mut said));
        assert!(!is_due(&mut said));
        tokio::time::advance(WARN_EVERY - Duration::from_millis(1)).await;
        assert!(!is_due(&mut said));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(is_due(&mut said));
        assert!(!is_due(&mut said));
    }
}
