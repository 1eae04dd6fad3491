//! Entries of the journal that are carried out again: many by one call of a script.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use super::keys::Keys;
use super::orders::Order;
use super::scripts::{self, ScriptPipeline};
use super::time::span;
use crate::domain::journal::{JournalEntry, Journaled, Link, NewEntry};
use crate::domain::partition::Partition;

/// The scripts that a pipeline calls: they have to be loaded before.
pub(super) static SCRIPTS: [&LazyLock<Script>; 3] =
    [&scripts::REPLAY_ENTRIES, &scripts::CUT_OFF_USER, &scripts::END_CLIENT];

/// How many entries one call carries out. Redis does nothing else meanwhile: for about 3 ms on a machine that
/// others use as well, where each entry in a call of its own took it a third longer.
const PER_CALL: usize = 100;

/// Entries of a partition as they are carried out again, in their order. Cut-offs are calls of their own:
/// each ends as many sessions as there are. So are the ends of clients, of which there are few.
pub(super) fn pipeline(
    partition: Partition,
    entries: &[JournalEntry],
    keys: &Keys,
    time: &str,
    denial: Duration,
) -> ScriptPipeline {
    let begin = || Call::begin(partition, keys, time, denial);
    let (mut pipeline, mut call) = (ScriptPipeline::new(), begin());
    for entry in entries {
        match entry.revoked {
            Journaled::Session { user, session } => {
                let keys = keys.of_user(user);
                let of_session = [keys.session(session), keys.sessions(), keys.denied(), keys.cutoff()];
                call.add(entry.link, "session", of_session, &session.to_string(), &user.to_string());
            }
            Journaled::Token { user, token } => {
                let denied = keys.of_user(user).denied();
                call.add(entry.link, "token", [denied], &token.to_string(), &user.to_string());
            }
            Journaled::MachineToken(token) => {
                let denied = keys.everybody().denied();
                call.add(entry.link, "token", [denied], &token.to_string(), "");
            }
            Journaled::User { .. } | Journaled::Client(_) => {
                std::mem::replace(&mut call, begin()).add_to(&mut pipeline);
                pipeline.add(&alone(entry, keys, time, denial));
            }
        }
        if call.entries == PER_CALL {
            std::mem::replace(&mut call, begin()).add_to(&mut pipeline);
        }
    }
    call.add_to(&mut pipeline);
    pipeline
}

/// One call for several entries.
struct Call {
    script: ScriptInvocation<'static>,
    entries: usize,
}

impl Call {
    fn begin(partition: Partition, keys: &Keys, time: &str, denial: Duration) -> Self {
        let keys = keys.partition(partition);
        let mut script = scripts::REPLAY_ENTRIES.prepare_invoke();
        script.key(keys.state()).key(keys.revocations()).key(keys.applied()).arg(time).arg(span(denial));
        Self { script, entries: 0 }
    }

    fn add<const KEYS: usize>(
        &mut self,
        Link { at, previous }: Link,
        kind: &str,
        keys: [String; KEYS],
        id: &str,
        user: &str,
    ) {
        for key in keys {
            self.script.key(key);
        }
        self.script.arg(at.position).arg(at.entry.get()).arg(previous.get());
        self.script.arg(kind).arg(id).arg(user);
        self.entries += 1;
    }

    fn add_to(self, pipeline: &mut ScriptPipeline) {
        if self.entries > 0 {
            pipeline.add(&self.script);
        }
    }
}

fn alone(entry: &JournalEntry, keys: &Keys, time: &str, denial: Duration) -> ScriptInvocation<'static> {
    let new = NewEntry { id: entry.link.at.entry, revoked: entry.revoked.clone(), until: entry.until };
    let previous = entry.link.previous;
    let order = Order { new, vouching: String::new(), position: -1, previous };
    order.script(keys, time.to_owned(), denial).1
}
