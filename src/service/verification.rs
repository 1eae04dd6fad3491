//! Proving that an e-mail address is the account's owner's.

use std::sync::Arc;

use super::caller::Administrator;
use super::error::{Error, Field, FieldProblem, Result};
use super::limits::Limits;
use super::mail::{Mail, Notice, Outbox};
use super::profiles::Profiles;
use super::trail::AuditTrail;
use super::visitor::Visitor;
use crate::config::VerificationSettings;
use crate::crypto::secret::DerivedKeys;
use crate::crypto::verification_token;
use crate::domain::audit::{AuditAction, AuditActor};
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::rate_limit::Action;
use crate::domain::tokens::VerificationToken;
use crate::domain::user::User;
use crate::store::UserStore;

/// Verification tokens. Cheap to clone.
#[derive(Clone)]
pub struct Verifications {
    pub(super) users: Arc<dyn UserStore>,
    pub(super) profiles: Profiles,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) secrets: DerivedKeys,
    pub(super) trail: AuditTrail,
    pub(super) outbox: Outbox,
    pub(super) limits: Limits,
    pub(super) settings: VerificationSettings,
}

impl Verifications {
    /// Mails the link that proves an address to the account of that address. Nothing is said of
    /// whether there is one, and nothing is mailed where it is proven already.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the text is no address, [`Error::RateLimited`].
    pub async fn request(&self, email: &str, visitor: &Visitor) -> Result<()> {
        let email = Email::parse(email).map_err(|error| {
            Error::Invalid(vec![FieldProblem { field: Field::Email, problem: error.to_string() }])
        })?;
        // Under the limits of reset requests: both ask for a mail.
        self.limits.attempt(Action::ResetRequest, visitor, &email, self.invite_owner(&email)).await
    }

    async fn invite_owner(&self, email: &Email) -> Result<()> {
        let user = self.users.find_user_by_email(email).await?;
        match user.filter(|user| !user.disabled && !user.email_verified) {
            Some(user) => self.invite(&user),
            None => tracing::debug!("verification asked for where there is nothing to verify"),
        }
        Ok(())
    }

    /// Whether one more mail may go to an address because a visitor wants that: counted as if they
    /// had requested it, and without a word of it in their answer.
    pub(super) async fn may_be_asked(&self, email: &Email, visitor: &Visitor) -> bool {
        let unseen = Visitor::new(visitor.address());
        let counted = self.limits.attempt(Action::ResetRequest, &unseen, email, async { Ok(()) }).await;
        counted.is_ok()
    }

    /// Mails the link that proves the account's address.
    pub(super) fn invite(&self, user: &User) {
        self.mail_link(user, Notice::VerifyEmail);
    }

    /// Mails that link because somebody registered with the address once more. The mail says that the password is
    /// that of the first time: who did not choose it must not make it theirs by following the link.
    pub(super) fn invite_again(&self, user: &User) {
        self.mail_link(user, Notice::RegisteredAgain);
    }

    fn mail_link(&self, user: &User, notice: fn(VerificationToken) -> Notice) {
        let ttl = self.settings.ttl;
        let deadline = self.clock.now().after(ttl);
        let token = verification_token::mint(&self.secrets, user.id, &user.email, deadline);
        self.outbox.post(Mail {
            user: user.id,
            to: user.email.clone(),
            name: None,
            notice: notice(token),
            valid_for: ttl,
            deadline,
        });
        tracing::info!(user = %user.id, "verification of the address requested");
    }

    /// Takes an administrator's word that the account's address is its owner's.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account is gone or has another address by now.
    pub async fn vouch(&self, by: Administrator, user: &User) -> Result<()> {
        if !self.users.verify_email(user.id, &user.email).await? {
            return Err(Error::NotFound);
        }
        if !user.email_verified {
            tracing::info!(user = %user.id, by = %by.actor(), "address verified");
            self.trail.record(self.trail.event_by(by, AuditAction::EmailVerified).on(user.id));
            self.profiles.settle().await;
        }
        Ok(())
    }

    /// Takes a verification token: the address counts as its owner's from now on. The same token
    /// does so again until it expires, since a mail scanner may have been there first.
    ///
    /// # Errors
    /// [`Error::InvalidVerificationToken`] for a token that is none of ours or has expired, and
    /// when the account is gone or has another address by now.
    pub async fn redeem(&self, token: &VerificationToken, visitor: &Visitor) -> Result<()> {
        let invalid = || Error::InvalidVerificationToken;
        let secrets = &self.secrets;
        let claims = verification_token::verify(secrets, token).map_err(|_| invalid())?;
        if self.clock.now() >= claims.deadline {
            return Err(invalid());
        }
        let users = &self.users;
        let user = users.find_user(claims.user).await?.ok_or_else(invalid)?;
        if !verification_token::is_for(secrets, &claims, &user.email) {
            return Err(invalid());
        }
        if !users.verify_email(user.id, &user.email).await? {
            return Err(invalid());
        }
        tracing::info!(user = %user.id, "address verified");
        if !user.email_verified {
            let entry = self.trail.event(AuditAction::EmailVerified, AuditActor::User(user.id)).on(user.id);
            self.trail.record(entry.from(visitor.address()));
            self.profiles.settle().await;
        }
        Ok(())
    }
}
