//! `hallpass tokens` and `hallpass doctor`.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::client::{Tokens, login};
use crate::process::{Outcome, Program, SECRET, dev, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Tokens name the issuer, which is that of the settings and not of the port.
const ISSUER: &str = "http://localhost:8080";

/// `hallpass tokens <verb> -`, with something on standard input.
async fn tokens(folder: &Path, verb: &str, in_hand: &str) -> Value {
    let command = Program::new(folder, &["tokens", verb, "-", "--json"]);
    let outcome = command.variable("HALLPASS_PUBLIC_URL", ISSUER).input(&format!("{in_hand}\n")).run().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stdout.contains(in_hand) || in_hand.len() < 40, "a token was printed: {outcome:?}");
    serde_json::from_str(&outcome.stdout).expect("JSON")
}

/// Waits for what the service does at its second look at the latest, at one a second; a busy machine has
/// a while more.
async fn within_two_looks(ask: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    eventually("the service carries it out", ask).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_looks_at_tokens_and_takes_them_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || dev(folder.path()).variable("HALLPASS_PUBLIC_URL", ISSUER).start();
    let place = folder.path();
    let service = start();
    let client = service.client();
    let admin = Tokens::of(&client.send(login("johndoe@example.com", "password")).await);
    let phone = Tokens::of(&client.send(login("johndoe@example.com", "password")).await);
    let [tablet, desktop, television] = [
        client.send(login("johndoe@example.com", "password")).await,
        client.send(login("johndoe@example.com", "password")).await,
        client.send(login("johndoe@example.com", "password")).await,
    ]
    .map(|answer| Tokens::of(&answer));
    assert_eq!(client.log_out(&phone.access).await.status, 200);

    // Beside the service, which has the token store: the log alone tells.
    eventually("the log has it", async || {
        tokens(place, "explain", &phone.refresh).await["reason"] == "logged_out"
    })
    .await;
    let logged_out = tokens(place, "explain", &phone.access).await;
    assert_eq!((&logged_out["verdict"], &logged_out["by"]), (&"dead".into(), &"user:1".into()));
    assert_eq!(logged_out["address"], "127.0.0.1");
    assert_eq!(tokens(place, "explain", &admin.access).await["verdict"], "unknown");
    // It is written down, and the service carries it out.
    let left = Program::new(place, &["tokens", "revoke", "-"]).input(&tablet.refresh).run().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.stdout.contains("the running service sees to it within seconds"), "{left:?}");
    within_two_looks(async || client.refresh(&tablet.refresh).await.status == 401).await;
    let left = tokens(place, "revoke", &desktop.access).await;
    assert_eq!(left["leftToService"], true, "{left}");
    within_two_looks(async || client.auth_me(&desktop.access).await.status == 401).await;
    assert_eq!(client.refresh(&desktop.refresh).await.status, 200, "its session lives on");
    let sid =
        tokens(place, "explain", &television.refresh).await["session"].as_str().expect("a sid").to_owned();
    let revoke = ["sessions", "revoke", "johndoe@example.com", "--session", &sid];
    let left = Program::new(place, &revoke).run().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(left.stdout.contains("the running service sees to it within seconds"), "{left:?}");
    within_two_looks(async || client.auth_me(&television.access).await.status == 401).await;
    for taken in [&tablet.refresh, &desktop.access, &television.refresh] {
        assert_eq!(tokens(place, "explain", taken).await["by"], "operator");
    }
    service.stop().await;

    let live = tokens(place, "inspect", &format!("Bearer {}", admin.access)).await;
    assert_eq!((&live["verdict"], &live["kind"]), (&"live".into(), &"access_token".into()), "{live}");
    assert_eq!(live["says"]["email"], "johndoe@example.com");
    assert_eq!(live["sessionDetails"]["id"], live["session"]);
    let refresh = tokens(place, "inspect", &admin.refresh).await;
    assert_eq!((&refresh["kind"], &refresh["says"]["generation"]), (&"refresh_token".into(), &0.into()));
    assert_eq!(refresh["session"], live["session"]);

    let token = live["token"].as_str().expect("a jti").to_owned();
    let taken = tokens(place, "revoke", &admin.access).await;
    assert_eq!((&taken["token"], &taken["leftToService"]), (&token.as_str().into(), &false.into()));
    for in_hand in [&admin.access, &token] {
        let explained = tokens(place, "explain", in_hand).await;
        assert_eq!(explained["reason"], "revoked_by_operator", "{explained}");
        assert_eq!(explained["by"], "operator");
    }
    assert_eq!(tokens(place, "explain", &admin.refresh).await["verdict"], "live");
    let session = live["session"].as_str().expect("a sid").to_owned();
    assert_eq!(tokens(place, "revoke", &session).await["session"], session.as_str());
    assert_eq!(tokens(place, "explain", &admin.refresh).await["reason"], "revoked_by_operator");

    let service = start();
    service.client().refresh(&admin.refresh).await.assert_problem(401, "invalid_refresh_token");
    service.stop().await;
}

#[tokio::test]
async fn what_is_no_token_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().expect("a folder");
    dev(folder.path()).start().stop().await;
    for verb in ["inspect", "explain", "revoke"] {
        let outcome = Program::new(folder.path(), &["tokens", verb, "-"]).input("hunter2\n").run().await;
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    }
}

/// The conditions by their subjects, in order.
fn conditions(outcome: &Outcome) -> Vec<(String, String)> {
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
    let findings = findings.as_array().expect("a list").iter();
    findings.map(|finding| (text(finding, "subject"), text(finding, "condition"))).collect()
}

fn condition_of(outcome: &Outcome, subject: &str) -> String {
    let mut found = conditions(outcome).into_iter().filter(|(name, _)| name == subject);
    found.next().unwrap_or_else(|| panic!("nothing about {subject}: {outcome:?}")).1
}

#[tokio::test]
async fn the_doctor_looks_at_everything_and_makes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let doctor = async |arguments: &[&str]| {
        let all: Vec<&str> = ["doctor", "--json"].iter().chain(arguments).copied().collect();
        Program::new(folder.path(), &all).run().await
    };
    let nothing_there = doctor(&[]).await;
    assert_eq!(nothing_there.code, Some(1), "{nothing_there:?}");
    assert!(nothing_there.stdout.contains("HALLPASS_SECRET"), "{nothing_there:?}");
    assert_eq!(condition_of(&nothing_there, "secret"), "bad");
    assert_eq!(condition_of(&nothing_there, "database"), "warning");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "something was made");

    let service = dev(folder.path()).start();
    for _ in 0..2 {
        let fine = doctor(&["--for", "dev"]).await;
        assert_eq!(fine.code, Some(0), "{fine:?}");
        for subject in ["secret", "database", "schema", "signing keys", "token store"] {
            assert_eq!(condition_of(&fine, subject), "good", "{fine:?}");
        }
    }
    service.stop().await;

    let disabled = Program::new(folder.path(), &["users", "create", "ada@example.com"]).run().await;
    assert_eq!(disabled.code, Some(0), "{disabled:?}");
    let secret = Program::new(folder.path(), &["doctor", "--for", "dev", "--json"]);
    let another = secret.variable("HALLPASS_SECRET", SECRET).run().await;
    assert_eq!((another.code, condition_of(&another, "signing keys")), (Some(1), "bad".to_owned()));
    let for_people = Program::new(folder.path(), &["doctor", "--for", "dev"]).run().await;
    assert!(for_people.stdout.contains("good     schema         up to date"), "{for_people:?}");
}

#[tokio::test]
async fn the_doctor_tells_what_is_wrong_with_the_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let doctor = async |database: &str, redis: &str| {
        let command = Program::new(folder.path(), &["doctor", "--json"])
            .variable("HALLPASS_SECRET", SECRET)
            .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
            .variable("REDIS_URL", redis)
            .variable("DATABASE_URL", database);
        command.run().await
    };
    let empty = doctor(&database, &redis.url()).await;
    assert_eq!(condition_of(&empty, "database"), "good", "{empty:?}");
    assert_eq!(condition_of(&empty, "schema"), "warning", "the steps are still to be taken: {empty:?}");
    assert!(empty.stdout.contains("0004_audit_log"), "{empty:?}");

    serve(folder.path(), &redis.url(), &database).start().stop().await;
    let fine = doctor(&database, &redis.url()).await;
    assert_eq!(condition_of(&fine, "revocation journal"), "good", "{fine:?}");
    assert_eq!(fine.code, Some(0), "{fine:?}");
    for subject in ["secret", "database", "schema", "signing keys", "token store", "eviction", "clock"] {
        assert_eq!(condition_of(&fine, subject), "good", "{fine:?}");
    }

    let url = redis.url();
    redis.kill();
    let without_redis = doctor(&database, &url).await;
    assert_eq!(
        (without_redis.code, condition_of(&without_redis, "token store")),
        (Some(1), "bad".to_owned())
    );
    assert_eq!(condition_of(&without_redis, "database"), "good");
    let nowhere = "postgres://hallpass:hunter2@127.0.0.1:1/hallpass";
    let without_both = doctor(nowhere, &url).await;
    assert_eq!((without_both.code, condition_of(&without_both, "database")), (Some(1), "bad".to_owned()));
    assert!(!format!("{without_both:?}").contains("hunter2"), "{without_both:?}");
}
