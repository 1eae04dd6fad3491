//! `hallpass users import`, on files that nobody looked through.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::client::login;
use crate::process::{Outcome, Program, dev, eventually};
use crate::support::postgres::PostgresServer;

/// pyca/bcrypt 4.0.1, of [`PASSWORD`].
const HASH: &str = "$2b$04$NQvTCX1v1gzwC3VafBya/OI6HTnbsnBuqTygSag9Ka3JN7DR4rakS";
const PASSWORD: &str = "correct horse battery";

fn line(email: &str) -> String {
    json!({ "email": email, "password_hash": HASH }).to_string()
}

/// Imports a file of these contents into the SQLite file of the folder, with a report in JSON.
async fn import(folder: &Path, contents: impl AsRef<[u8]>, flags: &[&str]) -> (Outcome, Value) {
    fs::write(folder.join("users.jsonl"), contents).expect("a file");
    let arguments = [&["users", "import", "users.jsonl", "--json"], flags].concat();
    let outcome = Program::new(folder, &arguments).run().await;
    let report = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    (outcome, report)
}

/// `[imported, already there, refused]`.
fn counts(report: &Value) -> [u64; 3] {
    ["imported", "alreadyThere", "refused"].map(|name| report[name].as_u64().expect("a count"))
}

/// How many accounts the SQLite file of the folder has; none when it is not there yet.
async fn accounts(folder: &Path) -> i64 {
    let url = format!("sqlite://{}/hallpass-data/hallpass.db", folder.display());
    let Ok(mut connection) = SqliteConnection::connect(&url).await else { return 0 };
    let count = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut connection).await;
    connection.close().await.expect("no trouble");
    count.unwrap_or(0)
}

#[tokio::test]
async fn people_log_in_while_others_are_still_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = dev(folder.path()).start();
    let mut lines: Vec<String> = (0..1200).map(|number| line(&format!("user{number}@example.com"))).collect();
    lines.push(
        json!({
            "email": "Ada@Example.com", "password_hash": HASH, "first_name": "Ada", "last_name": null,
            "role": "member", "email_verified": true, "disabled": false, "created_at": "2020-02-29T10:00:00Z",
        })
        .to_string(),
    );
    let (outcome, report) = import(folder.path(), lines.join("\n"), &[]).await;
    assert_eq!((outcome.code, counts(&report)), (Some(0), [1201, 0, 0]), "{outcome:?}");
    assert_eq!(report["hashes"], json!({ "bcrypt": 1201 }));
    assert_eq!(report["complete"], true);

    let answer = service.client().send(login("ada@example.com", PASSWORD)).await;
    assert_eq!(answer.json()["user"]["first_name"], "Ada", "{answer:?}");
    service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_is_named_by_its_line_and_the_rest_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = [
        &b"\xef\xbb\xbf"[..],
        line("ada@example.com").as_bytes(),
        b"\r\n\r\n",
        line("Ada@example.com").as_bytes(),
        b"\r\n",
        b"{\"email\":\"eve-hunter2\",\"password_hash\":\"hunter2\"}\n",
        &[b'x'; 10 * 1024 * 1024],
        b"\n\xff\xfe\n",
        json!({ "email": "root@example.com", "password_hash": HASH, "role": "admin" }).to_string().as_bytes(),
        b"\n",
        line("bob@example.com").as_bytes(),
    ]
    .concat();
    let (outcome, report) = import(folder.path(), &contents, &[]).await;
    assert_eq!((outcome.code, counts(&report)), (Some(3), [2, 0, 5]), "{outcome:?}");
    let problems = report["problems"].as_array().expect("a list");
    let found: Vec<(u64, &str)> = problems
        .iter()
        .map(|problem| {
            (problem["line"].as_u64().expect("a number"), problem["reason"].as_str().expect("text"))
        })
        .collect();
    let expected = [
        (3, "an earlier one has the same email"),
        (4, "email is not an e-mail address"),
        (5, "is longer than 16384 bytes"),
        (6, "is not a JSON object"),
        (7, "role is \"admin\", which --allow-admins lets pass"),
    ];
    assert_eq!(found, expected);
    for (number, reason) in expected {
        assert!(outcome.stderr.contains(&format!("line {number}: {reason}\n")), "{outcome:?}");
    }
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains("hunter2") && !text.contains("example.com"), "{outcome:?}");
    }

    let (again, report) = import(folder.path(), &contents, &["--allow-admins"]).await;
    assert_eq!((again.code, counts(&report)), (Some(3), [1, 2, 4]), "{again:?}");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, _) = import(folder.path(), line("ada@example.com"), &[]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let scrypt = "$scrypt$ln=10,r=8,p=1$PcfYm5NyLoWw1nrv/V9LCQ$RWrX3QOm93BGS8Jk1HMTsGpP12qXbSVUCol0N5Y/4+k";
    let other = json!({ "email": "eve@example.com", "password_hash": scrypt }).to_string();
    let file = [line("ada@example.com"), line("bob@example.com"), other, "{}".to_owned()].join("\n");
    for _ in 0..2 {
        let (outcome, report) = import(folder.path(), &file, &["--dry-run"]).await;
        assert_eq!((outcome.code, counts(&report)), (Some(3), [2, 1, 1]), "{outcome:?}");
        assert_eq!(report["hashes"], json!({ "bcrypt": 2, "scrypt": 1 }));
        assert_eq!((&report["dearestHashKib"], &report["dryRun"]), (&json!(1024), &json!(true)));
        assert_eq!(accounts(folder.path()).await, 1);
    }
    let people = Program::new(folder.path(), &["users", "import", "users.jsonl", "--dry-run"]).run().await;
    assert!(people.stdout.starts_with("2 would be imported, 1 already there, 1 refused\n"), "{people:?}");
}

#[tokio::test]
async fn an_interrupted_import_reports_what_is_there_and_goes_on_when_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: Vec<String> = (0..700).map(|number| line(&format!("user{number}@example.com"))).collect();
    let (running, mut input) = Program::new(folder.path(), &["users", "import", "-", "--json"]).run_fed();
    input.write_all((lines.join("\n") + "\n").as_bytes()).expect("somebody reads");
    input.flush().expect("somebody reads");
    eventually("the first batch is there", async || accounts(folder.path()).await == 500).await;
    running.interrupt();
    let outcome = running.outcome().await;
    drop(input);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("interrupted"), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).expect("a report");
    assert_eq!((counts(&report), &report["complete"]), ([500, 0, 0], &json!(false)));

    let (again, report) = import(folder.path(), lines.join("\n"), &[]).await;
    assert_eq!((again.code, counts(&report)), (Some(0), [200, 500, 0]), "{again:?}");
    assert_eq!(accounts(folder.path()).await, 700);
}

#[tokio::test]
async fn an_import_works_on_postgres_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = PostgresServer::shared().create_database().await;
    let lines: Vec<String> = (0..600).map(|number| line(&format!("user{number}@example.com"))).collect();
    fs::write(folder.path().join("users.jsonl"), lines.join("\r\n")).expect("a file");
    for summary in
        ["600 imported, 0 already there, 0 refused\n", "0 imported, 600 already there, 0 refused\n"]
    {
        let outcome = Program::new(folder.path(), &["users", "import", "users.jsonl"])
            .variable("DATABASE_URL", &database)
            .run()
            .await;
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stdout.starts_with(summary), "{outcome:?}");
    }
}

#[tokio::test]
async fn people_without_a_password_come_along_and_are_counted_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        line("ada@example.com"),
        json!({ "email": "bob@example.com" }).to_string(),
        json!({ "email": "eve@example.com", "password_hash": "" }).to_string(),
        json!({ "email": "dan@example.com", "password_hash": null }).to_string(),
        json!({ "email": "joe@example.com", "password_hash": "!B3XCCbfyKr5ck4uLMBHGvq" }).to_string(),
    ]
    .join("\n");
    let (outcome, report) = import(folder.path(), &lines, &["--dry-run"]).await;
    assert_eq!((outcome.code, counts(&report)), (Some(0), [5, 0, 0]), "{outcome:?}");
    assert_eq!((&report["hashes"], &report["mustReset"]), (&json!({ "bcrypt": 1 }), &json!(4)));
    let people = Program::new(folder.path(), &["users", "import", "users.jsonl"]).run().await;
    assert!(people.stdout.contains("\n  no password, must reset: 4\n"), "{people:?}");
}

#[tokio::test]
async fn an_external_id_comes_along_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let numbered = |email: &str, id: Value| json!({ "email": email, "external_id": id }).to_string();
    let lines = [
        numbered("ada@example.com", json!("4711")),
        numbered("bob@example.com", json!(4711)),
        numbered("eve@example.com", json!("hunter2\t")),
        numbered("dan@example.com", json!("4712")),
    ]
    .join("\n");
    let (outcome, report) = import(folder.path(), &lines, &[]).await;
    assert_eq!((outcome.code, counts(&report)), (Some(3), [2, 0, 2]), "{outcome:?}");
    assert!(outcome.stderr.contains("line 2: an earlier one has the same external_id\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("line 3: external_id holds a control character\n"), "{outcome:?}");
    for flags in [&["--dry-run"][..], &[]] {
        let (outcome, report) =
            import(folder.path(), numbered("countess@example.com", json!("4711")), flags).await;
        assert_eq!((outcome.code, counts(&report)), (Some(0), [0, 1, 0]), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = Program::new(folder.path(), &["users", "import", "nobody.jsonl"]).run().await;
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("nobody.jsonl cannot be read"), "{outcome:?}");
    assert!(!folder.path().join("hallpass-data").exists(), "nothing was opened");
}
