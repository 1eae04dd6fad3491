//! `hallpass dev`: works in an empty folder, on this machine alone.

use hyper::StatusCode;

use crate::client::{PASSWORD, Tokens, get, login, post};
use crate::process::{Program, dev};

#[tokio::test]
async fn dev_works_in_an_empty_folder_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let client = service.client();
    assert!(client.is_ready().await);
    let answer = client.send(login("johndoe@example.com", "password")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let admin = Tokens::of(&answer);
    assert_eq!(client.auth_me(&admin.access).await.json()["user"]["email"], "johndoe@example.com");
    let docs = client.send(get("/docs")).await;
    assert!(docs.status.is_success() || docs.status.is_redirection(), "{docs:?}");
    let reset = client
        .send(
            post("/auth/reset-password-request").json(&serde_json::json!({ "email": "johndoe@example.com" })),
        )
        .await;
    assert!(reset.json()["passwordResetToken"].is_string(), "{reset:?}");

    let url = format!("http://{}", service.address());
    let banner = service.stop().await;
    for part in [
        &*format!("{url}/docs"),
        "johndoe@example.com / password",
        "accounts: SQLite, sessions: embedded",
        "Not for production",
        "hallpass serve",
    ] {
        assert!(banner.contains(part), "{part:?} is missing in:\n{banner}");
    }
    let made: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].file_name(), "hallpass-data");
    let mode = std::os::unix::fs::PermissionsExt::mode(&made[0].metadata().expect("a folder").permissions());
    assert_eq!(mode & 0o777, 0o700, "what is in there is nobody else's business");
}

#[tokio::test]
async fn a_data_folder_that_lets_others_in_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("hallpass-data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let service = dev(folder.path()).start();
    assert!(service.log().text().contains("chmod 700 hallpass-data"), "{}", service.log().text());
    service.stop().await;
    let doctor = Program::new(folder.path(), &["doctor", "--for", "dev"]).run().await;
    assert!(doctor.stdout.contains("chmod 700 hallpass-data"), "{doctor:?}");
}

#[tokio::test]
async fn accounts_and_sessions_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let tokens = service.client().logged_in("ada@example.com").await;
    let ended = service.client().log_in("ada@example.com").await;
    assert_eq!(service.client().log_out(&ended.access).await.status, StatusCode::OK);
    service.stop().await;

    let service = dev(folder.path()).start();
    let client = service.client();
    let refreshed = client.refresh(&tokens.refresh).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    let access = Tokens::of(&refreshed).access;
    assert_eq!(client.auth_me(&access).await.json()["user"]["email"], "ada@example.com");
    client.refresh(&ended.refresh).await.assert_problem(401, "invalid_refresh_token");
    client.log_in("ada@example.com").await;
    client
        .send(login("ada@example.com", "another password"))
        .await
        .assert_problem(401, "invalid_credentials");
    client.register("ada@example.com").await.assert_problem(409, "email_taken");
    assert!(!service.log().text().contains(PASSWORD), "{}", service.log().text());
    service.stop().await;
}

#[tokio::test]
async fn dev_is_for_this_machine_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let outcome = Program::new(folder.path(), &["dev", "--listen", address]).run().await;
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains("listen"), "{outcome:?}");
        assert!(outcome.stderr.contains("hallpass serve"), "{outcome:?}");
    }
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "a refused start leaves nothing behind");
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let outcome = Program::new(folder.path(), &["dev", "--listen", &address]).run().await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("cannot listen on {address}")), "{outcome:?}");
}
