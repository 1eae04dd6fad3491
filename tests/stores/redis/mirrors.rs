//! Whoever revokes waits for the replicas that answer from a copy of the feed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hallpass::domain::clock::ManualClock;
use hallpass::domain::ids::{Jti, KeyId};
use hallpass::domain::revocation::Revoked;
use hallpass::store::revocations::{ReaderRole, RevocationReader, RevocationStore, Standing};
use hallpass::store::{DenylistStore, OnReuse, RefreshOutcome, SessionStore, TokenStore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{backend, client, keys, store};
use crate::journaled::TestStore;
use crate::support::redis::RedisServer;
use crate::token_store::support::*;

/// No test waits for the end of this.
const FOR_EVER: Duration = Duration::from_secs(600);

/// Within this everything is over that is not to wait for anybody.
const SOON: Duration = Duration::from_secs(30);

/// A server, and two stores on it: that of a replica which revokes and that of a mirror.
struct Case {
    server: RedisServer,
    store: SharedStore,
    clock: Arc<ManualClock>,
}

/// A replica that answers from its copy.
struct Mirror {
    reader: Box<dyn RevocationReader>,
    /// What its copy holds.
    copy: Vec<Revoked>,
}

impl Case {
    async fn new() -> Self {
        let server = RedisServer::start();
        let clock = Arc::new(ManualClock::at(START));
        let store = store(&server, &clock).await;
        // Before there is a mirror: else every revocation would wait for as long as one may be silent.
        store.ping().await.expect("a store");
        Self { server, store, clock }
    }

    /// A mirror, with a connection of its own.
    async fn mirror(&self, max_staleness: Duration) -> Mirror {
        let name = *fresh_session_id().as_uuid();
        let backend = backend(&self.server, &mark(), &self.clock).await;
        let replica = TestStore::over(backend, self.store.journal.clone(), self.clock.clone());
        let reader = replica.reader(ReaderRole::Mirror { name, max_staleness });
        Mirror { reader, copy: Vec::new() }
    }

    /// A mirror that answers already.
    async fn answering_mirror(&self, max_staleness: Duration) -> Mirror {
        let mut mirror = self.mirror(max_staleness).await;
        mirror.catch_up(self).await;
        mirror
    }

    /// Revokes a token in the background.
    fn revoke(&self) -> (Jti, JoinHandle<()>) {
        let token = Jti::from(*fresh_session_id().as_uuid());
        let store = self.store.clone();
        let revoking = async move {
            store.revoke_access_token(fresh_user(), token, denial()).await.expect("revoke_access_token");
        };
        (token, tokio::spawn(revoking))
    }
}

impl Mirror {
    /// One read, taken in.
    async fn read(&mut self, _: &Case, wait: Duration) {
        let batch = self.reader.read(wait).await.expect("the feed");
        self.copy.extend(batch.announced.into_iter().map(|revocation| revocation.revoked));
    }

    async fn confirm(&mut self, _: &Case) -> Standing {
        self.reader.confirm().await.expect("the feed")
    }

    /// Reads until its copy answers.
    async fn catch_up(&mut self, case: &Case) {
        let catching_up = async {
            loop {
                self.read(case, Duration::ZERO).await;
                if self.confirm(case).await == Standing::Mirror {
                    return;
                }
            }
        };
        timeout(SOON, catching_up).await.expect("it answers");
    }

    /// Reads and confirms until `revoking` is over, which it must not be before the copy has the token.
    async fn follow(&mut self, case: &Case, token: Jti, revoking: &JoinHandle<()>) {
        while !revoking.is_finished() {
            self.read(case, Duration::from_millis(20)).await;
            let has_it = self.copy.contains(&Revoked::Token(token));
            // What was read is not confirmed yet: a copy of before may still be in use.
            assert!(!revoking.is_finished() || has_it);
            self.confirm(case).await;
        }
        assert!(self.copy.contains(&Revoked::Token(token)), "it was over before the mirror knew");
    }
}

async fn over(revoking: JoinHandle<()>) {
    timeout(SOON, revoking).await.expect("it ends").expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_over_when_every_mirror_has_it() {
    let case = Case::new().await;
    let (mut first, mut second) =
        (case.answering_mirror(FOR_EVER).await, case.answering_mirror(FOR_EVER).await);
    for _ in 0..20 {
        let (token, revoking) = case.revoke();
        while !first.copy.contains(&Revoked::Token(token)) {
            first.read(&case, FOR_EVER).await;
            first.confirm(&case).await;
        }
        assert!(!revoking.is_finished(), "the other mirror has read nothing");
        tokio::join!(first.follow(&case, token, &revoking), second.follow(&case, token, &revoking));
        over(revoking).await;
    }
}

/// Nothing is confirmed until the barrier is there, so whatever is over by then did not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_revoking_waits() {
    let case = Case::new().await;
    let shared: SharedStore = case.store.clone();
    let clock = &case.clock;
    let ada = Person::new();
    let (ended, reused, checked) = (
        ada.log_in(&shared, clock).await,
        ada.log_in(&shared, clock).await,
        ada.log_in(&shared, clock).await,
    );
    for session in [&reused, &checked] {
        rotate(&shared, session.token(0)).await;
        rotate(&shared, session.token(1)).await;
    }
    let user = ada.user;
    let after = ada.after_a_security_event();
    let mut mirror = case.answering_mirror(FOR_EVER).await;
    type Revoking = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    let ways: Vec<(&str, Revoking)> = vec![
        ("revoke_session", {
            let (store, id) = (shared.clone(), ended.id);
            Box::pin(async move {
                assert!(store.revoke_session(user, id, OnUnknown::Ignore).await.expect("revoke_session"));
            })
        }),
        // A repeated call may be that of somebody whom the first one could not tell that it was done.
        ("revoke_session, again", {
            let (store, id) = (shared.clone(), ended.id);
            Box::pin(async move {
                assert!(!store.revoke_session(user, id, OnUnknown::Ignore).await.expect("revoke_session"));
            })
        }),
        ("rotate", {
            let (store, token) = (shared.clone(), reused.token(0));
            Box::pin(async move {
                let outcome = store.rotate(&token, &LIFETIMES).await.expect("rotate");
                assert_eq!(outcome, RefreshOutcome::Reused);
            })
        }),
        ("check_refresh", {
            let (store, token) = (shared.clone(), checked.token(0));
            Box::pin(async move {
                let outcome = store.check_refresh(&token, &LIFETIMES, OnReuse::Revoke).await;
                assert_eq!(outcome.expect("check_refresh"), RefreshOutcome::Reused);
            })
        }),
        ("cut_off", {
            let (store, clock) = (shared.clone(), case.clock.clone());
            Box::pin(async move {
                store.end_below(user, after.version, &clock).await.expect("cut_off");
            })
        }),
        ("announce_key", {
            let store = case.store.clone();
            Box::pin(async move {
                store.announce_key(&KeyId::new("k"), denial()).await.expect("announce_key");
            })
        }),
    ];
    let mut raised = 0;
    for (name, way) in ways {
        let revoking = tokio::spawn(way);
        let raising = async {
            while barriers(&case).await == raised && !revoking.is_finished() {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, raising).await.expect("a barrier");
        assert!(!revoking.is_finished(), "{name} did not wait for the mirror");
        raised = barriers(&case).await;
        let following = async {
            while !revoking.is_finished() {
                mirror.read(&case, Duration::from_millis(20)).await;
                mirror.confirm(&case).await;
            }
        };
        timeout(SOON, following).await.unwrap_or_else(|_| panic!("{name} does not end"));
        over(revoking).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_mirror_is_waited_for_until_its_copy_is_too_old_and_then_no_more() {
    let case = Case::new().await;
    let max_staleness = Duration::from_millis(300);
    let mut silent = case.answering_mirror(max_staleness).await;
    let began = tokio::time::Instant::now();
    let (token, revoking) = case.revoke();
    over(revoking).await;
    assert!(began.elapsed() >= max_staleness, "it may use its copy until then");

    // It is back: what it reads brings the barrier, and it learns in time that nobody waits for it.
    silent.read(&case, Duration::ZERO).await;
    assert!(silent.copy.contains(&Revoked::Token(token)));
    let (second, revoking) = case.revoke();
    over(revoking).await;
    assert!(!silent.copy.contains(&Revoked::Token(second)));
    assert_eq!(silent.confirm(&case).await, Standing::Observer);

    // From the next read on it is a mirror again.
    silent.catch_up(&case).await;
    assert!(silent.copy.contains(&Revoked::Token(second)));
    let (third, revoking) = case.revoke();
    silent.follow(&case, third, &revoking).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_an_observer_nor_for_a_mirror_that_has_stepped_back_or_has_just_begun() {
    let case = Case::new().await;
    let mut observer = case.store.reader(ReaderRole::Observer);
    observer.read(Duration::ZERO).await.expect("the feed");
    assert_eq!(observer.confirm().await.expect("the feed"), Standing::Observer);
    let mut beginner = case.mirror(FOR_EVER).await;
    beginner.read(&case, Duration::ZERO).await;
    assert_eq!(beginner.confirm(&case).await, Standing::Observer, "that read began outside the register");
    let mut leaver = case.answering_mirror(FOR_EVER).await;
    leaver.reader.step_back().await.expect("Redis");

    let (token, revoking) = case.revoke();
    over(revoking).await;
    // It goes on as an observer.
    leaver.read(&case, Duration::ZERO).await;
    assert!(leaver.copy.contains(&Revoked::Token(token)));
    assert_eq!(leaver.confirm(&case).await, Standing::Observer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_whose_register_was_lost_joins_again_before_it_answers() {
    let case = Case::new().await;
    let mut mirror = case.answering_mirror(FOR_EVER).await;
    // Barriers of the lost register count for nothing in the next one.
    for _ in 0..3 {
        let (token, revoking) = case.revoke();
        mirror.follow(&case, token, &revoking).await;
    }
    let register = keys().everybody().mirrors();
    case.clock.advance(Duration::from_secs(1));
    run(&case, &["DEL", &register]).await;
    mirror.catch_up(&case).await;
    let (token, revoking) = case.revoke();
    mirror.read(&case, FOR_EVER).await;
    assert!(!revoking.is_finished());
    mirror.follow(&case, token, &revoking).await;
}

/// A mirror that the lost register has named may still answer from its copy, and nobody knows of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_loss_of_the_register_every_copy_that_it_may_have_named_is_waited_for() {
    let case = Case::new().await;
    let max_staleness = Duration::from_millis(400);
    let mut mirror = case.answering_mirror(max_staleness).await;
    run(&case, &["FLUSHALL"]).await;
    let began = tokio::time::Instant::now();
    let (token, revoking) = case.revoke();
    over(revoking).await;
    assert!(began.elapsed() >= max_staleness, "it may use its copy until then");
    mirror.catch_up(&case).await;
    assert!(mirror.copy.contains(&Revoked::Token(token)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_barrier_serves_all_who_wait() {
    const REVOCATIONS: usize = 500;
    let case = Case::new().await;
    let mut mirror = case.answering_mirror(FOR_EVER).await;
    let (tokens, revoking): (Vec<_>, Vec<_>) = (0..REVOCATIONS).map(|_| case.revoke()).unzip();
    let all = tokio::spawn(join_all(revoking));
    while !all.is_finished() {
        mirror.read(&case, Duration::from_millis(20)).await;
        mirror.confirm(&case).await;
    }
    assert!(tokens.iter().all(|token| mirror.copy.contains(&Revoked::Token(*token))));
    let barriers = barriers(&case).await;
    assert!(barriers < REVOCATIONS, "{barriers} barriers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_revokes_while_a_mirror_is_silent_has_a_barrier_of_their_own() {
    let case = Case::new().await;
    let mut silent = case.answering_mirror(FOR_EVER).await;
    let mut all = Vec::new();
    for raised in 1..=3 {
        all.push(case.revoke());
        let raising = async { while barriers(&case).await < raised {} };
        timeout(SOON, raising).await.expect("it waits for no other one");
    }
    assert!(all.iter().all(|(_, revoking)| !revoking.is_finished()));
    // One acknowledgement of the newest is one of all.
    silent.read(&case, Duration::ZERO).await;
    assert!(all.iter().all(|(token, _)| silent.copy.contains(&Revoked::Token(*token))));
    silent.confirm(&case).await;
    for (_, revoking) in all {
        over(revoking).await;
    }
}

/// However many are silent, and however many revoke meanwhile, nobody waits twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_mirrors_are_waited_for_together() {
    let case = Case::new().await;
    let max_staleness = Duration::from_secs(2);
    let mut mirrors = Vec::new();
    for _ in 0..3 {
        mirrors.push(case.answering_mirror(max_staleness).await);
    }
    let began = tokio::time::Instant::now();
    let (_, first) = case.revoke();
    let raising = async { while barriers(&case).await < 1 {} };
    timeout(SOON, raising).await.expect("a barrier");
    let (_, second) = case.revoke();
    over(first).await;
    assert!(began.elapsed() >= max_staleness, "they may use their copies until then");
    over(second).await;
    // Each of them for itself, or the second revocation after the first one, would take twice as long.
    assert!(began.elapsed() < max_staleness * 3 / 2, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_still_revokes_at_every_mirror() {
    let case = Case::new().await;
    let mut mirror = case.answering_mirror(FOR_EVER).await;
    run(&case, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let shared: SharedStore = case.store.clone();
    let (token, revoking) = case.revoke();
    mirror.follow(&case, token, &revoking).await;
    over(revoking).await;
    assert!(shared.ping().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_goes_away_meanwhile_leaves_the_revocation_unconfirmed() {
    let mut case = Case::new().await;
    let _mirror = case.answering_mirror(FOR_EVER).await;
    let token = Jti::from(*fresh_session_id().as_uuid());
    let store = case.store.clone();
    let revoking =
        tokio::spawn(async move { store.revoke_access_token(fresh_user(), token, denial()).await });
    // It waits for the mirror once the barrier is there.
    let mut redis = client(&case.server).await;
    let (key, mut raised) = (keys().everybody().barriers(), 0_u64);
    while raised == 0 {
        raised = redis::cmd("XLEN").arg(&key).query_async(&mut redis).await.expect("XLEN");
    }
    case.server.kill();
    let outcome = timeout(Duration::from_secs(2), revoking).await.expect("an answer").expect("no panic");
    assert!(matches!(outcome, Err(hallpass::store::StoreError::RevocationPending(_))), "{outcome:?}");
}

/// How many barriers were raised so far.
async fn barriers(case: &Case) -> usize {
    let mut get = redis::cmd("HGET");
    get.arg(keys().everybody().mirrors()).arg("barriers");
    get.query_async(&mut client(&case.server).await).await.expect("HGET")
}

async fn run(case: &Case, command: &[&str]) {
    let mut words = command.iter();
    let mut cmd = redis::cmd(words.next().expect("a command"));
    words.for_each(|word| {
        cmd.arg(*word);
    });
    cmd.query_async::<()>(&mut client(&case.server).await).await.expect("an answer");
}
