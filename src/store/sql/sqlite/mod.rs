//! What lasts, on SQLite: one file, no server.

pub mod files;
mod journal;
mod migration;
mod store;
pub(super) mod users;

pub(in crate::store::sql) use self::journal::append_in;
pub use self::store::{SqliteOptions, SqliteStore, file_of};
