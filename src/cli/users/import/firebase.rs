//! The parameters of a Firebase project, which its export does not have.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::domain::plain_text::plain_text;
use crate::service::user_import::{FirebaseProject, Format};

/// The most bytes that a key's file is read for.
const KEY_FILE_MAX_BYTES: u64 = 4096;

/// What the Firebase console shows as "Password hash parameters".
#[derive(Args)]
#[command(next_help_heading = "With --format firebase")]
pub(super) struct FirebaseArgs {
    /// The file with the project's signer key, in base64
    #[arg(long = "firebase-signer-key-file", value_name = "FILE", required_if_eq("format", "firebase"))]
    signer_key_file: Option<PathBuf>,
    /// The project's salt separator, in base64
    #[arg(long = "firebase-salt-separator", value_name = "BASE64", required_if_eq("format", "firebase"))]
    salt_separator: Option<String>,
    /// The project's rounds
    #[arg(long = "firebase-rounds", value_name = "NUMBER", required_if_eq("format", "firebase"))]
    rounds: Option<u32>,
    /// The project's cost of memory
    #[arg(long = "firebase-memory-cost", value_name = "NUMBER", required_if_eq("format", "firebase"))]
    memory_cost: Option<u32>,
}

impl FirebaseArgs {
    /// The project of an import in that format.
    pub(super) fn project(self, format: &Format) -> Result<Option<FirebaseProject>, Failure> {
        let given = (self.signer_key_file, self.salt_separator, self.rounds, self.memory_cost);
        if !format.needs_firebase_project {
            return match given {
                (None, None, None, None) => Ok(None),
                _ => Err("the options --firebase-… belong to --format firebase".into()),
            };
        }
        let (Some(file), Some(separator), Some(rounds), Some(memory_cost)) = given else {
            return Err("--format firebase needs all four options --firebase-…".into());
        };
        let key = read_key(&file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let project = FirebaseProject::new(&key, &separator, rounds, memory_cost);
        let project =
            project.map_err(|problem| format!("a hash with these parameters of Firebase {problem}"))?;
        Ok(Some(project))
    }
}

fn read_key(file: &PathBuf) -> io::Result<String> {
    let mut key = Vec::new();
    File::open(file)?.take(KEY_FILE_MAX_BYTES).read_to_end(&mut key)?;
    Ok(plain_text(key).map_err(io::Error::other)?.trim().to_owned())
}
