//! What an operation sends its commands over.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

use super::cluster::{Cluster, NodePlace};
use super::live::Live;
use super::node::{Node, has_moved};

/// How often a node of a Cluster may send us elsewhere before that is the answer.
const REDIRECTIONS_MAX: usize = 3;

/// The shared connection, or the next one when that ends
/// before a command was sent.
pub(in crate::store::redis) struct Channel {
    pub(super) node: Arc<Node>,
    /// What it is a node of.
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) live: Live,
    /// Whether it is about what was found whole on that server, and so for no other.
    pub(super) is_bound: bool,
}

/// What becomes of a command that was answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// That is the answer.
    Done,
    /// It is sent once more, over the connection that there is by now.
    Again,
    /// The same, to a node that is just being given the slot (`ASKING`).
    Asking,
}

impl Channel {
    /// Whether the command is to be sent once more; there is another connection then, to the same server
    /// (model: SealIsTheServer). To another server where it does not matter which one answers, and the one that
    /// was asked has not the slot, or is no master any more.
    async fn moves_on<A: Answer>(
        &mut self,
        written_before: u64,
        answer: &RedisResult<A>,
    ) -> RedisResult<Next> {
        if let Some((cluster, refused)) = self.cluster.clone().zip(refusal(answer)) {
            let redirected = self.node.redirect(&cluster, &refused);
            if let Some(place) = redirected.filter(|_| !self.is_bound) {
                return self.follow(&cluster, &place, &refused).await;
            }
            if has_moved(&refused) {
                return Err(refused);
            }
        }
        let is_led = !self.is_bound && self.node.dialer.sentinels().is_some();
        let is_refused = is_led && refusal(answer).is_some_and(|error| self.live.is_to_be_left(&error));
        let is_kept = answer.as_ref().is_err_and(|error| self.live.has_kept_to_itself(written_before, error));
        if !is_refused && !is_kept {
            return Ok(Next::Done);
        }
        self.node.dialer.discard(Some(self.live.number));
        let next = self.node.dialer.live().await?;
        if !is_refused && next.server != self.live.server {
            // What was found whole there may not be here.
            return Ok(Next::Done);
        }
        self.live = next;
        Ok(Next::Again)
    }

    async fn follow(
        &mut self,
        cluster: &Arc<Cluster>,
        place: &NodePlace,
        refused: &RedisError,
    ) -> RedisResult<Next> {
        self.node = cluster.node_at(place);
        self.live = self.node.dialer.live().await?;
        let is_asked = refused.kind() == ErrorKind::Server(ServerErrorKind::Ask);
        Ok(if is_asked { Next::Asking } else { Next::Again })
    }

    /// Sends commands to a node that is just being given their slot, each with leave for it alone.
    async fn ask(&mut self, commands: impl Iterator<Item = Cmd>) -> RedisResult<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.cmd("ASKING").add_command(command);
        }
        let count = pipeline.cmd_iter().count();
        let answers = self.live.handle.req_packed_commands(&pipeline, 0, count).await?;
        Ok(answers.into_iter().skip(1).step_by(2).collect())
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

impl ConnectionLike for Channel {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut next = Next::Again;
            for _ in 0..REDIRECTIONS_MAX {
                let written = self.live.wire.written();
                let answer = match next {
                    Next::Asking => self.ask(std::iter::once(command.clone())).await.and_then(the_only_one),
                    _ => self.live.handle.req_packed_command(command).await,
                };
                next = self.moves_on(written, &answer).await?;
                if next == Next::Done {
                    return answer;
                }
            }
            self.live.handle.req_packed_command(command).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut next = Next::Again;
            for _ in 0..REDIRECTIONS_MAX {
                let written = self.live.wire.written();
                let answer = match next {
                    Next::Asking => self.ask(commands.cmd_iter().skip(offset).take(count).cloned()).await,
                    _ => self.live.handle.req_packed_commands(commands, offset, count).await,
                };
                next = self.moves_on(written, &answer).await?;
                if next == Next::Done {
                    return answer;
                }
            }
            self.live.handle.req_packed_commands(commands, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        self.live.handle.get_db()
    }
}

fn the_only_one(answers: Vec<Value>) -> RedisResult<Value> {
    answers.into_iter().next().unwrap_or(Value::Nil).extract_error()
}
