//! What every store promises: one contract suite per trait, run against each backend.

mod token_store;
