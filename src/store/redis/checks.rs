//! Checks of access tokens, which come all day: those that come together share one round trip, and of each there is
//! in it what concerns its token alone.
//!
//! - A script says of which tokens it is certain that they stand. The others, which are few, are looked at by a
//!   pipeline, in an order in which a revocation that comes in between is seen; what that says is the verdict.
//! - Nobody is answered by what was read before they asked: whoever asks while a round trip is under way waits for the
//!   next one, which is not kept waiting for that.
//! - What means nothing is a fault of the one whose it is, and of nobody who asks beside them.

use std::mem;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::codec::{Entry, SESSION, first_version};
use super::connection::{At, Connection};
use super::errors::{CallError, backend_error, unavailable};
use super::keys::{self, Keys, UserKeys};
use super::scripts::CHECK_TOKENS;
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::store::RedisTokenStore;
use super::time::{StoreTime, Time, lies_after};
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::partition::Partition;
use crate::store::denylist::{AccessStatus, AccessSubject};
use crate::store::error::{StoreError, StoreResult};
use crate::store::vouching::{BackendError, BackendResult, Vouched, VouchedPartition};

/// How many share a round trip at most: an answer of many more would keep the first of them waiting.
const TOGETHER_MAX: usize = 128;

/// The fields of a session that an access token stands by.
const SESSION_FIELDS: [&str; 5] = ["u", "v", "i", "a", "b"];

/// How many keys the script takes of each token.
const KEYS_OF_TOKEN: usize = 4;

/// What the script says of a token that stands.
const STANDS: u8 = b'1';

/// How many answers are about one token.
const ANSWERS: usize = 3;

/// Those who wait for the next round trip.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<Vec<Waiting>>);

/// Somebody who asks, and where the answer goes.
#[derive(Debug)]
struct Waiting {
    question: Question,
    answer: oneshot::Sender<BackendResult<AccessStatus>>,
}

/// Whether a token stands in a partition that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    token: AccessSubject,
    /// On which server.
    server: Arc<str>,
    found: VouchedPartition,
}

impl Question {
    fn partition(&self) -> Partition {
        Partition::of(self.token.user)
    }
}

/// The round trip could not be made: the process ends.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nobody asks any more")]
struct Abandoned;

impl Checks {
    /// Lines up; answers whether nobody else waits.
    fn join(&self, waiting: Waiting) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(waiting);
        all.len() == 1
    }

    fn take(&self) -> Vec<Waiting> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Those who line up for the next round trip. Where it is never made they are told so: whoever comes later must not
/// find somebody waiting for nothing.
struct Line(Option<Arc<Checks>>);

impl Line {
    fn depart(mut self) -> Vec<Waiting> {
        self.0.take().map(|checks| checks.take()).unwrap_or_default()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.0.take().map(|checks| checks.take()));
    }
}

impl RedisTokenStore {
    /// Whether an access token still stands.
    pub(super) async fn check(&self, by: &Vouched, token: &AccessSubject) -> BackendResult<AccessStatus> {
        let Some((server, found)) = by.found(Partition::of(token.user)) else {
            return Err(BackendError::Unvouched);
        };
        let (answer, answered) = oneshot::channel();
        let question = Question { token: *token, server, found };
        if self.checks.join(Waiting { question, answer }) {
            let line = Line(Some(self.checks.clone()));
            let asking = Asking {
                connection: self.connection.clone(),
                keys: self.keys.clone(),
                time: self.time.clone(),
            };
            // Not by the one who came first, who may go away.
            tokio::spawn(async move {
                // Whoever asks in this turn of the runtime comes along.
                tokio::task::yield_now().await;
                asking.ask_for(line.depart()).await;
            });
        }
        answered.await.unwrap_or_else(|_| Err(backend_error(OF_NONE, unavailable(Abandoned))))
    }
}

/// Where there is no entry to name.
const OF_NONE: Entry<'_> = Entry { place: SESSION, key: "of any token" };

/// What asking takes.
struct Asking {
    connection: Arc<Connection>,
    keys: Keys,
    time: StoreTime,
}

impl Asking {
    /// Asks each server what is about its own: of a Cluster each slot, for a node answers for its slots alone.
    async fn ask_for(&self, waiting: Vec<Waiting>) {
        let is_cluster = self.connection.is_cluster();
        let mut groups: Vec<Vec<Waiting>> = Vec::new();
        for one in waiting {
            let fits = |group: &&mut Vec<Waiting>| {
                group.first().is_some_and(|first| {
                    first.question.server == one.question.server
                        && (!is_cluster || first.question.partition() == one.question.partition())
                }) && group.len() < TOGETHER_MAX
            };
            match groups.iter_mut().rev().find(fits) {
                Some(group) => group.push(one),
                None => groups.push(vec![one]),
            }
        }
        match groups.len() {
            1 => self.ask(groups.pop().unwrap_or_default()).await,
            _ => drop(join_all(groups.into_iter().map(|group| self.ask(group))).await),
        }
    }

    /// Asks one server.
    async fn ask(&self, waiting: Vec<Waiting>) {
        let round = Round::of(&waiting);
        let Some(at) = round.at() else { return };
        let call = round.call(&self.keys, &self.time);
        let waiting = match self.connection.read_by(at, &CHECK_TOKENS, call).await {
            Ok(answer) => tell_who_stands(&round, answer, waiting),
            Err(error) => return refuse(&self.keys, error, waiting),
        };
        if !waiting.is_empty() {
            self.look_at(waiting).await;
        }
    }

    /// Looks at tokens of one server.
    async fn look_at(&self, waiting: Vec<Waiting>) {
        let round = Round::of(&waiting);
        let Some(at) = round.at() else { return };
        match self.connection.ask_master(at, round.pipeline(&self.keys)).await {
            Ok(answers) => self.tell(&round, &answers, waiting),
            // Whose key that is nothing tells, and it is not for the others to bear.
            Err(CallError::WrongType) if round.asked.len() > 1 => self.look_at_each(&round, waiting).await,
            Err(error) => refuse(&self.keys, error, waiting),
        }
    }

    /// The same of one token after the other.
    fn look_at_each<'a>(&'a self, round: &Round, waiting: Vec<Waiting>) -> BoxFuture<'a, ()> {
        let mut each: Vec<Vec<Waiting>> = round.asked.iter().map(|_| Vec::new()).collect();
        for one in waiting {
            if let Some(group) = round.place_of(&one.question).and_then(|place| each.get_mut(place)) {
                group.push(one);
            }
        }
        async move { drop(join_all(each.into_iter().map(|group| self.look_at(group))).await) }.boxed()
    }

    /// Tells everybody what has come of it.
    fn tell(&self, round: &Round, answers: &[Value], waiting: Vec<Waiting>) {
        let shown = answers.last().map_or(Value::Nil, Value::clone);
        let now = OF_NONE.convert::<Time>(shown).map_err(BackendError::from);
        let now = now.and_then(|shown| self.time.decisive(shown));
        for Waiting { question, answer } in waiting {
            let keys = self.keys.of_user(question.token.user);
            let verdict = match (&now, round.facts_of(&question, answers)) {
                (Ok(now), Some(facts)) => Judge { keys: &keys, question: &question, now: *now }.judge(&facts),
                (Err(BackendError::Unvouched), _) => Err(BackendError::Unvouched),
                (Err(_), _) | (_, None) => Err(is_none(&keys, &question).into()),
            };
            // Somebody who has gone hears nothing.
            let _ = answer.send(verdict);
        }
    }
}

/// Tells those whose tokens stand for certain; answers the others.
fn tell_who_stands(round: &Round, answer: Option<Value>, waiting: Vec<Waiting>) -> Vec<Waiting> {
    let looked = match answer.as_ref().and_then(|answer| answer.as_sequence()) {
        Some([_, Value::BulkString(looked)]) if looked.len() == round.asked.len() => looked.as_slice(),
        _ => return waiting,
    };
    let mut others = Vec::new();
    for one in waiting {
        let looked = round.place_of(&one.question).and_then(|place| looked.get(place));
        match looked == Some(&STANDS) {
            // Somebody who has gone hears nothing.
            true => drop(one.answer.send(Ok(AccessStatus::Live))),
            false => others.push(one),
        }
    }
    others
}

/// Tells everybody that there is no answer, and why.
fn refuse(keys: &Keys, error: CallError, waiting: Vec<Waiting>) {
    let error = match error {
        CallError::Unavailable(StoreError::Unavailable { store, source }) => Ok((store, Arc::from(source))),
        error => Err(error),
    };
    for Waiting { question, answer } in waiting {
        let refused = match &error {
            Ok((store, source)) => {
                let source: Arc<dyn std::error::Error + Send + Sync> = Arc::clone(source);
                StoreError::Unavailable { store, source: source.into() }.into()
            }
            Err(CallError::Unvouched) => BackendError::Unvouched,
            Err(_) => {
                let key = keys.of_user(question.token.user).session(question.token.session);
                backend_error(Entry { place: SESSION, key: &key }, CallError::WrongType)
            }
        };
        let _ = answer.send(Err(refused));
    }
}

/// What is asked in one round trip: of several who ask about one token once.
struct Round {
    asked: Vec<Question>,
    partitions: Vec<Partition>,
}

/// What Redis knows about a token.
struct Facts<'a> {
    denied_until: &'a Value,
    session: &'a Value,
    cutoff: &'a Value,
    standing: &'a Value,
}

impl Round {
    fn of(waiting: &[Waiting]) -> Self {
        let (mut asked, mut partitions): (Vec<Question>, Vec<Partition>) = (Vec::new(), Vec::new());
        for Waiting { question, .. } in waiting {
            if asked.contains(question) {
                continue;
            }
            if !partitions.contains(&question.partition()) {
                partitions.push(question.partition());
            }
            asked.push(question.clone());
        }
        Self { asked, partitions }
    }

    /// Where that is.
    fn at(&self) -> Option<At<'_>> {
        let Question { token, server, .. } = self.asked.first()?;
        Some(At::partition(Partition::of(token.user)).on(server))
    }

    /// The script that says of which it is certain.
    fn call(&self, all: &Keys, time: &StoreTime) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(CHECK_TOKENS.get_hash()).arg(KEYS_OF_TOKEN * self.asked.len());
        for Question { token, .. } in &self.asked {
            let keys = all.of_user(token.user);
            call.arg(keys.partition().state())
                .arg(keys.denied())
                .arg(keys.session(token.session))
                .arg(keys.cutoff());
        }
        call.arg(time.argument());
        for Question { token, found, .. } in &self.asked {
            call.arg(found.vouching.get())
                .arg(token.incarnation)
                .arg(token.user.get())
                .arg(keys::denied_session(token.session))
                .arg(keys::denied_token(token.token));
        }
        call
    }

    /// The order matters, since other clients' scripts may run in between: a cut-off and a revocation are still seen
    /// by what is read after them, and nothing makes a dead token live.
    fn pipeline(&self, all: &Keys) -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        for Question { token, .. } in &self.asked {
            let keys = all.of_user(token.user);
            pipeline
                .cmd("ZMSCORE")
                .arg(keys.denied())
                .arg(keys::denied_session(token.session))
                .arg(keys::denied_token(token.token))
                .cmd("HMGET")
                .arg(keys.session(token.session))
                .arg(&SESSION_FIELDS)
                .cmd("GET")
                .arg(keys.cutoff());
        }
        for partition in &self.partitions {
            pipeline.cmd("HMGET").arg(all.partition(*partition).state()).arg(&STANDING_FIELDS);
        }
        // Last: a clock that was set ahead may have ended what was read before.
        pipeline.cmd("TIME");
        pipeline
    }

    fn place_of(&self, question: &Question) -> Option<usize> {
        self.asked.iter().position(|asked| asked == question)
    }

    /// What of the answers is about a token.
    fn facts_of<'a>(&self, question: &Question, answers: &'a [Value]) -> Option<Facts<'a>> {
        let place = ANSWERS * self.place_of(question)?;
        let partition = self.partitions.iter().position(|partition| *partition == question.partition())?;
        let [denied_until, session, cutoff] = answers.get(place..place + ANSWERS)? else { return None };
        let standing = answers.get(ANSWERS * self.asked.len() + partition)?;
        Some(Facts { denied_until, session, cutoff, standing })
    }
}

/// What is judged of a token.
struct Judge<'a> {
    keys: &'a UserKeys,
    question: &'a Question,
    now: Timestamp,
}

impl Judge<'_> {
    /// A token stands only on what is positively there, and only in the incarnation that it was minted
    /// in; its session's version tells whether a security event has ended it. No clock decides but for
    /// its deadlines.
    fn judge(&self, facts: &Facts<'_>) -> BackendResult<AccessStatus> {
        let token = &self.question.token;
        let standing = self.fields(facts.standing)?.map(|field| field.map(str::to_owned)).collect();
        let incarnation = standing_incarnation(OF_NONE, self.question.found, &standing)?;
        if token.incarnation != incarnation {
            return Ok(AccessStatus::StoreLost);
        }
        let stands = !self.is_denied(facts.denied_until)?
            && self.session_stands(facts.session, facts.cutoff, incarnation)?;
        Ok(if stands { AccessStatus::Live } else { AccessStatus::Revoked })
    }

    fn is_denied(&self, denied_until: &Value) -> StoreResult<bool> {
        let Value::Array(ends) = denied_until else { return Err(self.is_none()) };
        for end in ends {
            if *end == Value::Nil {
                continue;
            }
            let until: f64 = redis::from_redis_value(end.clone()).map_err(|_| self.is_none())?;
            if lies_after(until, self.now) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the token's session is the user's, has not ended, and counts after the cut-off.
    /// (model: TokensOfTheirIncarnation, VersionsNotTimes)
    fn session_stands(&self, session: &Value, cutoff: &Value, incarnation: i64) -> StoreResult<bool> {
        let mut fields = self.fields(session)?;
        let stored: [Option<&str>; SESSION_FIELDS.len()] =
            std::array::from_fn(|_| fields.next().unwrap_or_default());
        if stored.iter().all(Option::is_none) {
            return Ok(false);
        }
        let [user, version, idle, absolute, of_incarnation] = stored;
        let user: UserId = self.read("u", user)?;
        let version: i64 = self.read("v", version)?;
        let idle = Timestamp::from_millis(self.read("i", idle)?);
        let absolute = Timestamp::from_millis(self.read("a", absolute)?);
        let of_incarnation: i64 = self.read("b", of_incarnation)?;
        let cutoff = text(cutoff).ok_or_else(|| self.is_none())?;
        let counts = of_incarnation == incarnation
            && first_version(self.keys, cutoff)?.is_none_or(|first| version >= first);
        Ok(user == self.question.token.user && counts && self.now < idle && self.now < absolute)
    }

    /// The fields of a hash that were asked for.
    fn fields<'a>(&self, fields: &'a Value) -> StoreResult<impl Iterator<Item = Option<&'a str>> + use<'a>> {
        match fields {
            Value::Array(fields) if fields.iter().all(|field| text(field).is_some()) => {
                Ok(fields.iter().map(|field| text(field).flatten()))
            }
            _ => Err(self.is_none()),
        }
    }

    fn read<T: FromStr>(&self, name: &str, field: Option<&str>) -> StoreResult<T> {
        match field.map(str::parse) {
            Some(Ok(value)) => Ok(value),
            _ => {
                let key = self.keys.session(self.question.token.session);
                Entry { place: SESSION, key: &key }.read(name, field)
            }
        }
    }

    fn is_none(&self) -> StoreError {
        is_none(self.keys, self.question)
    }
}

/// An answer that means nothing.
fn is_none(keys: &UserKeys, question: &Question) -> StoreError {
    let key = keys.session(question.token.session);
    Entry { place: SESSION, key: &key }.corrupt("is not what was stored")
}

/// A text, or that there is none; `None` for anything else.
fn text(value: &Value) -> Option<Option<&str>> {
    match value {
        Value::Nil => Some(None),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok().map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{Jti, SessionId};
    use crate::domain::journal::VouchingId;

    fn waiting() -> (Waiting, oneshot::Receiver<BackendResult<AccessStatus>>) {
        let (answer, answered) = oneshot::channel();
        let token = AccessSubject {
            user: UserId::try_from(7).expect("an id"),
            session: SessionId::from(Uuid::nil()),
            token: Jti::from(Uuid::nil()),
            incarnation: 1,
        };
        let found = VouchedPartition { incarnation: 1, vouching: VouchingId::new(1) };
        (Waiting { question: Question { token, server: "a:b".into(), found }, answer }, answered)
    }

    #[test]
    fn who_comes_while_a_round_trip_is_under_way_begins_the_next_one() {
        let checks = Arc::new(Checks::default());
        assert!(checks.join(waiting().0), "nobody else waits");
        let line = Line(Some(checks.clone()));
        assert!(!checks.join(waiting().0));
        assert_eq!(line.depart().len(), 2);
        assert!(checks.join(waiting().0), "the others have gone");
        assert_eq!(checks.take().len(), 1, "who came later was not taken along");
    }

    #[test]
    fn nobody_waits_for_a_round_trip_that_is_never_made() {
        let checks = Arc::new(Checks::default());
        let (one, mut answered) = waiting();
        assert!(checks.join(one));
        drop(Line(Some(checks.clone())));
        assert!(matches!(answered.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(checks.join(waiting().0), "and nobody keeps others from asking");
    }
}
