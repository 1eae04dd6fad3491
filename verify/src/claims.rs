use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The claims of an access token (RFC 9068 2.2).
///
/// Each has exactly the JSON type that hallpass writes; a token whose claims have another type is
/// refused instead of being read as if the claim were absent (CVE-2026-25537).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued the token: hallpass's public URL, exactly.
    pub iss: String,
    /// Whom the token is for.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// The user's id, in digits.
    pub sub: String,
    /// When the token ends, seconds since the Unix epoch.
    pub exp: i64,
    /// When the token was issued, seconds since the Unix epoch.
    pub iat: i64,
    /// When the token begins, seconds since the Unix epoch.
    pub nbf: i64,
    /// The token's own id.
    pub jti: Uuid,
    /// The session that the token belongs to.
    pub sid: Uuid,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The user's e-mail address when the session was opened.
    pub email: String,
    /// The user's roles when the session was opened.
    pub roles: Vec<String>,
}

/// `aud` is a string or an array of strings (RFC 7519 4.1.3).
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(audience) => vec![audience],
        OneOrMany::Many(audiences) => audiences,
    })
}
