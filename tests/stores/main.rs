//! One contract suite a trait, run against every store.

#[path = "../support/mod.rs"]
mod support;

mod embedded;
mod repository;
mod token_store;
