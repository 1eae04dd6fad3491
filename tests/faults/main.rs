//! The real program while its stores fail, with a ledger of all that it acknowledged: the short form of each fault.
//!
//! *Undone*: what was acknowledged as ended is accepted. *Wrong*: an answer that is neither right nor 503 with
//! Retry-After, or that the [model](hallpass_model::replay) does not give. *Lost*: a session that was acknowledged is
//! not there, where the fault may not cost it.

// The harness of `tests/binary`, of which this uses a part.
#[allow(dead_code)]
#[path = "../binary/client.rs"]
mod client;
#[allow(dead_code)]
#[path = "../binary/process.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod book;
mod clocks;
mod clusters;
mod deployment;
mod disk;
mod everything;
mod ledger;
mod load;
mod network;
mod one_redis;
mod postgres;
mod processes;
mod replicas;
mod sentinels;
