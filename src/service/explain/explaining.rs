//! What is known of a token or an id.

use hallpass_verify::Rejection;
use uuid::Uuid;

use super::explanation::{Content, Explanation, Invalidation, Verdict};
use super::{Known, TokenInspector, TokenOrId, subject};
use crate::crypto::refresh_token;
use crate::domain::audit::Reason;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::session::{Presented, Session};
use crate::domain::tokens::{AccessToken, Generation, RefreshToken};
use crate::service::access_tokens::incarnation_of;
use crate::service::caller::Administrator;
use crate::service::error::Result;
use crate::store::{AccessSubject, StoreError};

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

/// What a look for a session found.
enum Lookup {
    Live(Box<Session>),
    Gone,
    OutOfReach,
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
