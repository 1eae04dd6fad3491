use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

use crate::rejection::Rejection;

/// An uncompressed point on P-256: a tag and two coordinates (SEC 1 2.3.3).
const P256_POINT_BYTES: usize = 1 + 32 + 32;
/// A public key of Ed25519 (RFC 8032 5.1.5).
const ED25519_KEY_BYTES: usize = 32;
/// The points of Ed25519 whose order divides eight, by their y-coordinate without the sign of x
/// (Cremers and Jackson, "Prime, Order Please!", 2019, table 2), least byte first. Under such a key
/// one signature fits many messages or all.
const ED25519_SMALL_ORDER: [[u8; ED25519_KEY_BYTES]; 7] = {
    const fn ends(first: u8, middle: u8, last: u8) -> [u8; ED25519_KEY_BYTES] {
        let mut bytes = [middle; ED25519_KEY_BYTES];
        bytes[0] = first;
        bytes[ED25519_KEY_BYTES - 1] = last;
        bytes
    }
    [
        ends(0, 0, 0),
        ends(1, 0, 0),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        // The prime of the field less one, itself (another zero) and plus one (another one).
        ends(0xec, 0xff, 0x7f),
        ends(0xed, 0xff, 0x7f),
        ends(0xee, 0xff, 0x7f),
    ]
};
/// An RSA modulus: from 2048 bits (RFC 7518 3.3) to the 8192 that the library verifies with.
const RSA_MODULUS_BYTES: RangeInclusive<usize> = 256..=1024;

/// The public keys of an issuer, by `kid`.
///
/// The algorithm is fixed by the key, never by a token's header (RFC 8725 3.1).
#[derive(Clone, Default)]
pub struct KeySet {
    keys: HashMap<String, VerificationKey>,
}

/// A public key and the one algorithm that it is for.
#[derive(Clone)]
pub(crate) struct VerificationKey {
    pub(crate) algorithm: Algorithm,
    key: DecodingKey,
}

impl VerificationKey {
    /// Whether the key made this signature, in base64url, of these bytes.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] when the signature is not base64url.
    pub(crate) fn signed(&self, message: &[u8], signature: &str) -> Result<bool, Rejection> {
        jsonwebtoken::crypto::verify(signature, message, &self.key, self.algorithm)
            .map_err(|_| Rejection::Malformed)
    }
}

/// A JWKS that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWK Set (RFC 7517 5).
    #[error("not a JWK Set")]
    Malformed(#[source] serde_json::Error),
    /// A key of the set is broken or weak.
    #[error("the key {kid} cannot be read")]
    BrokenKey {
        /// The key's id.
        kid: String,
        /// What is wrong with it.
        #[source]
        source: Error,
    },
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 5). Entries that cannot verify a hallpass token are passed over:
    /// no `kid`, no `alg`, not for checking signatures, a symmetric key, an algorithm other than
    /// ES256, RS256 and EdDSA, or a curve that is not the algorithm's.
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
                .and_then(|key| well_formed(key, algorithm))
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

    pub(crate) fn find(&self, kid: &str) -> Option<(&str, &VerificationKey)> {
        self.keys.get_key_value(kid).map(|(kid, key)| (kid.as_str(), key))
    }
}

fn usable(jwk: &Jwk) -> Option<(&str, Algorithm)> {
    let kid = jwk.common.key_id.as_deref()?;
    let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm?) {
        (AlgorithmParameters::EllipticCurve(key), KeyAlgorithm::ES256)
            if key.curve == EllipticCurve::P256 =>
        {
            Algorithm::ES256
        }
        (AlgorithmParameters::RSA(_), KeyAlgorithm::RS256) => Algorithm::RS256,
        (AlgorithmParameters::OctetKeyPair(key), KeyAlgorithm::EdDSA)
            if key.curve == EllipticCurve::Ed25519 =>
        {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    checks_signatures(jwk).then_some((kid, algorithm))
}

/// Both ways to say what a key is for (RFC 7517 4.2, 4.3); silence allows everything.
fn checks_signatures(jwk: &Jwk) -> bool {
    let by_use = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let by_operations = jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    by_use && by_operations
}

/// The library takes key material of any length and would only find every signature wrong: a
/// broken key is to be noticed when it is loaded.
fn well_formed(key: DecodingKey, algorithm: Algorithm) -> Result<DecodingKey, Error> {
    let right = match (key.kind(), algorithm) {
        (DecodingKeyKind::SecretOrDer(point), Algorithm::ES256) => point.len() == P256_POINT_BYTES,
        (DecodingKeyKind::SecretOrDer(key), Algorithm::EdDSA) => {
            key.as_slice().try_into().is_ok_and(|point| !has_small_order(point))
        }
        (DecodingKeyKind::RsaModulusExponent { n, e }, Algorithm::RS256) => {
            // Some write numbers with a zero in front, against RFC 7518 2; the library knows no such key.
            let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
            if RSA_MODULUS_BYTES.contains(&n.len()) && is_rsa_exponent(e) {
                return Ok(DecodingKey::from_rsa_raw_components(n, e));
            }
            false
        }
        _ => false,
    };
    if right { Ok(key) } else { Err(ErrorKind::InvalidKeyFormat.into()) }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

fn has_small_order(mut point: [u8; ED25519_KEY_BYTES]) -> bool {
    point[ED25519_KEY_BYTES - 1] &= 0x7f;
    ED25519_SMALL_ORDER.contains(&point)
}

/// An odd number above one (RFC 8017 3.1): under the exponent one, every message signs itself.
fn is_rsa_exponent(e: &[u8]) -> bool {
    e != [1] && e.last().is_some_and(|last| last % 2 == 1)
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// RFC 7515 A.3.1.
    fn es256() -> Value {
        json!({
            "kid": "a", "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
        })
    }

    /// RFC 8037 A.2.
    fn eddsa() -> Value {
        json!({
            "kid": "a", "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        })
    }

    /// An RSA key with a modulus of that many bytes.
    fn rs256(modulus: usize) -> Value {
        // 3 bytes are 4 characters of base64url; none of these is a leading zero.
        let rest = ["", "_w", "__8"][modulus % 3];
        let n = "____".repeat(modulus / 3) + rest;
        json!({"kid": "a", "kty": "RSA", "alg": "RS256", "n": n, "e": "AQAB"})
    }

    fn with(mut jwk: Value, member: &str, value: Value) -> Value {
        jwk[member] = value;
        jwk
    }

    fn without(mut jwk: Value, member: &str) -> Value {
        jwk.as_object_mut().expect("a JWK is an object").remove(member);
        jwk
    }

    fn read(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::from_jwks(&json!({ "keys": keys }).to_string())
    }

    #[test]
    fn keys_that_cannot_verify_a_token_are_passed_over() {
        let secret = json!({"kid": "a", "kty": "oct", "k": "c2VjcmV0"});
        let passed_over = [
            without(es256(), "kid"),
            without(es256(), "alg"),
            with(es256(), "alg", json!("RS256")),
            with(es256(), "alg", json!("ES384")),
            with(es256(), "alg", json!("HS256")),
            with(es256(), "alg", json!("none")),
            with(es256(), "crv", json!("P-384")),
            with(es256(), "crv", json!("secp256k1")),
            with(es256(), "use", json!("enc")),
            with(es256(), "key_ops", json!(["sign"])),
            with(rs256(256), "alg", json!("PS256")),
            with(rs256(256), "alg", json!("RSA-OAEP")),
            with(eddsa(), "crv", json!("P-256")),
            with(eddsa(), "alg", json!("ES256")),
            secret.clone(),
            with(secret.clone(), "alg", json!("HS256")),
            with(secret, "alg", json!("ES256")),
            json!({"kid": "a", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}),
        ];
        for jwk in passed_over {
            let set = read(std::slice::from_ref(&jwk));
            assert!(set.is_ok_and(|set| set.is_empty()), "{jwk}");
        }
    }

    #[test]
    fn one_useless_key_does_not_spoil_the_others() {
        let set = read(&[without(es256(), "alg"), with(eddsa(), "kid", json!("b"))]).expect("a key set");
        assert_eq!(set.len(), 1);
        assert!(set.find("b").is_some());
    }

    #[test]
    fn either_statement_of_purpose_admits_a_key_for_signatures() {
        for jwk in [
            without(es256(), "use"),
            with(es256(), "key_ops", json!(["verify"])),
            with(es256(), "key_ops", json!(["sign", "verify"])),
            rs256(256),
            rs256(1024),
        ] {
            assert_eq!(read(std::slice::from_ref(&jwk)).map(|set| set.len()).ok(), Some(1), "{jwk}");
        }
    }

    #[test]
    fn a_broken_or_weak_key_is_an_error_that_names_it() {
        let broken = [
            with(es256(), "x", json!("!")),
            with(es256(), "x", json!("")),
            with(es256(), "y", json!("AQAB")),
            with(eddsa(), "x", json!("AQAB")),
            with(eddsa(), "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")),
            rs256(0),
            rs256(128),
            rs256(255),
            rs256(1025),
            with(rs256(256), "n", json!(format!("AAAA{}", "____".repeat(84)))),
            with(rs256(256), "e", json!("")),
            with(rs256(256), "e", json!("AA")),
            with(rs256(256), "e", json!("AQ")),
            with(rs256(256), "e", json!("AAE")),
            with(rs256(256), "e", json!("Ag")),
            with(rs256(256), "e", json!("AQAA")),
        ];
        for jwk in broken {
            let result = read(std::slice::from_ref(&jwk));
            assert!(matches!(&result, Err(KeySetError::BrokenKey { kid, .. }) if kid == "a"), "{jwk}");
        }
    }

    /// Whoever has such a key signs for everybody: the point of order one makes `R = 1, S = 0` a
    /// signature of all messages.
    #[test]
    fn a_key_of_small_order_is_an_error() {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        for point in ED25519_SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut signed = point;
                signed[ED25519_KEY_BYTES - 1] |= sign;
                let result = read(&[with(eddsa(), "x", URL_SAFE_NO_PAD.encode(signed).into())]);
                assert!(matches!(result, Err(KeySetError::BrokenKey { .. })), "{signed:?}");
            }
        }
    }

    #[test]
    fn a_text_that_is_no_key_set_is_malformed() {
        for text in ["", "{}", "[]", "null", r#"{"keys": {}}"#, r#"{"keys": [7]}"#, r#"{"keys": []} x"#] {
            assert!(matches!(KeySet::from_jwks(text), Err(KeySetError::Malformed(_))), "{text:?}");
        }
        assert!(read(&[]).is_ok_and(|set| set.is_empty()));
    }

    #[test]
    fn debug_shows_key_ids_only() {
        assert_eq!(format!("{:?}", read(&[es256()]).expect("a key set")), r#"{"a"}"#);
    }
}
