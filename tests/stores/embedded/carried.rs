//! What the sessions of a file carry that an earlier build has made.

use std::path::Path;

use hallpass::domain::email::Email;
use hallpass::domain::session::Session;
use hallpass::domain::session_carried::Carried;
use hallpass::domain::session_origin::SessionOrigin;
use hallpass::domain::user::Role;
use hallpass::store::{OnReuse, RefreshOutcome, SessionStore, StoreError};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Executor, SqlitePool};
use tempfile::TempDir;

use super::{Data, file_names};
use crate::token_store::support::*;

/// The steps that builds before knew, up to that one.
async fn steps_up_to(last: &str) -> Migrator {
    let folder = TempDir::new().expect("a folder");
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/embedded");
    for step in file_names(Path::new(from)).into_iter().filter(|step| &step[..last.len()] <= last) {
        std::fs::copy(Path::new(from).join(&step), folder.path().join(step)).expect("a copy");
    }
    Migrator::new(folder.path()).await.expect("steps")
}

/// Until the tenth step there was a column for each part of what a session carries.
#[tokio::test]
async fn sessions_of_a_file_of_before_keep_what_they_carry() {
    let data = Data::at_start();
    let clock = &*data.clock;
    let (rich, plain) = (Person::new(), Person::new());
    let store = data.shared().await;
    let (rich, plain) = (rich.log_in(&store, clock).await, plain.log_in(&store, clock).await);
    drop(store);
    let database = data.database().await;
    let sessions: Vec<(String, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT id, user_id, security_version, idle_deadline, absolute_deadline, incarnation FROM sessions",
    )
    .fetch_all(&database)
    .await
    .expect("the sessions");
    assert_eq!(sessions.len(), 2);
    database.close().await;
    // The rest of the file is as it was: it is the same data, and the steps behind the ninth touch the sessions alone.
    let database = data.database().await;
    database.execute("DROP TABLE sessions").await.expect("dropped");
    let before = TempDir::new().expect("a folder");
    let old = SqliteConnectOptions::new().filename(before.path().join("old.db")).create_if_missing(true);
    let old = SqlitePool::connect_with(old).await.expect("a connection");
    steps_up_to("0009").await.run(&old).await.expect("the earlier steps");
    let made: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'sessions' AND sql IS NOT NULL ORDER BY type = 'index'",
    )
    .fetch_all(&old)
    .await
    .expect("how the table was made");
    for statement in made {
        database.execute(sqlx::AssertSqlSafe(statement)).await.expect("the table of before");
    }
    database.execute("DELETE FROM _sqlx_migrations WHERE version > 9").await.expect("forgotten");
    let at = START.as_millis();
    for (id, user, version, idle, absolute, incarnation) in sessions {
        let is_rich = id == rich.id.to_string();
        sqlx::query(
            "INSERT INTO sessions (id, user_id, email, role, security_version, generation, created_at, rotated_at,
               issued_at, idle_deadline, absolute_deadline, incarnation, address, user_agent, client, email_verified)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )
        .bind(id)
        .bind(user)
        .bind("o'hara+x@example.com")
        .bind(if is_rich { "admin" } else { "member" })
        .bind(version)
        .bind(at)
        .bind(idle)
        .bind(absolute)
        .bind(incarnation)
        .bind(is_rich.then_some("2001:db8::7"))
        .bind(is_rich.then(|| format!("Müller's \"Browser\" \\ 🦀 {}", "x".repeat(200))))
        .bind(if is_rich { "app" } else { "hallpass" })
        .bind(is_rich)
        .execute(&database)
        .await
        .expect("a session of before");
    }
    database.close().await;

    let email = || Email::parse("o'hara+x@example.com").expect("an address");
    let long = format!("Müller's \"Browser\" \\ 🦀 {}", "x".repeat(200));
    let origin = SessionOrigin::new("2001:db8::7".parse().ok(), Some(&long), "app");
    let of_rich = Carried { email_verified: true, ..Carried::new(email(), Role::Admin, origin) };
    let of_plain = Carried::new(email(), Role::Member, SessionOrigin::new(None, None, "hallpass"));
    let store = data.shared().await;
    for (session, carried) in [(rich, of_rich), (plain, of_plain)] {
        let session = Session { carried, ..session };
        let listed = store.list_sessions(session.user, None, 10).await.expect("list_sessions");
        assert_eq!(listed, std::slice::from_ref(&session));
        assert_live(&store, &session, 0).await;
        let rotated = rotate(&store, session.token(0)).await.session().expect("a live session");
        assert_eq!((rotated.generation.get(), rotated.carried), (1, session.carried));
    }
}

/// Redeemed first and read afterwards, a token would be spent for an answer that nobody gets.
#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anything_is_written() {
    let data = Data::at_start();
    let store = data.shared().await;
    let session = Person::new().log_in(&store, &data.clock).await;
    rotate(&store, session.token(0)).await;
    data.clock.advance(SECOND);
    let database = data.database().await;
    let carried = async || -> String {
        sqlx::query_scalar("SELECT carried FROM sessions").fetch_one(&database).await.expect("a text")
    };
    let judged = async || -> (i64, i64, i64, i64) {
        sqlx::query_as("SELECT generation, rotated_at, issued_at, idle_deadline FROM sessions")
            .fetch_one(&database)
            .await
            .expect("a session")
    };
    let write = async |text: &str| {
        sqlx::query("UPDATE sessions SET carried = ?1").bind(text).execute(&database).await.expect("UPDATE");
    };
    let (kept, before) = (carried().await, judged().await);
    for broken in BROKEN_CARRIED {
        write(broken).await;
        // The current one, the one before within its time of grace, and one from ahead.
        for generation in [1, 0, 7] {
            let token = session.token(generation);
            for error in [
                store.rotate(&token, &LIFETIMES).await.expect_err(broken),
                store.check_refresh(&token, &LIFETIMES, OnReuse::Refuse).await.expect_err(broken),
                store.check_refresh(&token, &LIFETIMES, OnReuse::Revoke).await.expect_err(broken),
            ] {
                let StoreError::Corrupt { place: "sessions.carried", key, .. } = error else {
                    panic!("{broken}: {error:?}")
                };
                assert_eq!(key, session.id.to_string());
            }
            assert_eq!((carried().await, judged().await), (broken.to_owned(), before), "{broken}");
        }
    }
    write(&kept).await;
    let outcome = rotate(&store, session.token(1)).await;
    let RefreshOutcome::Current(next) = outcome else { panic!("{outcome:?}") };
    assert_eq!((next.generation.get(), next.carried), (2, session.carried));
}
