//! What lasts, on SQLite: one file, no server.

pub mod files;
mod journal;
mod migration;
mod store;
mod users;

pub use self::store::{SqliteOptions, SqliteStore, file_of};
