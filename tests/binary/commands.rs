//! The commands that end by themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::process::{Outcome, PATIENCE, Program, SECRET, dev, serve};
use crate::support::postgres::PostgresServer;

async fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    Program::new(folder, arguments).run().await
}

/// All that production needs, for commands that look at settings.
fn production(folder: &Path, arguments: &[&str]) -> Program {
    Program::new(folder, arguments)
        .variable("HALLPASS_SECRET", SECRET)
        .variable("HALLPASS_PUBLIC_URL", "https://hallpass.example.com")
        .variable("REDIS_URL", "redis://:redis-hunter2@redis.example.com:6379/0")
        .variable("DATABASE_URL", "postgres://hallpass:postgres-hunter2@db.example.com/hallpass")
        .variable("HALLPASS_ADMIN__EMAIL", "ada@example.com")
        .variable("HALLPASS_ADMIN__PASSWORD", "admin hunter2 weaves patterns")
}

#[tokio::test]
async fn config_check_says_what_keeps_the_service_from_starting() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = production(folder.path(), &["config", "check"]).run().await;
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), "ok\n"), "{good:?}");

    let bad = run(folder.path(), &["config", "check"]).await;
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(2), ""), "{bad:?}");
    assert!(bad.stderr.contains("HALLPASS_SECRET") && bad.stderr.contains("REDIS_URL"), "{bad:?}");

    let dev = run(folder.path(), &["config", "check", "--for", "dev"]).await;
    assert_eq!(dev.code, Some(0), "{dev:?}");
}

#[tokio::test]
async fn config_check_names_unknown_keys_with_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("hallpass.toml"), "[tokens]\naccess_tll = \"5m\"\n").expect("a file");
    let outcome = production(folder.path(), &["config", "check", "--config", "hallpass.toml"]).run().await;
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    for part in ["tokens.access_tll", "hallpass.toml, line 2", "tokens.access_ttl"] {
        assert!(outcome.stderr.contains(part), "{part:?} is missing: {outcome:?}");
    }
}

#[tokio::test]
async fn config_dump_shows_every_setting_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = production(folder.path(), &["config", "dump"]).run().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for setting in hallpass::config::catalogue().iter() {
        assert!(outcome.stdout.contains(setting.key), "{} is missing: {outcome:?}", setting.key);
    }
    for secret in [SECRET, "hunter2"] {
        assert!(!outcome.stdout.contains(secret) && !outcome.stderr.contains(secret), "{outcome:?}");
    }
    for part in ["redis.example.com", "db.example.com", "# variable REDIS_URL", "# default"] {
        assert!(outcome.stdout.contains(part), "{part:?} is missing: {outcome:?}");
    }
}

#[tokio::test]
async fn migrate_takes_every_step_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = format!("sqlite://{}/hallpass.db", folder.path().display());
    let postgres = PostgresServer::shared().create_database().await;
    for (engine, database) in [("sqlite", sqlite), ("postgres", postgres)] {
        let migrate = || Program::new(folder.path(), &["migrate"]).variable("DATABASE_URL", &database);
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
        let count = fs::read_dir(files).expect("migrations").count();

        let first = migrate().run().await;
        assert_eq!(first.code, Some(0), "{first:?}");
        assert_eq!(first.stdout.lines().count(), count + 1, "{first:?}");
        assert!(first.stdout.contains(&format!("{count} steps taken")), "{first:?}");
        let second = migrate().run().await;
        assert_eq!(second.code, Some(0), "{second:?}");
        assert_eq!(second.stdout, "0 steps taken; the database is up to date\n");
    }
}

#[tokio::test]
async fn migrate_fails_clearly_without_a_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Program::new(folder.path(), &["migrate"])
        .variable("DATABASE_URL", "postgres://hallpass:hunter2@127.0.0.1:1/hallpass")
        .run()
        .await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!outcome.stderr.is_empty() && !outcome.stderr.contains("hunter2"), "{outcome:?}");
}

#[tokio::test]
async fn healthcheck_tells_by_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let url = format!("http://{}", service.address());
    let listen = service.address().to_string();
    for arguments in [["--url", &*url], ["--listen", &*listen]] {
        let ready = run(folder.path(), &["healthcheck", arguments[0], arguments[1]]).await;
        assert_eq!((ready.code, ready.stdout.as_str()), (Some(0), "ready\n"), "{ready:?}");
    }
    service.stop().await;
    let gone = run(folder.path(), &["healthcheck", "--url", &url]).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.stderr.contains("cannot be reached"), "{gone:?}");

    let database = format!("sqlite://{}/hallpass.db", folder.path().display());
    let without_redis = serve(folder.path(), "redis://127.0.0.1:1", &database).start();
    let url = format!("http://{}", without_redis.address());
    let not_ready = run(folder.path(), &["healthcheck", "--url", &url]).await;
    assert_eq!(not_ready.code, Some(1), "{not_ready:?}");
    assert!(not_ready.stderr.contains("not ready (status 503)"), "{not_ready:?}");
    without_redis.stop().await;
}

#[tokio::test]
async fn openapi_writes_the_documents_and_notices_drift() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checked_in = run(root, &["openapi", "--dir", "openapi", "--check"]).await;
    assert_eq!(checked_in.code, Some(0), "{checked_in:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let check = async || run(folder.path(), &["openapi", "--dir", "documents", "--check"]).await;
    let absent = check().await;
    assert_eq!(absent.code, Some(1), "{absent:?}");
    let written = run(folder.path(), &["openapi", "--dir", "documents"]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    assert_eq!(check().await.code, Some(0));

    let file = folder.path().join("documents/hallpass.json");
    let text = fs::read_to_string(&file).expect("a document");
    fs::write(&file, text.replace("Log in", "Log on")).expect("a document");
    let drifted = check().await;
    assert_eq!(drifted.code, Some(1), "{drifted:?}");
    assert!(drifted.stderr.contains("documents/hallpass.json has drifted"), "{drifted:?}");
}

#[tokio::test]
async fn openapi_prints_one_document_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    for (arguments, file) in [
        (&["openapi"][..], "hallpass.json"),
        (&["openapi", "nest"], "nest.json"),
        (&["openapi", "access-tokens", "--for", "progenitor"], "progenitor/access-tokens.json"),
    ] {
        let printed = run(folder.path(), arguments).await;
        assert_eq!(printed.code, Some(0), "{printed:?}");
        assert!(printed.stdout == fs::read_to_string(documents.join(file)).expect("a document"), "{file}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    let none = run(folder.path(), &["openapi", "rest"]).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("hallpass, nest, access-tokens"), "{none:?}");
    assert_eq!(run(folder.path(), &["openapi", "--check"]).await.code, Some(2));
}

#[tokio::test]
async fn openapi_writes_the_form_of_one_generator() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = run(folder.path(), &["openapi", "--for", "progenitor", "--dir", "clients"]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    let names = ["hallpass.json", "nest.json", "access-tokens.json"];
    let lines: String = names.map(|name| format!("clients/progenitor/{name}\n")).concat();
    assert_eq!(written.stdout, lines);
    for name in names {
        let text =
            fs::read_to_string(folder.path().join("clients/progenitor").join(name)).expect("a document");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(
            text == fs::read_to_string(root.join("openapi/progenitor").join(name)).expect("a document"),
            "{name}"
        );
    }
    let current = run(folder.path(), &["openapi", "--for=progenitor", "--dir=clients", "--check"]).await;
    assert_eq!(current.code, Some(0), "{current:?}");
    let other =
        run(folder.path(), &["openapi", "--for", "openapi-generator", "--dir", "clients", "--check"]).await;
    assert_eq!(other.code, Some(1), "{other:?}");
    let none = run(folder.path(), &["openapi", "--for", "kiota"]).await;
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("openapi-generator and progenitor"), "{none:?}");
}

#[tokio::test]
async fn a_wrong_call_is_told_apart_from_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [&[][..], &["fly"], &["serve", "--secret", "x"], &["serve", "--set", "secret=x"]] {
        let outcome = tokio::time::timeout(PATIENCE, run(folder.path(), arguments)).await.expect("an end");
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(!outcome.stderr.is_empty(), "{arguments:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn exit_codes_tell_success_failure_and_wrong_calls_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    fs::write(
        folder.path().join("people.ndjson"),
        "{\"email\": \"ada@example.com\"}\n{\"email\": \"none\"}\n",
    )
    .expect("a file");
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operate.md")).expect("docs/operate.md");
    let (_, table) = page.split_once("| exit code |").expect("a table of exit codes");
    let rows = table.lines().skip(2).map_while(|row| row.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    let listed: BTreeSet<i32> = rows.collect();
    let calls = [
        (&["version"][..], 0),
        (&["dev", "--listen", &taken], 1),
        (&["healthcheck", "--listen", "127.0.0.1:1"], 1),
        (&["nothing"], 2),
        (&["dev", "--set", "reset.ttl=a while"], 2),
        (&["users", "import", "people.ndjson"], 3),
    ];
    assert_eq!(listed, calls.iter().map(|(_, code)| *code).collect(), "docs/operate.md");
    for (arguments, code) in calls {
        let outcome = run(folder.path(), arguments).await;
        assert_eq!(outcome.code, Some(code), "{arguments:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_doctor_speaks_to_programs_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = async |arguments: &[&str]| {
        let outcome = run(folder.path(), arguments).await;
        let findings: Vec<serde_json::Value> = serde_json::from_str(&outcome.stdout).expect("an array");
        for finding in &findings {
            let condition = finding["condition"].as_str().expect("a condition");
            assert!(["good", "unknown", "warning", "bad"].contains(&condition), "{finding}");
            assert!(finding["subject"].is_string() && finding["text"].is_string(), "{finding}");
        }
        let bad = findings.iter().any(|finding| finding["condition"] == "bad");
        (outcome.code, bad, findings.len())
    };
    dev(folder.path()).start().stop().await;
    let (code, bad, findings) = said(&["doctor", "--for", "dev", "--json"]).await;
    assert_eq!((code, bad), (Some(0), false));
    assert!(findings > 3, "{findings}");
    let (code, bad, _) = said(&["doctor", "--json"]).await;
    assert_eq!((code, bad), (Some(1), true), "production needs more than that");
}
