//! Tokens that an operator presents: what they say, whether they are good, and why not.
//!
//! Looking changes nothing: no token is used up, and no session lives longer for it. The reason is
//! sought where it was written down first: in the audit log; then in the stores, and at last in the
//! clock.

mod explaining;
mod explanation;
mod invalidation;
mod presented;
mod revocation;

use std::sync::Arc;

use hallpass_verify::{AccessClaims, Rejection};

pub use self::explanation::{Content, Explanation, Invalidation, Verdict};
pub use self::presented::TokenOrId;
pub use self::revocation::{Revoked, RevokedItem};
use super::access_tokens::{AccessTokens, session_of};
use super::administration::Administration;
use super::error::Result;
use super::trail::AuditTrail;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::RecordedEntry;
use crate::domain::client::Client;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::session::SessionLifetimes;
use crate::store::clients::ClientStore;
use crate::store::{TokenStore, UserStore};

/// A session, and since when there can have been events that ended it.
#[derive(Clone)]
struct Known {
    user: UserId,
    session: SessionId,
    /// A moment at which it lived, if one is known.
    lived_at: Option<Timestamp>,
    /// The entry of its opening, if the log still has it.
    opening: Option<RecordedEntry>,
}

/// Tokens that an operator presents. Cheap to clone.
#[derive(Clone)]
pub struct TokenInspector {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clients: Arc<dyn ClientStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) access_tokens: AccessTokens,
    pub(super) administration: Administration,
    pub(super) lifetimes: SessionLifetimes,
}

impl TokenInspector {
    /// The client that got a token for itself, if there still is one.
    async fn machine_of(&self, claims: &AccessClaims) -> Result<Option<Client>> {
        let Ok(id) = claims.sub.parse() else { return Ok(None) };
        Ok(self.clients.find_client(&id).await?)
    }
}

/// User, session and id of an access token; a machine's token has not all of these.
fn subject(claims: &AccessClaims) -> Result<(UserId, SessionId, Jti), Rejection> {
    let user = claims.sub.parse().map_err(|_| Rejection::Malformed)?;
    Ok((user, session_of(claims)?, Jti::from(claims.jti)))
}
