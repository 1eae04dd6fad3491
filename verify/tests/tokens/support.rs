//! Keys, and tokens signed with them.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass_verify::{AccessClaims, KeySet, Rejection, Verifier};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://id.example.com";
pub const AUDIENCE: &str = "https://api.example.com";
/// Seconds since the Unix epoch.
pub const NOW: i64 = 2_000_000_000;
/// Seconds.
pub const LIFETIME: i64 = 900;

/// One key of each algorithm; making an RSA key takes its time.
pub static KEYS: LazyLock<[TestKey; 3]> =
    LazyLock::new(|| [TestKey::es256("es"), TestKey::rs256("rs"), TestKey::ed_dsa("ed")]);

pub fn es256() -> &'static TestKey {
    &KEYS[0]
}

pub fn ed_dsa() -> &'static TestKey {
    &KEYS[2]
}

/// A private key and how its public half is published.
pub struct TestKey {
    pub kid: &'static str,
    pub alg: &'static str,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl TestKey {
    pub fn es256(kid: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { kid, alg: "ES256", pair: Pair::Es256(pair) }
    }

    pub fn rs256(kid: &'static str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { kid, alg: "RS256", pair: Pair::Rs256(pair) }
    }

    pub fn ed_dsa(kid: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        Self { kid, alg: "EdDSA", pair: Pair::EdDsa(pair) }
    }

    /// The public half, as the cryptography library writes it.
    pub fn public_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Es256(pair) => pair.public_key().as_ref(),
            Pair::Rs256(pair) => pair.public_key().as_ref(),
            Pair::EdDsa(pair) => pair.public_key().as_ref(),
        }
    }

    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Pair::Rs256(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": encode(&parts.n), "e": encode(&parts.e)})
            }
            Pair::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = self.kid.into();
        jwk["alg"] = self.alg.into();
        jwk
    }

    pub fn sign(&self, message: &str) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A header that is right.
    pub fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": self.alg, "kid": self.kid})
    }

    /// A token that is right.
    pub fn token(&self) -> String {
        self.token_of(&self.header(), &claims())
    }

    /// Rightly signed, whatever it says.
    pub fn token_of(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    /// The same from texts, which need not be JSON.
    pub fn token_of_text(&self, header: &str, claims: &str) -> String {
        self.signed(&format!("{}.{}", encode(header), encode(claims)))
    }

    /// Puts a right signature behind a message.
    pub fn signed(&self, message: &str) -> String {
        format!("{message}.{}", encode(self.sign(message)))
    }
}

/// Claims that are right at [`NOW`].
pub fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "42",
        "exp": NOW + LIFETIME,
        "iat": NOW,
        "jti": "00000000-0000-4000-8000-000000000001",
        "sid": "00000000-0000-4000-8000-000000000002",
        "sv": 3,
        "inc": 7,
        "client_id": "hallpass",
        "email": "ada@example.com",
        "email_verified": true,
        "auth_time": NOW - 60,
        "amr": ["pwd"],
        "acr": "urn:hallpass:acr:1",
        "roles": ["member"],
        "scope": "orders:read",
    })
}

/// An object with one member set.
pub fn with(mut object: Value, member: &str, value: impl Into<Value>) -> Value {
    object[member] = value.into();
    object
}

/// An object without one of its members.
pub fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().and_then(|members| members.remove(member)).expect(member);
    object
}

/// A verifier that knows all of [`KEYS`].
pub fn verifier() -> Verifier {
    let keys: Vec<_> = KEYS.iter().map(TestKey::jwk).collect();
    let keys = KeySet::from_jwks(&json!({ "keys": keys }).to_string()).expect("a key set");
    Verifier::new(keys, ISSUER, AUDIENCE)
}

/// The verdict on a token at [`NOW`].
pub fn verdict(token: &str) -> Result<AccessClaims, Rejection> {
    verifier().verify(token, at(NOW))
}

/// The verdict on an ES256 token with that header and otherwise right claims.
pub fn verdict_on_header(header: &Value) -> Result<AccessClaims, Rejection> {
    verdict(&es256().token_of(header, &claims()))
}

/// The verdict on an ES256 token with those claims and a right header.
pub fn verdict_on_claims(claims: &Value) -> Result<AccessClaims, Rejection> {
    verdict(&es256().token_of(&es256().header(), claims))
}

pub fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).expect("after 1970"))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The signature of a token, in bytes, and what it signs.
pub fn split(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    (message, URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
}
