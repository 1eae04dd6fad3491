use std::collections::HashMap;
use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// The public keys of an issuer, by `kid`.
///
/// The algorithm is fixed by the key, never by a token's header (RFC 8725 3.1).
#[derive(Clone, Default)]
pub struct KeySet {
    keys: HashMap<String, VerificationKey>,
}

#[derive(Clone)]
pub(crate) struct VerificationKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// A JWKS that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWK Set (RFC 7517 5).
    #[error("not a JWK Set")]
    Malformed(#[source] serde_json::Error),
    /// A key of the set is broken.
    #[error("the key {kid} cannot be read")]
    BrokenKey {
        /// The key's id.
        kid: String,
        /// What is wrong with it.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 5). Entries that cannot verify a hallpass token are passed over:
    /// no `kid`, no `alg`, not for signatures, a symmetric key, an algorithm other than ES256,
    /// RS256 and EdDSA.
    ///
    /// # Errors
    /// [`KeySetError`] when the text is no JWK Set or a usable entry is broken.
    pub fn from_jwks(json: &str) -> Result<Self, KeySetError> {
        let set: JwkSet = serde_json::from_str(json).map_err(KeySetError::Malformed)?;
        Self::from_jwk_set(&set)
    }

    /// The same from a parsed set.
    ///
    /// # Errors
    /// [`KeySetError::BrokenKey`].
    pub fn from_jwk_set(set: &JwkSet) -> Result<Self, KeySetError> {
        let mut keys = HashMap::new();
        for jwk in &set.keys {
            let Some((kid, algorithm)) = usable(jwk) else { continue };
            let key = DecodingKey::from_jwk(jwk)
                .map_err(|source| KeySetError::BrokenKey { kid: kid.to_owned(), source })?;
            keys.insert(kid.to_owned(), VerificationKey { algorithm, key });
        }
        Ok(Self { keys })
    }

    /// How many keys the set holds.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set holds no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.keys.get(kid)
    }
}

fn usable(jwk: &Jwk) -> Option<(&str, Algorithm)> {
    let kid = jwk.common.key_id.as_deref()?;
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm?) {
        (AlgorithmParameters::EllipticCurve(_), KeyAlgorithm::ES256) => Algorithm::ES256,
        (AlgorithmParameters::RSA(_), KeyAlgorithm::RS256) => Algorithm::RS256,
        (AlgorithmParameters::OctetKeyPair(_), KeyAlgorithm::EdDSA) => Algorithm::EdDSA,
        _ => return None,
    };
    signs.then_some((kid, algorithm))
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}
