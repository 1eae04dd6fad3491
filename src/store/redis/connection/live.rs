//! An open connection.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, RedisError};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::sentinel::Place;
use super::verdict::{Verdict, verdict};
use crate::store::redis::wire::Wire;

/// How old a connection is at least that is given up for what the server answered.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// An open connection and which one it is, so that a late failure does not close its successor.
#[derive(Clone)]
pub(in crate::store::redis) struct Live {
    pub(super) number: u64,
    pub(super) handle: MultiplexedConnection,
    /// Which server it leads to, and which history of it.
    pub(super) server: Arc<str>,
    pub(super) wire: Arc<Wire>,
    pub(super) opened: Instant,
    /// Where it was opened to.
    pub(super) address: Arc<ConnectionAddr>,
    /// Where Sentinels have said that the master is.
    pub(super) place: Option<Arc<Place>>,
    /// Carries the bytes as long as a clone of this is held.
    pub(super) _driver: Arc<Driver>,
}

impl Live {
    /// What commands are sent over.
    pub(in crate::store::redis) fn redis(&mut self) -> &mut MultiplexedConnection {
        &mut self.handle
    }

    /// Whether what it answered says that another server is to be looked for. A server that stays what it is would
    /// be connected to anew with every request, were a new connection given up for it.
    pub(super) fn is_to_be_left(&self, error: &RedisError) -> bool {
        verdict(error) == Verdict::LookElsewhere && self.opened.elapsed() >= SECOND_LOOK
    }

    /// Whether a failed command can be sent again: it is known that nothing of it went out, since
    /// nothing at all did while it was waiting.
    pub(super) fn has_kept_to_itself(&self, written_before: u64, error: &RedisError) -> bool {
        error.is_io_error() && self.wire.written() == written_before
    }
}

/// The task that carries a connection's bytes; it ends with this.
pub(super) struct Driver(pub(super) AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
