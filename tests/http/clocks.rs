//! Clocks that are wrong: this replica's, another's, the token store's. Nobody is logged out by that, and
//! nothing that was revoked comes back.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::domain::clock::{Clock, ManualClock, Timestamp};
use hallpass::domain::revocation::ValidationMode;
use serde_json::{Value, json};

use crate::servers::redis::RedisServer;
use crate::support::{
    Actor, Answer, Clocks, LoggedIn, MINUTE, PASSWORD, SECOND, START, TestApp, Tokens, on_both_flavours,
};

const HOUR: std::time::Duration = MINUTE.saturating_mul(60);

on_both_flavours! {
    a_clock_that_was_ahead_at_the_first_login_and_was_put_back_locks_nobody_out,
    a_used_token_is_stolen_as_soon_as_before_when_the_clock_was_put_back,
    what_is_revoked_stays_so_when_the_clock_jumps_ahead,
    a_machines_token_is_good_before_anybody_has_logged_in,
}

/// A replica with a clock of its own; all others are the app's.
async fn replica_by(app: &TestApp, own: Arc<ManualClock>) -> TestApp {
    let clocks = Clocks { own, token_store: app.clock(), database: app.clock() };
    app.another_replica_by(clocks, |_| ()).await
}

fn clock_at(moment: Timestamp) -> Arc<ManualClock> {
    Arc::new(ManualClock::at(moment))
}

/// A form that the sample client sends.
async fn by_client(app: &TestApp, path: &str, form: &str) -> Answer {
    by(app, "books:books-dev-secret", path, form).await
}

/// A form that the client with these credentials sends.
async fn by(app: &TestApp, credentials: &str, path: &str, form: &str) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(credentials));
    let request = app.anonymous().post(path).header("authorization", basic);
    request.text("application/x-www-form-urlencoded", form).send().await
}

async fn machine_token(app: &TestApp) -> String {
    let answer = by_client(app, "/oauth2/token", "grant_type=client_credentials").await.tokens(200);
    answer["access_token"].as_str().expect("a token").to_owned()
}

async fn is_active(app: &TestApp, token: &str) -> bool {
    let said = by_client(app, "/oauth2/introspect", &format!("token={token}")).await;
    said.tokens(200)["active"].as_bool().expect("a verdict")
}

#[track_caller]
fn assert_skew(answer: &Answer) {
    answer.assert_refused(503, "clock_skew");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

async fn readiness(app: &TestApp, path: &str) -> (u16, Value) {
    let answer = app.anonymous().get(path).send().await;
    let status = answer.status;
    (status, answer.json(status)["checks"]["clock"].clone())
}

/// An odd replica begins nothing, uses nothing up, and goes on to judge and to revoke.
#[tokio::test]
async fn a_replica_whose_clock_is_wrong_mints_nothing_and_goes_on_to_judge() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let leaving = ada.on_another_device().await;
    let machine = machine_token(&app).await;
    let gateway = json!({"id": "gateway", "scopes": ["tokens:introspect"]});
    let gateway = app.admin().await.post("/clients").json(&gateway).send().await.tokens(201);
    let gateway = format!("gateway:{}", gateway["secret"].as_str().expect("a secret"));
    for wrong in [START.after(HOUR), START.before(HOUR), START.after(SECOND * 6)] {
        let own = clock_at(wrong);
        let odd = replica_by(&app, own.clone()).await;
        odd.compare_clocks().await;

        assert_skew(&odd.log_in(&ada.email, &ada.password).await);
        assert_skew(&odd.refresh(&ada.tokens.refresh).await);
        assert_skew(&odd.auth_me_by_refresh_token(&ada.tokens.refresh).await);
        let said = by_client(&odd, "/oauth2/token", "grant_type=client_credentials").await.json(503);
        assert_eq!(said["error"], "temporarily_unavailable", "{said}");
        let changing = json!({"currentPassword": PASSWORD, "newPassword": "another good password"});
        let change = odd.anonymous().post("/auth/change-password").access(&ada.tokens.access);
        assert_skew(&change.json(&changing).send().await);

        odd.me(&ada.tokens.access).await.json(200);
        assert!(is_active(&odd, &ada.tokens.access).await && is_active(&odd, &machine).await);
        let form = format!("token={}", ada.tokens.refresh);
        let said = by(&odd, &gateway, "/oauth2/introspect", &form).await.tokens(200);
        assert_eq!(said["active"], true, "{said}");
        assert_eq!(readiness(&odd, "/health/ready").await, (503, json!("odd")));
        assert_eq!(readiness(&odd, "/health/ready/validate").await.0, 200);
        assert_eq!(readiness(&odd, "/health/ready/revoke").await.0, 200);
        assert_eq!(readiness(&odd, "/health/ready/login").await.0, 503);

        own.set(app.clock().now());
        odd.compare_clocks().await;
        LoggedIn::log_in(&odd, &ada.email, &ada.password).await;
        assert_eq!(readiness(&odd, "/health/ready").await, (200, json!("ok")));
    }
    // Nothing was used up.
    app.refresh(&ada.tokens.refresh).await.tokens(200);

    let odd = replica_by(&app, clock_at(START.after(HOUR))).await;
    odd.compare_clocks().await;
    odd.log_out(&leaving.tokens.access).await.json(200);
    app.me(&leaving.tokens.access).await.assert_refused(401, "token_revoked");
}

/// Before anybody has compared anything.
#[tokio::test]
async fn a_clock_that_is_set_is_wrong_at_once() {
    let app = TestApp::on_redis_and_sqlite(RedisServer::start()).await;
    let ada = app.member("ada").await;
    let own = clock_at(START);
    let replica = replica_by(&app, own.clone()).await;
    replica.me(&ada.tokens.access).await.json(200);
    own.set(START.after(HOUR));
    assert_skew(&replica.refresh(&ada.tokens.refresh).await);
    replica.me(&ada.tokens.access).await.json(200);
}

/// By its own clock such a token has a quarter of an hour left.
#[tokio::test]
async fn a_replica_that_is_behind_takes_no_token_whose_time_is_over() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let revoked = machine_token(&app).await;
    assert_eq!(by_client(&app, "/oauth2/revoke", &format!("token={revoked}")).await.status, 200);
    let own = clock_at(START.before(HOUR));
    let behind = replica_by(&app, own.clone()).await;
    for clock in [&own, &app.clock()] {
        clock.advance(MINUTE * 16);
    }
    behind.compare_clocks().await;
    behind.me(&ada.tokens.access).await.assert_refused(401, "token_expired");
    // Its denial has ended, since its time has.
    app.advance(SECOND);
    assert!(!is_active(&behind, &revoked).await);
}

/// The grace period is the token store's, whoever asks.
#[tokio::test]
async fn two_tabs_at_replicas_whose_clocks_differ_stay_logged_in() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let wide = |settings: &mut hallpass::config::Settings| settings.tokens.lifetimes.leeway = MINUTE;
    let by = |own| Clocks { own, token_store: app.clock(), database: app.clock() };
    let here = app.another_replica_by(by(clock_at(START)), wide).await;
    let there = app.another_replica_by(by(clock_at(START.after(SECOND * 40))), wide).await;
    there.compare_clocks().await;
    let first = Tokens::of(&here.refresh(&ada.tokens.refresh).await.tokens(200));
    let second = Tokens::of(&there.refresh(&ada.tokens.refresh).await.tokens(200));
    assert_eq!(first.refresh, second.refresh);
    app.me(&first.access).await.json(200);
}

/// Within the leeway, where nobody is odd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_at_a_replica_that_is_a_little_ahead_ends_no_session_that_comes_after_it() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let mirror = ValidationMode::Mirror { max_staleness: SECOND * 2 };
    let mut mirrors = Vec::new();
    for ahead in [SECOND * 4, std::time::Duration::ZERO] {
        let by =
            Clocks { own: clock_at(START.after(ahead)), token_store: app.clock(), database: app.clock() };
        let replica = app.another_replica_by(by, |settings| settings.validation = mirror).await;
        replica.compare_clocks().await;
        replica.answers_from_its_copy().await;
        mirrors.push(replica);
    }
    let [fast, slow] = &mirrors[..] else { panic!("two mirrors") };
    let token = fast.reset_token(&ada.email).await;
    fast.reset_password(&token, "another good password").await.json(200);
    let after = LoggedIn::log_in(slow, &ada.email, "another good password").await;
    for replica in [fast, slow, &app] {
        replica.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
        replica.me(&after.tokens.access).await.json(200);
    }
    slow.log_out(&after.tokens.access).await.json(200);
    for replica in [fast, slow, &app] {
        replica.me(&after.tokens.access).await.assert_refused(401, "token_revoked");
    }
}

/// One that is ahead by more than a token lives ends no denial early.
#[tokio::test]
async fn a_replica_that_is_ahead_forgets_nothing_for_the_others() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    let elsewhere = ada.on_another_device().await;
    by_client(&app, "/oauth2/revoke", &format!("token={}", ada.tokens.access)).await;
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    let ahead = replica_by(&app, clock_at(START.after(MINUTE * 17))).await;
    ahead.compare_clocks().await;
    ahead.log_out(&elsewhere.tokens.access).await.json(200);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
}

/// A board without a battery, a virtual machine after its sleep.
async fn a_clock_that_was_ahead_at_the_first_login_and_was_put_back_locks_nobody_out(app: TestApp) {
    app.clock().set(START.after(HOUR));
    app.compare_clocks().await;
    let mut early = app.member("ada").await;
    app.compare_clocks().await;
    app.clock().set(START);
    app.compare_clocks().await;
    let ada = LoggedIn::log_in(&app, &early.email, &early.password).await;
    ada.assert_lives().await;
    early.refresh().await;
    early.assert_lives().await;
    let machine = machine_token(&app).await;
    assert!(is_active(&app, &machine).await);
    app.log_out(&ada.tokens.access).await.json(200);
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
}

/// The window does not stay open for as long as the clock was ahead.
async fn a_used_token_is_stolen_as_soon_as_before_when_the_clock_was_put_back(app: TestApp) {
    app.clock().set(START.after(HOUR));
    app.compare_clocks().await;
    let mut ada = app.member("ada").await;
    let used = ada.tokens.refresh.clone();
    ada.refresh().await;
    app.clock().set(START);
    app.compare_clocks().await;
    let again = Tokens::of(&app.refresh(&used).await.tokens(200));
    assert_eq!(again.refresh, ada.tokens.refresh, "two tabs: the same successor");
    app.advance(SECOND * 31);
    app.refresh(&used).await.assert_refused(401, "refresh_token_reused");
}

/// Denials have ended by the clock, and are there all the same before anything is answered.
async fn what_is_revoked_stays_so_when_the_clock_jumps_ahead(app: TestApp) {
    let ada = app.member("ada").await;
    let machine = machine_token(&app).await;
    // All clocks but the token store's go on as before.
    let (own, store) = (clock_at(START), app.clock());
    let database = own.clone();
    let by = Clocks { own: own.clone(), token_store: store.clone(), database };
    let replica = match app.has_redis() {
        true => app.another_replica_by(by, |_| ()).await,
        // The embedded store belongs to one process, whose clock it goes by.
        false => app.clone(),
    };
    replica.compare_clocks().await;
    for token in [&ada.tokens.access, &machine] {
        assert_eq!(by_client(&replica, "/oauth2/revoke", &format!("token={token}")).await.status, 200);
        assert!(!is_active(&replica, token).await);
    }
    store.set(START.after(HOUR));
    if !app.has_redis() {
        // All clocks are this one: the tokens are over as well.
        replica.compare_clocks().await;
        replica.me(&ada.tokens.access).await.assert_refused(401, "token_expired");
    } else {
        let answer = replica.me(&ada.tokens.access).await;
        assert!([401, 503].contains(&answer.status), "{answer:?}");
        replica.compare_clocks().await;
        replica.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
        assert!(!is_active(&replica, &machine).await);
        // It is said, and stops nobody.
        assert_eq!(readiness(&replica, "/health/ready").await, (200, json!("token_store_odd")));
        let bob = replica.member("bob").await;
        bob.assert_lives().await;
        replica.log_out(&bob.tokens.access).await.json(200);
        replica.me(&bob.tokens.access).await.assert_refused(401, "token_revoked");
    }
    store.set(START);
    replica.compare_clocks().await;
    replica.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    assert!(!is_active(&replica, &machine).await);
    assert_eq!(readiness(&replica, "/health/ready").await, (200, json!("ok")));
}

/// The clock is right again before anybody looks at it.
#[tokio::test]
async fn a_jump_that_a_revocation_alone_has_met_is_made_good() {
    let app = TestApp::on_redis_and_postgres().await;
    let tokens = [machine_token(&app).await, machine_token(&app).await];
    let own = clock_at(START);
    let by = Clocks { own: own.clone(), token_store: app.clock(), database: own };
    let replica = app.another_replica_by(by, |_| ()).await;
    replica.compare_clocks().await;
    let revoke = async |token| by_client(&replica, "/oauth2/revoke", &format!("token={token}")).await;
    assert_eq!(revoke(&tokens[0]).await.status, 200);
    app.clock().set(START.after(HOUR));
    // Until it is made good there may be no answer.
    revoke(&tokens[1]).await;
    app.clock().set(START);
    replica.compare_clocks().await;
    assert!(!is_active(&replica, &tokens[0]).await);
    assert_eq!(revoke(&tokens[1]).await.status, 200);
    assert!(!is_active(&replica, &tokens[1]).await);
}

async fn a_machines_token_is_good_before_anybody_has_logged_in(app: TestApp) {
    let machine = machine_token(&app).await;
    for _ in 0..3 {
        app.advance(SECOND);
        app.compare_clocks().await;
        assert!(is_active(&app, &machine).await);
    }
}

/// A stream of numbers that is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A session as it must be.
struct Known {
    tokens: Tokens,
    /// When its access token was handed out.
    issued_at: Timestamp,
    is_revoked: bool,
}

struct Walk {
    clocks: Vec<Arc<ManualClock>>,
    replicas: Vec<TestApp>,
    truth: Arc<ManualClock>,
    dice: Dice,
    sessions: Vec<Known>,
    undecided: usize,
    decided: usize,
}

impl Walk {
    fn any_session(&mut self) -> Option<usize> {
        (!self.sessions.is_empty()).then(|| self.dice.below(self.sessions.len() as u64) as usize)
    }

    /// Whether the answer is a verdict. "Cannot tell" is none.
    fn is_verdict(&mut self, answer: &Answer) -> bool {
        match answer.status {
            503 => self.undecided += 1,
            _ => self.decided += 1,
        }
        answer.status != 503
    }

    async fn step(&mut self) {
        let which = self.dice.below(self.replicas.len() as u64) as usize;
        let replica = self.replicas[which].clone();
        match self.dice.below(20) {
            0 => {
                let ahead = SECOND * u32::try_from(self.dice.below(7_200)).expect("seconds");
                let now = self.truth.now().before(HOUR).after(ahead);
                self.clocks[which].set(now);
            }
            1 | 2 => {
                let now = self.truth.now();
                self.clocks[which].set(now);
                replica.compare_clocks().await;
            }
            3 => {
                for clock in self.clocks.iter().chain([&self.truth]) {
                    clock.advance(SECOND);
                }
                for replica in &self.replicas {
                    replica.compare_clocks().await;
                }
            }
            4..=6 => {
                let answer = replica.log_in("ada@example.com", PASSWORD).await;
                if self.is_verdict(&answer) {
                    let tokens = Tokens::of(&answer.tokens(200));
                    let issued_at = self.truth.now();
                    self.sessions.push(Known { tokens, issued_at, is_revoked: false });
                }
            }
            7..=9 => self.refresh(&replica).await,
            10 => self.log_out(&replica).await,
            _ => self.validate(&replica).await,
        }
    }

    async fn refresh(&mut self, replica: &TestApp) {
        let Some(which) = self.any_session() else { return };
        let answer = replica.refresh(&self.sessions[which].tokens.refresh).await;
        if !self.is_verdict(&answer) {
            return;
        }
        let now = self.truth.now();
        let known = &mut self.sessions[which];
        if known.is_revoked {
            answer.assert_refused(401, "invalid_refresh_token");
        } else {
            known.tokens = Tokens::of(&answer.tokens(200));
            known.issued_at = now;
        }
    }

    async fn log_out(&mut self, replica: &TestApp) {
        let Some(which) = self.any_session() else { return };
        if self.is_over(which) {
            return;
        }
        let answer = replica.log_out(&self.sessions[which].tokens.access).await;
        if answer.status == 503 {
            // Whether it was done is not known: nothing is said of it any more.
            self.sessions.swap_remove(which);
        } else if !self.sessions[which].is_revoked {
            answer.json(200);
            self.sessions[which].is_revoked = true;
        }
    }

    /// Whether the access token's time is nearly over: a leeway to either side may be judged differently.
    fn is_over(&self, which: usize) -> bool {
        self.truth.now().since(self.sessions[which].issued_at) > MINUTE * 14
    }

    async fn validate(&mut self, replica: &TestApp) {
        let Some(which) = self.any_session() else { return };
        if self.is_over(which) {
            return;
        }
        let answer = replica.me(&self.sessions[which].tokens.access).await;
        if !self.is_verdict(&answer) {
            return;
        }
        if self.sessions[which].is_revoked {
            answer.assert_refused(401, "token_revoked");
        } else {
            answer.json(200);
        }
    }
}

/// Three replicas, one strict and two mirrors, whose clocks jump by up to an hour: no wrong answer but 503.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_whose_clocks_jump_give_no_wrong_answer() {
    for seed in [1, 2, 3] {
        let app = TestApp::on_redis_and_postgres().await.counting_nothing().await;
        app.member("ada").await;
        let clocks: Vec<_> = (0..3).map(|_| clock_at(START)).collect();
        let mut replicas = Vec::new();
        for (number, own) in clocks.iter().enumerate() {
            let by = Clocks { own: own.clone(), token_store: app.clock(), database: app.clock() };
            let mirror = ValidationMode::Mirror { max_staleness: SECOND * 2 };
            let mode = if number == 0 { ValidationMode::Strict } else { mirror };
            let replica = app.another_replica_by(by, |settings| settings.validation = mode).await;
            replica.compare_clocks().await;
            replicas.push(replica);
        }
        let (truth, dice) = (app.clock(), Dice(seed));
        let mut walk = Walk { clocks, replicas, truth, dice, sessions: Vec::new(), undecided: 0, decided: 0 };
        for _ in 0..250 {
            walk.step().await;
        }
        let Walk { undecided, decided, .. } = walk;
        assert!(undecided > 5 && decided > 50, "seed {seed}: {undecided} undecided, {decided} decided");
    }
}
