//! What every store promises: one contract suite a trait, run against each backend.

#[path = "../support/mod.rs"]
mod support;

mod database;
mod embedded;
mod feed;
mod journaled;
mod presence;
mod rate_limits;
mod redis;
mod token_store;
