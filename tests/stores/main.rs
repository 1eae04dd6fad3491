//! One contract suite per store trait, run against every backend.

#[path = "../support/mod.rs"]
mod support;

mod repository;
