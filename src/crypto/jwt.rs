//! Minting access tokens. Checking them is `hallpass-verify`'s.

use hallpass_verify::{AccessClaims, TokenType};
use jsonwebtoken::Header;

use super::keys::{SigningKey, SigningKeyError, jwa};
use crate::domain::tokens::AccessToken;

/// Signs an access token (RFC 9068).
///
/// # Errors
/// [`SigningKeyError::Signing`].
pub fn mint(key: &SigningKey, typ: TokenType, claims: &AccessClaims) -> Result<AccessToken, SigningKeyError> {
    let mut header = Header::new(jwa(key.algorithm()));
    header.typ = Some(typ.as_str().to_owned());
    header.kid = Some(key.id().as_str().to_owned());
    jsonwebtoken::encode(&header, claims, key.encoding())
        .map(AccessToken::new)
        .map_err(SigningKeyError::Signing)
}
