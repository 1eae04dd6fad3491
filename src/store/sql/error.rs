//! Why the database cannot be used.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why the database cannot be used. For the operator who starts hallpass: no text holds the URL or
/// a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL names no database that hallpass can use.
    #[error("the database URL is unusable: {0}")]
    Url(String),
    /// The file or its folder cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// The file or the folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nothing answers, or it answers that we may not come in.
    #[error("cannot open the database at {place}")]
    Unreachable {
        /// File, or host, port and database.
        place: String,
        /// Whether that may be otherwise in a moment: the server is away, starting or full, and has not
        /// refused us.
        may_pass: bool,
        /// What the driver said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The schema is of a later hallpass than this one, which might not keep its rules.
    #[error("the database is newer than this hallpass: it has had step {0}, which is not known here")]
    Newer(i64),
    /// The role may not bring the schema up to date.
    #[error(
        "the database lacks {} and the role {role} may not take them: run `hallpass migrate` with the URL of a role \
         that owns the tables in `database.migrate_url` (or in `database.url`)", steps.join(", ")
    )]
    MayNotMigrate {
        /// The role.
        role: String,
        /// The names of the steps that are to be taken.
        steps: Vec<String>,
        /// What the server said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The role may not even see how the schema is.
    #[error("the role {role} may not read which steps the database has had (see `hallpass doctor`)")]
    MayNotLook {
        /// The role.
        role: String,
        /// What the server said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A step could not be taken. None is ever half taken.
    #[error("the database's schema cannot be brought up to date")]
    Migration(#[source] Box<dyn Error + Send + Sync>),
}

impl DatabaseError {
    /// Whether the database may be there in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { may_pass: true, .. })
    }
}
