//! TokenInspector in an operator's hand: what they say, whether they are good, and why not.
//!
//! Looking changes nothing: no token is used up, and no session lives longer for it. The reason is
//! sought where it was written down first: in the audit log; then in the stores, and at last in the
//! clock.

mod invalidation;

use std::sync::Arc;

use hallpass_verify::{AccessClaims, Rejection};
use uuid::Uuid;

use super::access_tokens::{AccessTokens, incarnation_of, session_of};
use super::administration::Administration;
use super::caller::Administrator;
use super::error::{Error, Result};
use super::trail::AuditTrail;
use crate::crypto::refresh_token;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, Reason, RecordedEntry};
use crate::domain::client::{Client, ClientId};
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::session::{Presented, Session, SessionLifetimes};
use crate::domain::tokens::{AccessToken, Generation, RefreshClaims, RefreshToken};
use crate::store::clients::ClientStore;
use crate::store::{AccessSubject, StoreError, TokenStore, UserStore};

/// What somebody has in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOrId {
    /// An access token.
    Access(AccessToken),
    /// A refresh token.
    Refresh(RefreshToken),
    /// The id of a session (`sid`) or of an access token (`jti`).
    Id(Uuid),
}

impl TokenOrId {
    /// Tells by its looks what a text is, with or without `Bearer ` before it; `None` for what is none
    /// of these.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => text,
        };
        if let Ok(id) = Uuid::parse_str(text) {
            return Some(Self::Id(id));
        }
        if text.starts_with("hp_rt_") {
            return Some(Self::Refresh(RefreshToken::new(text)));
        }
        let is_jwt = text.split('.').count() == 3;
        is_jwt.then(|| Self::Access(AccessToken::new(text)))
    }
}

/// What something in hand says of itself, where that can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The claims of an access token of ours, in time or not.
    Access(Box<AccessClaims>),
    /// What a refresh token of ours names.
    Refresh(RefreshClaims),
    /// A session of that user's.
    Session(UserId, SessionId),
    /// An access token that the audit log knows by its id.
    Token(Jti),
    /// Nothing that can be believed.
    Nothing,
}

/// Whether something in hand is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is accepted.
    Live,
    /// It is refused.
    Invalid(Invalidation),
    /// Nothing is known against it, but the token store cannot be asked.
    CannotTell,
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Why.
    pub reason: Reason,
    /// Since when, where that is known.
    pub at: Option<Timestamp>,
    /// Where the audit log says so; else it was told by the stores or inferred from the clock.
    pub entry: Option<RecordedEntry>,
}

impl Invalidation {
    fn of(reason: Reason) -> Self {
        Self { reason, at: None, entry: None }
    }

    fn at(reason: Reason, at: Timestamp) -> Self {
        Self { at: Some(at), ..Self::of(reason) }
    }

    /// As an entry of the audit log has it.
    fn told(reason: Reason, entry: RecordedEntry) -> Self {
        Self { reason, at: Some(entry.entry.at), entry: Some(entry) }
    }
}

/// What is known of something in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it says.
    pub content: Content,
    /// Whether it is good.
    pub verdict: Verdict,
    /// Its session, while that lives.
    pub session: Option<Session>,
}

impl Explanation {
    fn invalid(content: Content, invalidation: Invalidation) -> Self {
        Self { content, verdict: Verdict::Invalid(invalidation), session: None }
    }
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokedItem {
    /// One access token; its session lives on.
    Token(UserId, Jti),
    /// An access token that a client got for itself.
    MachineToken(ClientId, Jti),
    /// A session with all its tokens.
    Session(UserId, SessionId),
}

/// What became of taking something back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// What was taken back.
    pub what: RevokedItem,
    /// Whether that is known to be in force. Else it is decided, and whoever has the token store carries it
    /// out.
    pub is_confirmed: bool,
}

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
    /// What is known of a token or an id.
    ///
    /// # Errors
    /// [`Error::Store`] when the database does not answer; the token store need not.
    pub async fn explain(&self, by: Administrator, presented: &TokenOrId) -> Result<Explanation> {
        let now = self.clock.now();
        match presented {
            TokenOrId::Access(token) => self.explain_access(by, token, now).await,
            TokenOrId::Refresh(token) => self.explain_refresh(by, token, now).await,
            TokenOrId::Id(id) => self.explain_id(by, *id, now).await,
        }
    }

    /// Takes an access token back, or ends the session of a refresh token or of an id. What is decided and
    /// not confirmed is no error: who has something in hand here may well have no token store.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] or [`Error::InvalidRefreshToken`] for a token that is none of
    /// ours, [`Error::NotFound`] for a session that is not live or not known here.
    pub async fn revoke(&self, by: Administrator, presented: &TokenOrId) -> Result<Revoked> {
        let (user, session) = match presented {
            TokenOrId::Access(token) => return self.revoke_access(by, token).await,
            TokenOrId::Refresh(token) => {
                let claims =
                    refresh_token::verify(&self.secrets, token).map_err(|_| Error::InvalidRefreshToken)?;
                (claims.user, claims.session)
            }
            TokenOrId::Id(id) => {
                let known = self.known_by_id(by, SessionId::from(*id)).await?.ok_or(Error::NotFound)?;
                (known.user, known.session)
            }
        };
        let ended = self.administration.end_session(by, user, session).await;
        Ok(Revoked { what: RevokedItem::Session(user, session), is_confirmed: is_confirmed(ended)? })
    }

    async fn revoke_access(&self, by: Administrator, token: &AccessToken) -> Result<Revoked> {
        let now = self.clock.now();
        let claims = match self.access_tokens.read(token, now) {
            Err(Rejection::Expired(_)) => return Err(Error::TokenExpired),
            read => read.map_err(Error::InvalidToken)?,
        };
        match subject(&claims) {
            Ok((user, session, token)) => {
                let denial = self.access_tokens.rest_of(&claims, now);
                let revoked = self.administration.revoke_access_token(by, user, session, token, denial).await;
                Ok(Revoked { what: RevokedItem::Token(user, token), is_confirmed: is_confirmed(revoked)? })
            }
            Err(rejection) => {
                let client = self.machine_of(&claims).await?.ok_or(Error::InvalidToken(rejection))?;
                let token = Jti::from(claims.jti);
                let denial = self.access_tokens.rest_of(&claims, now);
                let revoked = self.token_store.revoke_machine_token(token, denial).await;
                if matches!(revoked, Ok(()) | Err(StoreError::RevocationPending(_))) {
                    let entry = self.trail.event(AuditAction::TokenRevoked, by.actor()).token(token);
                    self.trail.record(entry.client(&client.id).because(by.reason()));
                }
                let is_confirmed = is_confirmed(revoked.map_err(Error::from))?;
                Ok(Revoked { what: RevokedItem::MachineToken(client.id, token), is_confirmed })
            }
        }
    }

    /// The client that got a token for itself, if there still is one.
    async fn machine_of(&self, claims: &AccessClaims) -> Result<Option<Client>> {
        let Ok(id) = claims.sub.parse() else { return Ok(None) };
        Ok(self.clients.find_client(&id).await?)
    }

    async fn explain_access(
        &self,
        by: Administrator,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<Explanation> {
        let (claims, expired) = match self.access_tokens.read(token, now) {
            Ok(claims) => (claims, false),
            Err(Rejection::Expired(claims)) => (*claims, true),
            Err(rejection) => {
                return Ok(Explanation::invalid(Content::Nothing, Invalidation::of(reason_of(&rejection))));
            }
        };
        let end = Timestamp::from_secs(claims.exp);
        let mut invalidations: Vec<Invalidation> =
            expired.then(|| Invalidation::at(Reason::TokenExpired, end)).into_iter().collect();
        let mut session = None;
        let mut asked = true;
        if let Some(entry) = self.revocation_of(by, Jti::from(claims.jti)).await? {
            invalidations.push(Invalidation::told(entry.entry.reason.unwrap_or(Reason::Unknown), entry));
        }
        if let Ok((user, sid, jti)) = subject(&claims) {
            let issued_at = Timestamp::from_secs(claims.iat);
            let incarnation = incarnation_of(&claims);
            let known = self.known(by, user, sid, Some(issued_at)).await?;
            match self.live_session(user, sid).await? {
                Lookup::Live(live) => {
                    session = Some(*live);
                    let subject = AccessSubject { user, session: sid, token: jti, incarnation };
                    invalidations.extend(self.denial_of(&subject).await?);
                }
                Lookup::Gone => invalidations.push(self.invalidation_of(by, &known, now).await?),
                Lookup::OutOfReach => {
                    asked = false;
                    invalidations.extend(self.recorded_invalidation_of(by, &known).await?);
                }
            }
        } else if self.machine_of(&claims).await?.is_none() {
            // Of a machine's token: taken back it is in the log, and it goes with its client.
            invalidations.push(Invalidation::of(Reason::InvalidClient));
        }
        // What came first; what came at an unknown time comes last.
        invalidations.sort_by_key(|invalidation| invalidation.at.map_or(i64::MAX, Timestamp::as_millis));
        let verdict = match invalidations.into_iter().next() {
            Some(invalidation) => Verdict::Invalid(invalidation),
            None if asked => Verdict::Live,
            None => Verdict::CannotTell,
        };
        Ok(Explanation { content: Content::Access(Box::new(claims)), verdict, session })
    }

    async fn explain_refresh(
        &self,
        by: Administrator,
        token: &RefreshToken,
        now: Timestamp,
    ) -> Result<Explanation> {
        let Ok(claims) = refresh_token::verify(&self.secrets, token) else {
            return Ok(Explanation::invalid(Content::Nothing, Invalidation::of(Reason::NotOurs)));
        };
        let known = self.known(by, claims.user, claims.session, None).await?;
        let (verdict, session) = self.judge_session(by, &known, now).await?;
        let superseded = session.as_ref().and_then(|live| self.superseded(claims.generation, live, now));
        let verdict = superseded.map_or(verdict, Verdict::Invalid);
        Ok(Explanation { content: Content::Refresh(claims), verdict, session })
    }

    async fn explain_id(&self, by: Administrator, id: Uuid, now: Timestamp) -> Result<Explanation> {
        if let Some(known) = self.known_by_id(by, SessionId::from(id)).await? {
            let (verdict, session) = self.judge_session(by, &known, now).await?;
            return Ok(Explanation {
                content: Content::Session(known.user, known.session),
                verdict,
                session,
            });
        }
        let token = Jti::from(id);
        Ok(match self.revocation_of(by, token).await? {
            Some(entry) => {
                let invalidation = Invalidation::told(entry.entry.reason.unwrap_or(Reason::Unknown), entry);
                Explanation::invalid(Content::Token(token), invalidation)
            }
            None => Explanation::invalid(Content::Nothing, Invalidation::of(Reason::Unknown)),
        })
    }

    /// Whether a refresh token of a live session is one of before.
    fn superseded(&self, generation: Generation, session: &Session, now: Timestamp) -> Option<Invalidation> {
        let grace = self.lifetimes.rotation_grace_period;
        match Presented::judge(generation, session.generation, session.rotated_at, now, grace) {
            Presented::Superseded => Some(Invalidation::of(Reason::Rotated)),
            Presented::Current | Presented::Previous | Presented::Ahead => None,
        }
    }

    async fn judge_session(
        &self,
        by: Administrator,
        known: &Known,
        now: Timestamp,
    ) -> Result<(Verdict, Option<Session>)> {
        Ok(match self.live_session(known.user, known.session).await? {
            Lookup::Live(session) => (Verdict::Live, Some(*session)),
            Lookup::Gone => (Verdict::Invalid(self.invalidation_of(by, known, now).await?), None),
            Lookup::OutOfReach => {
                let told = self.recorded_invalidation_of(by, known).await?;
                (told.map_or(Verdict::CannotTell, Verdict::Invalid), None)
            }
        })
    }

    async fn live_session(&self, user: UserId, session: SessionId) -> Result<Lookup> {
        match self.token_store.find_session(user, session).await {
            Ok(Some(live)) => Ok(Lookup::Live(Box::new(live))),
            Ok(None) => Ok(Lookup::Gone),
            Err(StoreError::Unavailable { .. }) => Ok(Lookup::OutOfReach),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether what was decided is known to be in force.
fn is_confirmed(outcome: Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Error::RevocationPending(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a look for a session found.
enum Lookup {
    Live(Box<Session>),
    Gone,
    OutOfReach,
}

/// User, session and id of an access token; a machine's token has not all of these.
fn subject(claims: &AccessClaims) -> Result<(UserId, SessionId, Jti), Rejection> {
    let user = claims.sub.parse().map_err(|_| Rejection::Malformed)?;
    Ok((user, session_of(claims)?, Jti::from(claims.jti)))
}

/// What the verifier has against a token.
fn reason_of(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::TooLong | Rejection::Malformed | Rejection::Unversioned => Reason::Malformed,
        Rejection::UnknownKey => Reason::UnknownKey,
        Rejection::WrongAlgorithm | Rejection::BadSignature => Reason::NotOurs,
        Rejection::WrongType => Reason::WrongType,
        Rejection::WrongIssuer => Reason::WrongIssuer,
        Rejection::WrongAudience => Reason::WrongAudience,
        Rejection::NotYetValid => Reason::NotYetValid,
        Rejection::Expired(_) => Reason::TokenExpired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_told_by_its_looks() {
        let id = Uuid::from_u128(7);
        assert_eq!(TokenOrId::of(&format!(" {id}\n")), Some(TokenOrId::Id(id)));
        assert_eq!(TokenOrId::of("Bearer hp_rt_x"), Some(TokenOrId::Refresh(RefreshToken::new("hp_rt_x"))));
        assert_eq!(TokenOrId::of("bearer a.b.c"), Some(TokenOrId::Access(AccessToken::new("a.b.c"))));
        for other in ["", "7", "ada@example.com", "hp_pr_x", "a.b"] {
            assert_eq!(TokenOrId::of(other), None, "{other}");
        }
    }
}
