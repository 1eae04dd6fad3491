//! The one connection to Redis: bounded waits, reconnection, and a circuit breaker.
//!
//! All operations share one multiplexed connection. It is replaced as soon as a call on it breaks
//! or gets no answer in time: a connection whose other end has silently gone (failover, network
//! partition) looks healthy to TCP for many minutes, and redis' own `ConnectionManager` keeps such
//! a one, as it keeps for ever what failed at first for another reason than I/O.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult,
    ScriptInvocation, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::timeout;
use url::Url;

use super::breaker::Breaker;
use super::codec::{Answer, Entry};
use super::store_error;
use crate::store::{StoreError, StoreResult};

/// How long to wait for Redis, and when to stop asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// The longest that one operation takes, connecting included. A write that ran into it may
    /// have been made all the same.
    pub operation_timeout: Duration,
    /// After this many failures in a row nobody asks Redis for `breaker_pause`.
    pub breaker_threshold: u32,
    /// How long calls fail at once before one may try again.
    pub breaker_pause: Duration,
}

impl Default for RedisOptions {
    /// 400 ms, 5 failures, 500 ms: every request that needs Redis is answered within a second.
    fn default() -> Self {
        Self {
            operation_timeout: Duration::from_millis(400),
            breaker_threshold: 5,
            breaker_pause: Duration::from_millis(500),
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
    /// Sentinel and Cluster need clients of their own.
    #[error("`{0}` is not supported: give the address of one Redis, redis:// or rediss://")]
    Unsupported(String),
}

/// How many commands may wait to be sent; the default of 50 makes callers queue under load.
const PIPELINE_BUFFER: usize = 1024;

/// The connection that all operations share.
pub(super) struct Connection {
    client: Client,
    config: AsyncConnectionConfig,
    operation_timeout: Duration,
    breaker: Breaker,
    current: RwLock<Option<Live>>,
    connecting: Mutex<()>,
    next_number: AtomicU64,
    address: String,
}

/// An open connection and which one it is, so that a late failure does not close its successor.
#[derive(Clone)]
struct Live {
    number: u64,
    handle: MultiplexedConnection,
}

/// Why an operation has no result.
#[derive(Debug)]
pub(super) enum CallError {
    /// Redis is away, too slow, full, or refuses to serve.
    Unavailable(StoreError),
    /// One of the keys is of another type than ours are.
    WrongType,
}

impl CallError {
    /// What the driver's error is to the caller.
    fn of(error: RedisError) -> Self {
        if is_wrong_type(&error) { Self::WrongType } else { unavailable(error) }
    }
}

/// Redis did not answer in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct TooSlow(Duration);

impl Connection {
    /// Prepares a connection; nothing is sent before the first operation.
    pub(super) fn lazy(url: &str, options: RedisOptions) -> Result<Self, RedisUrlError> {
        let parsed = parse(url)?;
        let address = without_secrets(&parsed);
        // Not the library's own words: they may repeat parts of the address.
        let malformed = |_: RedisError| {
            RedisUrlError::Malformed("its host, database number or an option is missing or wrong".to_owned())
        };
        // The library turns TCP_NODELAY off by default: each small command would wait for an ACK.
        let info = parsed
            .into_connection_info()
            .map_err(malformed)?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.operation_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        Ok(Self {
            client: Client::open(info).map_err(malformed)?,
            config,
            operation_timeout: options.operation_timeout,
            breaker: Breaker::new(options.breaker_threshold, options.breaker_pause),
            current: RwLock::new(None),
            connecting: Mutex::new(()),
            next_number: AtomicU64::new(0),
            address,
        })
    }

    /// Runs one operation on the connection, which is opened if need be.
    ///
    /// # Errors
    /// [`CallError`], always within the operation timeout.
    pub(super) async fn run<T, Operation, Running>(&self, operation: Operation) -> Result<T, CallError>
    where
        Operation: FnOnce(MultiplexedConnection) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let permit = self.breaker.acquire().map_err(unavailable)?;
        let mut used = None;
        let attempt = timeout(self.operation_timeout, async {
            let live = self.live().await?;
            used = Some(live.number);
            operation(live.handle).await
        });
        let Ok(result) = attempt.await else {
            self.discard(used);
            permit.failed();
            return Err(unavailable(TooSlow(self.operation_timeout)));
        };
        match result {
            Ok(value) => {
                permit.succeeded();
                Ok(value)
            }
            Err(error) => {
                if !is_usable_after(&error) {
                    self.discard(used);
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

    async fn open_another(&self) -> RedisResult<MultiplexedConnection> {
        self.client.get_multiplexed_async_connection_with_config(&self.config).await
    }

    /// Runs a script that is about `entry`.
    ///
    /// # Errors
    /// As [`run`](Self::run), or when the answer means nothing.
    pub(super) async fn call(
        &self,
        entry: Entry<'_>,
        script: ScriptInvocation<'static>,
    ) -> StoreResult<Answer> {
        let value = self
            .run(|mut redis| async move { script.invoke_async::<Value>(&mut redis).await })
            .await
            .map_err(|error| store_error(entry, error))?;
        Answer::read(entry, value)
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
        let handle = self.client.get_multiplexed_async_connection_with_config(&self.config).await?;
        let live = Live { number: self.next_number.fetch_add(1, Ordering::Relaxed), handle };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        Ok(live)
    }

    fn current(&self) -> Option<Live> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
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
    open: Option<MultiplexedConnection>,
}

impl WaitingConnection {
    /// One that is opened when it is first needed.
    pub(super) fn new(shared: Arc<Connection>) -> Self {
        Self { shared, open: None }
    }

    /// Runs an operation that may wait for `wait` beside the usual limit. The connection is opened if
    /// need be, and given up when the operation fails.
    ///
    /// # Errors
    /// [`CallError`], always within both together.
    pub(super) async fn run<T, Operation, Running>(
        &mut self,
        wait: Duration,
        operation: Operation,
    ) -> Result<T, CallError>
    where
        Operation: FnOnce(MultiplexedConnection) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let limit = self.shared.operation_timeout + wait;
        let attempt = timeout(limit, async {
            let redis = match self.open.take() {
                Some(open) => open,
                None => self.shared.open_another().await?,
            };
            let answer = operation(redis.clone()).await;
            if answer.is_ok() {
                self.open = Some(redis);
            }
            answer
        });
        match attempt.await {
            Ok(answer) => answer.map_err(CallError::of),
            Err(_) => Err(unavailable(TooSlow(limit))),
        }
    }
}

/// Host, port and database only.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What a failed call is to the caller: never a verdict about a token.
fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> CallError {
    CallError::Unavailable(StoreError::Unavailable { store: "token store", source: Box::new(error) })
}

/// Redis 6 wraps what a script ran into, and a pipeline's error has no code: only the text tells.
fn is_wrong_type(error: &RedisError) -> bool {
    error.to_string().contains("WRONGTYPE")
}

/// Whether the connection may be kept. A node that has become a replica, or that asks for a
/// password it did not ask for before, will not change its mind on this connection.
fn is_usable_after(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => false,
        ErrorKind::Server(_) => true,
        ErrorKind::Extension => !error.to_string().contains("NOAUTH"),
        _ => false,
    }
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
