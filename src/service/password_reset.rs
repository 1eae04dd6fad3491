//! Forgotten passwords.

use std::net::IpAddr;
use std::sync::Arc;

use super::cut_off::CutOff;
use super::error::{Error, Field, FieldProblem, Result};
use super::limits::Limits;
use super::mail::{Mail, Notice, Outbox};
use super::passwords::Passwords;
use super::profiles::Profiles;
use super::trail::AuditTrail;
use super::visitor::Visitor;
use crate::config::{ResetDelivery, ResetSettings};
use crate::crypto::reset_token;
use crate::crypto::secret::DerivedKeys;
use crate::domain::audit::{AuditAction, AuditActor, Reason};
use crate::domain::causes::with_causes;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::random::Random;
use crate::domain::rate_limit::Action;
use crate::domain::tokens::{ResetClaims, ResetToken};
use crate::domain::user::{SecurityVersion, User};
use crate::store::{ResetGrant, ResetInsertion, ResetPlace, TokenStore, UserStore};

/// How many places may have reset tokens of an account at once: strangers at fewer of them keep no owner
/// from getting one, and a mailbox gets no more than these.
const PLACES_MAX: u32 = 4;

/// A token that was made, when it ends, and whether it opens anything.
struct Issued {
    token: ResetToken,
    deadline: Timestamp,
    insertion: ResetInsertion,
}

/// Reset tokens. Cheap to clone.
#[derive(Clone)]
pub struct PasswordResets {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) profiles: Profiles,
    pub(super) token_store: Arc<dyn TokenStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) outbox: Outbox,
    pub(super) passwords: Passwords,
    pub(super) cut_off: CutOff,
    pub(super) limits: Limits,
    pub(super) settings: ResetSettings,
}

impl PasswordResets {
    /// Issues a reset token for the account of an address and voids the earlier one that was asked for at
    /// the visitor's place, and none of another. Answers the token when the delivery is
    /// [`ResetDelivery::Response`]. While [`PLACES_MAX`] other places have tokens that are live, the answer
    /// is the same and nothing is kept or sent.
    ///
    /// For an address without an account, or with one that is disabled, the same work is done for
    /// nobody: a token that looks the same and opens nothing, and a write to the token store that
    /// costs the same. Neither the answer, nor its time, nor an outage tells the two apart.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the text is no address, [`Error::RateLimited`].
    pub async fn request(&self, email: &str, visitor: &Visitor) -> Result<Option<ResetToken>> {
        let email = Email::parse(email).map_err(|error| {
            Error::Invalid(vec![FieldProblem { field: Field::Email, problem: error.to_string() }])
        })?;
        let issue = self.issue_for_address(&email, visitor);
        self.limits.attempt(Action::ResetRequest, visitor, &email, issue).await
    }

    async fn issue_for_address(&self, email: &Email, visitor: &Visitor) -> Result<Option<ResetToken>> {
        if self.settings.delivery == ResetDelivery::Off {
            return Ok(None);
        }
        let user = self.users.find_user_by_email(email).await?;
        let account = user.as_ref().filter(|user| !user.disabled);
        let place = ResetPlace { mark: self.limits.account_at(visitor, email).place, room: PLACES_MAX };
        let issued = match account {
            Some(user) => self.keep_token_of(user.id, place, user.security_version).await,
            None => {
                let nobody = reset_token::nobody(&self.secrets, email);
                self.keep_token_of(nobody, place, SecurityVersion::FIRST).await
            }
        };
        let is_full = matches!(&issued, Ok(Issued { insertion: ResetInsertion::Full, .. }));
        self.record_request(user.as_ref(), visitor.address(), is_full);
        Ok(match account {
            Some(user) => self.deliver(user, issued?),
            None => {
                tracing::info!("password reset requested for an address without an account");
                self.answer(issued?.token)
            }
        })
    }

    fn record_request(&self, user: Option<&User>, address: Option<IpAddr>, is_full: bool) {
        let entry = self.trail.event(AuditAction::PasswordResetRequested, AuditActor::Anonymous);
        let entry = entry.from(address);
        self.trail.record(match user {
            None => entry.because(Reason::UnknownAccount),
            Some(user) if user.disabled => entry.on(user.id).because(Reason::AccountDisabled),
            Some(user) if is_full => entry.on(user.id).because(Reason::TooManyPlaces),
            Some(user) => entry.on(user.id),
        });
    }

    /// Issues a reset token that an administrator asked for. However many others have asked before, there
    /// is room for it: it is what is left to an owner whom strangers leave none.
    pub(super) async fn issue_for_administrator(&self, user: &User) -> Result<Option<ResetToken>> {
        let mark = self.limits.administrators_place(&user.email);
        let place = ResetPlace { mark, room: u32::MAX };
        let issued = self.keep_token_of(user.id, place, user.security_version).await?;
        Ok(self.deliver(user, issued))
    }

    /// Delivers a token to its owner, if it opens anything.
    fn deliver(&self, user: &User, issued: Issued) -> Option<ResetToken> {
        match issued.insertion {
            ResetInsertion::Kept => {
                tracing::info!(user = %user.id, "password reset requested");
                self.deliver_to_log(user, &issued.token);
                self.deliver_by_mail(user, &issued.token, issued.deadline);
            }
            ResetInsertion::Full => {
                tracing::info!(user = %user.id, "password reset requested at one place too many: nothing is sent");
            }
        }
        self.answer(issued.token)
    }

    /// Makes a token and keeps what it takes to know it again, if there is room.
    async fn keep_token_of(
        &self,
        user: UserId,
        place: ResetPlace,
        version: SecurityVersion,
    ) -> Result<Issued> {
        let (token, claims) = reset_token::mint(&self.secrets, user, &*self.random);
        let ttl = self.settings.ttl;
        let insertion = self.token_store.insert_reset_token(&claims, place, version, ttl).await?;
        Ok(Issued { token, deadline: self.clock.now().after(ttl), insertion })
    }

    fn answer(&self, token: ResetToken) -> Option<ResetToken> {
        (self.settings.delivery == ResetDelivery::Response).then_some(token)
    }

    fn deliver_by_mail(&self, user: &User, token: &ResetToken, deadline: Timestamp) {
        let is_mailed = match self.settings.delivery {
            ResetDelivery::Smtp => true,
            ResetDelivery::Response => self.outbox.is_shown(),
            ResetDelivery::Log | ResetDelivery::Off => false,
        };
        if is_mailed {
            self.outbox.post(Mail {
                user: user.id,
                to: user.email.clone(),
                name: user.first_name.clone().filter(|_| user.email_verified),
                notice: Notice::PasswordReset(token.clone()),
                valid_for: self.settings.ttl,
                deadline,
            });
        }
    }

    /// The one place where a secret is logged: the operator chose it by name.
    fn deliver_to_log(&self, user: &User, token: &ResetToken) {
        if self.settings.delivery == ResetDelivery::Log {
            tracing::warn!(
                user = %user.id,
                reset_token = token.expose(),
                "reset token delivered to the log (reset.delivery = log)"
            );
        }
    }

    /// Sets a new password for the owner of a reset token, ends all their sessions and voids all their
    /// other tokens. A token works once; a refused request leaves it as it was.
    ///
    /// # Errors
    /// [`Error::InvalidResetToken`] for an unknown, used, superseded or expired token,
    /// in its place [`Error::RateLimited`] after too many of these;
    /// [`Error::WeakPassword`] for the new password.
    pub async fn redeem(&self, token: &ResetToken, new_password: &str, visitor: &Visitor) -> Result<()> {
        let is_dead_token = |error: &Error| matches!(error, Error::InvalidResetToken);
        let change = self.change_password(token, new_password, visitor);
        let user = self.limits.failing_attempt(Action::Reset, visitor, is_dead_token, change).await?;
        // Who has just proven to be the owner can log in from here, whatever others have tried.
        self.limits.remember(visitor, &user.email).await;
        Ok(())
    }

    async fn change_password(
        &self,
        token: &ResetToken,
        new_password: &str,
        visitor: &Visitor,
    ) -> Result<User> {
        let claims = reset_token::verify(&self.secrets, token).map_err(|_| Error::InvalidResetToken)?;
        // A token that is authentic and no decoy was somebody's once: whose, is worth knowing.
        let dead = || {
            if !claims.user.is_nobody() {
                let entry = self.trail.event(AuditAction::PasswordResetFailed, AuditActor::Anonymous);
                let entry = entry.on(claims.user).from(visitor.address()).because(Reason::InvalidResetToken);
                self.trail.record_seldom(entry, None);
            }
            Error::InvalidResetToken
        };
        let store = &self.token_store;
        store.find_reset_token(&claims).await?.ok_or_else(dead)?;
        let user = self.users.find_user(claims.user).await?.ok_or(Error::InvalidResetToken)?;
        let new = self.passwords.choose(new_password, user.email.as_str(), Field::NewPassword)?;
        let hash = self.passwords.hash(self.limits.requester(visitor, &user.email), new).await?;

        let grant = store.take_reset_token(&claims).await?.ok_or_else(dead)?;
        let entry = self.cut_off.journal_entry();
        let changed = self.users.change_password(user.id, grant.version, &hash, entry).await;
        let event = match changed {
            Ok(changed) => changed.ok_or_else(dead)?,
            Err(error) => {
                self.put_back(&claims, grant).await;
                return Err(error.into());
            }
        };
        let is_proven = self.note_proven_address(&event.user, visitor).await;
        let id = event.user.id;
        let entry = self.trail.event(AuditAction::PasswordReset, AuditActor::User(id)).on(id);
        self.cut_off.end_noted(&event, [entry.from(visitor.address())]).await?;
        if is_proven {
            self.profiles.settle().await;
        }
        let user = event.user;
        tracing::info!(user = %user.id, "password reset");
        Ok(user)
    }

    /// Whoever redeemed a token that was mailed reads the mails to that address: a change of address
    /// would have voided the token. Should it not be noted, the owner can still prove it the usual way.
    /// Answers whether that was noted.
    async fn note_proven_address(&self, user: &User, visitor: &Visitor) -> bool {
        if self.settings.delivery != ResetDelivery::Smtp || user.email_verified {
            return false;
        }
        match self.users.verify_email(user.id, &user.email).await {
            Ok(noted) => {
                if noted {
                    let entry = self.trail.event(AuditAction::EmailVerified, AuditActor::User(user.id));
                    self.trail.record(entry.on(user.id).from(visitor.address()));
                }
                noted
            }
            Err(error) => {
                tracing::warn!(user = %user.id, error = %with_causes(&error), "a proven address could not be noted");
                false
            }
        }
    }

    /// The change could not be made: the token is good for another try.
    async fn put_back(&self, claims: &ResetClaims, grant: ResetGrant) {
        if let Err(error) = self.token_store.restore_reset_token(claims, grant).await {
            tracing::warn!(user = %claims.user, error = %with_causes(&error), "reset token could not be put back");
        }
    }
}
