//! The audit log of the real program: nothing is lost at its end, and old entries go.

use std::path::Path;

use serde_json::json;
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{PASSWORD, get, login};
use crate::process::{Program, dev, eventually};

async fn connection(folder: &Path) -> SqliteConnection {
    let file = folder.join("hallpass-data/hallpass.db");
    let url = format!("sqlite://{}", file.display());
    SqliteConnection::connect(&url).await.expect("the database")
}

async fn count(folder: &Path, action: &str) -> i64 {
    let counting = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = ?1").bind(action);
    counting.fetch_one(&mut connection(folder).await).await.expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_just_before_the_end_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    // All come from one address, which has but a few places in a queue.
    let service = dev(folder.path())
        .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
        .variable("HALLPASS_PASSWORDS__HASH_WORKERS", "40")
        .start();
    let client = service.client();
    assert_eq!(client.register("ada@example.com").await.status, 201);
    let mut logins = JoinSet::new();
    for n in 0..40 {
        let password = if n % 2 == 0 { PASSWORD } else { "wrong" };
        logins.spawn(async move { client.send(login("ada@example.com", password)).await.status.as_u16() });
    }
    let statuses = logins.join_all().await;
    service.stop().await;
    let succeeded = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((statuses.len(), succeeded), (40, 20));
    assert_eq!(count(folder.path(), "login_succeeded").await, 20);
    assert_eq!(count(folder.path(), "login_failed").await, 20);
    assert_eq!(count(folder.path(), "account_created").await, 2, "the sample administrator, and ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_does_not_take_is_in_the_programs_own_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).variable("HALLPASS_SHUTDOWN_GRACE", "1s").start();
    let client = service.client();
    assert_eq!(client.register("ada@example.com").await.status, 201);
    client.log_in("ada@example.com").await;
    eventually("written", async || count(folder.path(), "login_succeeded").await == 1).await;

    let mut other = connection(folder.path()).await;
    other.execute("BEGIN IMMEDIATE").await.expect("the write lock");
    client.log_in("ada@example.com").await;
    service.terminate();
    let log = service.log().clone();
    assert_eq!(service.ended().await.0, Some(0));
    let text = log.text();
    let lost = text.lines().filter(|line| line.contains("audit entry that is not in the database"));
    let lost: Vec<_> = lost.collect();
    assert_eq!(lost.len(), 1, "{text}");
    for part in ["login_succeeded", "user:2", "127.0.0.1"] {
        assert!(lost[0].contains(part), "{part} is missing: {lost:?}");
    }
    assert!(!text.contains(PASSWORD));
    other.execute("ROLLBACK").await.expect("the lock given back");
    assert_eq!(count(folder.path(), "login_succeeded").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_go_at_the_next_start_unless_they_are_kept_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    service.client().logged_in("ada@example.com").await;
    service.stop().await;
    assert_eq!(count(folder.path(), "login_succeeded").await, 1);

    let service = dev(folder.path()).variable("HALLPASS_AUDIT__RETENTION", "0s").start();
    assert!(service.client().is_ready().await);
    service.stop().await;
    assert_eq!(count(folder.path(), "login_succeeded").await, 1);

    let service = dev(folder.path()).variable("HALLPASS_AUDIT__RETENTION", "1ms").start();
    eventually("pruned", async || count(folder.path(), "login_succeeded").await == 0).await;
    service.stop().await;
}

/// Somebody who changes something and hangs up at once leaves no half-done work, and leaves traces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_before_the_answer_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    // One worker and slow hashes: whoever hangs up does so long before the answer.
    let service = dev(folder.path())
        .variable("HALLPASS_PASSWORDS__ARGON2__ITERATIONS", "12")
        .variable("HALLPASS_PASSWORDS__HASH_WORKERS", "1")
        .start();
    let client = service.client();
    assert_eq!(client.register("ada@example.com").await.status, 201);
    let body = format!(r#"{{"email":"ada@example.com","password":"{PASSWORD}"}}"#);
    let head = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for _ in 0..3 {
        let mut connection = TcpStream::connect(service.address()).await.expect("a connection");
        connection.write_all(request.as_bytes()).await.expect("bytes go");
        // Accepted in turn: the request is in before this is answered.
        assert_eq!(client.send(get("/health/live")).await.status, 200);
        drop(connection);
    }
    eventually("all three are in the log", async || count(folder.path(), "login_succeeded").await == 3).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_does_is_in_the_log_when_the_command_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    dev(folder.path()).start().stop().await;
    for arguments in [
        &["users", "create", "ada@example.com"][..],
        &["users", "set-role", "ada@example.com", "admin"],
        &["users", "delete", "ada@example.com"],
    ] {
        let outcome = Program::new(folder.path(), arguments).run().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    let hash = "$2b$04$NQvTCX1v1gzwC3VafBya/OI6HTnbsnBuqTygSag9Ka3JN7DR4rakS";
    let user = |email| format!("{}\n", json!({ "email": email, "password_hash": hash }));
    let lines = user("bob@example.com") + &user("eve@example.com");
    std::fs::write(folder.path().join("users.jsonl"), lines).expect("a file");
    for _ in 0..2 {
        let outcome = Program::new(folder.path(), &["users", "import", "users.jsonl"]).run().await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
    let select = "SELECT action, count FROM audit_log WHERE actor = 'operator' ORDER BY id";
    let rows = sqlx::query_as(select).fetch_all(&mut connection(folder.path()).await).await;
    let actions: Vec<(String, Option<i64>)> = rows.expect("rows");
    let actions: Vec<_> = actions.iter().map(|(action, count)| (action.as_str(), *count)).collect();
    let expected = [
        ("account_created", None),
        ("role_changed", Some(0)),
        ("account_deleted", Some(0)),
        ("accounts_imported", Some(2)),
    ];
    assert_eq!(actions, expected);
}
