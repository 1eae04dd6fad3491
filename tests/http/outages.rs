//! Stores that go away, come back, and come back empty: no outage ever is a verdict.

use std::time::Duration;

use crate::support::{Actor, Answer, MINUTE, PASSWORD, Request, TestApp, Tokens, jwt};

/// How long a caller waits at most for a Redis that is away.
const BOUND: Duration = Duration::from_secs(1);

const NEW: &str = "a better one this time";

/// Sends a request that Redis is needed for while it is away.
async fn assert_unavailable(request: Request) {
    let answer = tokio::time::timeout(BOUND, request.send()).await.expect("an answer within the bound");
    answer.assert_refused(503, "dependency_unavailable");
}

async fn assert_serves_what_needs_no_store(app: &TestApp) {
    for path in ["/.well-known/jwks.json", "/health/live", "/livez", "/openapi.json"] {
        app.anonymous().get(path).send().await.json(200);
    }
}

/// Asserts what readiness says: in a word, of one check, and for which operations.
async fn assert_readiness(app: &TestApp, status: &str, (name, word): (&str, &str), serves: &[&str]) {
    let http_status = if status == "not_ready" { 503 } else { 200 };
    for path in ["/health/ready", "/readyz", "/healthz"] {
        let answer = app.anonymous().get(path).send().await;
        let body = answer.json(http_status);
        assert_eq!(
            (&body["status"], &body["checks"][name]),
            (&status.into(), &word.into()),
            "{path}: {body}"
        );
        assert_eq!(answer.header("retry-after").is_some(), http_status == 503, "{answer:?}");
        for part in ["127.0.0.1", "localhost", "://"] {
            assert!(!answer.text().contains(part), "a host's name in {answer:?}");
        }
    }
    for operation in ["validate", "refresh", "login", "revoke"] {
        let answer = app.anonymous().get(&format!("/health/ready/{operation}")).send().await;
        let expected = if serves.contains(&operation) { 200 } else { 503 };
        assert_eq!(answer.json(expected)["status"], status, "{answer:?}");
    }
}

const ALL: &[&str] = &["validate", "refresh", "login", "revoke"];

#[tokio::test]
async fn without_redis_nothing_that_needs_it_is_answered_and_nothing_is_used_up() {
    let app = TestApp::on_redis_and_postgres().await;
    let (mut ada, revoked, expired) =
        (app.member("ada").await, app.member("eve").await, app.member("old").await);
    let (leaving, left) = (app.member("bob").await, app.member("kim").await);
    app.log_out(&revoked.tokens.access).await.json(200);
    app.advance(MINUTE * 16);
    ada.refresh().await;
    let reset_token = app.reset_token("ada@example.com").await;
    assert_readiness(&app, "ready", ("token_store", "ok"), ALL).await;

    app.redis().kill();
    // Often enough for the circuit breaker to open.
    for _ in 0..3 {
        let anonymous = app.anonymous();
        let credentials = serde_json::json!({"email": "ada@example.com", "password": PASSWORD});
        let new_password = serde_json::json!({"resetToken": reset_token, "newPassword": NEW});
        let email = serde_json::json!({"email": "ada@example.com"});
        for request in [
            anonymous.post("/auth/login").json(&credentials),
            anonymous.post("/auth/refresh-token").refresh(&ada.tokens.refresh),
            anonymous.post("/auth/refresh-token").refresh(&revoked.tokens.refresh),
            ada.get("/auth/auth-me"),
            ada.post("/auth/auth-me").refresh(&ada.tokens.refresh),
            expired.get("/auth/auth-me").refresh(&expired.tokens.refresh),
            anonymous.get("/auth/auth-me").refresh(&ada.tokens.refresh),
            ada.get("/users/me"),
            ada.get("/users"),
            revoked.get("/users/me").refresh(&ada.tokens.refresh),
            anonymous.post("/auth/reset-password-request").json(&email),
            anonymous.post("/auth/reset-password").json(&new_password),
        ] {
            assert_unavailable(request).await;
        }
    }
    // That a session is to end can be written down.
    app.log_out(&leaving.tokens.access).await.assert_refused(503, "revocation_pending");
    let by_refresh_token = app.anonymous().post("/auth/logout").refresh(&left.tokens.refresh);
    by_refresh_token.send().await.assert_refused(503, "revocation_pending");
    let forged = jwt::with_another_signature(&ada.tokens.access);
    app.log_out(&forged).await.assert_refused(401, "invalid_token");
    // What is wrong without asking Redis stays wrong.
    app.refresh("hp_rt_").await.assert_refused(401, "invalid_refresh_token");
    // No guess is free: whether it may be made is not known.
    app.log_in("ada@example.com", "wrong").await.assert_refused(503, "dependency_unavailable");
    assert_serves_what_needs_no_store(&app).await;
    assert_readiness(&app, "not_ready", ("token_store", "unavailable"), &[]).await;

    app.redis().restart();
    app.recovered().await;
    ada.assert_lives().await;
    app.refresh(&revoked.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    for person in [leaving, left] {
        assert_eq!(app.me(&person.tokens.access).await.status, 401);
        app.refresh(&person.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    }
    app.log_in("ada@example.com", PASSWORD).await.json(200);
    // It may have been used since what the restart has read was written.
    app.reset_password(&reset_token, NEW).await.assert_refused(400, "invalid_reset_token");
    let reset_token = app.reset_token("ada@example.com").await;
    app.reset_password(&reset_token, NEW).await.json(200);
    ada.assert_is_over().await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_one_that_is_away() {
    let app = TestApp::on_redis_and_postgres().await;
    let mut ada = app.member("ada").await;
    app.redis().pause();
    let calls: Vec<_> = (0..50)
        .map(|i| {
            let refresh = app.anonymous().post("/auth/refresh-token").refresh(&ada.tokens.refresh);
            tokio::spawn(assert_unavailable(if i % 2 == 0 { ada.get("/users/me") } else { refresh }))
        })
        .collect();
    for call in calls {
        call.await.expect("an answer");
    }
    app.redis().resume();
    app.recovered().await;
    // Redis may have made the rotations once it went on: the answer is the same successor then.
    ada.refresh().await;
    ada.assert_lives().await;
}

/// Otherwise an outage would be the moment to ask who has an account.
#[tokio::test]
async fn an_outage_tells_nobody_which_addresses_have_accounts() {
    let app = TestApp::on_redis_and_postgres().await;
    app.register("ada@example.com", PASSWORD).await.json(201);
    app.redis().kill();
    let answers = [app.request_reset("ada@example.com").await, app.request_reset("eve@example.com").await];
    for answer in &answers {
        answer.assert_refused(503, "dependency_unavailable");
    }
    assert_eq!(answers[0].text(), answers[1].text());
}

#[tokio::test]
async fn without_postgres_logins_wait_and_refreshes_go_on() {
    let app = TestApp::on_servers_of_its_own().await;
    let mut ada = app.member("ada").await;
    let token = app.reset_token("ada@example.com").await;
    app.stop_postgres();

    app.log_in("ada@example.com", PASSWORD).await.assert_refused(503, "dependency_unavailable");
    app.log_in("nobody@example.com", PASSWORD).await.assert_refused(503, "dependency_unavailable");
    app.register("eve@example.com", PASSWORD).await.assert_refused(503, "dependency_unavailable");
    app.reset_password(&token, NEW).await.assert_refused(503, "dependency_unavailable");
    app.me(&ada.tokens.access).await.assert_refused(503, "dependency_unavailable");
    assert_serves_what_needs_no_store(&app).await;
    assert_readiness(&app, "degraded", ("database", "unavailable"), &["validate", "refresh"]).await;

    let old = ada.tokens.clone();
    ada.refresh().await;
    assert_ne!(ada.tokens.refresh, old.refresh);
    app.advance(MINUTE * 16);
    ada.refresh().await;
    // It has ended, and the database is told when it is back.
    app.log_out(&ada.tokens.access).await.assert_refused(503, "revocation_pending");
    app.me(&ada.tokens.access).await.assert_refused(401, "token_revoked");
    app.refresh(&ada.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
}

/// A ping is answered by all of them.
#[tokio::test]
async fn a_redis_that_answers_and_takes_no_writes_is_not_ready_for_them() {
    let app = TestApp::on_redis_and_postgres().await;
    let ada = app.member("ada").await;
    for (begin, end, word, serves) in [
        // What was revoked at its master may not have come to it yet.
        (&["REPLICAOF", "127.0.0.1", "1"][..], &["REPLICAOF", "NO", "ONE"][..], "unavailable", &[][..]),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "read_only",
            &["validate"],
        ),
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
            "full",
            &["validate", "revoke"],
        ),
    ] {
        println!("{begin:?}");
        command(&app, begin).await;
        assert_readiness(&app, "not_ready", ("token_store", word), serves).await;
        app.refresh(&ada.tokens.refresh).await.assert_refused(503, "dependency_unavailable");
        let validated = ada.get("/auth/auth-me").send().await;
        match serves.contains(&"validate") {
            true => drop(validated.json(200)),
            false => drop(validated.assert_refused(503, "dependency_unavailable")),
        }
        command(&app, end).await;
        app.recovered().await;
        // Once more a master, it has another history by its own account: that is looked at once a second.
        app.keep_journal().await.expect("a look");
        assert_readiness(&app, "ready", ("token_store", "ok"), ALL).await;
    }
}

/// Sends one command to the service's Redis.
async fn command(app: &TestApp, words: &[&str]) {
    let url = app.redis().url();
    let client = redis::Client::open(url).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("a connection");
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async::<()>(&mut redis).await.expect("an answer");
}

/// Asserts that nothing from before the loss is accepted.
async fn assert_all_refused(app: &TestApp, before: &[Tokens], reset_token: &str) {
    let is_401 = |answer: Answer| assert_eq!(answer.status, 401, "{answer:?}");
    for tokens in before {
        is_401(app.me(&tokens.access).await);
        is_401(app.auth_me(&tokens.access, &tokens.refresh).await);
        is_401(app.auth_me_by_refresh_token(&tokens.refresh).await);
        is_401(app.log_out(&tokens.access).await);
        app.refresh(&tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    }
    app.reset_password(reset_token, NEW).await.assert_refused(400, "invalid_reset_token");
}

#[tokio::test]
async fn a_redis_that_lost_its_data_logs_everybody_out_and_lets_no_revoked_token_back_in() {
    let app = TestApp::on_redis_and_postgres().await;
    let (ada, elsewhere) = {
        let ada = app.member("ada").await;
        (ada.clone(), ada.on_another_device().await)
    };
    let revoked = ada.on_another_device().await;
    app.log_out(&revoked.tokens.access).await.json(200);
    let reset_token = app.reset_token("ada@example.com").await;
    let before = [&ada, &elsewhere, &revoked].map(|session| session.tokens.clone());

    command(&app, &["FLUSHALL"]).await;
    assert_all_refused(&app, &before, &reset_token).await;

    // The next login, in the same second even, does not bring them back.
    let after = ada.on_another_device().await;
    after.assert_lives().await;
    assert_all_refused(&app, &before, &reset_token).await;
    after.assert_lives().await;
    let mut after = after;
    after.refresh().await;
    after.assert_lives().await;
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_loaded_again() {
    let app = TestApp::on_redis_and_postgres().await;
    let mut ada = app.member("ada").await;
    for _ in 0..5 {
        command(&app, &["SCRIPT", "FLUSH"]).await;
        ada.refresh().await;
        command(&app, &["SCRIPT", "FLUSH"]).await;
        ada.assert_lives().await;
    }
}
