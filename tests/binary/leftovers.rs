//! What stands in a database that `hallpass dev` has used, and who can administer: `serve` and the doctor look
//! there.

use std::path::Path;

use crate::client::login;
use crate::process::{Outcome, Program};

const SECRET_FILE: &str = "hallpass-data/secret";

/// A command in production, over what is in the folder.
fn program(folder: &Path, arguments: &[&str]) -> Program {
    Program::new(folder, arguments)
        .variable("HALLPASS_SECRET_FILE", SECRET_FILE)
        .variable("HALLPASS_TOKEN_STORE", "embedded")
}

async fn command(folder: &Path, arguments: &[&str]) -> Outcome {
    let outcome = program(folder, arguments).run().await;
    assert_eq!(outcome.code, Some(0), "{arguments:?} {outcome:?}");
    outcome
}

fn serve(folder: &Path) -> Program {
    program(folder, &["serve", "--listen", "127.0.0.1:0"])
}

/// What the doctor says of a subject, a line each.
fn said(doctor: &Outcome, subject: &str) -> Vec<String> {
    let lines = doctor.stdout.lines().map(str::to_owned);
    lines.filter(|line| line.split_whitespace().nth(1) == Some(subject)).collect()
}

const ADMIN: &str = "hallpass users set-password johndoe@example.com";
const CLIENT: &str = "hallpass clients rotate-secret books --drop-others";

#[tokio::test]
async fn serve_refuses_the_example_people_whoever_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    Program::new(folder, &["dev", "--seed", "--listen", "127.0.0.1:0"]).start().stop().await;
    let refused = serve(folder).run().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for email in ["grace@example.com", "alan@example.com", "kurt@example.com"] {
        let help = format!("hallpass users set-password {email}");
        assert!(refused.stderr.contains(&help), "{help} is missing in {refused:?}");
    }
    command(folder, &["users", "set-password", "kurt@example.com"]).await;
    let refused = serve(folder).run().await;
    assert!(refused.stderr.contains("alan@") && !refused.stderr.contains("kurt@"), "{refused:?}");
}

#[tokio::test]
async fn serve_refuses_what_dev_has_left_until_each_of_it_is_mended_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    Program::new(folder, &["dev", "--listen", "127.0.0.1:0"]).start().stop().await;

    let refused = serve(folder).run().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in ["johndoe@example.com", ADMIN, "books", CLIENT] {
        assert!(refused.stderr.contains(part), "{part} is missing in {refused:?}");
    }
    let doctor = program(folder, &["doctor"]).run().await;
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    let bad = said(&doctor, "samples");
    assert!(bad.len() == 2 && bad[0].contains(ADMIN) && bad[1].contains(CLIENT), "{bad:?}");
    assert!(bad.iter().all(|line| line.starts_with("bad ")), "{bad:?}");
    // Where it belongs nobody minds.
    let dev = Program::new(folder, &["doctor", "--for", "dev"]).run().await;
    assert!(dev.code == Some(0) && said(&dev, "samples").is_empty(), "{dev:?}");

    let words = |text: &'static str| text.split(' ').skip(1).collect::<Vec<_>>();
    command(folder, &words(ADMIN)).await;
    // The old secret goes on working beside another one.
    command(folder, &["clients", "rotate-secret", "books"]).await;
    let refused = serve(folder).run().await;
    assert!(refused.code == Some(1) && refused.stderr.contains(CLIENT), "{refused:?}");
    assert!(!refused.stderr.contains(ADMIN), "{refused:?}");

    command(folder, &words(CLIENT)).await;
    let doctor = program(folder, &["doctor"]).run().await;
    let samples = said(&doctor, "samples");
    assert!(samples.len() == 1 && samples[0].starts_with("good "), "{doctor:?}");
    assert!(said(&doctor, "administrators")[0].starts_with("good "), "{doctor:?}");
    let service = serve(folder).start();
    let sample = service.client().send(login("johndoe@example.com", "password")).await;
    sample.assert_problem(401, "invalid_credentials");
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_nobody_can_administer_says_so_and_what_mends_it() {
    const MEND: &str = "hallpass users create you@example.com --role admin";
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    std::fs::create_dir(folder.join("hallpass-data")).expect("a folder");
    std::fs::write(folder.join(SECRET_FILE), crate::process::SECRET).expect("a file");

    let service = serve(folder).start();
    assert!(service.log().text().contains(MEND), "{}", service.log().text());
    let doctor = program(folder, &["doctor"]).run().await;
    let warned = said(&doctor, "administrators");
    assert!(warned[0].starts_with("warning ") && warned[0].contains(MEND), "{warned:?}");
    service.stop().await;

    command(folder, &MEND.split(' ').skip(1).collect::<Vec<_>>()).await;
    let doctor = command(folder, &["doctor"]).await;
    assert!(said(&doctor, "administrators")[0].starts_with("good "), "{doctor:?}");
    let service = serve(folder).start();
    assert!(!service.log().text().contains(MEND), "{}", service.log().text());
    service.stop().await;
}
