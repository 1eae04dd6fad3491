//! Judging an access token that comes alone, before the operation is reached that asks whose it is.
//!
//! The verdict is that of [`AccessTokens::authenticate`], and is found once: an operation that is reached all the same
//! takes it over.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hallpass_verify::{KnownToken, Rejection, RevocationStatus};

use super::AccessTokens;
use super::claims::session_of;
use crate::domain::clock::Timestamp;
use crate::domain::tokens::AccessToken;
use crate::service::caller::Caller;
use crate::service::error::{Error, Result};
use crate::service::named_in_log;

/// What a look at an access token says.
pub enum Look {
    /// It stands, by this process's own copy of the revocation feed.
    Stands(Caller),
    /// It is right, and the stores say whether it stands.
    Open(OpenQuestion),
    /// It is refused.
    Refused(Judged),
}

/// Whether a token stands whose signature, claims and times are right.
pub struct OpenQuestion {
    access: AccessToken,
    known: Arc<KnownToken>,
    now: Timestamp,
}

/// A verdict on the access token of a request, for the operation that asks for it. It is taken once.
#[derive(Clone)]
pub struct Judged(Arc<Mutex<Option<Verdict>>>);

struct Verdict {
    /// Whose token it is, where that is known.
    account: Option<String>,
    verdict: Result<Caller>,
}

impl Judged {
    /// A caller who stands.
    pub fn stands(caller: Caller) -> Self {
        Self::of(Some(caller.user.to_string()), Ok(caller))
    }

    fn of(account: Option<String>, verdict: Result<Caller>) -> Self {
        Self(Arc::new(Mutex::new(Some(Verdict { account, verdict }))))
    }

    /// The verdict on what was presented from `address`, the first time.
    pub fn take(&self, address: Option<IpAddr>) -> Option<Result<Caller>> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Verdict { account, verdict } = taken?;
        if let Some(account) = account {
            named_in_log::account(account);
        }
        Some(verdict.map(|caller| Caller { address, ..caller }))
    }
}

impl AccessTokens {
    /// Looks at an access token that comes alone, without waiting for anybody.
    pub fn look_at(&self, access: AccessToken) -> Look {
        let now = self.parts.clock.now();
        let known = match self.known(&access, now) {
            Ok(known) => known,
            Err(rejection) => return Look::Refused(refused(rejection)),
        };
        if let Err(rejection) = session_of(&known.claims) {
            return Look::Refused(Judged::of(None, Err(Error::InvalidToken(rejection))));
        }
        // Whether the clients are there that act by it, the database knows.
        let status = match known.claims.act {
            None => self.parts.revocations.status(&known.claims, now),
            Some(_) => None,
        };
        if status == Some(RevocationStatus::Live)
            && let Ok(caller) = Caller::of(access.clone(), &known.claims, None)
        {
            return Look::Stands(caller);
        }
        Look::Open(OpenQuestion { access, known, now })
    }

    /// Asks the stores.
    ///
    /// # Errors
    /// The verdict, where it does not stand or nobody can tell.
    pub async fn settle(&self, question: OpenQuestion) -> Result<Caller, Judged> {
        let OpenQuestion { access, known, now } = question;
        let verdict = self.check_stands(&known.claims, now).await;
        let verdict = verdict.and_then(|()| Caller::of(access, &known.claims, None));
        verdict.map_err(|error| Judged::of(Some(known.claims.sub.clone()), Err(error)))
    }
}

/// What is wrong with a token that comes alone.
fn refused(rejection: Rejection) -> Judged {
    let Rejection::Expired(claims) = rejection else {
        return Judged::of(None, Err(Error::InvalidToken(rejection)));
    };
    match session_of(&claims) {
        Ok(_) => Judged::of(Some(claims.sub), Err(Error::TokenExpired)),
        Err(rejection) => Judged::of(None, Err(Error::InvalidToken(rejection))),
    }
}
