//! The one connection to Redis: bounded waits, reconnection, and a circuit breaker.
//!
//! All operations share one multiplexed connection. It is replaced as soon as a call on it breaks
//! or gets no answer in time: a connection whose other end has silently gone (failover, network
//! partition) looks healthy to TCP for many minutes, and redis' own `ConnectionManager` keeps such
//! a one, as it keeps for ever what failed at first for another reason than I/O. It is replaced as well
//! when the server that it leads to answers that it is the wrong one.
//!
//! A connection that was closed while it was idle costs nobody an answer: the end is noticed before
//! anything is sent, and what the end overtook is sent on the next one. What may have been sent is
//! never sent again: it may have been done.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError,
    RedisFuture, RedisResult, ScriptInvocation, Value,
};
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::Url;

use super::codec::{Answer, Entry};
use super::errors::{CallError, backend_error, unavailable};
use super::inspection;
use super::scripts::OrEval;
use super::wire::{self, RedisTls, Wire};
use crate::store::breaker::Breaker;
use crate::store::patience;
use crate::store::vouching::BackendResult;

/// How long to wait for Redis, and when to stop asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// The longest that one operation takes, connecting included. A write that ran into it may
    /// have been made all the same.
    pub operation_timeout: Duration,
    /// After this many failures in a row nobody asks Redis for `breaker_pause`.
    pub breaker_threshold: u32,
    /// How long calls fail at once before one may try again.
    pub breaker_pause: Duration,
    /// How many replicas must have a revocation before it is acknowledged; with 0 nothing is waited for.
    pub wait_replicas: u32,
    /// What connections over TLS trust and show.
    pub tls: RedisTls,
}

impl Default for RedisOptions {
    /// 400 ms, 5 failures, 500 ms: every request that needs Redis is answered within a second. No replica is
    /// waited for.
    fn default() -> Self {
        Self {
            operation_timeout: Duration::from_millis(400),
            breaker_threshold: 5,
            breaker_pause: Duration::from_millis(500),
            wait_replicas: 0,
            tls: RedisTls::default(),
        }
    }
}

/// The address of a Redis is none that can be used. Never repeats the address: it may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// Not a URL, or one that lacks something.
    #[error("the Redis address is not a valid URL: {0}")]
    Malformed(String),
    /// What TLS needs cannot be read.
    #[error("{0}")]
    Tls(String),
    /// Sentinel and Cluster need clients of their own.
    #[error("`{0}` is not supported: give the address of one Redis, redis:// or rediss://")]
    Unsupported(String),
}

/// How many commands may wait to be sent; the default of 50 makes callers queue under load.
const PIPELINE_BUFFER: usize = 1024;

/// How old a connection is at least that is given up for what the server answered. A server that
/// stays what it is would otherwise be connected to anew with every request.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// The connection that all operations share.
pub(super) struct Connection {
    info: ConnectionInfo,
    config: AsyncConnectionConfig,
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
    operation_timeout: Duration,
    breaker: Breaker,
    current: RwLock<Option<Live>>,
    connecting: Mutex<()>,
    next_number: AtomicU64,
    address: String,
}

/// An open connection and which one it is, so that a late failure does not close its successor.
#[derive(Clone)]
pub(super) struct Live {
    number: u64,
    handle: MultiplexedConnection,
    /// Which server it leads to, and which history of it.
    server: Arc<str>,
    wire: Arc<Wire>,
    opened: Instant,
    /// Carries the bytes for as long as anybody holds this.
    _driver: Arc<Driver>,
}

impl Live {
    /// What commands are sent over.
    pub(super) fn redis(&mut self) -> &mut MultiplexedConnection {
        &mut self.handle
    }

    /// Whether a failed command can be sent again: it is known that nothing of it went out, since
    /// nothing at all did while it was waiting.
    fn has_kept_to_itself(&self, written_before: u64, error: &RedisError) -> bool {
        error.is_io_error() && self.wire.written() == written_before
    }
}

/// The task that carries a connection's bytes; it ends with this.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What an operation sends its commands over: the shared connection, or the next one when that ends
/// before a command was sent.
pub(super) struct Channel<'a> {
    shared: &'a Connection,
    live: Live,
}

impl Channel<'_> {
    /// Whether the command is to be sent once more; there is another connection then, to the same server
    /// (model: SealIsTheServer).
    async fn moves_on<T>(&mut self, written_before: u64, answer: &RedisResult<T>) -> RedisResult<bool> {
        let Err(error) = answer else { return Ok(false) };
        if !self.live.has_kept_to_itself(written_before, error) {
            return Ok(false);
        }
        self.shared.discard(Some(self.live.number));
        let next = self.shared.live().await?;
        if next.server != self.live.server {
            // What was found whole there may not be here.
            return Ok(false);
        }
        self.live = next;
        Ok(true)
    }
}

impl ConnectionLike for Channel<'_> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let written = self.live.wire.written();
            let answer = self.live.handle.req_packed_command(command).await;
            match self.moves_on(written, &answer).await? {
                true => self.live.handle.req_packed_command(command).await,
                false => answer,
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let written = self.live.wire.written();
            let answer = self.live.handle.req_packed_commands(commands, offset, count).await;
            match self.moves_on(written, &answer).await? {
                true => self.live.handle.req_packed_commands(commands, offset, count).await,
                false => answer,
            }
        })
    }

    fn get_db(&self) -> i64 {
        self.live.handle.get_db()
    }
}

impl Connection {
    /// Prepares a connection; nothing is sent before the first operation.
    pub(super) fn lazy(url: &str, options: RedisOptions) -> Result<Self, RedisUrlError> {
        let parsed = parse(url)?;
        let address = without_secrets(&parsed);
        // Not the library's own words: they may repeat parts of the address.
        let malformed = |_: RedisError| {
            RedisUrlError::Malformed("its host, database number or an option is missing or wrong".to_owned())
        };
        let info = parsed.into_connection_info().map_err(malformed)?;
        if !info.addr().is_supported() {
            return Err(RedisUrlError::Malformed("such a connection is not made here".to_owned()));
        }
        // Files of our own are small, and a mistake in them is told at once.
        let own_tls = match options.tls.is_default() {
            true => None,
            false => {
                Some(wire::tls_config(&options.tls).map_err(|error| RedisUrlError::Tls(error.to_string()))?)
            }
        };
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE_BUFFER);
        Ok(Self {
            info,
            config,
            tls: Arc::new(own_tls.map_or_else(OnceLock::new, OnceLock::from)),
            operation_timeout: options.operation_timeout,
            breaker: Breaker::new(options.breaker_threshold, options.breaker_pause),
            current: RwLock::new(None),
            connecting: Mutex::new(()),
            next_number: AtomicU64::new(0),
            address,
        })
    }

    /// Where it leads to, and as whom.
    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The longest that one operation takes.
    pub(super) fn operation_timeout(&self) -> Duration {
        self.operation_timeout
    }

    /// Runs one operation on the connection, which is opened if need be; on that server alone, where one
    /// is named (model: SealIsTheServer).
    ///
    /// # Errors
    /// [`CallError`], always within the operation timeout.
    pub(super) async fn run<'a, T, Operation, Running>(
        &'a self,
        server: Option<&str>,
        operation: Operation,
    ) -> Result<T, CallError>
    where
        Operation: FnOnce(Channel<'a>) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let permit = self.breaker.acquire().map_err(unavailable)?;
        let mut used = None;
        let attempt = patience::within(self.operation_timeout, async {
            let live = self.live().await?;
            used = Some((live.number, live.opened));
            match server {
                Some(server) if *server != *live.server => Ok(None),
                _ => operation(Channel { shared: self, live }).await.map(Some),
            }
        });
        let result = match attempt.await {
            Ok(result) => result,
            Err(too_slow) => {
                self.discard(used.map(|(number, _)| number));
                permit.failed();
                return Err(unavailable(too_slow));
            }
        };
        match result {
            Ok(Some(answer)) => {
                permit.succeeded();
                Ok(answer)
            }
            Ok(None) => {
                permit.succeeded();
                // What it leads to may have another history by now than when it was opened.
                self.discard(used.map(|(number, _)| number));
                Err(CallError::Unvouched)
            }
            Err(error) => {
                let is_given_up = match verdict(&error) {
                    Verdict::Keep => false,
                    Verdict::LookElsewhere => used.is_some_and(|(_, opened)| opened.elapsed() >= SECOND_LOOK),
                    Verdict::Broken => true,
                };
                if is_given_up {
                    self.discard(used.map(|(number, _)| number));
                }
                // An answer, even a refusal, shows that Redis is there: waiting is no problem then.
                if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
                    permit.succeeded();
                } else {
                    permit.failed();
                }
                Err(CallError::of(error))
            }
        }
    }

    /// Opens a connection beside the shared one.
    pub(super) async fn open_another(&self) -> RedisResult<Live> {
        let stream = wire::open(self.info.addr(), async || self.tls_config().await).await?;
        let wire = stream.wire();
        let redis = self.info.redis_settings();
        let (mut handle, driver) =
            MultiplexedConnection::new_with_config(redis, stream, self.config.clone()).await?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        let server = inspection::server_of(&mut handle).await?.into();
        Ok(Live {
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            handle,
            server,
            wire,
            opened: Instant::now(),
            _driver: driver,
        })
    }

    /// What connections over TLS trust. Reading a hundred certificates takes its time, the first time:
    /// it goes on though the operation that needs them is given up.
    async fn tls_config(&self) -> RedisResult<Arc<ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let tls = self.tls.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let config = wire::tls_config(&RedisTls::default())?;
            Ok(tls.get_or_init(|| config).clone())
        });
        reading.await.map_err(std::io::Error::other)?
    }

    /// Runs a script that is about `entry`.
    ///
    /// # Errors
    /// As [`run`](Self::run), or when the answer means nothing.
    pub(super) async fn call(
        &self,
        server: Option<&str>,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> BackendResult<Answer> {
        let value = self
            .run(server, |redis| async move { script.invoke_async::<Value>(&mut OrEval::new(redis)).await })
            .await
            .map_err(|error| backend_error(entry, error))?;
        Ok(Answer::read(entry, value)?)
    }

    /// The open connection; the first who finds none opens one, the others wait for that.
    async fn live(&self) -> RedisResult<Live> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let live = self.open_another().await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }

    /// The open connection, unless the other end has closed it.
    fn current(&self) -> Option<Live> {
        let live = self.current.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        if live.wire.has_ended() {
            self.discard(Some(live.number));
            return None;
        }
        Some(live)
    }

    /// Lets the next operation open a new connection. Whoever still waits on the old one keeps it.
    fn discard(&self, used: Option<u64>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().map(|live| live.number) == used {
            *current = None;
        }
    }
}

/// A connection beside the shared one, for calls that wait: they would hold up everybody else's.
pub(super) struct WaitingConnection {
    shared: Arc<Connection>,
    open: Option<Live>,
}

impl WaitingConnection {
    /// One that is opened when it is first needed.
    pub(super) fn new(shared: Arc<Connection>) -> Self {
        Self { shared, open: None }
    }

    /// Asks who answers, which becomes the server that this connection leads to.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) async fn identify(&mut self) -> Result<String, CallError> {
        let asking = self
            .run(None, Duration::ZERO, |mut redis| async move { inspection::server_of(&mut redis).await });
        let server = asking.await?;
        if let Some(open) = &mut self.open {
            open.server = server.as_str().into();
        }
        Ok(server)
    }

    /// Which connection it is, while it is open.
    pub(super) fn number(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.number)
    }

    /// Runs an operation that may wait for `wait` beside the usual limit; on that server alone, where one
    /// is named (model: SealIsTheServer). The connection is opened if need be, and given up when the
    /// operation fails.
    ///
    /// # Errors
    /// [`CallError`], always within both together.
    pub(super) async fn run<T, Operation, Running>(
        &mut self,
        server: Option<&str>,
        wait: Duration,
        operation: Operation,
    ) -> Result<T, CallError>
    where
        Operation: FnOnce(MultiplexedConnection) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let limit = self.shared.operation_timeout + wait;
        let attempt = patience::within(limit, async {
            let live = match self.open.take().filter(|open| !open.wire.has_ended()) {
                Some(open) => open,
                None => self.shared.open_another().await?,
            };
            if server.is_some_and(|server| *server != *live.server) {
                return Ok(None);
            }
            let answer = operation(live.handle.clone()).await;
            if answer.is_ok() {
                self.open = Some(live);
            }
            answer.map(Some)
        });
        match attempt.await {
            Ok(Ok(answer)) => answer.ok_or(CallError::Unvouched),
            Ok(Err(error)) => Err(CallError::of(error)),
            Err(too_slow) => Err(unavailable(too_slow)),
        }
    }
}

/// Host, port and database only.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What a failed call says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It leads where it should.
    Keep,
    /// It works, and leads to a server that does not serve us: another one may answer at the address.
    LookElsewhere,
    /// It is of no use any more.
    Broken,
}

fn verdict(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => verdict_of_refusal(&error.to_string()),
        _ => Verdict::Broken,
    }
}

/// Only the text has the code always: Redis 6 wraps what a script ran into, and a pipeline's error has
/// none.
fn verdict_of_refusal(said: &str) -> Verdict {
    /// Each code, and what it means for the connection. A code that is not here is about the command.
    const CODES: [(&str, Verdict); 9] = [
        // A replica, or a master that was demoted: the master is somewhere else.
        ("READONLY", Verdict::LookElsewhere),
        // A replica that has lost its master.
        ("MASTERDOWN", Verdict::LookElsewhere),
        // A master without its replicas may be the one that a failover has left behind.
        ("NOREPLICAS", Verdict::LookElsewhere),
        // It asks for a password that it did not ask for before, or has another one: to this connection
        // it says so for ever.
        ("NOAUTH", Verdict::LookElsewhere),
        ("WRONGPASS", Verdict::LookElsewhere),
        // A server that reads its data serves us when it has, on this connection too.
        ("LOADING", Verdict::Keep),
        // A script runs that takes too long; another connection would wait for it as well.
        ("BUSY", Verdict::Keep),
        // Full memory or a full disk: it is the right server, and it revokes still.
        ("OOM", Verdict::Keep),
        ("MISCONF", Verdict::Keep),
    ];
    let says =
        |code: &str| said.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == code);
    // The driver has words of its own for the codes that it knows.
    let known = [("ReadOnly", "READONLY"), ("MasterDown", "MASTERDOWN"), ("BusyLoading", "LOADING")];
    let said_by_driver = |code: &str| known.iter().any(|(word, known)| *known == code && says(word));
    CODES
        .iter()
        .find(|(code, _)| says(code) || said_by_driver(code))
        .map_or(Verdict::Keep, |(_, verdict)| *verdict)
}

fn parse(url: &str) -> Result<Url, RedisUrlError> {
    let parsed = Url::parse(url).map_err(|error| RedisUrlError::Malformed(error.to_string()))?;
    match parsed.scheme() {
        "redis" | "rediss" | "unix" | "redis+unix" => Ok(parsed),
        scheme => Err(RedisUrlError::Unsupported(scheme.to_owned())),
    }
}

/// The address as it may be shown: no user, no password, no query.
fn without_secrets(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> RedisUrlError {
        Connection::lazy(url, RedisOptions::default()).expect_err("a refusal")
    }

    #[test]
    fn sentinel_and_cluster_are_refused_by_name() {
        for scheme in ["redis+sentinel", "redis+cluster", "http"] {
            let error = refusal(&format!("{scheme}://:hunter2@localhost:6379"));
            assert_eq!(error, RedisUrlError::Unsupported(scheme.to_owned()));
            assert!(error.to_string().contains(scheme));
        }
    }

    #[test]
    fn no_error_repeats_the_password() {
        for url in [
            "redis://:hunter2@",
            "redis://:hunter2@localhost:port",
            "redis://:hunter2@localhost/first",
            "redis://:hunter2@localhost/?protocol=hunter2",
            "redis+cluster://:hunter2@localhost",
            "hunter2",
        ] {
            let error = refusal(url);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error:?}");
        }
    }

    #[tokio::test]
    async fn debug_shows_where_but_no_secret() {
        let url = "rediss://ada:hunter2@redis.example:6380/3?x=hunter2";
        let connection = Connection::lazy(url, RedisOptions::default()).expect("a connection");
        let text = format!("{connection:?}");
        assert!(text.contains("rediss://redis.example:6380/3"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("ada"), "{text}");
    }
}
