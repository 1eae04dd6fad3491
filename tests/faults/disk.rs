//! The disk under SQLite and the embedded store is full.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ledger::Loss;
use crate::load::Load;
use crate::process::{Program, Service};

/// Enough that everything is done, and every state of a session is among them.
const SOME: u64 = 60;

/// Runs its arguments in a folder that is a file system of 16 MiB, which it alone sees.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=16m,mode=700 tmpfs "$0" && cd "$0" && exec "$@""#;

/// A service whose data folder is on a small disk.
fn start(folder: &Path) -> Service {
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", SMALL_DISK]);
    command.arg(folder).arg(env!("CARGO_BIN_EXE_hallpass"));
    Program::of(command, folder, &["dev", "--listen", "127.0.0.1:0"])
        .variable("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .variable("HALLPASS_PUBLIC_URL", "http://localhost:8080")
        .variable("HALLPASS_RATE_LIMITS__ENABLED", "false")
        .start()
}

/// What fills a disk.
struct Filler(PathBuf);

impl Filler {
    /// Takes all that is left.
    fn of(service: &Service, folder: &Path) -> Self {
        let inside = folder.strip_prefix("/").expect("an absolute path");
        let path = PathBuf::from(format!("/proc/{}/root", service.pid())).join(inside).join("filler");
        let mut file = File::create(&path).expect("a file on the small disk");
        let mut taken = 0;
        while let Ok(written) = file.write(&[0; 4096]) {
            taken += written;
        }
        assert!(taken > 0, "the disk was full before");
        Self(path)
    }

    fn remove(self) {
        std::fs::remove_file(self.0).expect("the filler");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_for_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = start(folder.path());
    let load = Load::begin(vec![service.client()]).await;
    load.acknowledges(SOME).await;
    for _ in 0..2 {
        let filler = Filler::of(&service, folder.path());
        load.refuses(SOME / 2).await;
        filler.remove();
        load.is_back();
        load.acknowledges(SOME).await;
    }
    load.settle("a full disk under SQLite and the embedded store", Loss::Nothing).await;
    service.stop().await;
}
