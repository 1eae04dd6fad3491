//! From one server secret to the next, as docs/keys.md has it: two replicas, restarted one after the other.

use std::path::Path;
use std::process::Command;

use hyper::StatusCode;
use serde_json::Value;

use crate::client::Tokens;
use crate::process::{Outcome, Program, SECRET, Service, dev, serve};
use crate::support::postgres::PostgresServer;
use crate::support::redis::RedisServer;

/// Where the commands of this file stand for people.
const DOCUMENT: &str = include_str!("../../docs/keys.md");

/// Which secrets a process has.
#[derive(Clone, Copy)]
struct Secrets<'a> {
    mints: &'a str,
    accepts: &'a str,
}

impl Secrets<'_> {
    fn give(self, program: Program) -> Program {
        let program = program.variable("HALLPASS_SECRET", self.mints);
        match self.accepts {
            "" => program,
            accepted => program.variable("HALLPASS_SECRET_ACCEPTED", accepted),
        }
    }
}

/// Two replicas, and who looks after them.
struct Deployment {
    folder: tempfile::TempDir,
    redis: RedisServer,
    database: String,
}

impl Deployment {
    fn start(&self, secrets: Secrets<'_>) -> Service {
        secrets.give(serve(self.folder.path(), &self.redis.url(), &self.database)).start()
    }

    async fn command(&self, command: &str, secrets: Secrets<'_>) -> Outcome {
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        let program = Program::new(self.folder.path(), &arguments)
            .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
            .variable("REDIS_URL", self.redis.url())
            .variable("DATABASE_URL", &self.database);
        secrets.give(program).run().await
    }

    /// What the doctor says of the secrets: condition and text of each finding.
    async fn doctor(&self, secrets: Secrets<'_>) -> Vec<(String, String)> {
        let outcome = self.command("hallpass doctor --json", secrets).await;
        for secret in [secrets.mints, secrets.accepts].into_iter().filter(|secret| !secret.is_empty()) {
            assert!(
                !outcome.stdout.contains(secret) && !outcome.stderr.contains(secret),
                "a secret is shown"
            );
        }
        let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let findings = findings.as_array().expect("a list").iter();
        let text = |finding: &Value, name: &str| finding[name].as_str().expect("text").to_owned();
        let about = findings.filter(|finding| finding["subject"] == "secret");
        about.map(|finding| (text(finding, "condition"), text(finding, "text"))).collect()
    }
}

#[track_caller]
fn assert_found(findings: &[(String, String)], condition: &str, parts: &[&str]) {
    let is_it =
        |(found, text): &(String, String)| found == condition && parts.iter().all(|part| text.contains(part));
    assert!(findings.iter().any(is_it), "{condition} {parts:?}: {findings:?}");
}

/// How a replica is named by the others.
fn port(service: &Service) -> String {
    format!(":{}", service.address().port())
}

async fn refreshed(service: &Service, tokens: &Tokens) -> Tokens {
    let answer = service.client().refresh(&tokens.refresh).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    Tokens::of(&answer)
}

#[track_caller]
fn assert_refused(outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(parts.iter().all(|part| outcome.stderr.contains(part)), "{parts:?}: {outcome:?}");
}

/// The last of the commands that make a secret, in the document.
fn make_secret(folder: &Path) -> String {
    let command = "openssl rand -base64 48 > secret.new";
    assert!(DOCUMENT.contains(command), "{command} is not in docs/keys.md");
    let made = Command::new("sh").args(["-c", command]).current_dir(folder).status();
    assert!(made.expect("a shell").success());
    std::fs::read_to_string(folder.join("secret.new")).expect("the secret").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_follows_another_in_two_steps_and_nobody_is_logged_out() {
    const ROTATE: &str = "hallpass secret rotate";
    assert!(DOCUMENT.contains(ROTATE));
    let deployment = Deployment {
        folder: tempfile::tempdir().expect("a folder"),
        redis: RedisServer::start(),
        database: PostgresServer::shared().create_database().await,
    };
    let new = make_secret(deployment.folder.path());
    let old = Secrets { mints: SECRET, accepts: "" };
    let first_step = Secrets { mints: SECRET, accepts: &new };
    let second_step = Secrets { mints: &new, accepts: SECRET };
    let after = Secrets { mints: &new, accepts: "" };

    let (first, second) = (deployment.start(old), deployment.start(old));
    let (ada, bob) = (
        first.client().logged_in("ada@example.com").await,
        first.client().logged_in("bob@example.com").await,
    );
    let found = deployment.doctor(first_step).await;
    assert_found(&found, "warning", &["may not mint yet", &port(&first), &port(&second)]);

    // The first step.
    first.stop().await;
    let first = deployment.start(first_step);
    let found = deployment.doctor(first_step).await;
    assert_found(&found, "warning", &["may not mint yet", &port(&second)]);
    assert!(!found.iter().any(|(_, text)| text.contains(&port(&first))), "it knows it: {found:?}");
    let hasty = deployment.command(ROTATE, second_step).await;
    assert_refused(&hasty, &["not every replica accepts", &port(&second), "secret_accepted", "--force"]);
    assert_found(&deployment.doctor(second_step).await, "bad", &["not accepted at", &port(&second)]);
    second.stop().await;
    let second = deployment.start(first_step);
    let found = deployment.doctor(first_step).await;
    assert_found(&found, "good", &["at all 2 replicas that run", "it may mint"]);

    // The second step.
    let ada = refreshed(&second, &ada).await;
    first.stop().await;
    let first = deployment.start(second_step);
    let hasty = deployment.command(ROTATE, second_step).await;
    assert_refused(&hasty, &["still mints at", &port(&second), "--force"]);
    // In between, each takes what the other one minted.
    let ada = refreshed(&first, &ada).await;
    let ada = refreshed(&second, &ada).await;
    assert_eq!(first.client().auth_me(&ada.access).await.status, StatusCode::OK);
    second.stop().await;
    let second = deployment.start(second_step);
    let found = deployment.doctor(second_step).await;
    assert_found(&found, "warning", &["hallpass secret rotate", "signing key", "value limit_marks"]);
    assert_found(&found, "good", &["until the rotation it is needed"]);

    let done = deployment.command(ROTATE, second_step).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout.matches("encrypted anew").count(), 3, "two keys and a value: {done:?}");
    let again = deployment.command("hallpass secret rotate --json", second_step).await;
    let again: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!((&again["rotated"], &again["current"]), (&Value::Array(Vec::new()), &3.into()), "{again}");
    let found = deployment.doctor(second_step).await;
    assert!(!found.iter().any(|(condition, _)| condition != "good"), "{found:?}");
    assert_found(&found, "good", &["taken off `secret_accepted` after"]);

    // The last one: the old secret is refused.
    let ada = refreshed(&first, &ada).await;
    let log = first.log().clone();
    first.stop().await;
    second.stop().await;
    let outcome = deployment.start(after);
    let ada = refreshed(&outcome, &ada).await;
    assert_eq!(outcome.client().auth_me(&ada.access).await.status, StatusCode::OK);
    outcome.client().refresh(&bob.refresh).await.assert_problem(401, "invalid_refresh_token");
    assert_eq!(deployment.doctor(after).await.len(), 1, "there is nothing more to say");
    outcome.stop().await;
    for secret in [SECRET, &new] {
        assert!(!log.text().contains(secret), "a secret in the log");
    }
    // Without a word about the one before, what is under it is not read by a process of it.
    let refused = deployment.command("hallpass secret rotate", old).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("a secret that is not known"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_before_is_restored_while_its_secret_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let new = make_secret(folder);
    let before = Secrets { mints: SECRET, accepts: "" };
    let during = Secrets { mints: &new, accepts: SECRET };
    let after = Secrets { mints: &new, accepts: "" };
    let run = async |arguments: &[&str], secrets: Secrets<'_>| {
        secrets.give(Program::new(folder, arguments)).run().await
    };
    let service = before.give(dev(folder)).start();
    service.client().logged_in("ada@example.com").await;
    let made = run(&["backup", "before.zip"], before).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    // The store is the service's own: nothing tells which secrets that knows.
    let beside = run(&["secret", "rotate"], during).await;
    assert_refused(&beside, &["stop the service", "--force"]);
    service.stop().await;
    let rotated = run(&["secret", "rotate"], during).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    after.give(dev(folder)).start().stop().await;

    let restored = run(&["restore", "--force", "before.zip"], after).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains("secret_accepted"), "it is told at once: {restored:?}");
    let refused = after.give(dev(folder)).run().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("secret_accepted"), "{refused:?}");

    let restored = run(&["restore", "--force", "before.zip"], during).await;
    assert!(!restored.stdout.contains("secret_accepted"), "{restored:?}");
    let service = during.give(dev(folder)).start();
    service.client().log_in("ada@example.com").await;
    service.stop().await;
    let rotated = run(&["secret", "rotate"], during).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let service = after.give(dev(folder)).start();
    service.client().log_in("ada@example.com").await;
    service.stop().await;
}
