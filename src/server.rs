//! The accept loop: HTTP/1.1 and HTTP/2 over TCP or a socket in the file system, with bounds that poem's own server lacks.
//!
//! - `admission`: how many connections there may be, and whose;
//! - `memory`: what they had, given back when many have gone;
//! - `connection`: one of them, from its first byte to its end;
//! - `pulse`: what it is doing, and how long it may go on doing that;
//! - `transport` and `answer`: what that is seen by, from below and from above.

mod admission;
mod answer;
mod connection;
mod listener;
mod memory;
mod pulse;
mod transport;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use poem::{Endpoint, Response};
use tokio::sync::watch;

use admission::{Admission, Permit};
use connection::{Ends, Stopping};
use listener::Accepted;
use pulse::Pace;
use transport::Stream;

pub use listener::Listener;

use crate::domain::causes::with_causes;

/// How long to let things settle when accepting fails (no file descriptors left).
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// How long a connection beyond the bounds may take for each of its steps: whoever waits for an answer
/// there has one, or a reset, within a second.
const BEYOND: Duration = Duration::from_millis(900);

/// How much of the service one client may have.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most connections at once.
    pub max_connections: usize,
    /// The most of them from one address (IPv6: one network of 64 bits).
    pub max_connections_per_address: usize,
    /// Whose connections the latter does not hold for.
    pub unbounded: Unbounded,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// How long a request's line and headers may take, from their first byte on.
    pub header_timeout: Duration,
    /// How long an answer waits for a client that takes nothing of it.
    pub write_timeout: Duration,
}

impl Limits {
    fn pace(&self, permit: &Permit) -> Pace {
        if permit.is_beyond() {
            return Pace {
                keep_alive: BEYOND,
                header_timeout: BEYOND,
                write_timeout: BEYOND,
                is_single: true,
            };
        }
        Pace {
            keep_alive: self.keep_alive,
            header_timeout: self.header_timeout,
            write_timeout: self.write_timeout,
            is_single: false,
        }
    }

    #[cfg(test)]
    fn of_tests() -> Self {
        Self {
            max_connections: 8192,
            max_connections_per_address: 2048,
            unbounded: Unbounded::default(),
            keep_alive: Duration::from_secs(75),
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// Networks whose connections have no bound of their own. They can change; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Unbounded(Arc<ArcSwap<Vec<IpNet>>>);

impl Unbounded {
    /// Those.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(networks)))
    }

    /// Others from now on. Connections that are open stay so.
    pub fn change(&self, networks: Vec<IpNet>) {
        self.0.store(Arc::new(networks));
    }

    fn contains(&self, peer: IpAddr) -> bool {
        self.0.load().iter().any(|network| network.contains(&peer))
    }
}

/// Whether the service is about to stop: clients that keep a connection are told then to open another one for
/// what comes next (`Connection: close`), so that none sends a request into one that just closes. Cheap to
/// clone.
#[derive(Clone, Debug, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// From now on.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves `endpoint` until `stop` resolves; then accepts what has come by then and nothing more, and lets what runs
/// finish for `grace` at most. Answers whether everything finished in time.
///
/// Requests on connections beyond the bounds bear
/// [`BeyondBounds`](crate::domain::crowd::BeyondBounds): what is to become of them is for the endpoint to
/// say.
pub async fn serve(
    listener: impl Into<Listener>,
    endpoint: impl Endpoint<Output = Response> + 'static,
    limits: &Limits,
    leaving: Leaving,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let listener = listener.into();
    let (tell, told) = watch::channel(());
    let stopping = Stopping { leaving, told };
    let server = Server { endpoint: Arc::new(endpoint), admission: Admission::new(limits), limits, stopping };
    let _memory = memory::keep_low(server.admission.clone());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => server.take(accepted),
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "no connection could be accepted");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
    for accepted in listener.close() {
        server.take(accepted);
    }
    drop(server);
    tell.send_replace(());
    tokio::time::timeout(grace, tell.closed()).await.is_ok()
}

/// What connections are served with.
struct Server<'a, E> {
    endpoint: Arc<E>,
    admission: Arc<Admission>,
    limits: &'a Limits,
    stopping: Stopping,
}

impl<E: Endpoint<Output = Response> + 'static> Server<'_, E> {
    /// Serves a connection, in a task of its own, if there is room for it.
    fn take(&self, accepted: Accepted) {
        let Some(permit) = self.admission.admit(accepted.place()) else {
            accepted.refuse();
            return;
        };
        let Ok(ends) = accepted.prepare() else { return };
        match accepted {
            Accepted::Tcp(stream, _) => self.spawn(stream, ends, permit),
            Accepted::Unix(stream) => self.spawn(stream, ends, permit),
        }
    }

    fn spawn(&self, stream: impl Stream, ends: Ends, permit: Permit) {
        let (endpoint, pace, stopping) =
            (self.endpoint.clone(), self.limits.pace(&permit), self.stopping.clone());
        tokio::spawn(see_out(connection::serve(stream, ends, endpoint, pace, stopping), permit));
    }
}

/// Serves a connection to its end, and gives its place back.
async fn see_out(serving: impl Future<Output = Result<(), connection::EndError>>, permit: Permit) {
    if let Err(error) = serving.await {
        tracing::debug!(error = %with_causes(&*error), "connection ended");
    }
    drop(permit);
}

/// Resolves when the process is told to stop: SIGTERM, or Ctrl-C.
///
/// # Errors
/// When the system does not let us listen for signals.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
