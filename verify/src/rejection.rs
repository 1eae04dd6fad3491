use crate::claims::AccessClaims;

/// Why a token is no access token of this issuer for this audience now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Longer than 8 KiB.
    #[error("the token is too long")]
    TooLong,
    /// Not a signed JWT with the claims of an access token.
    #[error("the token is malformed")]
    Malformed,
    /// The header names no key of the issuer.
    #[error("the token names no known key")]
    UnknownKey,
    /// The header names another algorithm than its key has.
    #[error("the token's algorithm is not its key's")]
    WrongAlgorithm,
    /// The signature does not match.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// A rightly signed JWT of another kind.
    #[error("the token is not an access token")]
    WrongType,
    /// From another issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// For another audience.
    #[error("the token is for another audience")]
    WrongAudience,
    /// It lacks a number by which it could be taken back: a person's token without `sv`.
    #[error("the token has no security version")]
    Unversioned,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Everything is right but its time is over. The claims are authentic.
    #[error("the token has expired")]
    Expired(Box<AccessClaims>),
}
