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
mod verdict;
mod waiting;

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
pub(super) use self::waiting::WaitingConnection;

/// How old a connection is at least that is given up for what the server answered. A server that
/// stays what it is would otherwise be connected to anew with every request.
const SECOND_LOOK: Duration = Duration::from_millis(250);

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
        let Address { info, shown } = Address::parse(url)?;
        // Files of our own are small, and a mistake in them is told at once.
        let own_tls = match options.tls.is_default() {
            true => None,
            false => {
                Some(wire::tls_config(&options.tls).map_err(|error| RedisUrlError::Tls(error.to_string()))?)
            }
        };
        Ok(Self {
            dialer: Dialer::new(info, own_tls),
            operation_timeout: options.operation_timeout,
            breaker: Breaker::new(options.breaker_threshold, options.breaker_pause),
            address: shown,
        })
    }

    /// Where it leads to, and as whom.
    pub(super) fn info(&self) -> &ConnectionInfo {
        self.dialer.info()
    }

    /// The longest that one operation takes.
    pub(super) fn operation_timeout(&self) -> Duration {
        self.operation_timeout
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
            used = Some((live.number, live.opened));
            match server {
                Some(server) if *server != *live.server => Ok(None),
                _ => operation(Channel { dialer: &self.dialer, live }).await.map(Some),
            }
        });
        let result = match attempt.await {
            Ok(result) => result,
            Err(too_slow) => {
                self.dialer.discard(used.map(|(number, _)| number));
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
                self.dialer.discard(used.map(|(number, _)| number));
                Err(CallError::Unvouched)
            }
            Err(error) => {
                let is_given_up = match verdict(&error) {
                    Verdict::Keep => false,
                    Verdict::LookElsewhere => used.is_some_and(|(_, opened)| opened.elapsed() >= SECOND_LOOK),
                    Verdict::Broken => true,
                };
                if is_given_up {
                    self.dialer.discard(used.map(|(number, _)| number));
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
        let url = "rediss://ada:hunter2@redis.example:6380/3?x=hunter2";
        let connection = Connection::lazy(url, RedisOptions::default()).expect("a connection");
        let text = format!("{connection:?}");
        assert!(text.contains("rediss://redis.example:6380/3"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("ada"), "{text}");
    }
}
