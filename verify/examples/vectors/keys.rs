//! The keys that sign the vectors, and signatures that come out the same each time.

use std::cell::RefCell;
use std::collections::HashMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Keys of nobody: they sign what is in `verify/vectors` and nothing else.
const KEYS: &str = include_str!("signing_keys.json");

/// A private key and how its public half is published.
pub struct SigningKey {
    pub kid: &'static str,
    pub alg: &'static str,
    pair: Pair,
}

enum Pair {
    Es256 { pair: EcdsaKeyPair, known: RefCell<HashMap<String, Vec<u8>>> },
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// One key of each algorithm, and another one that calls itself by the first one's name.
pub struct Signers {
    pub es: SigningKey,
    pub rs: SigningKey,
    pub ed: SigningKey,
    pub stranger: SigningKey,
}

impl Signers {
    /// The keys; ES256 signatures that stand in `written` are used again, as signing has chance in it.
    pub fn load(written: &str) -> Self {
        let keys: Value = serde_json::from_str(KEYS).expect("the keys");
        let der = |name: &str| STANDARD.decode(keys[name].as_str().expect("a key")).expect("base64");
        let ecdsa = |name: &str| {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(name)).expect("an EC key")
        };
        let es256 = |name, kid| {
            let pair = ecdsa(name);
            let known = RefCell::new(signatures(&pair, written));
            SigningKey { kid, alg: "ES256", pair: Pair::Es256 { pair, known } }
        };
        let rsa = RsaKeyPair::from_pkcs8(&der("rs256")).expect("an RSA key");
        let ed = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der("eddsa")).expect("an Ed25519 key");
        Self {
            es: es256("es256", "es"),
            rs: SigningKey { kid: "rs", alg: "RS256", pair: Pair::Rs256(rsa) },
            ed: SigningKey { kid: "ed", alg: "EdDSA", pair: Pair::EdDsa(ed) },
            stranger: es256("stranger", "es"),
        }
    }

    /// The keys that the issuer publishes.
    pub fn published(&self) -> [&SigningKey; 3] {
        [&self.es, &self.rs, &self.ed]
    }

    /// The published keys as a JWK Set (RFC 7517 5).
    pub fn jwks(&self) -> String {
        jwks(&self.published().map(SigningKey::jwk))
    }
}

/// A JWK Set of these.
pub fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// The first signature of the key for each message that a text has a token of.
fn signatures(pair: &EcdsaKeyPair, written: &str) -> HashMap<String, Vec<u8>> {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    let mut known = HashMap::new();
    for token in written.lines().flat_map(texts_of) {
        let token = token.strip_prefix("Bearer ").unwrap_or(&token);
        let Some((message, signature)) = token.rsplit_once('.') else { continue };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { continue };
        if !known.contains_key(message) && key.verify(message.as_bytes(), &signature).is_ok() {
            known.insert(message.to_owned(), signature);
        }
    }
    known
}

/// All texts of a line.
fn texts_of(line: &str) -> Vec<String> {
    fn texts(value: Value) -> Vec<String> {
        match value {
            Value::String(text) => vec![text],
            Value::Array(values) => values.into_iter().flat_map(texts).collect(),
            Value::Object(members) => members.into_iter().flat_map(|(_, value)| texts(value)).collect(),
            _ => Vec::new(),
        }
    }
    serde_json::from_str(line).map(texts).unwrap_or_default()
}

impl SigningKey {
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Es256 { pair, .. } => {
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
        for (member, value) in [("kid", self.kid), ("alg", self.alg), ("use", "sig")] {
            jwk[member] = value.into();
        }
        jwk
    }

    /// The public half as a careless verifier would take it for an HMAC's secret.
    pub fn public_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Es256 { pair, .. } => pair.public_key().as_ref(),
            Pair::Rs256(pair) => pair.public_key().as_ref(),
            Pair::EdDsa(pair) => pair.public_key().as_ref(),
        }
    }

    pub fn sign(&self, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256 { pair, known } => {
                let sign = || pair.sign(&random, message.as_bytes()).expect("a signature").as_ref().to_vec();
                known.borrow_mut().entry(message.to_owned()).or_insert_with(sign).clone()
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
                    .expect("a signature");
                signature
            }
            Pair::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }

    /// A header that is right.
    pub fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": self.alg, "kid": self.kid})
    }

    /// Rightly signed, whatever it says.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(header.to_string(), claims.to_string())
    }

    /// The same from bytes, which need not be JSON.
    pub fn token_of_text(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        self.signed(&format!("{}.{}", encode(header), encode(claims)))
    }

    /// Puts a right signature behind a message.
    pub fn signed(&self, message: &str) -> String {
        format!("{message}.{}", encode(self.sign(message)))
    }
}

/// Base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
