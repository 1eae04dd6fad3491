//! Several deployments on one Redis, `hallpass deployment`, and what the doctor says of both.

use std::path::Path;

use hyper::StatusCode;
use serde_json::Value;

use crate::client::{Client, PASSWORD, Tokens, get, login, post};
use crate::process::{Outcome, Program, SECRET, eventually, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

const ADA: &str = "ada@example.com";

/// Whether the log warns that the keys are another's.
const WARNING: &str = "the keys in Redis belong to";

/// How many sessions somebody sees of their own.
async fn sessions(client: &Client, access: &str) -> usize {
    let answer = client.send(get("/auth/sessions").bearer(access)).await;
    answer.json().as_array().unwrap_or_else(|| panic!("{answer:?}")).len()
}

/// A command beside the service that [`serve`] starts.
async fn command(folder: &Path, redis: &str, database: &str, url: &str, arguments: &[&str]) -> Outcome {
    Program::new(folder, arguments)
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", url)
        .variable("REDIS_URL", redis)
        .variable("DATABASE_URL", database)
        .run()
        .await
}

/// What the doctor says of a subject: its condition and its text.
fn found(outcome: &Outcome, subject: &str) -> (String, String) {
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let finding = findings.as_array().expect("a list").iter().find(|finding| finding["subject"] == subject);
    let finding = finding.unwrap_or_else(|| panic!("nothing about {subject}: {outcome:?}"));
    let text = |name: &str| finding[name].as_str().expect("text").to_owned();
    (text("condition"), text("text"))
}

#[tokio::test]
async fn production_and_staging_share_a_redis_and_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let [prod, staging] =
        [PostgresServer::shared().create_database().await, PostgresServer::shared().create_database().await];
    let prod = serve(folder.path(), &redis.url(), &prod).start();
    let staging = serve(folder.path(), &redis.url(), &staging)
        .variable("HALLPASS_PUBLIC_URL", "https://staging.example.com")
        .start();
    let (here, there) = (prod.client(), staging.client());
    // The same number in both.
    let ada = here.logged_in(ADA).await;
    here.log_in(ADA).await;
    let grace = there.logged_in("grace@example.com").await;

    assert_eq!((sessions(&here, &ada.access).await, sessions(&there, &grace.access).await), (2, 1));
    let own = here.send(get("/auth/sessions").bearer(&ada.access)).await.json();
    let sid = own[0]["id"].as_str().expect("an id").to_owned();
    let delete = crate::client::Call::new(hyper::Method::DELETE, &format!("/auth/sessions/{sid}"));
    there.send(delete.bearer(&grace.access)).await.assert_problem(404, "not_found");
    for _ in 0..2 {
        let grace = there.log_in("grace@example.com").await;
        let answer = there.send(post("/auth/logout?scope=global").bearer(&grace.access)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert_eq!(sessions(&here, &ada.access).await, 2, "the others' logouts are not theirs");
    assert_eq!(here.send(login(ADA, PASSWORD)).await.status, StatusCode::OK);
    assert_eq!(here.refresh(&ada.refresh).await.status, StatusCode::OK);
    for service in [prod, staging] {
        let log = service.log().clone();
        service.stop().await;
        assert!(!log.text().contains(WARNING), "{}", log.text());
    }
}

#[tokio::test]
async fn a_copy_of_the_database_is_found_out_and_becomes_another_deployment() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let database = PostgresServer::shared().create_database().await;
    let (here, there) = ("https://hallpass.example.com", "https://staging.example.com");
    let doctor =
        async |url| command(folder.path(), &redis.url(), &database, url, &["doctor", "--json"]).await;
    let prod = serve(folder.path(), &redis.url(), &database).start();
    let ada = prod.client().logged_in(ADA).await;
    eventually("the keys are claimed", async || doctor(here).await.stdout.contains("are those of")).await;
    let fine = doctor(here).await;
    assert_eq!((fine.code, found(&fine, "deployment").0), (Some(0), "good".to_owned()), "{fine:?}");
    assert!(found(&fine, "others").1.contains("no other deployment"), "{fine:?}");

    // The same database at another address is as good as a copy of it.
    let copied = doctor(there).await;
    let (condition, text) = found(&copied, "deployment");
    assert_eq!((copied.code, condition.as_str()), (Some(1), "bad"), "{copied:?}");
    for part in [here, there, "redis.prefix", "hallpass deployment new-id", "public_url that has changed"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    let copy = || serve(folder.path(), &redis.url(), &database).variable("HALLPASS_PUBLIC_URL", there);
    let service = copy().start();
    eventually("the start warns", async || service.log().text().contains(WARNING)).await;
    service.stop().await;
    assert!(doctor(here).await.code == Some(0), "the keys are still the first one's");

    // With a prefix of its own it meets nobody.
    let service = copy().variable("HALLPASS_REDIS__PREFIX", "staging").start();
    service.client().log_in(ADA).await;
    let log = service.log().clone();
    eventually("it is seen", async || {
        found(&doctor(here).await, "others").1.contains("staging (https://staging.example.com)")
    })
    .await;
    service.stop().await;
    assert!(!log.text().contains(WARNING), "{}", log.text());
    assert_eq!(prod.client().auth_me(&ada.access).await.status, StatusCode::OK);
    prod.stop().await;

    let new_id = async |arguments: &[&str]| {
        let all: Vec<&str> = ["deployment", "new-id"].iter().chain(arguments).copied().collect();
        command(folder.path(), &redis.url(), &database, there, &all).await
    };
    let refused = new_id(&[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("EVERYBODY HAS TO LOG IN AGAIN"), "{refused:?}");
    assert_eq!(found(&doctor(there).await, "deployment").0, "bad", "nothing was done");
    let done = new_id(&["--yes"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("EVERYBODY HAS TO LOG IN AGAIN"), "{done:?}");
    let service = copy().start();
    eventually("claimed", async || doctor(there).await.stdout.contains("are those of")).await;
    assert_eq!(found(&doctor(there).await, "deployment").0, "good");
    service.client().refresh(&ada.refresh).await.assert_problem(401, "invalid_refresh_token");
    service.client().log_in(ADA).await;
    let log = service.log().clone();
    service.stop().await;
    assert!(!log.text().contains(WARNING), "{}", log.text());
}

/// A database cloned from production, with all its accounts, keys and its id, and both in use at once.
#[tokio::test]
async fn a_clone_with_an_id_of_its_own_and_the_original_never_meet() {
    let folder = tempfile::tempdir().expect("a folder");
    let (redis, postgres) = (RedisServer::start(), PostgresServer::shared());
    let original = postgres.create_database().await;
    let service = serve(folder.path(), &redis.url(), &original).start();
    let before = service.client().logged_in(ADA).await;
    service.stop().await;
    let copy = postgres.url_of(&postgres.back_up(&original).await);

    let there = "https://staging.example.com";
    let done = command(folder.path(), &redis.url(), &copy, there, &["deployment", "new-id", "--yes"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let prod = serve(folder.path(), &redis.url(), &original).start();
    let clone = serve(folder.path(), &redis.url(), &copy).variable("HALLPASS_PUBLIC_URL", there).start();
    let (here, there) = (prod.client(), clone.client());

    // A session of before lives on at the original alone.
    there.refresh(&before.refresh).await.assert_problem(401, "invalid_refresh_token");
    let ada = Tokens::of(&here.refresh(&before.refresh).await);
    let another = there.log_in(ADA).await;
    assert_eq!((sessions(&here, &ada.access).await, sessions(&there, &another.access).await), (1, 1));
    here.refresh(&another.refresh).await.assert_problem(401, "invalid_refresh_token");
    // What ends at the one lives on at the other, and its right password is right.
    let other = there.log_in(ADA).await;
    let ending = there.send(post("/auth/logout?scope=global").bearer(&other.access)).await;
    assert_eq!(ending.status, StatusCode::OK, "{ending:?}");
    assert_eq!(here.auth_me(&ada.access).await.status, StatusCode::OK);
    assert_eq!(here.send(login(ADA, PASSWORD)).await.status, StatusCode::OK);
    let another = there.log_in(ADA).await;
    let ending = here.send(post("/auth/logout?scope=global").bearer(&ada.access)).await;
    assert_eq!(ending.status, StatusCode::OK, "{ending:?}");
    assert_eq!(there.auth_me(&another.access).await.status, StatusCode::OK);
    assert_eq!(there.refresh(&another.refresh).await.status, StatusCode::OK);
    for service in [prod, clone] {
        let log = service.log().clone();
        service.stop().await;
        assert!(!log.text().contains(WARNING), "{}", log.text());
    }
}

#[tokio::test]
async fn two_deployments_with_one_prefix_are_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let [first, second] =
        [PostgresServer::shared().create_database().await, PostgresServer::shared().create_database().await];
    let start = |database: &str| {
        serve(folder.path(), &redis.url(), database).variable("HALLPASS_REDIS__PREFIX", "shared").start()
    };
    let first = start(&first);
    let mut redis_client = redis::Client::open(redis.url()).expect("an address");
    eventually("claimed", async || {
        redis::cmd("EXISTS").arg("shared:{all}:owner").query::<bool>(&mut redis_client).expect("EXISTS")
    })
    .await;
    let second = start(&second);
    eventually("the start warns", async || {
        second.log().text().contains("the keys in Redis belong to another deployment")
    })
    .await;
    assert!(!first.log().text().contains(WARNING), "{}", first.log().text());
}

#[tokio::test]
async fn the_deployment_is_shown_for_people_and_for_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    let show = async |arguments: &[&str]| {
        let all: Vec<&str> = ["deployment", "show"].iter().chain(arguments).copied().collect();
        let outcome = Program::new(folder.path(), &all).run().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome.stdout
    };
    let shown: Value = serde_json::from_str(&show(&["--json"]).await).expect("JSON");
    let (id, mark) = (shown["id"].as_str().expect("an id"), shown["mark"].as_str().expect("a mark"));
    assert_eq!((id.len(), mark.len(), &shown["prefixSet"]), (36, 8, &Value::Bool(false)));
    let text = show(&[]).await;
    assert!(text.contains(id) && text.contains(mark), "the same again: {text}");
    let prefix = ["--set", "redis.url=redis://127.0.0.1:1", "--set", "redis.prefix=eu", "--json"];
    let shown: Value = serde_json::from_str(&show(&prefix).await).expect("JSON");
    assert_eq!((&shown["id"], &shown["mark"]), (&Value::from(id), &Value::from("eu")));
    let kept = Program::new(folder.path(), &["deployment", "new-id", "--yes"]).run().await;
    assert!(kept.stdout.contains("nobody has to log in again"), "the embedded store: {kept:?}");
    assert!(!show(&[]).await.contains(id));
}
