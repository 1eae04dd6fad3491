//! A connection for calls that wait.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::live::Live;
use super::{At, Connection};
use crate::store::patience;
use crate::store::redis::errors::{CallError, unavailable};
use crate::store::redis::inspection::{self, Identity};

/// A connection beside the shared one, for calls that wait: they would hold up all others.
pub(in crate::store::redis) struct WaitingConnection {
    shared: Arc<Connection>,
    /// In a Cluster, to the node that has this.
    place: At<'static>,
    open: Option<Live>,
}

impl WaitingConnection {
    /// One that is opened when it is first needed.
    pub(in crate::store::redis) fn new(shared: Arc<Connection>, place: At<'static>) -> Self {
        Self { shared, place, open: None }
    }

    /// Asks who answers, which becomes the server that this connection leads to.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(in crate::store::redis) async fn identify(&mut self) -> Result<String, CallError> {
        let (shared, place) = (self.shared.clone(), self.place);
        let asking = self.run(None, Duration::ZERO, |mut redis| async move {
            let Identity { server, is_master, .. } = inspection::identity_of(&mut redis).await?;
            match shared.node(place).await?.dialer.leave_unless(is_master) {
                Some(error) => Err(error),
                None => Ok(server),
            }
        });
        let server = asking.await?;
        if let Some(open) = &mut self.open {
            open.server = server.as_str().into();
        }
        Ok(server)
    }

    /// What it leads to has refused some slots: they may be elsewhere by now.
    pub(in crate::store::redis) fn has_other_slots(&self) {
        self.shared.has_gone_silent();
    }

    /// Which connection it is, while it is open.
    pub(in crate::store::redis) fn number(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.number)
    }

    /// Runs an operation that may wait for `wait` beside the usual limit; on that server alone, where one
    /// is named (model: SealIsTheServer). The connection is opened if need be, and given up when the
    /// operation fails.
    ///
    /// # Errors
    /// [`CallError`], always within both together.
    pub(in crate::store::redis) async fn run<T, Operation, Running>(
        &mut self,
        server: Option<&str>,
        wait: Duration,
        operation: Operation,
    ) -> Result<T, CallError>
    where
        Operation: FnOnce(MultiplexedConnection) -> Running,
        Running: Future<Output = RedisResult<T>>,
    {
        let limit = self.shared.operation_timeout() + wait;
        let attempt = patience::within(limit, async {
            let live = match self.open.take().filter(|open| !self.shared.is_over(self.place, open)) {
                Some(open) => open,
                None => self.shared.open_another(self.place).await?,
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
            Ok(Err(error)) => match self.shared.has_heard(&error) && server.is_some() {
                true => Err(CallError::Unvouched),
                false => Err(CallError::of(error)),
            },
            Err(too_slow) => {
                self.shared.has_gone_silent();
                Err(unavailable(too_slow))
            }
        }
    }
}
