//! What builds before this one left behind is taken over: `tests/fixtures/80b13e8` is a data folder, and a
//! dump of Postgres and what Redis held, all made by a build of that commit.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass::crypto::rate_limit::MarkKey;
use hallpass::crypto::sealed::open_value;
use hallpass::domain::clock::Timestamp;
use hallpass::domain::sealed_value::LIMIT_MARKS;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::{Actor, Answer, PASSWORD, SECOND, TestApp, jwt};

/// Runs each case on the data folder of then, and on the Postgres and the Redis of then.
macro_rules! on_data_of_then {
    ($($case:ident),* $(,)?) => {
        mod embedded_and_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (app, then) = super::sqlite().await;
                super::$case(app, then).await;
            }
        )*}

        mod redis_and_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (app, then) = super::postgres().await;
                super::$case(app, then).await;
            }
        )*}
    };
}

on_data_of_then! {
    accounts_are_what_they_were_and_their_passwords_are_good,
    the_id_of_a_deleted_account_is_never_given_again,
    clients_are_what_they_were_and_their_secrets_are_good,
    signing_keys_are_what_they_were_and_the_same_one_signs,
    the_audit_log_has_every_entry,
    limits_go_on_by_what_was_derived_from_the_secret,
    what_was_dead_then_is_dead,
    the_first_start_logs_everybody_out_and_lets_nothing_in,
}

/// What was true and known when the data was made, and what stands where.
struct Then(Value);

impl Then {
    fn read(kind: &str) -> Self {
        let text = std::fs::read_to_string(fixture(kind, "then.json")).expect("the fixture");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    /// A minute after the data was made: tokens of then have not expired.
    fn soon(&self) -> Timestamp {
        let made_at = self.0["made_at"].as_i64().expect("seconds");
        Timestamp::from_millis(made_at * 1_000).after(SECOND * 60)
    }

    fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().expect("a list")
    }

    fn password(&self, email: &str) -> &str {
        text(&self.0["passwords"][email])
    }

    /// A token of a session that was live.
    fn token(&self, whose: &str, kind: &str) -> &str {
        text(&self.0["sessions"][whose][kind])
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn fixture(kind: &str, file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/80b13e8", kind, file].iter().collect()
}

/// This build over the data folder of then.
async fn sqlite() -> (TestApp, Then) {
    let then = Then::read("sqlite");
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["hallpass.db", "tokens.db"] {
        std::fs::copy(fixture("sqlite", file), folder.path().join(file)).expect("a copy");
    }
    (TestApp::on_data_of_another(folder, then.soon(), &[], None).await, then)
}

/// This build over the Postgres and the Redis of then.
async fn postgres() -> (TestApp, Then) {
    postgres_with(&[]).await
}

async fn postgres_with(settings: &[&str]) -> (TestApp, Then) {
    let then = Then::read("postgres");
    let database = PostgresServer::shared().create_database().await;
    let dump = std::fs::read_to_string(fixture("postgres", "database.sql")).expect("the fixture");
    let mut connection = PgConnection::connect(&database).await.expect("the server");
    connection.execute(AssertSqlSafe(dump)).await.expect("the dump is read");
    connection.close().await.expect("a clean end");

    let redis = RedisServer::start();
    let commands = std::fs::read_to_string(fixture("postgres", "redis.json")).expect("the fixture");
    let commands: Vec<Vec<String>> = serde_json::from_str(&commands).expect("JSON");
    let client = redis::Client::open(redis.url()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let mut pipeline = redis::pipe();
    for words in &commands {
        pipeline.cmd(&words[0]).arg(&words[1..]).ignore();
    }
    pipeline.query_async::<()>(&mut connection).await.expect("Redis takes them");

    let assignments = [format!("redis.url={}", redis.url()), format!("database.url={database}")];
    let assignments: Vec<_> =
        assignments.iter().map(String::as_str).chain(settings.iter().copied()).collect();
    let folder = tempfile::tempdir().expect("a folder");
    (TestApp::on_data_of_another(folder, then.soon(), &assignments, Some(redis)).await, then)
}

async fn log_in(app: &TestApp, then: &Then, email: &str) -> Answer {
    app.log_in(email, then.password(email)).await
}

/// The access token of the administrator, who logs in.
async fn admin(app: &TestApp, then: &Then) -> String {
    let answer = log_in(app, then, "admin@example.com").await.tokens(200);
    text(&answer["accessToken"]).to_owned()
}

async fn accounts_are_what_they_were_and_their_passwords_are_good(app: TestApp, then: Then) {
    for account in then.list("accounts") {
        let email = text(&account["email"]);
        let user = app.stored_user(email).await.unwrap_or_else(|| panic!("{email} is gone"));
        let now = json!({
            "id": user.id.get(),
            "email": user.email.as_str(),
            "first_name": user.first_name.as_ref().map(|name| name.as_str()),
            "last_name": user.last_name.as_ref().map(|name| name.as_str()),
            "role": user.role().as_str(),
            "disabled": user.disabled,
            "email_verified": user.email_verified,
            "created_at": user.created_at.as_secs(),
        });
        assert_eq!(now, *account);

        let answer = log_in(&app, &then, email).await;
        if user.disabled {
            answer.assert_refused(403, "account_disabled");
        } else {
            assert_eq!(answer.tokens(200)["user"]["id"], account["id"]);
        }
        app.log_in(email, PASSWORD).await.assert_refused(401, "invalid_credentials");
    }
    assert_eq!(then.list("accounts").len(), 5);
    // The hash that was brought along is one of this service now.
    let imported = app.stored_user("hopper@example.com").await.expect("the account");
    assert!(imported.password.expose().starts_with("$argon2id$"));
}

async fn the_id_of_a_deleted_account_is_never_given_again(app: TestApp, then: Then) {
    let registered = app.register("new@example.com", PASSWORD).await.json(201);
    let greatest = then.list("accounts").iter().filter_map(|account| account["id"].as_i64()).max();
    assert!(registered["id"].as_i64() > greatest, "{registered}");
    assert!(then.list("accounts").iter().all(|account| account["id"] != then.0["deleted"]));
}

async fn clients_are_what_they_were_and_their_secrets_are_good(app: TestApp, then: Then) {
    let token = admin(&app, &then).await;
    let clients = app.anonymous().get("/clients").access(&token).send().await.json(200);
    let clients = clients.as_array().expect("a list");
    assert_eq!(clients.len(), then.list("clients").len(), "{clients:?}");
    for (now, known) in clients.iter().zip(then.list("clients")) {
        assert_eq!((&now["id"], &now["createdAt"]), (&known["id"], &known["createdAt"]));
        assert_eq!(now["audience"], known["audience"]);
        let scopes: Vec<&str> = now["scopes"].as_array().expect("a list").iter().map(text).collect();
        assert_eq!(scopes.join(" "), text(&known["scopes"]));
        let secrets = then.0["client_secrets"][text(&known["id"])].as_array().expect("a list");
        assert_eq!(secrets.len() as u64, known["secrets"].as_u64().expect("a count"));
        for secret in secrets {
            let credentials = STANDARD.encode(format!("{}:{}", text(&known["id"]), text(secret)));
            let asking =
                app.anonymous().post("/oauth2/token").header("authorization", format!("Basic {credentials}"));
            let asking = asking.text("application/x-www-form-urlencoded", "grant_type=client_credentials");
            asking.send().await.tokens(200);
        }
    }
}

async fn signing_keys_are_what_they_were_and_the_same_one_signs(app: TestApp, then: Then) {
    let keys = app.services().signing_keys.overview().await.expect("the ring").keys;
    let now: Vec<_> = keys.iter().map(|ring| (ring.key.id.as_str(), ring.state.as_str())).collect();
    let known: Vec<_> =
        then.list("keys").iter().map(|key| (text(&key["kid"]), text(&key["state"]))).collect();
    assert_eq!(now, known);
    let states: Vec<_> = known.iter().map(|(_, state)| *state).collect();
    assert_eq!(states, ["revoked", "retiring", "active", "next", "next"]);
    let token = admin(&app, &then).await;
    assert_eq!(jwt::header(&token)["kid"], known[2].0);
}

async fn the_audit_log_has_every_entry(app: TestApp, then: Then) {
    let token = admin(&app, &then).await;
    let (mut now, mut before) = (Vec::new(), String::new());
    loop {
        let page =
            app.anonymous().get(&format!("/audit?limit=50{before}")).access(&token).send().await.json(200);
        let page = page.as_array().expect("a list").clone();
        let Some(last) = page.last() else { break };
        before = format!("&before={}", last["id"]);
        now.extend(page);
    }
    let known = then.list("audit");
    assert!(known.len() > 20, "{} entries", known.len());
    for entry in known {
        assert!(now.contains(entry), "{entry} is gone");
    }
}

async fn what_was_dead_then_is_dead(app: TestApp, then: Then) {
    let left = &then.0["logged_out"];
    let refused = app.me(text(&left["access"])).await;
    assert_eq!(refused.status, 401, "a logged-out access token: {refused:?}");
    app.refresh(text(&left["refresh"])).await.assert_refused(401, "invalid_refresh_token");
    // That key was revoked.
    app.me(then.token("renée", "access")).await.assert_refused(401, "invalid_token");
}

/// Fails where any token of then is still good for anything.
async fn assert_everybody_is_logged_out(app: &TestApp, then: &Then) {
    for whose in ["admin", "ada", "renée"] {
        let access = app.me(then.token(whose, "access")).await;
        assert_eq!(access.status, 401, "{whose}: {access:?}");
        let refresh = then.token(whose, "refresh");
        app.auth_me_by_refresh_token(refresh).await.assert_refused(401, "invalid_refresh_token");
        app.refresh(refresh).await.assert_refused(401, "invalid_refresh_token");
    }
    let machine = app.anonymous().get("/revocations").access(text(&then.0["machine"])).send().await;
    assert_eq!(machine.status, 401, "{machine:?}");
    let reset = app.reset_password(text(&then.0["reset"]), "a password that nobody chose").await;
    reset.assert_refused(400, "invalid_reset_token");
}

/// Tokens of then name no incarnation, and what Redis held had no deployment's mark.
async fn the_first_start_logs_everybody_out_and_lets_nothing_in(app: TestApp, then: Then) {
    assert_everybody_is_logged_out(&app, &then).await;
    // And whoever logs in anew stays: nothing of then stands against them.
    let ada = log_in(&app, &then, "ada@example.com").await.tokens(200);
    app.me(text(&ada["accessToken"])).await.json(200);
    assert_everybody_is_logged_out(&app, &then).await;
}

/// The keys of then begin with what a deployment may have chosen for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_the_keys_of_then_let_anything_in_where_their_prefix_is_kept() {
    let (app, then) = postgres_with(&["redis.prefix=hallpass"]).await;
    the_first_start_logs_everybody_out_and_lets_nothing_in(app, then).await;
}

/// What was counted and remembered then is found again, and outlives the secret from now on.
async fn limits_go_on_by_what_was_derived_from_the_secret(app: TestApp, _: Then) {
    let [kept] = app.kept_values().await.try_into().expect("one value");
    let (bytes, under) = open_value(&app.secrets(), LIMIT_MARKS, &kept.sealed).expect("ours");
    assert_eq!(bytes, MarkKey::of_before(&app.secrets()));
    assert_eq!(under, app.secrets().mark());
}
