//! Backups: one file with what a service on SQLite keeps, made while it runs; and what is to be done after
//! stores were restored, however that was done.
//!
//! Where both stores go back together, neither can tell: each finds what the other has. So whoever restores
//! says so. All accounts move on, and the token store begins another incarnation: what was opened before ends,
//! for what has revoked it may be lost.

mod archive;
mod error;
mod making;
mod manifest;
mod places;
mod restoring;

pub use self::error::BackupError;
pub use self::making::{Making, back_up};
pub use self::manifest::{Manifest, Packed};
pub use self::restoring::{Restored, restore, restore_in_place};

/// The database's name in a backup.
pub const DATABASE: &str = "hallpass.db";

/// The secret's name in a backup, and in the data folder.
pub const SECRET: &str = crate::config::SECRET_FILE;

/// The embedded token store's name in a backup, and in the data folder.
pub const TOKENS: &str = super::token_stores::EMBEDDED_FILE;
