//! What is refused leaves everything as it was.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use hyper::StatusCode;
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::{ADA, assert_dead, done, run, service};

/// What there is in a folder, but for locks.
fn listed(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("a file").file_name().into_string().expect("a name")).collect();
    names.retain(|name| !name.ends_with(".lock"));
    names.sort_unstable();
    names
}

async fn assert_refused(folder: &Path, arguments: &[&str], code: i32, why: &str) {
    let outcome = run(folder, arguments).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(code), ""), "{arguments:?}: {outcome:?}");
    assert!(outcome.stderr.contains(why), "{arguments:?}: {why} is missing in {outcome:?}");
}

/// A backup whose manifest says something else.
fn with_manifest(backup: &Path, to: &Path, change: impl Fn(&mut Value)) {
    let mut archive = ZipArchive::new(File::open(backup).expect("a file")).expect("an archive");
    let mut changed = ZipWriter::new(File::create(to).expect("a file"));
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("a file in it");
        let (name, mut bytes) = (entry.name().expect("a name").into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).expect("its bytes");
        if name == "manifest.json" {
            let mut manifest = serde_json::from_slice(&bytes).expect("JSON");
            change(&mut manifest);
            bytes = manifest.to_string().into_bytes();
        }
        changed.start_file(name, SimpleFileOptions::default()).expect("a file in it");
        changed.write_all(&bytes).expect("its bytes");
    }
    changed.finish().expect("an archive");
}

#[tokio::test]
async fn a_running_service_and_what_is_there_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert_refused(path, &["backup", "b.zip"], 1, "there is no hallpass-data/hallpass.db").await;
    assert_refused(path, &["restore", "--in-place"], 1, "there is no hallpass-data/hallpass.db").await;
    assert_eq!(listed(path), [""; 0]);
    let running = service(path);
    let ada = running.client().logged_in(ADA).await;
    done(path, &["backup", "b.zip"]).await;
    for arguments in [&["restore", "b.zip"][..], &["restore", "b.zip", "--force"], &["restore", "--in-place"]]
    {
        assert_refused(path, arguments, 1, "is in use by another process: stop the service first").await;
    }
    assert_eq!(running.client().auth_me(&ada.access).await.status, StatusCode::OK);

    let first = fs::read(path.join("b.zip")).expect("a file");
    running.client().logged_in("grace@example.com").await;
    assert_refused(path, &["backup", "b.zip"], 1, "b.zip is there already: --force replaces it").await;
    assert_eq!(fs::read(path.join("b.zip")).expect("a file"), first);
    done(path, &["backup", "b.zip", "--force"]).await;
    assert_ne!(fs::read(path.join("b.zip")).expect("a file"), first);
    assert_refused(path, &["backup", "none/b.zip"], 1, "there is no none").await;
    running.stop().await;

    assert_refused(path, &["restore", "b.zip"], 1, "hallpass.db is there already: --force replaces it").await;
    let again = service(path);
    assert_eq!(again.client().auth_me(&ada.access).await.status, StatusCode::OK, "nothing was restored");
    again.stop().await;
    assert_eq!(listed(path), ["b.zip", "hallpass-data"]);
    done(path, &["restore", "b.zip", "--force"]).await;
    let restored = service(path);
    assert_dead(&restored.client(), &ada).await;
    restored.stop().await;
}

#[tokio::test]
async fn what_is_no_whole_backup_of_this_version_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let running = service(path);
    running.client().logged_in(ADA).await;
    done(path, &["backup", "b.zip"]).await;
    running.stop().await;
    let empty = tempfile::tempdir().expect("a folder");
    let into = |name: &str| path.join(name).to_str().expect("UTF-8").to_owned();
    let refused = async |name: &str, why: &str| {
        assert_refused(empty.path(), &["restore", &into(name)], 1, why).await;
        let data = empty.path().join("hallpass-data");
        assert!(!data.exists() || listed(&data).is_empty(), "{name}: {:?}", listed(&data));
    };
    refused("none.zip", "none.zip").await;
    fs::write(path.join("text.zip"), "no archive").expect("a file");
    refused("text.zip", "is no backup of hallpass, or not all of one").await;
    let mut foreign = ZipWriter::new(File::create(path.join("foreign.zip")).expect("a file"));
    foreign.start_file("letter.txt", SimpleFileOptions::default()).expect("a file in it");
    foreign.finish().expect("an archive");
    refused("foreign.zip", "is no backup of hallpass, or not all of one").await;

    let whole = fs::read(path.join("b.zip")).expect("a file");
    for length in [0, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(path.join("cut.zip"), &whole[..length]).expect("a file");
        refused("cut.zip", "is no backup of hallpass, or not all of one").await;
    }
    let mut broken = whole.clone();
    broken[whole.len() / 2] ^= 1;
    fs::write(path.join("broken.zip"), broken).expect("a file");
    refused("broken.zip", "is no backup of hallpass, or not all of one").await;

    for (name, file) in [("later-tokens.zip", 0), ("later-database.zip", 1)] {
        with_manifest(&path.join("b.zip"), &path.join(name), |manifest| {
            manifest["version"] = "9.8.7".into();
            manifest["files"][file]["steps"].as_array_mut().expect("steps").push("9999_future".into());
        });
        refused(name, "the backup was made by hallpass 9.8.7").await;
        refused(name, "step 9999_future").await;
    }
    with_manifest(&path.join("b.zip"), &path.join("form.zip"), |manifest| manifest["format"] = 2.into());
    refused("form.zip", "its form 2 is not known here").await;

    // Without its database it is as wrong a call as with too much.
    for arguments in [&["restore"][..], &["restore", "b.zip", "--in-place"], &["backup"]] {
        assert_refused(path, arguments, 2, "Usage").await;
    }
    done(empty.path(), &["restore", &into("b.zip")]).await;
}
