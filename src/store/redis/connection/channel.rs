//! What an operation sends its commands over.

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::dialer::Dialer;
use super::live::Live;

/// The shared connection, or the next one when that ends
/// before a command was sent.
pub(in crate::store::redis) struct Channel<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) live: Live,
}

impl Channel<'_> {
    /// Whether the command is to be sent once more; there is another connection then, to the same server
    /// (model: SealIsTheServer).
    async fn moves_on<T>(&mut self, written_before: u64, answer: &RedisResult<T>) -> RedisResult<bool> {
        let Err(error) = answer else { return Ok(false) };
        if !self.live.has_kept_to_itself(written_before, error) {
            return Ok(false);
        }
        self.dialer.discard(Some(self.live.number));
        let next = self.dialer.live().await?;
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
