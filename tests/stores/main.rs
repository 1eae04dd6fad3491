//! What every store promises: one contract suite a trait, run against each backend.

#[path = "../support/mod.rs"]
mod support;

mod embedded;
mod feed;
mod journaled;
mod rate_limits;
mod redis;
mod repository;
mod token_store;
