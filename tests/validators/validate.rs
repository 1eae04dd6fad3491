use std::error::Error;

use hallpass_verify::AccessClaims;
use hallpass_verify::client::Validator;

/// Follows the issuer's keys and revocations from now on. Make one and clone it.
pub async fn follow(issuer: &str, audience: &str, secret: &str) -> Result<Validator, Box<dyn Error>> {
    Ok(Validator::builder(issuer, audience).credentials("books", secret).connect().await?)
}

/// The person who sent the token, or the status to answer: 401 for a verdict, 503 for none.
pub async fn caller_of(validator: &Validator, token: &str) -> Result<AccessClaims, u16> {
    match validator.validate(token).await {
        Ok(claims) if claims.is_machine() => Err(401),
        Ok(claims) => Ok(claims),
        Err(error) => Err(error.status()),
    }
}
