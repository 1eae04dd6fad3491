//! The accept loop: HTTP/1.1 and HTTP/2 over TCP, with bounds that poem's own server lacks (a
//! half-sent request does not stay open for ever, running out of file descriptors does not spin).

mod opening;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use opening::Opening;

use crate::domain::causes::with_causes;

/// The most bytes of a request's line and headers (the design's limit; also the buffer of hyper).
const HEADERS_MAX_BYTES: u32 = 16 * 1024;

/// How long a client may take to send its headers, and before that to show its version of HTTP.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an HTTP/2 client is asked for a sign of life, and how long it may take to give one.
/// (An HTTP/1 connection without a request is closed after [`HEADER_READ_TIMEOUT`].)
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The most connections at once; further clients wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 8192;

/// How long to let things settle when accepting fails (no file descriptors left).
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Serves `endpoint` until `stop` resolves; then accepts nothing more and lets what runs finish
/// for `grace` at most. Answers whether everything finished in time.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let endpoint = Arc::new(endpoint);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let connection = connection(stream, peer, endpoint.clone());
                let Ok(connection) = connection else { continue };
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    if let Err(error) = watched.await {
                        tracing::debug!(error = %with_causes(&*error.into()), "connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "no connection could be accepted");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
    drop(listener);
    tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
}

type Permit = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, Permit)> {
    let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<impl Endpoint<Output = Response> + 'static>,
) -> io::Result<
    impl hyper_util::server::graceful::GracefulConnection<Error: Into<Box<dyn Error + Send + Sync>>>
    + Send
    + 'static,
> {
    stream.set_nodelay(true)?;
    let local = LocalAddr(Addr::SocketAddr(stream.local_addr()?));
    let remote = RemoteAddr(Addr::SocketAddr(peer));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (endpoint, local, remote) = (endpoint.clone(), local.clone(), remote.clone());
        async move {
            let request = (request, local, remote, Scheme::HTTP).into();
            Ok::<hyper::Response<_>, Infallible>(endpoint.get_response(request).await.into())
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADERS_MAX_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADERS_MAX_BYTES)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    let stream = Opening::new(stream, HEADER_READ_TIMEOUT);
    Ok(builder.serve_connection(TokioIo::new(stream), service).into_owned())
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
