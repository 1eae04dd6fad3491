//! What lasts, in SQL: a file for each noun, and a folder for each engine with what is its own.
//!
//! Clients, the key ring, sealed values, the audit log, the deployment and what moves all accounts on have one text
//! for both engines, which have the same names for what differs: `reader`, `writer` and the `begin_*` of a transaction. Accounts and the journal are
//! written for each engine.
//!
//! The SQL sits in the method that runs it. A guarded write repeats its condition and answers with
//! `RETURNING`, and its rows are always fetched to the end: sqlx's `fetch_optional` hands out the
//! first row before the statement is over, so before the commit whose failure it would then hide.

mod audit;
mod audit_rows;
mod calls;
mod clients;
mod deployment;
mod error;
mod failure;
mod journal_rows;
mod migrations;
pub mod postgres;
mod restored;
mod rows;
mod sealed_values;
mod signing_keys;
pub mod sqlite;
mod user_list;

pub use self::error::DatabaseError;
