//! `hallpass users import --format …`, on files as other systems export them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::login;
use crate::process::{Outcome, Program, dev};

/// Of nearly all hashes in the files.
const PASSWORD: &str = "correct horse battery";

const FIREBASE: [&str; 8] = [
    "--firebase-signer-key-file",
    "firebase-signer-key.txt",
    "--firebase-salt-separator",
    "Bw==",
    "--firebase-rounds",
    "8",
    "--firebase-memory-cost",
    "14",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/imports")
}

/// A folder with all the files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(fixtures()).expect("the files") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.path().join(file.file_name())).expect("a copy");
    }
    folder
}

/// Imports files of that folder, with a report in JSON.
async fn import(folder: &Path, format: &str, arguments: &[&str]) -> (Outcome, Value) {
    let arguments = [&["users", "import", "--json", "--format", format], arguments].concat();
    let outcome = Program::new(folder, &arguments).run().await;
    let report = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    (outcome, report)
}

/// All accounts, by address.
async fn accounts(folder: &Path) -> BTreeMap<String, Value> {
    let outcome = Program::new(folder, &["users", "list", "--json", "--limit", "200"]).run().await;
    let list: Vec<Value> =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    list.into_iter().map(|user| (user["email"].as_str().expect("an address").to_owned(), user)).collect()
}

/// What is in the report, less the problems: imported, refused and passed over; without a password,
/// disabled and unverified.
fn counts(report: &Value) -> [[u64; 3]; 2] {
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"));
    [["imported", "refused", "passedOver"].map(count), ["mustReset", "disabled", "unverified"].map(count)]
}

#[tokio::test]
async fn the_files_of_six_systems_are_read_and_their_passwords_are_good() {
    let folder = folder();
    let path = folder.path();
    let firebase = [&["firebase.json"][..], &FIREBASE].concat();
    for (format, arguments, expected, hashes) in [
        ("auth0", &["auth0.ndjson"][..], [[3, 1, 0], [1, 1, 1]], json!({ "bcrypt": 2 })),
        ("auth0", &["auth0-import.json"], [[1, 1, 0], [0, 0, 0]], json!({ "pbkdf2-sha256": 1 })),
        ("supabase", &["supabase.csv"], [[3, 1, 1], [1, 1, 1]], json!({ "bcrypt": 2 })),
        (
            "keycloak",
            &["keycloak-realm.json", "keycloak-users-1.json"],
            [[2, 1, 1], [1, 1, 1]],
            json!({ "pbkdf2-sha256": 1 }),
        ),
        ("firebase", &firebase, [[2, 1, 0], [1, 1, 1]], json!({ "firebase_scrypt": 1 })),
        ("cognito", &["cognito.csv"], [[2, 1, 0], [2, 1, 1]], json!({})),
        ("cognito", &["cognito-users.json"], [[1, 0, 0], [1, 0, 0]], json!({})),
        ("django", &["django.json"], [[2, 1, 1], [1, 1, 2]], json!({ "pbkdf2-sha256": 1 })),
    ] {
        let (outcome, report) = import(path, format, arguments).await;
        assert_eq!(counts(&report), expected, "{arguments:?}: {outcome:?}");
        assert_eq!(report["hashes"], hashes, "{arguments:?}");
        let code = if expected[0][1] == 0 { 0 } else { 3 };
        assert_eq!((outcome.code, &report["complete"]), (Some(code), &json!(true)), "{outcome:?}");
    }

    let service = dev(path).start();
    let accounts = accounts(path).await;
    let first_of_march = 1_582_970_400;
    for (email, external_id, first_name, last_name, created_at) in [
        ("ada@auth0.example", "auth0|5f7c8ec7c33c6c004bbafe82", None, None, None),
        (
            "bob@auth0.example",
            "google-oauth2|103547991597142817347",
            Some("Bob"),
            Some("Builder"),
            Some(first_of_march),
        ),
        ("eve@auth0.example", "auth0|5f7c8ec7c33c6c004bbafe83", None, None, None),
        ("joan@auth0.example", "4711", Some("Joan"), None, None),
        (
            "ada@supabase.example",
            "0b4b6c1e-35a7-4a43-9b1a-4b1f3b8f5b01",
            Some("Ada Lovelace"),
            None,
            Some(first_of_march),
        ),
        (
            "ada@keycloak.example",
            "826731b2-bf17-4bd9-b45c-6a26c76ddaae",
            Some("Ada"),
            Some("Lovelace"),
            Some(first_of_march),
        ),
        (
            "ada@firebase.example",
            "ZGRkZGRkZGRkZGRkZGRkZGRk",
            Some("Ada Lovelace"),
            None,
            Some(first_of_march),
        ),
        ("ada@cognito.example", "ada", Some("Ada Lovelace"), None, None),
        ("bob@cognito.example", "bob", Some("Bob"), Some("Builder"), None),
        ("ada@django.example", "1", Some("Ada"), Some("Lovelace"), Some(first_of_march)),
    ] {
        let user = &accounts[email];
        assert_eq!(user["external_id"], external_id, "{email}");
        assert_eq!(
            (user["first_name"].as_str(), user["last_name"].as_str()),
            (first_name, last_name),
            "{email}"
        );
        if let Some(created_at) = created_at {
            assert_eq!(user["created_at"], created_at, "{email}");
        }
        assert_eq!(user["role"], "member", "whatever it was there: {email}");
    }
    for system in ["auth0", "supabase", "keycloak", "firebase"] {
        assert_eq!(accounts[&format!("ada@{system}.example")]["email_verified"], true, "{system}");
    }

    let client = service.client();
    for (email, password, status) in [
        ("ada@auth0.example", PASSWORD, 200),
        ("joan@auth0.example", PASSWORD, 200),
        ("ada@supabase.example", PASSWORD, 200),
        ("ada@keycloak.example", PASSWORD, 200),
        ("ada@firebase.example", "user1password", 200),
        ("ada@django.example", PASSWORD, 200),
        ("eve@auth0.example", PASSWORD, 403),
        ("eve@supabase.example", PASSWORD, 403),
        ("ada@keycloak.example", "another one", 401),
        ("bob@auth0.example", PASSWORD, 401),
        ("ada@cognito.example", PASSWORD, 401),
    ] {
        let answer = client.send(login(email, password)).await;
        assert_eq!(answer.status.as_u16(), status, "{email}: {answer:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_named_by_its_place_and_never_quoted() {
    let folder = folder();
    let path = folder.path();
    let firebase = [&["firebase.json"][..], &FIREBASE].concat();
    for (format, arguments, told) in [
        ("auth0", &["auth0.ndjson"][..], "line 4: email is missing\n"),
        ("auth0", &["auth0-import.json"], "element 2: password_hash is of no known format\n"),
        ("supabase", &["supabase.csv"], "line 6: email is missing\n"),
        (
            "keycloak",
            &["keycloak-realm.json", "keycloak-users-1.json"],
            "keycloak-users-1.json: element 2: an earlier one has the same email\n",
        ),
        ("firebase", &firebase, "element 3: email is missing\n"),
        (
            "cognito",
            &["cognito.csv"],
            "line 4: has more or fewer values than there are columns, or is not UTF-8\n",
        ),
        ("django", &["django.json"], "element 4: email is missing\n"),
    ] {
        let (outcome, report) = import(path, format, &[arguments, &["--dry-run"]].concat()).await;
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        assert!(outcome.stderr.contains(told), "{told}: {outcome:?}");
        for secret in ["5d41402abc4b", "$2", "seasalt", "lSrfV15", "jxspr8", "@auth0", "@keycloak"] {
            assert!(!outcome.stderr.contains(secret) && !outcome.stdout.contains(secret), "{outcome:?}");
        }
        let problem = &report["problems"][0];
        let (place, kind) = if told.contains("element") { ("element", "line") } else { ("line", "element") };
        assert!(problem[place].is_u64() && problem[kind].is_null(), "{report}");
        assert_eq!(problem["file"].is_string(), arguments.len() == 2, "{report}");
    }
}

#[tokio::test]
async fn a_file_of_another_format_is_told_and_what_stands_before_a_fault_is_imported() {
    let folder = folder();
    let path = folder.path();
    for (format, file, told) in [
        ("keycloak", "django.json", None),
        ("keycloak", "supabase.csv", Some("neither a JSON array nor a JSON object with an array \"users\"")),
        ("supabase", "django.json", Some("does not name a column \"encrypted_password\"")),
        ("cognito", "firebase-signer-key.txt", Some("does not name a column \"email\"")),
    ] {
        let (outcome, report) = import(path, format, &[file]).await;
        assert_eq!(counts(&report)[0][0], 0, "{outcome:?}");
        let Some(told) = told else { continue };
        assert_eq!((outcome.code, &report["complete"]), (Some(1), &json!(false)), "{outcome:?}");
        assert!(outcome.stderr.contains(told), "{outcome:?}");
    }

    let whole = fs::read_to_string(path.join("django.json")).expect("a file");
    let (before, _) = whole.split_once("pk\": 3").expect("a third user");
    fs::write(path.join("broken.json"), before).expect("a file");
    let (outcome, report) = import(path, "django", &["broken.json"]).await;
    assert_eq!((outcome.code, counts(&report)[0]), (Some(1), [2, 0, 1]), "{outcome:?}");
    assert!(outcome.stderr.contains("it is no JSON behind element 3"), "{outcome:?}");
}

#[tokio::test]
async fn the_parameters_of_firebase_belong_to_its_format_alone() {
    let folder = folder();
    let run = async |arguments: &[&str]| {
        Program::new(folder.path(), &[&["users", "import"], arguments].concat()).run().await
    };
    let without = run(&["--format", "firebase", "firebase.json"]).await;
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--firebase-signer-key-file <FILE>"), "{without:?}");
    let elsewhere = run(&[&["--format", "django", "django.json"][..], &FIREBASE].concat()).await;
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("belong to --format firebase"), "{elsewhere:?}");
    let mut dear = FIREBASE;
    dear[7] = "30";
    let dear = run(&[&["--format", "firebase", "firebase.json"][..], &dear].concat()).await;
    assert_eq!(dear.code, Some(1), "{dear:?}");
    assert!(dear.stderr.contains("costs too much to check for firebase_scrypt"), "{dear:?}");
    assert!(!dear.stderr.contains("jxspr8"), "{dear:?}");
    let unknown = run(&["--format", "okta", "django.json"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("auth0, cognito, django, firebase, keycloak, supabase"), "{unknown:?}");
}
