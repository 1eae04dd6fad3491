//! How commands answer: on a terminal, in a pipe, in JSON, and where another has to be asked.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::{Tokens, login};
use crate::process::{Outcome, Program, Running, dev, serve};
use crate::support::redis::RedisServer;

/// Members of a person, of claims and of what was sent, which keep the names of the contracts and of the RFCs.
const OF_PERSONS: &[&str] = &["first_name", "last_name", "email_verified", "external_id", "created_at"];
const OF_CLAIMS: &str = "says";

async fn done(program: Program) -> Outcome {
    let outcome = program.run().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome
}

async fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    done(Program::new(folder, arguments)).await
}

/// The same command as somebody at a terminal calls it.
async fn on_a_terminal(folder: &Path, arguments: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_hallpass"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = Running::spawn(&mut command).outcome().await;
    assert_eq!(outcome.code, Some(0), "{arguments}: {outcome:?}");
    outcome.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_have_headings_on_a_terminal_and_none_in_a_pipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    let service = dev(place).start();
    service.client().send(login("johndoe@example.com", "password")).await;
    service.stop().await;
    for (list, heading) in [
        ("users list", "ID  ROLE   STATE    EMAIL                EXTERNAL ID"),
        ("users get 1", "ID  ROLE   STATE    EMAIL                EXTERNAL ID"),
        ("clients list", "CLIENT  SECRETS  AUDIENCE  SCOPES"),
        ("keys list", "KEY "),
        ("sessions list 1", "SESSION "),
    ] {
        let told = on_a_terminal(place, list).await;
        let (first, rows) = told.split_once("\r\n").expect("lines");
        assert!(first.starts_with(heading), "{list}: {told}");
        let words: Vec<&str> = list.split(' ').collect();
        let piped = run(place, &words).await.stdout;
        assert!(!piped.is_empty() && !piped.starts_with(heading), "{list}: {piped}");
        let rows = rows.replace("\r\n", "\n");
        assert_eq!(rows.split_whitespace().collect::<Vec<_>>(), piped.split_whitespace().collect::<Vec<_>>());
    }
    let cut = on_a_terminal(place, "users list --limit 1").await;
    assert!(cut.contains("There may be more: --after 1"), "{cut}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_leave_warnings_about_redis_to_the_service_and_to_doctor() {
    let folder = tempfile::tempdir().expect("a folder");
    let redis = RedisServer::with_snapshots();
    let database = format!("sqlite://{}/hallpass.db", folder.path().display());
    let service = serve(folder.path(), &redis.url(), &database).start();
    let log = service.log().clone();
    service.stop().await;
    let said = log.text();
    assert!(said.contains("Redis keeps nothing on disk"), "{said}");
    let command = |arguments: &[&str]| {
        let program =
            Program::new(folder.path(), arguments).variable("HALLPASS_SECRET", crate::process::SECRET);
        program.variable("REDIS_URL", redis.url()).variable("DATABASE_URL", &database)
    };
    for arguments in [&["users", "list"][..], &["keys", "list"], &["sessions", "revoke", "--everybody"]] {
        assert_eq!(done(command(arguments)).await.stderr, "", "{arguments:?}");
    }
    let checked = command(&["doctor"]).run().await;
    assert!(checked.stdout.contains("Redis keeps nothing on disk"), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_service_knows_it_is_to_be_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let listen = service.address().to_string();
    let access = Tokens::of(&service.client().send(login("johndoe@example.com", "password")).await).access;

    let sessions = ["sessions", "list", "johndoe@example.com", "--listen", &listen];
    let refused = Program::new(folder.path(), &sessions).run().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    let listed = shell(&call_in(&refused.stderr), &[("ACCESS_TOKEN", &access)]).await;
    assert!(listed.starts_with("[{\"id\":"), "{listed}");

    let explain = ["tokens", "explain", "-", "--listen", &listen];
    let explained = done(Program::new(folder.path(), &explain).input(&access)).await.stdout;
    assert!(explained.starts_with("unknown: access token "), "{explained}");
    let call = call_in(&explained).replace("CLIENT_ID:CLIENT_SECRET", "books:books-dev-secret");
    let introspected = shell(&call, &[("TOKEN", &access)]).await;
    assert!(introspected.starts_with("{\"active\":true"), "{introspected}");

    let elsewhere =
        done(Program::new(folder.path(), &["tokens", "explain", "-"]).input(&access)).await.stdout;
    let issuer = "  by the settings the issuer is http://127.0.0.1:8080: see public_url, or --listen";
    assert!(elsewhere.contains("reason: wrong_issuer") && elsewhere.contains(issuer), "{elsewhere}");
    service.stop().await;
    assert!(run(folder.path(), &sessions).await.stdout.contains(" 127.0.0.1 "));
}

/// The call that a message ends with, or has in its midst before a comma.
fn call_in(message: &str) -> String {
    let (_, call) = message.split_once("curl ").expect("a call");
    let call = call.lines().next().unwrap_or_default();
    format!("curl --silent {}", call.split(", ").next().unwrap_or_default())
}

async fn shell(line: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", line]).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let outcome = Running::spawn(&mut command).outcome().await;
    assert_eq!(outcome.code, Some(0), "{line}: {outcome:?}");
    outcome.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_read_the_names_of_the_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    let issuer = ("HALLPASS_PUBLIC_URL", "http://localhost:8080");
    let service = dev(place).variable(issuer.0, issuer.1).start();
    let tokens = Tokens::of(&service.client().send(login("johndoe@example.com", "password")).await);
    service.stop().await;
    let file = place.join("people.jsonl");
    std::fs::write(&file, "{\"email\":\"grace@example.com\"}\n{\"email\":\"no address\"}\n").expect("a file");
    for line in [
        "users create ada@example.com --first-name Ada",
        "users list",
        "users get 1",
        "users set-role ada@example.com admin",
        "users set-external-id ada@example.com auth0|7",
        "users disable ada@example.com --dry-run",
        "users verify-email ada@example.com",
        "clients create orders",
        "clients list",
        "clients rotate-secret orders",
        "keys list",
        "keys create",
        "sessions list 1",
        "tokens inspect -",
        "tokens explain -",
        "tokens revoke -",
        "sessions revoke --everybody",
        "sessions revoke ada@example.com --session 0d9f1c3a-7c5e-4d3b-9d52-5f3c8a2b1e0f --dry-run",
        "deployment show",
        "backup copy.zip",
        "doctor --for dev",
        "users import people.jsonl",
    ] {
        let words: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        let outcome =
            Program::new(place, &words).variable(issuer.0, issuer.1).input(&tokens.access).run().await;
        let answer: Value =
            serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{line}: {outcome:?}"));
        for name in names(&answer) {
            let as_the_api = !name.contains('_') || OF_PERSONS.contains(&name.as_str());
            assert!(as_the_api, "{line}: {name} in {answer}");
        }
    }
}

/// All names of members but those of claims.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(members) => {
            let inner =
                members.iter().filter(|(name, _)| *name != OF_CLAIMS).flat_map(|(_, value)| names(value));
            inner.chain(members.keys().cloned()).collect()
        }
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn short_help_is_about_the_command_and_long_help_about_settings_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let short = run(folder.path(), &["users", "list", "-h"]).await.stdout;
    let long = run(folder.path(), &["users", "list", "--help"]).await.stdout;
    for flag in ["--config", "--data-dir", "--set"] {
        assert!(!short.contains(flag) && long.contains(flag), "{flag}: {short}");
    }
    assert!(short.contains("--after") && short.contains("--json"), "{short}");
    let listening = run(folder.path(), &["serve", "-h"]).await.stdout;
    assert!(listening.contains("--listen") && !long.contains("--listen"), "{long}");
    let mistaken = Program::new(folder.path(), &["users", "list", "--listen", "127.0.0.1:1"]).run().await;
    assert_eq!(mistaken.code, Some(2), "{mistaken:?}");
}

#[tokio::test]
async fn the_version_is_a_command_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = format!("hallpass {}\n", env!("CARGO_PKG_VERSION"));
    for arguments in [["version"], ["--version"]] {
        assert_eq!(run(folder.path(), &arguments).await.stdout, version);
    }
}
