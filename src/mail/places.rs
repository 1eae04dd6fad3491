//! The places in the queue, and the turns at the server: who gets one, and who gives way.
//!
//! Anybody can have mails sent to addresses that take none. So password resets have places and a turn of
//! their own, a recipient's domain never has more places than are left for all others, and a mail that the
//! server has not taken gives way to one that it was not asked about yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use crate::domain::email::Email;
use crate::service::mail::Notice;

/// How the queue behaves.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// The most mails that are held, those that wait for another try among them: half of them password resets,
    /// half all others.
    pub capacity: usize,
    /// How many are sent at the same time.
    pub at_once: usize,
    /// How long to wait before the second try; doubled from try to try.
    pub first_pause: Duration,
    /// The longest wait between two tries.
    pub longest_pause: Duration,
    /// How long a mail is tried that the server refuses for now and that is no password reset.
    pub patience: Duration,
}

impl Default for QueueOptions {
    /// A thousand mails are about 10 MB; four connections are what providers grant anybody. Who tries a
    /// stranger's mail again after a quarter of an hour is no greylist, which asks for five minutes.
    fn default() -> Self {
        Self {
            capacity: 1000,
            at_once: 4,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(5 * 60),
            patience: Duration::from_secs(15 * 60),
        }
    }
}

/// What share a mail has part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Share {
    /// Password resets.
    Resets,
    /// All others.
    Rest,
}

/// The places and the turns. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// How many places either share has.
    capacity: usize,
    /// How many turns mails of one share to one domain have at once.
    turns_of_domain: usize,
    turns: Semaphore,
    /// One turn less: that one is for resets.
    turns_of_rest: Semaphore,
}

#[derive(Default)]
struct State {
    next_number: u64,
    held: BTreeMap<u64, Held>,
    /// How many places are held for each share and domain, and who of these has a turn.
    domains: HashMap<(Share, String), (usize, Arc<Semaphore>)>,
}

struct Held {
    share: Share,
    domain: String,
    /// Set while the mail waits for another try; dropped without a word, it gives way.
    waits: Option<oneshot::Sender<()>>,
}

/// A place in the queue, until this is dropped.
pub(super) struct Place {
    inner: Arc<Inner>,
    share: Share,
    number: u64,
    turns_of_domain: Arc<Semaphore>,
}

/// The right to talk to the server, until this is dropped.
pub(super) struct Turn<'a> {
    _of_domain: SemaphorePermit<'a>,
    _of_rest: Option<SemaphorePermit<'a>>,
    _of_all: SemaphorePermit<'a>,
}

impl Places {
    pub(super) fn new(options: &QueueOptions) -> Self {
        let at_once = options.at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                capacity: (options.capacity / 2).max(1),
                turns_of_domain: (at_once / 2).max(1),
                turns: Semaphore::new(at_once),
                turns_of_rest: Semaphore::new((at_once - 1).max(1)),
            }),
        }
    }

    /// A place for a mail; `None` where there is none, and none that would give way.
    pub(super) fn take(&self, notice: &Notice, to: &Email) -> Option<Place> {
        let share = match notice {
            Notice::PasswordReset(_) => Share::Resets,
            Notice::VerifyEmail(_) | Notice::RegisteredAgain(_) | Notice::AlreadyRegistered => Share::Rest,
        };
        let domain = domain_of(to).to_owned();
        let inner = &self.inner;
        let mut state = inner.lock();
        let taken: usize = state.of_share(share).map(|(_, count)| count).sum();
        let of_domain = state.domains.get(&(share, domain.clone())).map_or(0, |(count, _)| *count);
        let left = inner.capacity.saturating_sub(taken);
        if left == 0 {
            state.make_room(share, None)?;
        } else if of_domain > 0 && of_domain >= left {
            state.make_room(share, Some(&domain))?;
        }
        let number = state.next_number;
        state.next_number += 1;
        let of_domain = state.domains.entry((share, domain.clone()));
        let (count, turns) =
            of_domain.or_insert_with(|| (0, Arc::new(Semaphore::new(inner.turns_of_domain))));
        *count += 1;
        let turns_of_domain = turns.clone();
        state.held.insert(number, Held { share, domain, waits: None });
        Some(Place { inner: inner.clone(), share, number, turns_of_domain })
    }

    /// How many places are held.
    pub(super) fn held(&self) -> usize {
        self.inner.lock().held.len()
    }
}

/// What stands behind the @.
fn domain_of(address: &Email) -> &str {
    let text = address.as_str();
    text.rsplit_once('@').map_or(text, |(_, domain)| domain)
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of_share(&self, share: Share) -> impl Iterator<Item = (&str, usize)> {
        let of_share = self.domains.iter().filter(move |((of, _), _)| *of == share);
        of_share.map(|((_, domain), (count, _))| (domain.as_str(), *count))
    }

    /// Lets the oldest mail give way that waits for another try: of `domain`, or else of the domain that has
    /// the most places. `None` where none waits.
    fn make_room(&mut self, share: Share, domain: Option<&str>) -> Option<()> {
        let waiting = || self.held.iter().filter(|(_, held)| held.share == share && held.waits.is_some());
        let places = |domain: &str| {
            let key = (share, domain.to_owned());
            self.domains.get(&key).map_or(0, |(count, _)| *count)
        };
        let oldest = match domain {
            Some(domain) => waiting().find(|(_, held)| held.domain == domain),
            // Of several the first, which is the oldest.
            None => waiting().rev().max_by_key(|(_, held)| places(&held.domain)),
        };
        let number = *oldest?.0;
        self.give_up(number);
        Some(())
    }

    fn give_up(&mut self, number: u64) {
        let Some(Held { share, domain, .. }) = self.held.remove(&number) else { return };
        let key = (share, domain);
        if let Some((count, _)) = self.domains.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.domains.remove(&key);
            }
        }
    }
}

impl Place {
    /// Waits for a turn at the server; `None` never comes, as turns are never closed.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        let of_domain = self.turns_of_domain.acquire().await.ok()?;
        let of_rest = match self.share {
            Share::Resets => None,
            Share::Rest => Some(self.inner.turns_of_rest.acquire().await.ok()?),
        };
        let of_all = self.inner.turns.acquire().await.ok()?;
        Some(Turn { _of_domain: of_domain, _of_rest: of_rest, _of_all: of_all })
    }

    /// Waits for something before another try. Answers whether the place was kept: it may have been given to
    /// another mail meanwhile.
    pub(super) async fn keeps_waiting(&self, pause: impl Future<Output = ()>) -> bool {
        let (waits, gives_way) = oneshot::channel();
        match self.inner.lock().held.get_mut(&self.number) {
            Some(held) => held.waits = Some(waits),
            None => return false,
        }
        tokio::select! {
            () = pause => {}
            // Nothing is ever sent.
            _ = gives_way => return false,
        }
        let mut state = self.inner.lock();
        state.held.get_mut(&self.number).map(|held| held.waits = None).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inner.lock().give_up(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::domain::tokens::{ResetToken, VerificationToken};

    fn reset() -> Notice {
        Notice::PasswordReset(ResetToken::new("hp_pr_A"))
    }

    fn verification() -> Notice {
        Notice::VerifyEmail(VerificationToken::new("hp_ev_A"))
    }

    fn to(domain: &str) -> Email {
        Email::parse(&format!("ada@{domain}")).expect("an address")
    }

    fn places() -> Places {
        Places::new(&QueueOptions { capacity: 32, at_once: 4, ..QueueOptions::default() })
    }

    /// A mail that was tried, and waits for another try.
    fn defer(place: Place) -> BoxFuture<'static, bool> {
        let mut waits = async move { place.keeps_waiting(pending()).await }.boxed();
        assert!((&mut waits).now_or_never().is_none(), "it waits");
        waits
    }

    fn take(places: &Places, notice: &Notice, domain: &str, count: usize) -> Vec<Place> {
        std::iter::from_fn(|| places.take(notice, &to(domain))).take(count).collect()
    }

    #[tokio::test]
    async fn one_domain_takes_half_and_leaves_room_to_all_others() {
        let places = places();
        let evil = take(&places, &verification(), "evil.example", 100);
        assert_eq!(evil.len(), 8, "of sixteen");
        assert_eq!(
            take(&places, &verification(), "example.com", 100).len(),
            4,
            "and its places are free again"
        );
        assert_eq!(take(&places, &reset(), "evil.example", 100).len(), 8, "resets are another share");
        assert_eq!(places.held(), 8);
        drop(evil);
        assert_eq!(places.held(), 0);
    }

    #[tokio::test]
    async fn what_the_server_did_not_take_gives_way() {
        let places = places();
        let mut evil: Vec<_> =
            take(&places, &verification(), "evil.example", 8).into_iter().map(defer).collect();
        // The oldest of its own domain.
        let newcomer = places.take(&verification(), &to("evil.example")).expect("a place");
        assert_eq!((&mut evil[0]).now_or_never(), Some(false));
        assert!(evil[1..].iter_mut().all(|waits| waits.now_or_never().is_none()));
        drop(newcomer);
        // Where all places are taken, the oldest of whoever has the most.
        let domains: Vec<_> =
            (0..9).map(|n| places.take(&verification(), &to(&format!("d{n}.example")))).collect();
        assert!(domains.iter().all(Option::is_some) && places.held() == 16);
        let another = places.take(&verification(), &to("example.com"));
        assert!(another.is_some() && places.held() == 16);
        assert_eq!((&mut evil[1]).now_or_never(), Some(false));
        // A reset never gives way to others.
        let resets: Vec<_> = (0..16).map(|n| places.take(&reset(), &to(&format!("d{n}.example")))).collect();
        let mut resets: Vec<_> = resets.into_iter().map(|place| defer(place.expect("a place"))).collect();
        assert!(places.take(&verification(), &to("example.com")).is_some());
        assert!(resets.iter_mut().all(|waits| waits.now_or_never().is_none()));
    }

    #[tokio::test]
    async fn whoever_is_being_sent_does_not_give_way() {
        let places = places();
        let underway: Vec<_> =
            (0..16).map(|n| places.take(&verification(), &to(&format!("d{n}.example")))).collect();
        assert!(underway.iter().all(Option::is_some));
        assert!(places.take(&verification(), &to("example.com")).is_none());
    }

    #[tokio::test]
    async fn a_place_that_was_waited_for_is_kept_when_nobody_wants_it() {
        let places = places();
        let place = places.take(&verification(), &to("example.com")).expect("a place");
        assert!(place.keeps_waiting(async {}).await);
        assert!(place.keeps_waiting(async {}).await);
        drop(place);
        assert_eq!(places.held(), 0);
    }

    #[tokio::test]
    async fn one_turn_is_for_resets_and_half_of_them_for_a_domain() {
        let places = places();
        let evil = take(&places, &verification(), "evil.example", 3);
        let others: Vec<_> =
            (0..2).filter_map(|n| places.take(&verification(), &to(&format!("d{n}.example")))).collect();
        let reset = places.take(&reset(), &to("evil.example")).expect("a place");
        let turn = |place: &'static str, of: &Place| match of.turn().now_or_never() {
            Some(turn) => turn.is_some(),
            None => panic!("{place} waits"),
        };
        let first = evil[0].turn().now_or_never().expect("at once");
        let _second = evil[1].turn().now_or_never().expect("at once");
        assert!(evil[2].turn().now_or_never().is_none(), "two at once");
        let _third = others[0].turn().now_or_never().expect("another domain");
        assert!(others[1].turn().now_or_never().is_none(), "the fourth is for resets");
        assert!(turn("the reset", &reset));
        drop(first);
        assert!(turn("the other domain", &others[1]));
    }
}
