//! The replicas of the service as a balancer has them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::Client;

/// A process: which place it stands in, and which one it is of all that stood there.
#[derive(Clone, Copy)]
pub struct ProcessId {
    place: usize,
    number: usize,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "replica {}.{}", self.place, self.number)
    }
}

struct Place {
    client: Client,
    /// Whether requests are sent there.
    is_in: bool,
    /// Which process it is, of all that stood there.
    process: usize,
    /// How many of these were killed, the first ones.
    killed: usize,
    /// Another one is held by each request that it has not answered.
    asked: Arc<()>,
}

/// They are asked in turn, about the same sessions.
pub struct Replicas {
    places: Mutex<Vec<Place>>,
    turn: AtomicUsize,
}

/// One that a request is sent to; held until the request is answered.
pub struct Chosen {
    pub client: Client,
    pub process: ProcessId,
    _asked: Arc<()>,
}

impl Replicas {
    pub fn new(clients: Vec<Client>) -> Self {
        let place = |client| Place { client, is_in: true, process: 0, killed: 0, asked: Arc::default() };
        Self { places: Mutex::new(clients.into_iter().map(place).collect()), turn: AtomicUsize::new(0) }
    }

    /// The next one that requests are sent to.
    pub fn next(&self) -> Chosen {
        let places = self.places();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let inside: Vec<_> = places.iter().enumerate().filter(|(_, place)| place.is_in).collect();
        let (place, found) = inside[turn % inside.len()];
        let process = ProcessId { place, number: found.process };
        Chosen { client: found.client, process, _asked: found.asked.clone() }
    }

    /// Whether a request to it may have no answer, since that process was killed.
    pub fn is_gone(&self, process: ProcessId) -> bool {
        process.number < self.places()[process.place].killed
    }

    /// Sends nothing more there.
    pub fn leave_out(&self, place: usize) {
        self.places()[place].is_in = false;
    }

    /// Whether the one in that place has answered all that it was asked.
    pub fn has_answered_all(&self, place: usize) -> bool {
        Arc::strong_count(&self.places()[place].asked) == 1
    }

    /// Takes note that it is killed; requests still go there.
    pub fn is_killed(&self, place: usize) {
        let place = &mut self.places()[place];
        place.killed = place.process + 1;
    }

    /// Puts another process in its place.
    pub fn put(&self, place: usize, client: Client) {
        let place = &mut self.places()[place];
        let (process, killed) = (place.process + 1, place.killed);
        *place = Place { client, is_in: true, process, killed, asked: Arc::default() };
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
