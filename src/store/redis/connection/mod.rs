//! The one connection to Redis: bounded waits, reconnection, and a circuit breaker.
//!
//! All operations share one multiplexed connection. It is replaced as soon as a call on it breaks
//! or gets no answer in time: a connection whose other end has silently gone (failover, network
//! partition) looks healthy to TCP for many minutes, and redis' own `ConnectionManager` keeps such
//! a one, as it keeps for ever what failed at first for another reason than I/O. It is replaced as well
//! when the server that it leads to answers that it is the wrong one.
//!
//! A connection that was closed while it was idle costs no answer: the end is noticed before
//! anything is sent, and what the end overtook is sent on the next one. What may have been sent is
//! never sent again: it may have been done.

mod channel;
mod dialer;
mod live;
mod sentinel;
mod verdict;
mod waiting;
mod wiring;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use redis::{ConnectionInfo, ErrorKind, RedisResult, ScriptInvocation, Value};

use self::channel::Channel;
use self::dialer::Dialer;
use self::verdict::{Verdict, verdict};
use super::codec::{Answer, Entry};
use super::errors::{CallError, backend_error, unavailable};
use super::options::{Address, RedisOptions, RedisUrlError};
use super::scripts::OrEval;
use super::wire;
use crate::store::breaker::Breaker;
use crate::store::patience;
use crate::store::vouching::BackendResult;

pub(super) use self::live::Live;
pub(super) use self::sentinel::Watched;
pub use self::sentinel::{SentinelReport, SentinelView};
pub(super) use self::waiting::WaitingConnection;

/// The connection that all operations share.
pub(super) struct Connection {
    dialer: Dialer,
    operation_timeout: Duration,
    breaker: Breaker,
    address: String,
}

impl Connection {
    /// Prepares a connection; nothing is sent before the first operation.
    pub(super) fn lazy(url: &str, options: RedisOptions) -> Result<Self, RedisUrlError> {
        let Address { info, sentinels, shown } = Address::parse(url)?;
        // Files of our own are small, and a mistake in them is told at once.
        let own_tls = match options.tls.is_default() {
            true => None,
            false => {
                Some(wire::tls_config(&options.tls).map_err(|error| RedisUrlError::Tls(error.to_string()))?)
            }
        };
        Ok(Self {
            dialer: Dialer::new(info, sentinels, own_tls),
            operation_timeout: options.operation_timeout,
            breaker: Breaker::new(options.breaker_threshold, options.breaker_pause),
            address: shown,
        })
    }

    /// As whom it connects and to which database; where to, too, unless Sentinels say that.
    pub(super) fn info(&self) -> &ConnectionInfo {
        self.dialer.info()
    }

    /// The longest that one operation takes.
    pub(super) fn operation_timeout(&self) -> Duration {
        self.operation_timeout
    }

    /// What the Sentinels say, where they are asked: each of them.
    pub(super) async fn ask_sentinels(&self) -> Option<SentinelView> {
        Some(self.dialer.sentinels()?.view().await)
    }

    /// Whether a connection is of no use any more.
    pub(super) fn is_over(&self, live: &Live) -> bool {
        self.dialer.is_over(live)
    }

    /// Opens a connection beside the shared one.
    pub(super) async fn open_another(&self) -> RedisResult<Live> {
        self.dialer.open_another().await
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
            let live = self.dialer.live().await?;
            used = Some(live.clone());
            match server {
                Some(server) if *server != *live.server => Ok(None),
                _ => {
                    let channel = Channel { dialer: &self.dialer, live, is_bound: server.is_some() };
                    operation(channel).await.map(Some)
                }
            }
        });
        let result = match attempt.await {
            Ok(result) => result,
            Err(too_slow) => {
                self.dialer.discard(used.map(|live| live.number));
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
                self.dialer.discard(used.map(|live| live.number));
                Err(CallError::Unvouched)
            }
            Err(error) => {
                let is_left = used.as_ref().is_some_and(|live| live.is_to_be_left(&error));
                if is_left || verdict(&error) == Verdict::Broken {
                    self.dialer.discard(used.map(|live| live.number));
                }
                // An answer, even a refusal, shows that Redis is there: waiting is no problem then.
                if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
                    permit.succeeded();
                } else {
                    permit.failed();
                }
                // It was refused and not done: who asks looks at the new master, and repeats it there.
                if is_left && server.is_some() && self.dialer.sentinels().is_some() {
                    return Err(CallError::Unvouched);
                }
                Err(CallError::of(error))
            }
        }
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
}

/// Host, port and database only.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn debug_shows_where_but_no_secret() {
        for (url, shown) in [
            ("rediss://ada:hunter2@redis.example:6380/3?x=hunter2", "rediss://redis.example:6380/3"),
            (
                "redis+sentinel://ada:hunter2@one,two:1/main/3?sentinel_username=ada&sentinel_password=hunter2",
                "redis+sentinel://one:26379,two:1/main/3",
            ),
        ] {
            let connection = Connection::lazy(url, RedisOptions::default()).expect("a connection");
            let text = format!("{connection:?}");
            assert!(text.contains(shown), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("ada"), "{text}");
        }
    }
}
