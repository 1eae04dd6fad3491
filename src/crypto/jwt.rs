//! Minting access tokens. Checking them is `hallpass-verify`'s.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass_verify::{AccessClaims, TokenType};
use jsonwebtoken::Header;
use jsonwebtoken::errors::Error;
use serde::Serialize;

use super::keys::{SigningKey, SigningKeyError, jwa};
use crate::domain::tokens::AccessToken;

/// What a token takes, and some more.
const TOKEN_BYTES: usize = 1_024;

/// Signs an access token (RFC 9068).
///
/// # Errors
/// [`SigningKeyError::Signing`].
pub fn mint(key: &SigningKey, typ: TokenType, claims: &AccessClaims) -> Result<AccessToken, SigningKeyError> {
    let mut header = Header::new(jwa(key.algorithm()));
    header.typ = Some(typ.as_str().to_owned());
    header.kid = Some(key.id().as_str().to_owned());
    compact(key, &header, claims).map(AccessToken::new).map_err(SigningKeyError::Signing)
}

/// The compact serialization (RFC 7515 7.1).
fn compact(key: &SigningKey, header: &Header, claims: &impl Serialize) -> Result<String, Error> {
    let mut token = String::with_capacity(TOKEN_BYTES);
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(header)?, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
    let signature = key.signer().sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::signing_key::SigningAlgorithm;

    /// The library that reads keys can write tokens, too, and sets the key up each time.
    #[test]
    fn a_token_is_the_one_that_the_library_writes() {
        let claims = json!({ "sub": "42", "roles": ["member"], "exp": 4_102_444_800_u64 });
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa] {
            let key = SigningKey::generate(algorithm).expect("a key");
            let mut header = Header::new(jwa(algorithm));
            header.kid = Some("a-key".to_owned());
            let ours = compact(&key, &header, &claims).expect("a token");
            let pem = key.pkcs8_pem().as_bytes();
            let encoding = match algorithm {
                SigningAlgorithm::Es256 => EncodingKey::from_ec_pem(pem),
                SigningAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
                SigningAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem),
            };
            let theirs = jsonwebtoken::encode(&header, &claims, &encoding.expect("a key")).expect("a token");
            let (signed, signature) = ours.rsplit_once('.').expect("a signature");
            assert_eq!(Some(signed), theirs.rsplit_once('.').map(|(signed, _)| signed), "{algorithm}");
            // Each signature by that curve is another one.
            match algorithm {
                SigningAlgorithm::Es256 => assert_eq!(signature.len(), 86),
                SigningAlgorithm::Rs256 | SigningAlgorithm::EdDsa => assert_eq!(ours, theirs, "{algorithm}"),
            }
            let public = DecodingKey::from_jwk(key.public()).expect("a public key");
            let read = jsonwebtoken::decode::<Value>(&ours, &public, &Validation::new(jwa(algorithm)));
            assert_eq!(read.expect("a right signature").claims, claims, "{algorithm}");
        }
    }
}
