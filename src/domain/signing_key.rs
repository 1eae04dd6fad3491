//! Keys that sign access tokens, as the key ring keeps them.

mod life;

use std::fmt;
use std::str::FromStr;

use super::clock::Timestamp;
use super::ids::KeyId;

pub use life::{KeyLife, KeyRefusal, KeyStep, PUBLISH_AHEAD_MIN, PlannedStep};

/// How access tokens are signed (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256: every common validator takes it.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
    /// Ed25519.
    EdDsa,
}

/// The text names no algorithm that hallpass signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing algorithm is ES256, RS256 or EdDSA")]
pub struct SigningAlgorithmError;

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::EdDsa];

    /// The name in a token's header and in a JWK.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = SigningAlgorithmError;

    fn from_str(text: &str) -> Result<Self, SigningAlgorithmError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(SigningAlgorithmError)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A private key encrypted under the server's secret: all that a store ever sees of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey(Vec<u8>);

impl SealedKey {
    /// From sealed bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The sealed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedKey(…)")
    }
}

/// A key as it is kept: what of it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// The RFC 7638 thumbprint.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// The private half, encrypted.
    pub sealed: SealedKey,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that every validator has it before it signs.
    Next,
    /// Signs, and is published.
    Active {
        /// Since when.
        since: Timestamp,
    },
    /// Signs no more, and stays published until the last token that it signed has expired.
    Retiring {
        /// Since when it signs no more.
        since: Timestamp,
    },
    /// No longer published. This service still knows the tokens that it signed by it: expired ones,
    /// which come along when their sessions are refreshed.
    Retired {
        /// Since when.
        since: Timestamp,
    },
    /// Leaked: nothing that it signed counts any more.
    Revoked {
        /// Since when.
        since: Timestamp,
        /// When the revocation feed was last told.
        announced: Option<Timestamp>,
    },
}

impl KeyState {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active { .. } => "active",
            Self::Retiring { .. } => "retiring",
            Self::Retired { .. } => "retired",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Whether validators are told the key.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Next | Self::Active { .. } | Self::Retiring { .. })
    }

    /// Whether this service knows tokens by the key.
    pub const fn is_trusted(self) -> bool {
        !matches!(self, Self::Revoked { .. })
    }
}

/// One entry of the key ring: a key, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// The key.
    pub key: StoredSigningKey,
    /// Where it stands.
    pub state: KeyState,
}

impl RingKey {
    /// Since when the key has stood where it stands.
    pub const fn since(&self) -> Timestamp {
        match self.state {
            KeyState::Next => self.key.created_at,
            KeyState::Active { since }
            | KeyState::Retiring { since }
            | KeyState::Retired { since }
            | KeyState::Revoked { since, .. } => since,
        }
    }
}
