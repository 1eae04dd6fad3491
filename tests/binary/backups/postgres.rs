//! Postgres has backups of its own; what comes after a restore is the same.

use std::process::Command;

use hyper::StatusCode;

use super::{ADA, DOCUMENT, GRACE, assert_dead};
use crate::client::{PASSWORD, login};
use crate::process::{Outcome, Program, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn postgres_is_restored_by_its_own_programs_and_redis_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::start();
    let url = PostgresServer::shared().create_database().await;
    let hallpass = async |arguments: &[&str]| -> Outcome {
        let program = Program::new(folder.path(), arguments).variable("REDIS_URL", redis.url());
        program.variable("DATABASE_URL", &url).run().await
    };
    // As it is said to people, in a shell.
    let shell = |command: &str| {
        assert!(DOCUMENT.contains(command), "{command} is not in docs/operate.md");
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", command]).current_dir(folder.path()).env("DATABASE_URL", &url);
        let outcome = shell.output().expect("the program `sh`");
        assert!(outcome.status.success(), "{command}: {outcome:?}");
    };
    let start = || serve(folder.path(), &redis.url(), &url).start();
    let first = start();
    let ada = first.client().logged_in(ADA).await;
    let refused = hallpass(&["backup", "hallpass.dump"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    let dump = "pg_dump --format=custom --file=hallpass.dump \"$DATABASE_URL\"";
    assert!(refused.stderr.contains(dump), "{refused:?}");
    shell(dump);
    let late = first.client().logged_in(GRACE).await;
    first.stop().await;

    let refused = hallpass(&["restore", "hallpass.dump"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    let restore = "pg_restore --clean --if-exists --dbname=\"$DATABASE_URL\" hallpass.dump";
    assert!(refused.stderr.contains(restore), "{refused:?}");
    shell(restore);
    let done = hallpass(&["restore", "--in-place"]).await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    assert_eq!(done.stdout, "the 1 account that there is must log in again\n");
    // It needs Redis, and says so.
    let without = Program::new(folder.path(), &["restore", "--in-place"])
        .variable("REDIS_URL", "redis://127.0.0.1:1")
        .variable("DATABASE_URL", &url)
        .run()
        .await;
    assert_eq!(without.code, Some(1), "{without:?}");
    assert!(without.stderr.contains("run the same command once more"), "{without:?}");

    let second = start();
    for tokens in [&ada, &late] {
        assert_dead(&second.client(), tokens).await;
    }
    assert_eq!(
        second.client().auth_me(&second.client().log_in(ADA).await.access).await.status,
        StatusCode::OK
    );
    let nobody = second.client().send(login(GRACE, PASSWORD)).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "who came after the backup is not in it");

    // Beside a replica that runs it works as well.
    let ada = second.client().log_in(ADA).await;
    assert_eq!(hallpass(&["restore", "--in-place"]).await.code, Some(0));
    crate::process::eventually("the replica takes it over", async || {
        second.client().auth_me(&ada.access).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    assert_dead(&second.client(), &ada).await;
    second.stop().await;
}
