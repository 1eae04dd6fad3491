//! Who waits for a worker, and whose turn it is: places in turn, so that nobody waits behind all that
//! somebody else has sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{WAITING_PER_ACCOUNT, WAITING_PER_PLACE};
use crate::domain::place::Place;
use crate::domain::rate_limit::AccountMark;

/// For whom a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Where they are.
    pub place: Place,
    /// The account that it is about; `None` where that is nobody's to hold up.
    pub account: Option<AccountMark>,
}

/// The queue is full, as far as this requester goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Turns to work: so many at once, the others wait. Cheap to clone.
///
/// - Whose turn is next goes round the places that wait; of one place the first comes first.
/// - Of one place, and for one account, so many wait at most.
/// - Where all may not wait that want to, or all of an account, those give way that have come last from
///   the place with the most: a place that has but one in the queue is never refused for one that has
///   filled it.
#[derive(Clone)]
pub(super) struct Queue {
    state: Arc<Mutex<State>>,
}

struct State {
    /// How many turns there are that nobody has.
    free: usize,
    /// How many may wait.
    room: usize,
    waiting: usize,
    of_places: HashMap<Place, VecDeque<Waiting>>,
    of_accounts: HashMap<AccountMark, usize>,
    /// The places that wait, each once, in the order of their turns.
    order: VecDeque<Place>,
    next_number: u64,
}

struct Waiting {
    number: u64,
    account: Option<AccountMark>,
    /// Dropped without a word, it has to give way.
    go: oneshot::Sender<()>,
}

/// The right to work; whoever waits next has it when this is dropped.
pub(super) struct Turn {
    state: Arc<Mutex<State>>,
}

/// Somebody who waits for their turn, and gives their place up when this is dropped.
struct Waiter {
    state: Arc<Mutex<State>>,
    place: Place,
    number: u64,
    called: oneshot::Receiver<()>,
}

impl Queue {
    /// `turns` at once, and `room` for those who wait.
    pub(super) fn new(turns: usize, room: usize) -> Self {
        let state = State {
            free: turns,
            room,
            waiting: 0,
            of_places: HashMap::new(),
            of_accounts: HashMap::new(),
            order: VecDeque::new(),
            next_number: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Full`], at once or when others have to be let in.
    pub(super) async fn turn(&self, requester: Requester) -> Result<Turn, Full> {
        let mut waiter = {
            let mut state = lock(&self.state);
            // Whoever waits while a turn is free has been called already.
            if state.free > 0 {
                state.free -= 1;
                return Ok(Turn { state: self.state.clone() });
            }
            let (number, called) = state.let_in(requester)?;
            Waiter { state: self.state.clone(), place: requester.place, number, called }
        };
        (&mut waiter.called).await.map_err(|_| Full)?;
        Ok(Turn { state: self.state.clone() })
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).waiting
    }

    /// How many turns nobody has.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        lock(&self.state).free
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Lets one more wait, in the place of another if it must be.
    fn let_in(&mut self, requester: Requester) -> Result<(u64, oneshot::Receiver<()>), Full> {
        let Requester { place, account } = requester;
        if self.of_places.get(&place).map_or(0, VecDeque::len) >= WAITING_PER_PLACE {
            return Err(Full);
        }
        let of_account = account.and_then(|account| self.of_accounts.get(&account)).copied();
        if of_account.is_some_and(|waiting| waiting >= WAITING_PER_ACCOUNT) {
            self.make_room(place, account)?;
        }
        if self.waiting >= self.room {
            self.make_room(place, None)?;
        }
        let (go, called) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting += 1;
        if let Some(account) = account {
            *self.of_accounts.entry(account).or_default() += 1;
        }
        let of_place = self.of_places.entry(place).or_default();
        if of_place.is_empty() {
            self.order.push_back(place);
        }
        of_place.push_back(Waiting { number, account, go });
        Ok((number, called))
    }

    /// Sends the last away of the place that has the most who wait, for `account` where one is given: if
    /// they are more than those of `newcomer` will be.
    fn make_room(&mut self, newcomer: Place, account: Option<AccountMark>) -> Result<(), Full> {
        let counts = |waiting: &&Waiting| account.is_none() || waiting.account == account;
        let most = self
            .of_places
            .iter()
            .map(|(place, queue)| (queue.iter().filter(counts).count(), *place))
            .max_by_key(|(count, _)| *count);
        let of_newcomer =
            self.of_places.get(&newcomer).map_or(0, |queue| queue.iter().filter(counts).count());
        let (count, place) = most.ok_or(Full)?;
        if count <= of_newcomer + 1 {
            return Err(Full);
        }
        let queue = self.of_places.get(&place).ok_or(Full)?;
        let last = queue.iter().rev().find(counts).ok_or(Full)?.number;
        self.take_out(place, last);
        Ok(())
    }

    /// Takes somebody out of the queue; answers whether they were in it.
    fn take_out(&mut self, place: Place, number: u64) -> bool {
        let Some(queue) = self.of_places.get_mut(&place) else { return false };
        let Some(at) = queue.iter().position(|waiting| waiting.number == number) else { return false };
        let taken = queue.remove(at);
        if queue.is_empty() {
            self.of_places.remove(&place);
            self.order.retain(|other| *other != place);
        }
        if let Some(waiting) = taken {
            self.forget(waiting.account);
        }
        true
    }

    fn forget(&mut self, account: Option<AccountMark>) {
        self.waiting -= 1;
        let Some(account) = account else { return };
        if let Some(count) = self.of_accounts.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                self.of_accounts.remove(&account);
            }
        }
    }

    /// Hands a turn to whoever is next, if anybody waits.
    fn hand_on(&mut self) {
        while let Some(place) = self.order.pop_front() {
            let Some(queue) = self.of_places.get_mut(&place) else { continue };
            let Some(Waiting { account, go, .. }) = queue.pop_front() else { continue };
            match queue.is_empty() {
                true => drop(self.of_places.remove(&place)),
                false => self.order.push_back(place),
            }
            self.forget(account);
            // Whoever does not listen any more is just giving up their place.
            if go.send(()).is_ok() {
                return;
            }
        }
        self.free += 1;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.state).hand_on();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if !state.take_out(self.place, self.number) && self.called.try_recv().is_ok() {
            // Called in the moment of leaving.
            state.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    fn place(number: u8) -> Place {
        Place::Ipv4([192, 0, 2, number].into())
    }

    fn account(number: u8) -> Option<AccountMark> {
        Some(AccountMark::new([number; 16]))
    }

    fn from(place_number: u8, account_number: u8) -> Requester {
        Requester { place: place(place_number), account: account(account_number) }
    }

    type Waits = BoxFuture<'static, Result<Turn, Full>>;

    /// Somebody who begins to wait.
    fn wait(queue: &Queue, requester: Requester) -> Waits {
        let queue = queue.clone();
        let mut waits = async move { queue.turn(requester).await }.boxed();
        if let Some(outcome) = (&mut waits).now_or_never() {
            return async move { outcome }.boxed();
        }
        waits
    }

    fn is_refused(waits: &mut Waits) -> bool {
        waits.now_or_never().is_some_and(|outcome| outcome.is_err())
    }

    fn queue(room: usize) -> (Queue, Turn) {
        let queue = Queue::new(1, room);
        let turn = queue.turn(from(0, 0)).now_or_never().expect("at once").expect("free");
        (queue, turn)
    }

    /// Lets everybody have their turn; answers in which order.
    async fn order(first: Turn, waiting: BTreeMap<&'static str, Waits>) -> Vec<&'static str> {
        drop(first);
        let mut waiting: Vec<_> = waiting.into_iter().collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let mut called = None;
            waiting.retain_mut(|(name, waits)| match called {
                Some(_) => true,
                None => match waits.now_or_never() {
                    Some(Ok(turn)) => {
                        called = Some((*name, turn));
                        false
                    }
                    Some(Err(Full)) => panic!("{name} was refused"),
                    None => true,
                },
            });
            order.push(called.expect("somebody's turn").0);
        }
        order
    }

    #[tokio::test]
    async fn places_take_turns_however_many_each_sends() {
        let (queue, turn) = queue(64);
        let mut waiting = BTreeMap::new();
        for (name, requester) in [
            ("a1", from(1, 1)),
            ("a2", from(1, 2)),
            ("a3", from(1, 3)),
            ("b1", from(2, 4)),
            ("b2", from(2, 5)),
            ("c1", from(3, 6)),
        ] {
            waiting.insert(name, wait(&queue, requester));
        }
        assert_eq!(order(turn, waiting).await, ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert_eq!(queue.free(), 1);
    }

    #[tokio::test]
    async fn eight_of_a_place_wait_and_no_more_while_others_get_in() {
        let (queue, turn) = queue(64);
        let mut those: Vec<_> = (0..9).map(|number| wait(&queue, from(1, number))).collect();
        assert!(is_refused(&mut those[8]));
        let mut other = wait(&queue, from(2, 100));
        assert!(!is_refused(&mut other));
        drop(turn);
        let first = (&mut those[0]).now_or_never().expect("its turn").expect("a turn");
        drop(first);
        assert!(other.now_or_never().is_some_and(|outcome| outcome.is_ok()), "second, and not ninth");
    }

    #[tokio::test]
    async fn eight_wait_for_an_account_and_those_give_way_of_whom_there_are_more() {
        let (queue, _turn) = queue(64);
        let mut strangers: Vec<_> = (0..8).map(|_| wait(&queue, from(1, 7))).collect();
        let mut owner = wait(&queue, from(2, 7));
        assert!(!is_refused(&mut owner));
        assert!(is_refused(&mut strangers[7]), "the last that came");
        assert!(strangers[..7].iter_mut().all(|waits| !is_refused(waits)));
        // Another account of theirs is none of this one's business.
        assert!(!is_refused(&mut wait(&queue, from(1, 8))));
        // Each from a place of their own: nobody has more than the newcomer would.
        let (queue, _turn) = self::queue(64);
        let waiting: Vec<_> = (1..=8).map(|number| wait(&queue, from(number, 7))).collect();
        assert!(is_refused(&mut wait(&queue, from(9, 7))));
        drop(waiting);
        assert!(!is_refused(&mut wait(&queue, from(9, 7))));
    }

    #[tokio::test]
    async fn a_queue_filled_from_several_places_has_room_for_another() {
        let (queue, _turn) = queue(16);
        let mut full: Vec<_> = (0..16).map(|n| wait(&queue, from(1 + n / 8, n))).collect();
        let mut other = wait(&queue, from(9, 100));
        assert!(!is_refused(&mut other));
        assert_eq!(full.iter_mut().filter_map(|waits| waits.now_or_never()).count(), 1, "one gave way");
        // Those who filled it gain nothing by it.
        assert!(is_refused(&mut wait(&queue, from(1, 101))) || is_refused(&mut wait(&queue, from(2, 102))));
    }

    #[tokio::test]
    async fn who_leaves_in_the_moment_of_being_called_hands_the_turn_on() {
        let (queue, turn) = queue(64);
        let leaves = wait(&queue, from(1, 1));
        let next = wait(&queue, from(2, 2));
        drop(turn);
        drop(leaves);
        drop(next.now_or_never().expect("its turn").expect("a turn"));
        assert_eq!(queue.free(), 1);
        let state = lock(&queue.state);
        assert!(state.of_places.is_empty() && state.of_accounts.is_empty() && state.order.is_empty());
        assert_eq!(state.waiting, 0);
    }
}
