//! Access tokens taken apart, without asking whether they are right.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The header of a token.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let encoded = token.split('.').nth(index).expect("three parts");
    let json = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    serde_json::from_slice(&json).expect("JSON")
}

/// A token of these parts.
pub fn assemble(header: &Value, claims: &Value, signature: &str) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.{signature}", encode(header), encode(claims))
}

/// The signature of a token, as it stands there.
pub fn signature(token: &str) -> &str {
    token.rsplit('.').next().expect("three parts")
}

/// The token with another first character of its signature.
pub fn with_another_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{first}{}", &signature[1..])
}

/// The token with a claim changed and its old signature.
pub fn with_claim(token: &str, name: &str, value: impl Into<Value>) -> String {
    let mut claims = claims(token);
    claims[name] = value.into();
    assemble(&header(token), &claims, signature(token))
}
