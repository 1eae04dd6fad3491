//! What every store promises: one contract suite per trait, run against each backend.

#[path = "../support/mod.rs"]
mod support;

mod redis;
mod token_store;
