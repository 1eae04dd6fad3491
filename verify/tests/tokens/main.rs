//! What the verifier accepts, and that it accepts nothing else.
//!
//! Tokens are signed here with the cryptography library itself, byte for byte as a test wants
//! them: no JWT library could write most of them.

mod algorithms;
mod check;
mod claims;
mod header;
mod shape;
mod signature;
mod support;
mod times;
