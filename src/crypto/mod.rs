//! Bytes in, verdict out: nothing here waits, stores or answers a request.

pub mod client_secret;
pub mod deployment;
pub mod jwt;
pub mod keys;
pub mod opaque;
pub mod password;
pub mod private_key;
pub mod rate_limit;
pub mod refresh_token;
pub mod reset_token;
pub mod sealed;
pub mod secret;
mod signer;
pub mod verification_token;
