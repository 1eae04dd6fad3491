//! A validator and its issuer, over real connections: what it learns, and what it does when the
//! issuer is slow, silent, wrong or gone.
//!
//! The issuer runs in a runtime of its own, so that a test can stop the validator's clock.

mod connect;
mod feed;
mod issuer;
mod keys;
mod late;
mod poem_guard;
mod stale;
mod support;
mod tls;
#[path = "../tokens/support.rs"]
#[expect(dead_code, reason = "the tests of tokens need more of it")]
mod tokens;
mod tower_guard;
