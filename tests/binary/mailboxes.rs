//! Accounts of before addresses were compared by their mailboxes.

use std::path::Path;

use serde_json::Value;
use sqlx::{Connection, SqliteConnection};

use crate::client::login;
use crate::process::{Program, dev};

async fn execute(folder: &Path, statement: &'static str) {
    let url = format!("sqlite://{}", folder.join("hallpass-data/hallpass.db").display());
    let mut database = SqliteConnection::connect(&url).await.expect("the database");
    sqlx::query(statement).execute(&mut database).await.expect(statement);
}

async fn create(folder: &Path, address: &str) {
    let made = Program::new(folder, &["users", "create", address, "--password-stdin"]);
    let made = made.input("an engine weaves patterns\n").run().await;
    assert_eq!(made.code, Some(0), "{made:?}");
}

/// What the doctor says of mailboxes: conditions and texts.
async fn told(folder: &Path) -> Vec<(String, String)> {
    let outcome = Program::new(folder, &["doctor", "--json"]).run().await;
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let findings = findings.as_array().or(findings["findings"].as_array()).expect("findings");
    let text = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
    let of_mailboxes = findings.iter().filter(|finding| finding["subject"] == "mailboxes");
    of_mailboxes.map(|finding| (text(finding, "condition"), text(finding, "text"))).collect()
}

#[tokio::test]
async fn a_start_writes_down_mailboxes_and_the_doctor_tells_of_those_that_two_accounts_share() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    dev(folder).start().stop().await;
    create(folder, "grace@b\u{fc}cher.example").await;
    execute(folder, "UPDATE users SET mailbox = NULL WHERE email LIKE 'grace@%'").await;
    let service = dev(folder).start();
    let client = service.client();
    let login = async |address| client.send(login(address, "an engine weaves patterns")).await.status;
    assert_eq!(login("grace@xn--bcher-kva.example").await, 200, "the start has written it down");
    assert_eq!(told(folder).await.first().map(|(condition, _)| condition.as_str()), Some("good"));

    execute(folder, "UPDATE users SET mailbox = NULL WHERE email LIKE 'grace@%'").await;
    execute(
        folder,
        "INSERT INTO users (email, mailbox, role, password_hash, security_version, created_at)
         VALUES ('grace@xn--bcher-kva.example', 'grace@xn--bcher-kva.example', 'member', '!', 1, 1)",
    )
    .await;
    let told = told(folder).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "warning");
    assert!(told[0].1.contains("the accounts 3 and 2 have one"), "{told:?}");
    assert_eq!(login("grace@b\u{fc}cher.example").await, 200, "as before");
}
