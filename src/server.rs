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
use tokio::task::JoinSet;

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
    let (listener, server) = (listener.into(), Server::new(endpoint, limits, leaving));
    server.accept_until(stop, &listener).await;
    for accepted in listener.close() {
        server.take(accepted);
    }
    server.finish(grace).await
}

/// The same for somebody who goes on with the listener afterwards: who has come and was not accepted is left to that.
pub async fn serve_meanwhile(
    listener: &Listener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    limits: &Limits,
    leaving: Leaving,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let server = Server::new(endpoint, limits, leaving);
    server.accept_until(stop, listener).await;
    server.finish(grace).await
}

/// What connections are served with.
struct Server<'a, E> {
    endpoint: Arc<E>,
    admission: Arc<Admission>,
    limits: &'a Limits,
    stopping: Stopping,
    tell: watch::Sender<()>,
    memory: JoinSet<()>,
}

impl<'a, E: Endpoint<Output = Response> + 'static> Server<'a, E> {
    fn new(endpoint: E, limits: &'a Limits, leaving: Leaving) -> Self {
        let (tell, told) = watch::channel(());
        let admission = Admission::new(limits);
        let memory = memory::keep_low(admission.clone());
        let stopping = Stopping { leaving, told };
        Self { endpoint: Arc::new(endpoint), admission, limits, stopping, tell, memory }
    }

    async fn accept_until(&self, stop: impl Future<Output = ()>, listener: &Listener) {
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(accepted) => self.take(accepted),
                Err(error) => {
                    tracing::warn!(error = %with_causes(&error), "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
    }

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

    /// Lets what runs finish; answers whether it did in time.
    async fn finish(self, grace: Duration) -> bool {
        let Self { stopping, tell, memory: _memory, .. } = self;
        drop(stopping);
        tell.send_replace(());
        tokio::time::timeout(grace, tell.closed()).await.is_ok()
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

#[cfg(test)]
mod tests {
    use std::future::ready;

    use poem::EndpointExt;
    use poem::endpoint::make_sync;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    /// Of those who stand at the door when both are told to stop, either takes in some: one in two at each turn, so the
    /// first one hardly all of them.
    #[tokio::test]
    async fn who_was_not_accepted_is_left_to_whoever_goes_on_with_the_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut visitors = Vec::new();
        for _ in 0..64 {
            let mut visitor = TcpStream::connect(address).await.unwrap();
            visitor.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            visitors.push(visitor);
        }
        let (listener, limits) = (Listener::from(listener), Limits::of_tests());
        let says = |what: &'static str| make_sync(move |_| what).map_to_response();
        let first = serve_meanwhile(&listener, says("first"), &limits, Leaving::default(), ready(()), GRACE);
        assert!(first.await);
        assert!(serve(listener, says("second"), &limits, Leaving::default(), ready(()), GRACE).await);
        let mut by_the_second = 0;
        for mut visitor in visitors {
            let mut answer = String::new();
            visitor.read_to_string(&mut answer).await.expect("an answer, and no reset");
            assert!(answer.ends_with("first") || answer.ends_with("second"), "{answer}");
            by_the_second += usize::from(answer.ends_with("second"));
        }
        assert!(by_the_second > 0);
    }
}
