//! What is read out of the claims of a token of ours.

use hallpass_verify::{AccessClaims, Rejection};

use crate::domain::ids::SessionId;

/// The number of an incarnation of the token store, as tokens have it.
pub(super) fn number_of(incarnation: i64) -> u64 {
    u64::try_from(incarnation).unwrap_or_default()
}

/// The incarnation that a token with these claims was minted in.
pub(in crate::service) fn incarnation_of(claims: &AccessClaims) -> i64 {
    i64::try_from(claims.inc).unwrap_or(i64::MAX)
}

/// The session that a user's token belongs to.
pub(in crate::service) fn session_of(claims: &AccessClaims) -> Result<SessionId, Rejection> {
    claims.sid.map(SessionId::from).ok_or(Rejection::Malformed)
}
