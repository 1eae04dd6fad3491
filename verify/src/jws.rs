//! The outer form of a token: three parts, the header, the signature (RFC 7515).
//!
//! `jsonwebtoken` reads headers and claims more leniently than a verifier should: it takes
//! `{"alg": {"ES256": null}}` for ES256, and `"crit": null` for no `crit` at all. So it only
//! does the cryptography here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::keys::VerificationKey;
use crate::rejection::Rejection;

/// A token whose header has been read and whose signature has not been checked.
pub(crate) struct UnverifiedToken<'a> {
    pub(crate) header: Header,
    /// What is signed: header and payload as they came.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What is of interest in a JOSE header (RFC 7515 4.1). Other parameters are passed over.
#[derive(Deserialize)]
pub(crate) struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    jwk: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl Header {
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(crate) fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// A key that comes with the token proves nothing (CVE-2018-0114); nothing is ever fetched.
    fn brings_its_own_key(&self) -> bool {
        self.jku || self.jwk || self.x5u || self.x5c
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a token apart and reads its header.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], also for a header that brings a key along or has critical
    /// parameters: none is understood here (RFC 7515 4.1.11).
    pub(crate) fn parse(token: &'a str) -> Result<Self, Rejection> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejection::Malformed);
        };
        let message = &token[..token.len() - signature.len() - 1];
        let header: Header = object(header)?;
        if header.brings_its_own_key() || header.crit {
            return Err(Rejection::Malformed);
        }
        Ok(Self { header, message, payload, signature })
    }

    /// Reads the claims if the signature is the key's, by the key's algorithm.
    ///
    /// # Errors
    /// [`Rejection::WrongAlgorithm`] when the header names another, [`Rejection::BadSignature`],
    /// [`Rejection::Malformed`].
    pub(crate) fn verify<Claims: DeserializeOwned>(
        &self,
        key: &VerificationKey,
    ) -> Result<Claims, Rejection> {
        if self.header.alg.parse().ok() != Some(key.algorithm) {
            return Err(Rejection::WrongAlgorithm);
        }
        if key.signed(self.message.as_bytes(), self.signature)? {
            object(self.payload)
        } else {
            Err(Rejection::BadSignature)
        }
    }
}

impl UnverifiedToken<'_> {
    /// The payload read in another way, once [`verify`](Self::verify) has found it right.
    ///
    /// # Errors
    /// [`Rejection::Malformed`].
    pub(crate) fn read_again<Claims: DeserializeOwned>(&self) -> Result<Claims, Rejection> {
        object(self.payload)
    }
}

/// Reads one JSON object out of base64url without padding. Serde by itself would also take an
/// array that has the values in order, and bytes that are no text where it passes them over.
fn object<T: DeserializeOwned>(encoded: &str) -> Result<T, Rejection> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Rejection::Malformed)?;
    let json = str::from_utf8(&json).map_err(|_| Rejection::Malformed)?;
    if !json.trim_ascii_start().starts_with('{') {
        return Err(Rejection::Malformed);
    }
    serde_json::from_str(json).map_err(|_| Rejection::Malformed)
}

/// Whether a member is there, whatever its value; `null` is one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}
