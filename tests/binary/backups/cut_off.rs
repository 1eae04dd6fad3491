//! A restore that was cut off is run again.

use std::fs;

use hyper::StatusCode;
use serde_json::json;
use sqlx::Connection;

use super::{ADA, assert_dead, database, done, json_of, run, service};
use crate::process::Program;

#[tokio::test]
async fn a_restore_that_was_cut_off_is_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = service(folder.path());
    let ada = running.client().logged_in(ADA).await;
    done(folder.path(), &["backup", "b.zip", "--with-secret"]).await;
    running.stop().await;
    let backup = folder.path().join("b.zip");
    let backup = backup.to_str().expect("UTF-8");

    let there = tempfile::tempdir().expect("a folder");
    let data = there.path().join("hallpass-data");
    done(there.path(), &["restore", backup]).await;
    // Cut off when all but the database was in its place, and something was left behind.
    fs::remove_file(data.join("hallpass.db")).expect("a file");
    fs::create_dir(data.join(".hallpass-restore")).expect("a folder");
    fs::write(data.join(".hallpass-restore/hallpass.db"), "half of it").expect("a file");
    done(there.path(), &["restore", backup]).await;
    assert!(!data.join(".hallpass-restore").exists());
    fs::remove_dir_all(&data).expect("a folder");

    // Killed at whatever moment.
    for _ in 0..8 {
        let (killed, input) = Program::new(there.path(), &["restore", backup]).run_fed();
        drop(input);
        if data.exists() {
            drop(killed);
            break;
        }
        drop(killed);
    }
    let again = run(there.path(), &["restore", backup]).await;
    assert!(again.code == Some(0) || again.stderr.contains("is there already"), "{again:?}");
    let restored = service(there.path());
    assert_dead(&restored.client(), &ada).await;
    restored.client().log_in(ADA).await;
    restored.stop().await;
}

#[tokio::test]
async fn what_is_done_in_place_is_done_again_after_it_was_cut_off() {
    const MORE: i64 = 1_200;
    let folder = tempfile::tempdir().expect("a folder");
    let running = service(folder.path());
    let ada = running.client().logged_in(ADA).await;
    running.stop().await;
    let mut sql = database(folder.path()).await;
    sqlx::query(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
         INSERT INTO users (email, role, password_hash, security_version, created_at, mailbox)
         SELECT 'm' || n || '@example.com', 'member', '!', 1, 1, 'm' || n || '@example.com' FROM numbers",
    )
    .bind(MORE)
    .execute(&mut sql)
    .await
    .expect("many accounts");
    sqlx::query(
        "CREATE TRIGGER cut_off BEFORE UPDATE ON users WHEN new.id > 1100 BEGIN SELECT raise(ABORT, 'no more'); END",
    )
    .execute(&mut sql)
    .await
    .expect("a trigger");
    sql.close().await.expect("a clean end");

    let cut_off = run(folder.path(), &["restore", "--in-place"]).await;
    assert_eq!((cut_off.code, cut_off.stdout.as_str()), (Some(1), ""), "{cut_off:?}");
    assert!(cut_off.stderr.contains("run the same command once more"), "{cut_off:?}");
    let mut sql = database(folder.path()).await;
    let count = "SELECT count(*) FROM users WHERE security_version > 1 AND email LIKE 'm%@example.com'";
    let moved: i64 = sqlx::query_scalar(count).fetch_one(&mut sql).await.expect("a number");
    assert!((900..MORE).contains(&moved), "it was in the middle: {moved}");
    sqlx::query("DROP TRIGGER cut_off").execute(&mut sql).await.expect("no trigger");
    sql.close().await.expect("a clean end");

    let again = json_of(&done(folder.path(), &["restore", "--in-place", "--json"]).await);
    assert_eq!((&again["accounts"], &again["backup"]), (&json!(MORE + 2), &json!(null)), "{again}");
    let mut sql = database(folder.path()).await;
    let moved: i64 = sqlx::query_scalar(count).fetch_one(&mut sql).await.expect("a number");
    assert_eq!(moved, MORE);
    let told: Vec<i64> = sqlx::query_scalar("SELECT count FROM audit_log WHERE action = 'stores_restored'")
        .fetch_all(&mut sql)
        .await
        .expect("an answer");
    assert_eq!(told, [MORE + 2], "what was cut off is not told of as done");
    sql.close().await.expect("a clean end");
    let restored = service(folder.path());
    assert_dead(&restored.client(), &ada).await;
    assert_eq!(
        restored.client().auth_me(&restored.client().log_in(ADA).await.access).await.status,
        StatusCode::OK
    );
    restored.stop().await;
}
