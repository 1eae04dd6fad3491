//! What a backup says of itself.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::BackupError;
use super::{DATABASE, TOKENS};
use crate::store::embedded;
use crate::store::sql::sqlite::files;

/// Which form the backups of this version have. One of a later form may be of other files.
pub(super) const FORMAT: u32 = 1;

/// What a backup says of itself, in the file `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Which form it has.
    pub format: u32,
    /// Which version of hallpass has made it.
    pub version: String,
    /// Of which deployment it is; `None` where the database has no id yet.
    pub deployment: Option<Uuid>,
    /// When it was begun, seconds since the Unix epoch.
    pub created_at: i64,
    /// What is in it.
    pub files: Vec<Packed>,
}

/// A file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// The steps that its schema has had; empty for what is no database.
    pub steps: Vec<String>,
}

impl Manifest {
    /// Whether it has a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }

    /// Sees that this version can restore it.
    ///
    /// # Errors
    /// [`BackupError::Later`].
    pub(super) fn check(&self) -> Result<(), BackupError> {
        let later = |what: String| BackupError::Later { version: self.version.clone(), what };
        if self.format > FORMAT {
            return Err(later(format!("its form {}", self.format)));
        }
        for file in &self.files {
            let known = match file.name.as_str() {
                DATABASE => files::known_steps(),
                TOKENS => embedded::known_steps(),
                _ => continue,
            };
            let is_known = |step: &&String| number_of(step).is_some_and(|number| known.contains(&number));
            if let Some(unknown) = file.steps.iter().find(|step| !is_known(step)) {
                return Err(later(format!("step {unknown} of {}", file.name)));
            }
        }
        Ok(())
    }
}

/// The number that a step's name begins with.
fn number_of(step: &str) -> Option<i64> {
    step.split('_').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(format: u32, name: &str, step: &str) -> Manifest {
        let files = vec![Packed { name: name.to_owned(), bytes: 1, steps: vec![step.to_owned()] }];
        Manifest { format, version: "9.8.7".to_owned(), deployment: None, created_at: 0, files }
    }

    #[test]
    fn what_a_later_version_has_made_is_told_by_name() {
        for fine in
            [with(1, DATABASE, "0001_users"), with(1, TOKENS, "0001_token_store"), with(0, "x", "9_y")]
        {
            assert!(fine.check().is_ok(), "{fine:?}");
        }
        for (later, named) in [
            (with(2, DATABASE, "0001_users"), "form 2"),
            (with(1, DATABASE, "9999_future"), "9999_future"),
            (with(1, TOKENS, "9999_future"), "9999_future"),
            (with(1, DATABASE, "future"), "future"),
        ] {
            let text = later.check().unwrap_err().to_string();
            assert!(text.contains(named) && text.contains("9.8.7"), "{text}");
        }
    }
}
