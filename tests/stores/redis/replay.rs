//! Entries that are carried out again, many by one call: they do what each has done by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hallpass::domain::clock::ManualClock;
use hallpass::domain::ids::{Jti, UserId};
use hallpass::domain::journal::{EntryId, JournalEntry, Journaled, Link, Mark, NewEntry, VouchingId};
use hallpass::domain::partition::Partition;
use hallpass::domain::session::NewSession;
use hallpass::domain::user::SecurityVersion;
use hallpass::store::OpenOutcome;
use hallpass::store::backend::TokenBackend;
use hallpass::store::examination::{Examination, NewPartition, PartitionState, ReplayStep};
use hallpass::store::redis::RedisTokenStore;
use hallpass::store::revocations::{Placement, RevocationBackend};
use hallpass::store::sessions::{Opening, SessionBackend};
use hallpass::store::vouching::{Vouched, VouchedPartition};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

use super::{all_keys, backend, client, keys, ttl_ms};
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

const BEGIN: Mark = Mark { position: 5, entry: EntryId::new(50) };

/// A store all of whose partitions were begun, with the same sessions as every other.
struct Side {
    _server: RedisServer,
    backend: Arc<RedisTokenStore>,
    examination: Box<dyn Examination>,
    by: Vouched,
    redis: MultiplexedConnection,
}

impl Side {
    async fn new(sessions: &[NewSession]) -> Self {
        let (server, clock) = (RedisServer::start(), Arc::new(ManualClock::at(START)));
        let backend = backend(&server, &mark(), &clock).await;
        let mut examination = backend.examine().await.expect("a connection");
        let seen = examination
            .view()
            .await
            .expect("a view")
            .server(Partition::EVERYBODY)
            .expect("a server")
            .to_string();
        let vouching = VouchingId::new(7);
        let begun = |partition| {
            let state = PartitionState { incarnation: 1, vouching, mark: BEGIN, seal: "a server".to_owned() };
            NewPartition { partition, read: None, state, deleted_clients: Vec::new() }
        };
        let begun: Vec<_> = Partition::all().map(begun).collect();
        examination.begin(&begun, denial()).await.expect("begun");
        let partition = VouchedPartition { incarnation: 1, vouching };
        let by = Vouched::new(seen, vec![partition; Partition::COUNT]).expect("all partitions");
        for session in sessions {
            let opened = backend.open_session(&by, session, &LIFETIMES).await.expect("an answer");
            assert!(matches!(opened, Opening::Settled(OpenOutcome::Opened(_))), "{opened:?}");
        }
        let redis = client(&server).await;
        Self { _server: server, backend, examination, by, redis }
    }

    /// How many scripts were called so far.
    async fn calls(&mut self) -> usize {
        let info: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut self.redis).await.expect("INFO");
        let of = |line: &str| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next()?.parse().ok();
        info.lines().find_map(of).unwrap_or_default()
    }

    /// Everything that is kept, but for the ids that Redis gave. Times to live are whole minutes.
    async fn kept(&mut self) -> BTreeMap<String, String> {
        let mut kept = BTreeMap::new();
        for key in all_keys(&mut self.redis).await {
            let redis = &mut self.redis;
            let kind: String = redis::cmd("TYPE").arg(&key).query_async(redis).await.expect("TYPE");
            let holds = match kind.as_str() {
                "string" => redis.get::<_, String>(&key).await.expect("GET"),
                "hash" => {
                    format!(
                        "{:?}",
                        redis.hgetall::<_, BTreeMap<String, String>>(&key).await.expect("HGETALL")
                    )
                }
                "zset" => {
                    let members = redis.zrange_withscores::<_, Vec<(String, i64)>>(&key, 0, -1).await;
                    format!("{:?}", members.expect("ZRANGE"))
                }
                "stream" => {
                    let read = redis::cmd("XRANGE").arg(&key).arg("-").arg("+").query_async(redis).await;
                    let read: Vec<(String, Vec<String>)> = read.expect("XRANGE");
                    format!("{:?}", read.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>())
                }
                other => panic!("{key} is of the type {other}"),
            };
            let minutes = ttl_ms(redis, &key).await.map(|ms| (ms + 30_000) / 60_000);
            kept.insert(key, format!("{holds} for {minutes:?} minutes"));
        }
        kept
    }
}

fn user(number: i64) -> Person {
    Person { user: UserId::try_from(64 * number + 5).expect("an id"), ..Person::new() }
}

fn entry(position: i64, revoked: Journaled) -> JournalEntry {
    let at = |position| Mark { position, entry: EntryId::new(position * 10) };
    let link = Link { at: at(position), previous: at(position - 1).entry };
    JournalEntry { link, revoked, until: START.after(DAY) }
}

fn step(revoked: &[Journaled]) -> ReplayStep {
    let entries: Vec<_> =
        (BEGIN.position + 1..).zip(revoked).map(|(at, one)| entry(at, one.clone())).collect();
    let to = entries.last().expect("an entry").link.at;
    ReplayStep { partition: revoked[0].partition(), from: BEGIN, entries, to }
}

/// Of every kind, more than one call takes, with cut-offs in between.
fn of_one_partition(sessions: &[NewSession], [ada, eve, bob]: [Person; 3]) -> Vec<Journaled> {
    let id = |number: u128| Uuid::from_u128(number);
    let mut revoked = Vec::new();
    for number in 0..130 {
        let user = [ada, eve][number as usize % 2].user;
        revoked.push(Journaled::Session { user, session: id(number).into() });
        revoked.push(Journaled::Token { user, token: id(1_000 + number / 2).into() });
    }
    revoked.push(Journaled::User { user: bob.user, below: SecurityVersion::new(9) });
    revoked.push(Journaled::Session { user: ada.user, session: sessions[0].id });
    // Another's: it lives on.
    revoked.push(Journaled::Session { user: eve.user, session: sessions[1].id });
    revoked.push(Journaled::User { user: bob.user, below: SecurityVersion::new(7) });
    revoked
        .extend((0..150).map(|number| Journaled::Token { user: bob.user, token: id(5_000 + number).into() }));
    revoked
}

#[tokio::test]
async fn entries_carried_out_together_do_what_each_does_alone() {
    let people @ [ada, _, bob] = [user(1), user(2), user(3)];
    let sessions = [ada.session(), ada.session(), bob.session()];
    let (mut alone, mut together) = (Side::new(&sessions).await, Side::new(&sessions).await);
    let of_machines: Vec<_> =
        (0..3).map(|number| Journaled::MachineToken(Jti::from(Uuid::from_u128(number)))).collect();
    let steps = [step(&of_one_partition(&sessions, people)), step(&of_machines)];
    for JournalEntry { link, revoked, until } in steps.iter().flat_map(|step| &step.entries) {
        let new = NewEntry { id: link.at.entry, revoked: revoked.clone(), until: *until };
        let carried_out = alone.backend.carry_out(&alone.by, &new, Placement::At(*link), denial());
        carried_out.await.expect("carried out");
    }
    let before = together.calls().await;
    let moved = together.examination.replay(&steps, denial()).await.expect("replayed");
    assert_eq!(moved, [true, true]);
    let calls = together.calls().await - before;
    assert!(calls <= 15, "{calls} calls for {} entries", steps[0].entries.len() + steps[1].entries.len());

    let (mut alone, together) = (alone.kept().await, together.kept().await);
    // Who carries a cut-off out removes what it has ended. Who replays leaves that to its time to live.
    let leftover = keys().of_user(bob.user).session(sessions[2].id);
    assert!(!alone.contains_key(&leftover) && together.contains_key(&leftover));
    alone.insert(leftover.clone(), together[&leftover].clone());
    let keys_of = |kept: &BTreeMap<String, String>| kept.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys_of(&alone), keys_of(&together));
    for (key, kept) in alone {
        assert_eq!(kept, together[&key], "{key}");
    }
    let keys = keys().of_user(ada.user);
    assert!(!together.contains_key(&keys.session(sessions[0].id)));
    assert!(together.contains_key(&keys.session(sessions[1].id)));
}

/// Entries of a partition that nobody has begun count for nothing.
#[tokio::test]
async fn nothing_is_carried_out_where_there_is_nothing() {
    let server = RedisServer::start();
    let clock = Arc::new(ManualClock::at(START));
    let backend = backend(&server, &mark(), &clock).await;
    let mut examination = backend.examine().await.expect("a connection");
    examination.view().await.expect("a view");
    let revoked = Journaled::Session { user: user(1).user, session: fresh_session_id() };
    let moved = examination.replay(&[step(&[revoked])], denial()).await.expect("an answer");
    assert_eq!(moved, [false]);
    assert_eq!(all_keys(&mut client(&server).await).await, BTreeSet::new());
}
