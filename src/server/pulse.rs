//! What a connection is doing, and how long it may go on doing that.
//!
//! hyper's own limits do not tell a client that waits between two requests from one that sends half of
//! one, and there are none for a client that does not read. So the transport below hyper and the answers
//! above it say here what happens, and [`Pulse::due`] says when enough is enough.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// How long a connection that was told to end may take when nothing goes on there any more.
const PARTING: Duration = Duration::from_secs(1);

/// How long a request may be on its way when the service stops, which would be lost: since its connection was opened, where it is
/// the first one, or since its first byte. (Go's `net/http` waits for five seconds.)
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// A connection without a request, before the first one and between two.
    pub(super) keep_alive: Duration,
    /// The line and headers of a request, from their first byte on.
    pub(super) header_timeout: Duration,
    /// An answer that waits to be sent, between two of its bytes.
    pub(super) write_timeout: Duration,
    /// Whether the connection ends with its first answer, and without one as soon as it is idle.
    pub(super) is_single: bool,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Verdict {
    /// There was no request for too long.
    #[error("no request came")]
    Idle,
    /// A request began to come and did not go on.
    #[error("the head of a request did not come in time")]
    HalfSent,
    /// An answer waits and the client does not take it.
    #[error("the client does not read")]
    Stalled,
    /// It was told to end, has nothing more to do, and is still there.
    #[error("the client does not part")]
    Lingers,
}

/// Of one connection; shared by all that see a part of it.
pub(super) struct Pulse {
    state: Mutex<State>,
    /// Of the task that keeps the time. HTTP/2 answers are written by tasks of their own.
    waker: AtomicWaker,
}

struct State {
    is_http2: bool,
    /// Whether it is to end with its first request, or without one soon.
    is_stopping: bool,
    has_asked: bool,
    /// Requests whose answer is not yet handed over to the protocol.
    in_flight: usize,
    /// Pieces of answers that are handed over and not yet sent.
    unsent: usize,
    /// When one of those moved on.
    moved: Instant,
    /// Since when the transport takes no more bytes.
    blocked: Option<Instant>,
    /// When the head of the next request began to come.
    first_byte: Option<Instant>,
    /// Since when there is nothing to do.
    idle: Instant,
    /// Since when the connection is to end.
    parting: Option<Instant>,
    is_to_be_reset: bool,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            is_http2: false,
            is_stopping: false,
            has_asked: false,
            in_flight: 0,
            unsent: 0,
            moved: now,
            blocked: None,
            first_byte: None,
            idle: now,
            parting: None,
            is_to_be_reset: false,
        };
        Arc::new(Self { state: Mutex::new(state), waker: AtomicWaker::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the transport says.

    /// Bytes came.
    pub(super) fn received(&self) {
        let mut state = self.lock();
        // Of HTTP/2 frames it is not known here what they are: a PING is none of a request.
        if !state.is_http2 && state.in_flight == 0 && state.first_byte.is_none() {
            state.first_byte = Some(Instant::now());
        }
    }

    /// They are those that every HTTP/2 connection begins with.
    pub(super) fn speaks_http2(&self) {
        let mut state = self.lock();
        (state.is_http2, state.first_byte, state.idle) = (true, None, Instant::now());
    }

    /// The client takes no more bytes just now.
    pub(super) fn blocked(&self) {
        let mut state = self.lock();
        state.blocked.get_or_insert_with(Instant::now);
    }

    /// It has taken some.
    pub(super) fn wrote(&self) {
        let mut state = self.lock();
        state.blocked = None;
        // In HTTP/2 it may have been the answer to a PING.
        if !state.is_http2 && state.in_flight == 0 {
            state.idle = Instant::now();
        }
    }

    /// Whether what is unsent is to be thrown away when the connection is closed.
    pub(super) fn is_to_be_reset(&self) -> bool {
        self.lock().is_to_be_reset
    }

    // What requests and answers say.

    /// The head of a request is complete.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = self.lock();
        state.in_flight += 1;
        (state.has_asked, state.first_byte) = (true, None);
        InFlight(self.clone())
    }

    /// A piece of an answer is handed over to the protocol.
    pub(super) fn owe(self: &Arc<Self>) -> Owed {
        let mut state = self.lock();
        if state.unsent == 0 {
            state.moved = Instant::now();
        }
        state.unsent += 1;
        self.wake(&state);
        Owed(self.clone())
    }

    /// Whether a request came at all.
    pub(super) fn has_asked(&self) -> bool {
        self.lock().has_asked
    }

    /// HTTP/1 goes on in the task that keeps the time, which looks again anyway.
    fn wake(&self, state: &State) {
        if state.is_http2 {
            self.waker.wake();
        }
    }

    // What the one who keeps the time asks.

    /// To be called before [`due`](Self::due): what changes after that rings.
    pub(super) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The service stops.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
    }

    /// Whether it does.
    pub(super) fn is_stopping(&self) -> bool {
        self.lock().is_stopping
    }

    /// The connection is to end when what runs is finished.
    pub(super) fn part(&self) {
        self.lock().parting.get_or_insert_with(Instant::now);
    }

    /// The connection is closed at once, and what the kernel still has to send is thrown away: it would try
    /// for many minutes.
    pub(super) fn reset(&self) {
        self.lock().is_to_be_reset = true;
    }

    /// When the connection has to end if nothing happens, and why then.
    pub(super) fn due(&self, pace: &Pace) -> Option<(Instant, Verdict)> {
        let state = self.lock();
        let stuck = [state.blocked, (state.unsent > 0).then_some(state.moved)];
        let stalled = stuck.into_iter().flatten().min();
        if let Some(since) = stalled {
            return Some((since + pace.write_timeout, Verdict::Stalled));
        }
        if state.in_flight > 0 {
            return None;
        }
        Some(match (state.first_byte, state.parting) {
            (Some(since), _) if state.is_stopping => {
                (since + LAST_REQUEST.min(pace.header_timeout), Verdict::HalfSent)
            }
            (Some(since), _) => (since + pace.header_timeout, Verdict::HalfSent),
            (None, Some(since)) => (since.max(state.idle) + PARTING, Verdict::Lingers),
            // It has not asked yet: one that has is parting by then.
            (None, None) if state.is_stopping => {
                (state.idle + LAST_REQUEST.min(pace.keep_alive), Verdict::Idle)
            }
            (None, None) => (state.idle + pace.keep_alive, Verdict::Idle),
        })
    }
}

/// A request that is not answered yet.
pub(super) struct InFlight(Arc<Pulse>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.idle = Instant::now();
            self.0.wake(&state);
        }
    }
}

/// A piece of an answer that is not sent yet.
pub(super) struct Owed(Arc<Pulse>);

impl Owed {
    /// Some of it was taken.
    pub(super) fn moved(&self) {
        self.0.lock().moved = Instant::now();
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let now = Instant::now();
        state.moved = now;
        state.unsent -= 1;
        if state.unsent == 0 && state.in_flight == 0 {
            state.idle = now;
            self.0.wake(&state);
        }
    }
}
