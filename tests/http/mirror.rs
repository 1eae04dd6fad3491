//! Replicas that answer from their own copies of the revocation feed are as strict as Redis.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Actor, DAY, LoggedIn, MINUTE, SECOND, TestApp};

/// How many people log out, again and again, and how often each.
const PEOPLE: usize = 10;
const ROUNDS: usize = 100;

async fn strict(app: &TestApp) -> TestApp {
    app.another_replica(|_| ()).await
}

/// Logs out at one replica, and looks at both, as often as there are rounds.
async fn log_out_here_and_there(name: String, app: TestApp, replicas: [TestApp; 2]) {
    let mut person = app.member(&name).await;
    for round in 0..ROUNDS {
        let (here, there) = (&replicas[round % 2], &replicas[1 - round % 2]);
        there.me(&person.tokens.access).await.json(200);
        here.log_out(&person.tokens.access).await.json(200);
        there.me(&person.tokens.access).await.assert_refused(401, "token_revoked");
        here.me(&person.tokens.access).await.assert_refused(401, "token_revoked");
        person = LoggedIn::log_in(there, &person.email, &person.password).await;
    }
}

/// How often two replicas asked Redis about a token, of how many times they were asked.
async fn a_thousand_logouts(app: TestApp, replicas: [TestApp; 2]) -> (u64, u64) {
    let questions = |commands: std::collections::BTreeMap<String, u64>| {
        // `access_status` is the only one to send it.
        commands.get("zmscore").copied().unwrap_or_default()
    };
    let before = questions(app.redis_commands().await);
    let people = (0..PEOPLE)
        .map(|n| tokio::spawn(log_out_here_and_there(format!("person{n}"), app.clone(), replicas.clone())));
    for person in join_all(people).await {
        person.expect("no token was accepted after its logout");
    }
    let checks = u64::try_from(PEOPLE * ROUNDS * 4).expect("a number");
    (questions(app.redis_commands().await) - before, checks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_thousand_logouts_no_strict_replica_has_accepted_a_dead_token() {
    let app = TestApp::on_redis_and_postgres().await.hashing_all_at_once().await;
    let replicas = [strict(&app).await, strict(&app).await];
    let (asked, checks) = a_thousand_logouts(app, replicas).await;
    assert!(asked >= checks, "{asked} of {checks}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_thousand_logouts_no_mirror_has_accepted_a_dead_token_nor_asked_redis() {
    let app = TestApp::on_redis_and_postgres().await.hashing_all_at_once().await;
    let replicas = [app.mirror().await, app.mirror().await];
    let (asked, checks) = a_thousand_logouts(app, replicas).await;
    // A busy machine may leave a copy unconfirmed for a moment; Redis is asked then.
    assert!(asked < checks / 10, "{asked} of {checks}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_of_a_session_holds_at_a_mirror() {
    let app = TestApp::on_redis_and_postgres().await;
    let (here, there) = (strict(&app).await, app.mirror().await);
    let admin = here.admin().await;
    let ada = here.member("ada").await;
    let tablet = ada.on_another_device().await;
    let dead = |session: &LoggedIn| {
        let (there, access) = (there.clone(), session.tokens.access.clone());
        async move { there.me(&access).await.assert_refused(401, "token_revoked") }
    };
    there.me(&ada.tokens.access).await.json(200);

    // A stolen refresh token.
    let mut robbed = ada.on_another_device().await;
    let stolen = robbed.tokens.refresh.clone();
    robbed.refresh().await;
    robbed.refresh().await;
    here.refresh(&stolen).await.assert_refused(401, "refresh_token_reused");
    dead(&robbed).await;
    // The other devices, by their owner.
    ada.delete("/auth/sessions").send().await.json(200);
    dead(&tablet).await;
    there.me(&ada.tokens.access).await.json(200);
    // An administrator.
    let change = json!({"disabled": true});
    admin.patch(&format!("/users/{}", ada.id)).json(&change).send().await.json(200);
    dead(&ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_mirror_cannot_tell() {
    let app = TestApp::on_redis_and_postgres().await;
    let replica = app.mirror().await;
    let ada = replica.member("ada").await;
    replica.me(&ada.tokens.access).await.json(200);
    app.redis().kill();
    let asking = async {
        // The copy is in use until the loss of the connection is noticed.
        while replica.services().revocations.answers() {
            tokio::task::yield_now().await;
        }
        replica.me(&ada.tokens.access).await.assert_refused(503, "dependency_unavailable");
    };
    tokio::time::timeout(SECOND * 5, asking).await.expect("it notices");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_used_no_longer_than_max_staleness_allows() {
    let app = TestApp::on_redis_and_postgres().await;
    let replica = app.mirror().await;
    let ada = replica.member("ada").await;
    replica.answers_from_its_copy().await;
    // As after a machine has slept: nothing was read meanwhile.
    app.redis().pause();
    app.advance(SECOND * 2);
    assert!(!replica.services().revocations.answers());
    replica.me(&ada.tokens.access).await.assert_refused(503, "dependency_unavailable");
    app.redis().resume();
    replica.answers_from_its_copy().await;
    replica.me(&ada.tokens.access).await.json(200);
}

/// The copy knows nothing of sessions that end by themselves, so no token outlives its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_token_ends_with_its_idle_session() {
    let app = TestApp::on_redis_and_postgres().await;
    let replica = app.mirror().await;
    let ada = replica.member("ada").await;
    app.advance(DAY * 7 - MINUTE);
    let answer = replica.auth_me_by_refresh_token(&ada.tokens.refresh).await.json(200);
    let access = answer["accessToken"].as_str().expect("a token").to_owned();
    replica.me(&access).await.json(200);
    app.advance(MINUTE + app.lifetimes().leeway + SECOND);
    replica.answers_from_its_copy().await;
    replica.me(&access).await.assert_refused(401, "token_expired");
}

/// What a copy has forgotten, Redis is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_of_a_dead_session_does_not_come_along() {
    let app = TestApp::on_redis_and_postgres().await;
    let replica = app.mirror().await;
    let ada = replica.member("ada").await;
    let phone = ada.on_another_device().await;
    replica.log_out(&phone.tokens.access).await.json(200);
    app.advance(DAY);
    replica.answers_from_its_copy().await;
    replica.auth_me(&phone.tokens.access, &ada.tokens.refresh).await.assert_refused(401, "token_revoked");
}
