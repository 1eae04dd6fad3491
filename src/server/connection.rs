//! One connection: HTTP/1.1 or HTTP/2, from its first byte to its end.

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Version, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use poem::http::HeaderValue;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::Leaving;
use super::answer::Answer;
use super::pulse::{Pace, Pulse, Verdict};
use super::transport::{Stream, Transport};
use crate::domain::crowd::BeyondBounds;

/// The most bytes of a request's line and headers (the design's limit; also the buffer of hyper).
const HEADERS_MAX_BYTES: u32 = 16 * 1024;

/// How often an HTTP/2 client is asked for a sign of life, and how long it may take to give one: one that
/// waits for an answer, such as a reader of the revocation feed, may be gone without a word.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection ended before its time.
pub(super) type EndError = Box<dyn Error + Send + Sync>;

/// Both ends of a connection.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) local: Addr,
    pub(super) remote: Addr,
}

/// How a connection hears that the service stops.
#[derive(Clone)]
pub(super) struct Stopping {
    /// It will, and answers go on.
    pub(super) leaving: Leaving,
    /// It does.
    pub(super) told: watch::Receiver<()>,
}

/// Answers the requests of a connection until it ends, by itself or by its pace, or until it is told that it is to: then what
/// runs is finished, and a connection that has just been opened may still ask for the first time.
///
/// # Errors
/// Why the connection ended before its time.
pub(super) async fn serve<S: Stream>(
    stream: S,
    ends: Ends,
    endpoint: Arc<impl Endpoint<Output = Response> + 'static>,
    pace: Pace,
    stopping: Stopping,
) -> Result<(), EndError> {
    let Stopping { leaving, mut told } = stopping;
    let pulse = Pulse::new();
    let answering = pulse.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (endpoint, ends, pulse) = (endpoint.clone(), ends.clone(), answering.clone());
        let leaving = leaving.clone();
        let in_flight = pulse.begin();
        let is_http2 = request.version() == Version::HTTP_2;
        if pace.is_single {
            request.extensions_mut().insert(BeyondBounds);
        }
        async move {
            let request = (request, LocalAddr(ends.local), RemoteAddr(ends.remote), Scheme::HTTP).into();
            let response: hyper::Response<_> = endpoint.get_response(request).await.into();
            let is_last = pace.is_single || leaving.has_begun() || pulse.is_stopping();
            let mut response = response.map(|body| Answer::new(body, pulse, in_flight));
            if !is_http2 && is_last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // How long a head may take is for the pulse to say: this one would count the time between requests too.
    builder.http1().header_read_timeout(None).max_buf_size(HEADERS_MAX_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADERS_MAX_BYTES)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    let transport = TokioIo::new(Transport::new(stream, pulse.clone()));
    let connection = builder.serve_connection(transport, service).into_owned();
    // The receiver is held until the connection has ended: that is what the server waits for.
    keep(connection, &pulse, &pace, &mut told).await
}

/// Drives a connection and ends it when its pulse says so, or when it is told to stop.
async fn keep<C>(
    connection: C,
    pulse: &Pulse,
    pace: &Pace,
    stop: &mut watch::Receiver<()>,
) -> Result<(), EndError>
where
    C: GracefulConnection<Error: Into<EndError>>,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(tokio::time::sleep_until(Instant::now() + pace.header_timeout));
    // An error says that the server is gone, which is to stop as well.
    let mut told = pin!(stop.changed());
    let (mut is_told, mut is_parting) = (false, false);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(Into::into));
            }
            if !is_parting {
                if !is_told && told.as_mut().poll(cx).is_ready() {
                    is_told = true;
                    pulse.stop();
                }
                is_parting = (is_told || pace.is_single) && pulse.has_asked();
                if is_parting {
                    pulse.part();
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
            }
            match ready!(poll_due(pulse, pace, timer.as_mut(), cx)) {
                Verdict::Idle if !pace.is_single => {
                    is_parting = true;
                    pulse.part();
                    connection.as_mut().graceful_shutdown();
                }
                verdict => {
                    if pace.is_single || verdict == Verdict::Stalled {
                        pulse.reset();
                    }
                    return Poll::Ready(Err(verdict.into()));
                }
            }
        }
    })
    .await
}

/// Ready when the connection has to end.
fn poll_due(pulse: &Pulse, pace: &Pace, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Verdict> {
    pulse.listen(cx.waker());
    loop {
        let Some((at, verdict)) = pulse.due(pace) else { return Poll::Pending };
        if at <= Instant::now() {
            return Poll::Ready(verdict);
        }
        // One that rings too early is cheaper than one that is set anew for each request.
        if timer.is_elapsed() || at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        ready!(timer.as_mut().poll(cx));
    }
}

#[cfg(test)]
#[path = "connection/tests.rs"]
mod tests;
