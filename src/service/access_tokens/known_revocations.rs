//! Whether a token was taken back, as far as this process can know.

use std::sync::Arc;
use std::time::SystemTime;

use hallpass_verify::{AccessClaims, RevocationSource, RevocationStatus};

use super::claims::{incarnation_of, session_of};
use crate::domain::ids::Jti;
use crate::service::revocations::Revocations;
use crate::store::{AccessStatus, AccessSubject, StoreError, TokenStore};

/// Asks this process's copy of the feed where that answers, else the token store: one round trip a
/// check.
pub(super) struct KnownRevocations {
    pub(super) copy: Revocations,
    pub(super) token_store: Arc<dyn TokenStore>,
}

impl RevocationSource for KnownRevocations {
    type Error = StoreError;

    async fn status(&self, claims: &AccessClaims, now: SystemTime) -> Result<RevocationStatus, StoreError> {
        let (Ok(user), Ok(session)) = (claims.sub.parse(), session_of(claims)) else {
            return Ok(RevocationStatus::Revoked);
        };
        if let Some(status) = self.copy.status(claims, now.into()) {
            return Ok(status);
        }
        let subject = AccessSubject {
            user,
            session,
            token: Jti::from(claims.jti),
            incarnation: incarnation_of(claims),
        };
        Ok(match self.token_store.access_status(&subject).await? {
            AccessStatus::Live => RevocationStatus::Live,
            AccessStatus::Revoked | AccessStatus::StoreLost => RevocationStatus::Revoked,
        })
    }
}
