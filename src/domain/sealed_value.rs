//! Values that all replicas share and nobody else may know, as a database keeps them.

use std::fmt;

use super::clock::Timestamp;

/// The name of the value that the marks of accounts, places and limits are keyed by.
pub const LIMIT_MARKS: &str = "limit_marks";

/// A value encrypted under a server secret: all that a store ever sees of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBytes(Vec<u8>);

impl SealedBytes {
    /// From sealed bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The sealed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedBytes(…)")
    }
}

/// A value as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedValue {
    /// What it is for.
    pub name: String,
    /// The value, encrypted.
    pub sealed: SealedBytes,
    /// When it was encrypted, which is since when it is under that secret.
    pub sealed_at: Timestamp,
}
