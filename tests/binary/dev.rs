//! `hallpass dev`: works in an empty folder, on this machine alone.

use hyper::StatusCode;
use serde_json::json;

use crate::client::{Answer, Client, PASSWORD, Tokens, get, login, post};
use crate::process::{Program, dev, eventually};

/// The page of mails once it has all of these.
async fn mails(client: &Client, parts: &[&str]) -> String {
    let read = async || {
        let page = client.send(get("/dev/mails")).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        page.text().to_owned()
    };
    eventually("the mails are there", async || {
        let html = read().await;
        parts.iter().all(|part| html.contains(part))
    })
    .await;
    read().await
}

/// The token of the first link to a page of our own.
fn token_in(html: &str, page: &str) -> String {
    let (_, behind) =
        html.split_once(&format!("/{page}#token=")).unwrap_or_else(|| panic!("no link: {html}"));
    behind.split('"').next().expect("a token").to_owned()
}

async fn ask_for_reset(client: &Client, email: &str) -> Answer {
    client.send(post("/auth/reset-password-request").json(&json!({ "email": email }))).await
}

#[tokio::test]
async fn mails_are_read_at_a_page_where_there_is_no_server_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).variable("HALLPASS_REGISTRATION__VERIFY_EMAIL", "true").start();
    let client = service.client();
    assert_eq!(client.register("ada@example.com").await.status, StatusCode::CREATED);
    client.send(login("ada@example.com", PASSWORD)).await.assert_problem(403, "email_not_verified");
    let verification =
        token_in(&mails(&client, &["To ada@example.com", "verify-email"]).await, "verify-email");
    let verified =
        client.send(post("/auth/verify-email").json(&json!({ "verificationToken": verification }))).await;
    assert_eq!(verified.status, StatusCode::OK, "{verified:?}");
    client.log_in("ada@example.com").await;

    // The answer has the token as ever, and the mail the same one.
    let answer = ask_for_reset(&client, "ada@example.com").await;
    let html = mails(&client, &["reset-password#token="]).await;
    assert_eq!(answer.json()["passwordResetToken"], token_in(&html, "reset-password"));
    assert!(html.find("reset-password#") < html.find("verify-email#"), "the newest is the first: {html}");

    let from_a_page = client.send(get("/dev/mails").header("origin", "http://localhost:3000")).await;
    from_a_page.assert_problem(404, "not_found");
    let log = service.log().text();
    assert!(!log.contains(&token_in(&html, "reset-password")), "{log}");
    service.stop().await;

    // Mails are gone with their process.
    let service = dev(folder.path()).start();
    assert!(!mails(&service.client(), &[]).await.contains("<article>"));
    service.stop().await;
}

#[tokio::test]
async fn reset_tokens_can_be_mailed_to_the_page_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).variable("HALLPASS_RESET__DELIVERY", "smtp").start();
    let client = service.client();
    let answer = ask_for_reset(&client, "johndoe@example.com").await;
    assert!(answer.status.is_success() && answer.json()["passwordResetToken"].is_null(), "{answer:?}");
    let token = token_in(&mails(&client, &["reset-password#token="]).await, "reset-password");
    let reset = json!({ "resetToken": token, "newPassword": "a better one this time" });
    assert_eq!(client.send(post("/auth/reset-password").json(&reset)).await.status, StatusCode::OK);
    service.stop().await;
}

#[tokio::test]
async fn with_a_mail_server_there_is_no_page_of_mails() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path())
        .variable("HALLPASS_SMTP__HOST", "127.0.0.1")
        .variable("HALLPASS_SMTP__FROM", "no-reply@example.com")
        .start();
    service.client().send(get("/dev/mails")).await.assert_problem(404, "not_found");
    assert!(!service.stop().await.contains("/dev/mails"));
}

#[tokio::test]
async fn the_commands_of_the_banner_do_what_they_say_as_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = dev(folder.path()).start();
    let place = before.address().to_string();
    let banner = before.stop().await;
    let (_, behind) = banner.split_once("\nTOKEN=").expect("commands");
    let (commands, _) = behind.split_once("\n\n").expect("something behind them");

    let service = dev(folder.path()).start();
    let commands = commands.replace(&place, &service.address().to_string());
    let script = format!("set -e\nTOKEN={commands}\n");
    let shell = Program::of(std::process::Command::new("sh"), folder.path(), &["-c", &script]);
    let path = std::env::var_os("PATH").expect("where programs are");
    let outcome = shell.variable("PATH", path).run().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for part in [r#""email":"johndoe@example.com""#, r#""passwordResetToken":"hp_pr_"#, "<h1>Mails</h1>"] {
        assert!(outcome.stdout.contains(part), "{part} is missing in {outcome:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn example_people_are_made_on_request_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || Program::new(folder.path(), &["dev", "--seed", "--listen", "127.0.0.1:0"]).start();
    let service = start();
    let client = service.client();
    client.log_in("alan@example.com").await;
    client.send(login("kurt@example.com", PASSWORD)).await.assert_problem(403, "account_disabled");
    let admin = client.log_in("grace@example.com").await;
    let users = client.send(get("/users").bearer(&admin.access)).await;
    assert!(users.text().contains("G\u{f6}del"), "{users:?}");
    let banner = service.stop().await;
    for part in ["grace@example.com", "Grace Hopper, admin", "Kurt G\u{f6}del, member, disabled", PASSWORD] {
        assert!(banner.contains(part), "{part} is missing in {banner}");
    }

    let service = start();
    assert!(service.log().text().contains("made=0"), "{}", service.log().text());
    service.client().log_in("alan@example.com").await;
    service.stop().await;
    let service = dev(folder.path()).start();
    assert!(!service.stop().await.contains("grace@example.com"), "only where they were asked for");
}

#[tokio::test]
async fn people_whose_password_everybody_knows_are_for_this_machine_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::new(folder.path(), &["dev", "--seed", "--listen", "127.0.0.1:0"])
        .variable("DATABASE_URL", "postgres://hallpass@db.example.com/hallpass?sslmode=verify-full")
        .variable("HALLPASS_ADMIN__EMAIL", "ada@example.com")
        .variable("HALLPASS_ADMIN__PASSWORD", PASSWORD);
    let outcome = program.run().await;
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("--seed"), "{outcome:?}");
}

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
