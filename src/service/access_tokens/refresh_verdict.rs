//! What a presented refresh token is worth.

use std::net::IpAddr;

use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::session::Session;
use crate::domain::tokens::RefreshClaims;
use crate::service::error::{Error, Result};
use crate::service::trail::AuditTrail;
use crate::store::RefreshOutcome;

/// Turns a store's outcome into the live session, or into the verdict on the token, which was presented
/// from `address`.
pub(in crate::service) fn refresh_verdict(
    trail: &AuditTrail,
    claims: &RefreshClaims,
    outcome: RefreshOutcome,
    address: Option<IpAddr>,
) -> Result<Session> {
    let (user, session) = (claims.user, claims.session);
    // A dead token does not prove who presents it.
    let event = |action, reason| {
        let entry = trail.event(action, AuditActor::Anonymous).on(user).session(session);
        entry.from(address).because(reason)
    };
    match outcome {
        RefreshOutcome::Current(live) | RefreshOutcome::Previous(live) => Ok(live),
        RefreshOutcome::Recovered(live) => {
            tracing::warn!(%user, %session, "token store had lost a rotation; session moved forward");
            Ok(live)
        }
        RefreshOutcome::Reused => {
            tracing::warn!(%user, %session, reason = "reuse_detected", "refresh token reused; session revoked");
            trail.record(event(AuditAction::RefreshTokenReused, Reason::ReuseDetected));
            Err(Error::RefreshTokenReused)
        }
        RefreshOutcome::Expired(timeout) => {
            trail.record_seldom(event(AuditAction::SessionExpired, timeout.into()), None);
            Err(Error::SessionExpired)
        }
        // Its end is in the log already.
        RefreshOutcome::Evicted => Err(Error::SessionEvicted),
        RefreshOutcome::Unknown => Err(Error::InvalidRefreshToken),
    }
}
