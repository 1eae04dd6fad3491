//! `hallpass backup` and `hallpass restore`: nobody who was there is lost, and nobody stays logged in.

mod cut_off;
mod postgres;
mod refused;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::client::{Client, PASSWORD, Tokens, get, login, post};
use crate::process::{Outcome, Program, Service, dev, serve};
use crate::support::redis::RedisServer;

/// Where the commands of this file stand for people.
const DOCUMENT: &str = include_str!("../../docs/operate.md");

const ADA: &str = "ada@example.com";
const GRACE: &str = "grace@example.com";

/// A service whose tokens outlive a restart on another port.
fn service(folder: &Path) -> Service {
    dev(folder).variable("HALLPASS_PUBLIC_URL", "http://localhost:8080").start()
}

async fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    Program::new(folder, arguments).run().await
}

async fn done(folder: &Path, arguments: &[&str]) -> Outcome {
    let outcome = run(folder, arguments).await;
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
    outcome
}

/// A command that administrators read of as it is run here.
async fn documented(folder: &Path, command: &str) -> Outcome {
    assert!(DOCUMENT.contains(command), "{command} is not in docs/operate.md");
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    done(folder, &arguments).await
}

fn json_of(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// Nothing that was given out counts any more.
async fn assert_dead(client: &Client, tokens: &Tokens) {
    client.auth_me(&tokens.access).await.assert_problem(401, "token_revoked");
    assert_eq!(client.refresh(&tokens.refresh).await.status, StatusCode::UNAUTHORIZED);
}

async fn client_token(client: &Client) -> String {
    let credentials = format!("Basic {}", STANDARD.encode("books:books-dev-secret"));
    let call = post("/oauth2/token").header("authorization", credentials);
    let answer = client.send(call.json(&json!({"grant_type": "client_credentials"}))).await;
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

async fn database(folder: &Path) -> SqliteConnection {
    let path = folder.join("hallpass-data/hallpass.db");
    SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a database")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_service_has_everybody_and_logs_everybody_out() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let before = service(here.path());
    let client = before.client();
    let (ada, grace) = (client.logged_in(ADA).await, client.logged_in(GRACE).await);
    let machine = client_token(&client).await;
    done(here.path(), &["users", "create", "boss@example.com", "--role", "admin"]).await;
    // Others come and go all the time.
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let coming = tokio::spawn(async move {
        let mut came: Vec<String> = Vec::new();
        while stopped.try_recv().is_err() {
            let n = came.len();
            let place = Ipv4Addr::new(127, 0, 1, u8::try_from(n % 250).expect("a byte") + 1);
            let email = format!("user{n}@example.com");
            let answer = client.at(place).register(&email).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            came.push(email);
        }
        came
    });
    let made = documented(here.path(), "hallpass backup hallpass-backup.zip").await;
    assert!(made.stdout.contains("tokens.db, hallpass.db"), "{made:?}");
    assert!(made.stderr.contains("the secret is not in the backup"), "{made:?}");
    let with_secret =
        documented(here.path(), "hallpass backup --with-secret --force hallpass-backup.zip").await;
    assert!(!with_secret.stderr.contains("secret"), "{with_secret:?}");
    // A copy of the file is none of the database: what was acknowledged stands beside it.
    let plain = there.path().join("plain.db");
    fs::copy(here.path().join("hallpass-data/hallpass.db"), &plain).expect("a copy");
    let mut copied =
        SqliteConnection::connect(&format!("sqlite://{}", plain.display())).await.expect("a file");
    let counted = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM users WHERE email = ?1").bind(ADA);
    assert_ne!(counted.fetch_one(&mut copied).await.unwrap_or_default(), 1, "a plain copy would have done");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode =
            fs::metadata(here.path().join("hallpass-backup.zip")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // What comes after the backup is not in it, and is not undone where it ended something.
    assert_eq!(client.log_out(&grace.access).await.status, StatusCode::OK);
    let late = client.log_in(ADA).await;
    stop.send(()).expect("it is listened to");
    let came = coming.await.expect("no mistake");
    before.stop().await;

    fs::rename(here.path().join("hallpass-backup.zip"), there.path().join("hallpass-backup.zip"))
        .expect("moved");
    let restored = documented(there.path(), "hallpass restore hallpass-backup.zip").await;
    assert!(restored.stdout.contains("accounts must log in again"), "{restored:?}");
    let mut database = database(there.path()).await;
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut database).await.expect("a number");
    database.close().await.expect("a clean end");
    assert!(restored.stdout.contains(&format!("all {kept} accounts")), "{restored:?}");

    let after = service(there.path());
    let client = after.client();
    for tokens in [&ada, &grace, &late] {
        assert_dead(&client, tokens).await;
    }
    assert_eq!(client.send(get("/revocations").bearer(&machine)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(client.send(get("/revocations").bearer(&client_token(&client).await)).await.status, 200);
    for email in [ADA, GRACE] {
        let tokens = client.log_in(email).await;
        assert_eq!(client.auth_me(&tokens.access).await.status, StatusCode::OK);
        assert_eq!(client.refresh(&tokens.refresh).await.status, StatusCode::OK);
    }
    // Four were there before: the administrator of `dev`, the two and the boss.
    let others = usize::try_from(kept).expect("a number") - 4;
    assert!(others <= came.len(), "{others} of {}", came.len());
    for email in &came[..others] {
        let place = Ipv4Addr::new(127, 0, 2, 1);
        assert_eq!(client.at(place).send(login(email, PASSWORD)).await.status, StatusCode::OK, "{email}");
    }
    let boss = json_of(&done(there.path(), &["users", "get", "boss@example.com", "--json"]).await);
    assert_eq!(boss["role"], "admin");
    let admin = Tokens::of(&client.send(login("johndoe@example.com", "password")).await);
    let told = client.send(get("/audit?action=stores_restored").bearer(&admin.access)).await.json();
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!((&told[0]["actor"], &told[0]["count"]), (&json!("operator"), &json!(kept)), "{told}");
    after.stop().await;
}

/// Files that were copied by hand while nobody used them: the stores went back together, and only who did it
/// knows.
#[tokio::test]
async fn after_files_were_copied_back_everybody_logs_in_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = (folder.path().join("hallpass-data"), folder.path().join("copy"));
    let first = service(folder.path());
    let (ada, grace) = (first.client().logged_in(ADA).await, first.client().logged_in(GRACE).await);
    first.stop().await;
    fs::create_dir(&copy).expect("a folder");
    let copy_all = |from: &Path, to: &Path| {
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("a file");
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    };
    copy_all(&data, &copy);
    let second = service(folder.path());
    assert_eq!(second.client().log_out(&grace.access).await.status, StatusCode::OK);
    assert_dead(&second.client(), &grace).await;
    second.stop().await;

    // With what the second one has left, its log would be that of a file that is another.
    fs::remove_dir_all(&data).expect("a folder");
    fs::create_dir(&data).expect("a folder");
    copy_all(&copy, &data);
    let third = service(folder.path());
    let answer = third.client().auth_me(&grace.access).await;
    assert_eq!(answer.status, StatusCode::OK, "nothing tells that the stores went back: {answer:?}");
    third.stop().await;
    let restored = documented(folder.path(), "hallpass restore --in-place").await;
    assert!(restored.stdout.contains("all 3 accounts must log in again"), "{restored:?}");
    let fourth = service(folder.path());
    for tokens in [&ada, &grace] {
        assert_dead(&fourth.client(), tokens).await;
    }
    fourth.client().log_in(GRACE).await;
    fourth.stop().await;
}

#[tokio::test]
async fn with_redis_the_database_alone_is_in_the_backup_and_redis_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let command = async |arguments: &[&str]| {
        Program::new(folder.path(), arguments).variable("REDIS_URL", redis.url()).run().await
    };
    let start = || serve(folder.path(), &redis.url(), "sqlite://hallpass-data/hallpass.db").start();
    let first = start();
    let ada = first.client().logged_in(ADA).await;
    let made = command(&["backup", "b.zip", "--json"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stderr.contains("the token store is Redis, and is not in the backup"), "{made:?}");
    let told = json_of(&made);
    let names: Vec<&Value> =
        told["files"].as_array().expect("files").iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["hallpass.db"]);
    assert!(told["deployment"].is_string() && told["createdAt"].is_i64(), "{told}");
    let late = first.client().logged_in(GRACE).await;
    let in_use = command(&["restore", "b.zip", "--force"]).await;
    assert_eq!(in_use.code, Some(1), "{in_use:?}");
    assert!(in_use.stderr.contains("stop the service first"), "{in_use:?}");
    first.stop().await;

    let restored = command(&["restore", "b.zip", "--force", "--json"]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let said = json_of(&restored);
    assert_eq!((&said["accounts"], &said["restored"]), (&json!(1), &json!(["hallpass.db"])), "{said}");
    assert_eq!(said["backup"]["deployment"], told["deployment"]);
    let second = start();
    for tokens in [&ada, &late] {
        assert_dead(&second.client(), tokens).await;
    }
    second.client().log_in(ADA).await;
    let nobody = second.client().send(login(GRACE, PASSWORD)).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "who came after the backup is not in it");
    second.stop().await;
}
