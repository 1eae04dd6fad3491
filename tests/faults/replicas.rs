//! The replicas of the service as a balancer has them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Client;

#[derive(Clone, Copy)]
struct Place {
    client: Client,
    /// Whether requests are sent there.
    is_in: bool,
    /// Which process it is, of all that stood there.
    process: usize,
    /// How many of these were killed, the first ones.
    killed: usize,
}

/// They are asked in turn, about the same sessions.
pub struct Replicas {
    places: Mutex<Vec<Place>>,
    turn: AtomicUsize,
}

/// One that a request is sent to.
#[derive(Clone, Copy)]
pub struct Chosen {
    pub client: Client,
    place: usize,
    process: usize,
}

impl fmt::Display for Chosen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "replica {}.{}", self.place, self.process)
    }
}

impl Replicas {
    pub fn new(clients: Vec<Client>) -> Self {
        let place = |client| Place { client, is_in: true, process: 0, killed: 0 };
        Self { places: Mutex::new(clients.into_iter().map(place).collect()), turn: AtomicUsize::new(0) }
    }

    /// The next one that requests are sent to.
    pub fn next(&self) -> Chosen {
        let places = self.places();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let inside: Vec<_> = places.iter().enumerate().filter(|(_, place)| place.is_in).collect();
        let (place, found) = inside[turn % inside.len()];
        Chosen { client: found.client, place, process: found.process }
    }

    /// Whether a request to it may have no answer, since that process was killed.
    pub fn is_gone(&self, chosen: Chosen) -> bool {
        chosen.process < self.places()[chosen.place].killed
    }

    /// Sends nothing more there.
    pub fn leave_out(&self, place: usize) {
        self.places()[place].is_in = false;
    }

    /// Takes note that it is killed; requests still go there.
    pub fn is_killed(&self, place: usize) {
        let place = &mut self.places()[place];
        place.killed = place.process + 1;
    }

    /// Puts another process in its place.
    pub fn put(&self, place: usize, client: Client) {
        let place = &mut self.places()[place];
        *place = Place { client, is_in: true, process: place.process + 1, killed: place.killed };
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
