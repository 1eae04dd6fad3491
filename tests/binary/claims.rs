//! Claims of one's own: what the command line notes down, and tokens that would be too long.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Outcome, Program, dev, eventually};

const PASSWORD: &str = "an engine weaves patterns\n";

async fn command(folder: &Path, arguments: &[&str]) -> Outcome {
    Program::new(folder, arguments).input(PASSWORD).run().await
}

async fn done(folder: &Path, arguments: &[&str]) -> Outcome {
    let outcome = command(folder, arguments).await;
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
    outcome
}

async fn noted(folder: &Path, account: &str) -> Value {
    let shown = done(folder, &["users", "get", account, "--json"]).await;
    serde_json::from_str::<Value>(&shown.stdout).expect("JSON")["metadata"].clone()
}

#[tokio::test]
async fn the_command_line_and_imports_note_down_what_they_are_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    dev(folder).start().stop().await;
    let plan = r#"{"plan": "free"}"#;
    done(folder, &["users", "create", "ada@example.com", "--password-stdin", "--metadata", plan]).await;
    assert_eq!(noted(folder, "ada@example.com").await, json!({"plan": "free"}));
    let set = done(folder, &["users", "set-metadata", "ada@example.com", r#"{"plan": "pro"}"#]).await;
    assert!(set.stdout.starts_with("metadata set: ") && !set.stdout.contains("pro"), "{set:?}");
    assert_eq!(noted(folder, "ada@example.com").await, json!({"plan": "pro"}));
    for wrong in ["pro", "[]", r#"{"a": [[[[]]]]}"#] {
        let refused = command(folder, &["users", "set-metadata", "ada@example.com", wrong]).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    done(folder, &["users", "set-metadata", "ada@example.com", "{}"]).await;
    assert_eq!(noted(folder, "ada@example.com").await, json!({}));

    done(folder, &["clients", "create", "orders", "--metadata", r#"{"tier": 2}"#]).await;
    let listed = done(folder, &["clients", "list", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let orders = listed.as_array().expect("a list").iter().find(|client| client["id"] == "orders");
    assert_eq!(orders.expect("the client")["metadata"], json!({"tier": 2}));

    let lines = concat!(
        r#"{"email": "bob@example.com", "metadata": {"plan": "pro", "n": [1]}}"#,
        "\n",
        r#"{"email": "eve@example.com", "metadata": ["pro"]}"#,
        "\n",
    );
    fs::write(folder.join("people.jsonl"), lines).expect("a file");
    let import = command(folder, &["users", "import", "people.jsonl"]).await;
    assert_eq!(import.code, Some(3), "{import:?}");
    assert!(import.stderr.contains("metadata is not a JSON object"), "{import:?}");
    assert_eq!(noted(folder, "bob@example.com").await, json!({"plan": "pro", "n": [1]}));
}

#[tokio::test]
async fn tokens_that_would_be_too_long_are_found_at_the_start_and_by_the_doctor() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    dev(folder).start().stop().await;
    let long = json!({"a": "x".repeat(1_500)}).to_string();
    done(folder, &["users", "create", "ada@example.com", "--password-stdin", "--metadata", &long]).await;
    let found = async |claims: &str| {
        let doctor = Program::new(folder, &["doctor", "--json"]).variable("HALLPASS_TOKENS__CLAIMS", claims);
        let doctor = doctor.run().await;
        let all: Value = serde_json::from_str(&doctor.stdout).expect("JSON");
        let all = all.as_array().or(all["findings"].as_array()).expect("findings").clone();
        let about =
            all.into_iter().find(|finding| finding["subject"] == "claims").expect("something of claims");
        (about["condition"].clone(), about["text"].as_str().expect("text").to_owned())
    };
    let once = r#"{"a": "account.metadata.a"}"#;
    assert_eq!(found(once).await.0, "good");

    let twice = r#"{"a": "account.metadata.a", "b": "account.metadata.a"}"#;
    let (condition, text) = found(twice).await;
    assert!(
        condition == "bad" && text.contains("tokens of 1 account would be longer than 4096 bytes"),
        "{text}"
    );
    let service = dev(folder).variable("HALLPASS_TOKENS__CLAIMS", twice).start();
    eventually("the start tells of it", async || {
        service.log().text().contains("tokens of 1 account would be longer than 4096 bytes")
    })
    .await;
    service.stop().await;

    let hopeless = json!({"a": {"value": "x".repeat(3_000)}}).to_string();
    let (condition, text) = found(&hopeless).await;
    assert!(condition == "bad" && text.contains("before anything is noted down"), "{text}");
    let refused = dev(folder).variable("HALLPASS_TOKENS__CLAIMS", &hopeless).run().await;
    assert!(
        refused.code != Some(0) && refused.stderr.contains("before anything is noted down"),
        "{refused:?}"
    );
}
