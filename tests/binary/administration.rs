//! `hallpass users` and `hallpass sessions`: beside a running service, and without one.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, PASSWORD, Tokens, login, post};
use crate::process::{Outcome, Program, dev, eventually};

async fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    Program::new(folder, arguments).run().await
}

async fn done(folder: &Path, arguments: &[&str]) -> String {
    let outcome = run(folder, arguments).await;
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
    outcome.stdout
}

async fn status_of_login(client: &Client, email: &str, password: &str) -> u16 {
    client.send(login(email, password)).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_administered_beside_the_running_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let client = service.client();
    let folder = folder.path();

    let created: Value =
        serde_json::from_str(&done(folder, &["users", "create", "ada@example.com", "--json"]).await)
            .expect("JSON");
    let password = created["password"].as_str().expect("a password that was made up");
    assert_eq!(status_of_login(&client, "ada@example.com", password).await, 200);
    let listed: Value =
        serde_json::from_str(&done(folder, &["users", "list", "--json"]).await).expect("JSON");
    assert_eq!(listed[1]["email"], "ada@example.com");
    assert_eq!(listed[1]["id"], created["id"]);

    // The embedded token store is the service's: what is to end is left to it.
    let access = Tokens::of(&client.send(login("ada@example.com", password)).await).access;
    assert_eq!(client.auth_me(&access).await.status, 200);
    let said = done(folder, &["users", "disable", "ada@example.com"]).await;
    assert!(said.contains("the running service sees to it"), "{said}");
    eventually("the session has ended", async || client.auth_me(&access).await.status == 401).await;
    assert_eq!(status_of_login(&client, "ada@example.com", password).await, 403);

    done(folder, &["users", "enable", "ada@example.com"]).await;
    assert_eq!(status_of_login(&client, "ada@example.com", password).await, 200);
    let set = Program::new(folder, &["users", "set-password", "ada@example.com", "--password-stdin"]);
    // As Windows' editors save a line.
    assert_eq!(set.input(&format!("\u{feff}{PASSWORD}\r\n")).run().await.code, Some(0));
    assert_eq!(status_of_login(&client, "ada@example.com", password).await, 401);
    assert_eq!(status_of_login(&client, "ada@example.com", PASSWORD).await, 200);

    let said = done(folder, &["users", "set-external-id", "ada@example.com", "auth0|5f7"]).await;
    assert!(said.starts_with("external id set: ") && said.ends_with(" ada@example.com\n"), "{said}");
    let shown = done(folder, &["users", "get", "ada@example.com"]).await;
    assert!(shown.ends_with("  ada@example.com  auth0|5f7\n"), "{shown}");
    let listed: Value =
        serde_json::from_str(&done(folder, &["users", "list", "--json"]).await).expect("JSON");
    assert_eq!((&listed[1]["external_id"], &listed[0]["external_id"]), (&json!("auth0|5f7"), &Value::Null));
    let taken = run(folder, &["users", "set-external-id", "johndoe@example.com", "auth0|5f7"]).await;
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(taken.stderr.contains("the external id is taken"), "{taken:?}");
    let cleared = done(folder, &["users", "set-external-id", "ada@example.com", "", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&cleared).expect("JSON")["external_id"], Value::Null);

    let refused = run(folder, &["users", "delete", "johndoe@example.com"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("last administrator"), "{refused:?}");
    done(folder, &["users", "delete", "ada@example.com", "--dry-run"]).await;
    assert_eq!(status_of_login(&client, "ada@example.com", PASSWORD).await, 200);
    done(folder, &["users", "delete", "ada@example.com"]).await;
    assert_eq!(status_of_login(&client, "ada@example.com", PASSWORD).await, 401);
    let missing = run(folder, &["users", "get", "ada@example.com"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_listed_and_ended_while_the_service_rests() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let tokens = Tokens::of(&service.client().send(login("johndoe@example.com", "password")).await);
    service.stop().await;
    let place = folder.path();

    let listed: Value =
        serde_json::from_str(&done(place, &["sessions", "list", "1", "--json"]).await).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    done(place, &["sessions", "revoke", "--everybody", "--dry-run"]).await;
    assert!(done(place, &["sessions", "list", "1"]).await.contains(listed[0]["id"].as_str().expect("an id")));
    let said = done(place, &["sessions", "revoke", "--everybody"]).await;
    assert!(said.contains("1 accounts") && !said.contains("not confirmed"), "{said}");
    assert_eq!(done(place, &["sessions", "list", "1"]).await, "");

    let service = dev(folder.path()).start();
    service.client().refresh(&tokens.refresh).await.assert_problem(401, "invalid_refresh_token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_secret_is_rotated_while_both_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let (client, place) = (service.client(), folder.path());
    let secret_of = async |arguments: &[&str]| -> String {
        let answer: Value = serde_json::from_str(&done(place, arguments).await).expect("JSON");
        answer["secret"].as_str().expect("a secret").to_owned()
    };
    let accepted = async |secret: &str| {
        let form =
            json!({"grant_type": "client_credentials", "client_id": "orders", "client_secret": secret});
        client.send(post("/oauth2/token").json(&form)).await.status == 200
    };
    let first = secret_of(&["clients", "create", "orders", "--scopes", "revocations:read", "--json"]).await;
    assert!(accepted(&first).await && !accepted("wrong").await);
    let taken = run(place, &["clients", "create", "orders"]).await;
    assert_eq!(taken.code, Some(1), "{taken:?}");

    let second = secret_of(&["clients", "rotate-secret", "orders", "--json"]).await;
    assert!(accepted(&first).await && accepted(&second).await, "while it is rolled out");
    let third = secret_of(&["clients", "rotate-secret", "orders", "--json"]).await;
    assert!(!accepted(&first).await && accepted(&second).await && accepted(&third).await);
    let fourth = secret_of(&["clients", "rotate-secret", "orders", "--drop-others", "--json"]).await;
    assert!(accepted(&fourth).await && !accepted(&second).await && !accepted(&third).await);

    let listed: Value =
        serde_json::from_str(&done(place, &["clients", "list", "--json"]).await).expect("JSON");
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&json!("books"), &json!("orders")));
    done(place, &["clients", "delete", "orders"]).await;
    assert!(!accepted(&fourth).await);
    assert_eq!(run(place, &["clients", "delete", "orders"]).await.code, Some(1));
}

#[tokio::test]
async fn a_command_without_the_servers_secret_says_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = run(folder.path(), &["users", "list"]).await;
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("HALLPASS_SECRET"), "{outcome:?}");
}

#[tokio::test]
async fn the_shell_and_man_learn_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for command in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]]
    {
        let text = done(folder.path(), command).await;
        for verb in ["users", "sessions", "healthcheck"] {
            assert!(text.contains(verb), "{command:?}: {verb} is missing");
        }
    }
}
