//! What every store promises: one contract suite per trait, run against each backend.

mod embedded;
mod token_store;
