//! Certificates of the tests' own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A certificate authority of the tests' own, and a certificate of it for this machine.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Those that all tests of this binary share.
    pub fn shared() -> &'static Self {
        static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
        CERTIFICATES.get_or_init(Self::make)
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The certificate for this machine.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// Its key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    /// Others, of another authority.
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let extensions = "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n";
        std::fs::write(folder.path().join("server.ext"), extensions).expect("a file");
        for command in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
             -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem",
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr",
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem",
        ] {
            openssl(folder.path(), command);
        }
        Self { folder }
    }
}

fn openssl(folder: &Path, command: &str) {
    let output = Command::new("openssl").args(command.split_whitespace()).current_dir(folder).output();
    let output = output.expect("the program `openssl`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
