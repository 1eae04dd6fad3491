//! What an operation sends its commands over.

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};

use super::dialer::Dialer;
use super::live::Live;

/// The shared connection, or the next one when that ends
/// before a command was sent.
pub(in crate::store::redis) struct Channel<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) live: Live,
    /// Whether it is about what was found whole on that server, and so for no other.
    pub(super) is_bound: bool,
}

impl Channel<'_> {
    /// Whether the command is to be sent once more; there is another connection then, to the same server
    /// (model: SealIsTheServer). To another server where it does not matter which one answers, and the one that
    /// Sentinels led to has refused since it was demoted.
    async fn moves_on<A: Answer>(
        &mut self,
        written_before: u64,
        answer: &RedisResult<A>,
    ) -> RedisResult<bool> {
        let is_led = !self.is_bound && self.dialer.sentinels().is_some();
        let is_refused = is_led && refusal(answer).is_some_and(|error| self.live.is_to_be_left(&error));
        let is_kept = answer.as_ref().is_err_and(|error| self.live.has_kept_to_itself(written_before, error));
        if !is_refused && !is_kept {
            return Ok(false);
        }
        self.dialer.discard(Some(self.live.number));
        let next = self.dialer.live().await?;
        if !is_refused && next.server != self.live.server {
            // What was found whole there may not be here.
            return Ok(false);
        }
        self.live = next;
        Ok(true)
    }
}

/// What Redis answers: one thing to a command, several to a pipeline.
trait Answer {
    fn values(&self) -> &[Value];
}

impl Answer for Value {
    fn values(&self) -> &[Value] {
        std::slice::from_ref(self)
    }
}

impl Answer for Vec<Value> {
    fn values(&self) -> &[Value] {
        self
    }
}

/// What it refuses with, which the driver has as an answer before it is read.
fn refusal<A: Answer>(answer: &RedisResult<A>) -> Option<RedisError> {
    let values = match answer {
        Ok(answer) => answer.values(),
        Err(error) => return Some(error.clone()),
    };
    values.iter().find_map(|value| match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    })
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
