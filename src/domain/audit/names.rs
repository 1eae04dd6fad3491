//! What happened and why, each with one name for ever.

use std::fmt;
use std::str::FromStr;

use crate::domain::session::Timeout;

/// Defines an enum whose variants have one stable name each, for the database and for answers.
macro_rules! named {
    (
        $(#[$doc:meta])* $name:ident, $error:ident: $what:literal;
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        /// The text is not one of the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($what)]
        pub struct $error;

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, which stays as it is for ever: programs search by it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or($error)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// What happened.
    AuditAction, AuditActionError: "there is no such audit action";
    /// An account was made.
    AccountCreated = "account_created",
    /// Accounts were brought along from another system.
    AccountsImported = "accounts_imported",
    /// An account was disabled.
    AccountDisabled = "account_disabled",
    /// A disabled account was enabled.
    AccountEnabled = "account_enabled",
    /// An account was deleted.
    AccountDeleted = "account_deleted",
    /// An account got another role.
    RoleChanged = "role_changed",
    /// An account got another e-mail address.
    EmailChanged = "email_changed",
    /// An account's owner has proven the e-mail address theirs.
    EmailVerified = "email_verified",
    /// Credentials were right and a session was opened.
    LoginSucceeded = "login_succeeded",
    /// No session was opened.
    LoginFailed = "login_failed",
    /// One session was ended.
    SessionEnded = "session_ended",
    /// All sessions of an account were ended.
    SessionsEnded = "sessions_ended",
    /// A refresh token came whose session had ended by itself.
    SessionExpired = "session_expired",
    /// A refresh token came that was used before; its session was ended.
    RefreshTokenReused = "refresh_token_reused",
    /// One access token was taken back.
    TokenRevoked = "token_revoked",
    /// The owner, or an administrator, set another password.
    PasswordChanged = "password_changed",
    /// A change of the password was refused.
    PasswordChangeFailed = "password_change_failed",
    /// A reset token was asked for.
    PasswordResetRequested = "password_reset_requested",
    /// A reset token was redeemed for another password.
    PasswordReset = "password_reset",
    /// A reset token of ours was refused.
    PasswordResetFailed = "password_reset_failed",
    /// A client was made.
    ClientCreated = "client_created",
    /// A client got another secret.
    ClientSecretRotated = "client_secret_rotated",
    /// A client was changed: whom its tokens may be for, or what it may do.
    ClientChanged = "client_changed",
    /// A client was deleted.
    ClientDeleted = "client_deleted",
    /// A client was named, and the caller could not prove to be that client.
    ClientRefused = "client_refused",
    /// A signing key was made, or came from elsewhere.
    SigningKeyAdded = "signing_key_added",
    /// A signing key signs from then on.
    SigningKeyPromoted = "signing_key_promoted",
    /// A signing key is no longer published.
    SigningKeyRetired = "signing_key_retired",
    /// A retired signing key was deleted.
    SigningKeyDeleted = "signing_key_deleted",
    /// A signing key has leaked: nothing that it signed counts from then on.
    SigningKeyRevoked = "signing_key_revoked",
    /// What is kept encrypted was encrypted anew, under the secret that mints.
    SecretRotated = "secret_rotated",
    /// The stores were restored from a backup: all accounts must log in again.
    StoresRestored = "stores_restored",
}

impl AuditAction {
    /// Whether this ends every session that the account has at that moment.
    pub const fn ends_all_sessions(self) -> bool {
        matches!(
            self,
            Self::AccountDisabled
                | Self::AccountEnabled
                | Self::AccountDeleted
                | Self::RoleChanged
                | Self::EmailChanged
                | Self::SessionsEnded
                | Self::PasswordChanged
                | Self::PasswordReset
        )
    }

    /// Whether this was merely tried: nothing has changed by it.
    pub const fn is_attempt(self) -> bool {
        matches!(
            self,
            Self::LoginFailed
                | Self::SessionExpired
                | Self::PasswordChangeFailed
                | Self::PasswordResetRequested
                | Self::PasswordResetFailed
                | Self::ClientRefused
        )
    }

    /// Whether this ends, or finds ended, the one session that its entry names.
    pub const fn ends_its_session(self) -> bool {
        matches!(self, Self::SessionEnded | Self::SessionExpired | Self::RefreshTokenReused)
    }
}

named! {
    /// Why something was refused or ended, for programs.
    Reason, ReasonError: "there is no such reason";
    /// The password was not the account's.
    WrongPassword = "wrong_password",
    /// No account has the address.
    UnknownAccount = "unknown_account",
    /// The account is, or was, disabled.
    AccountDisabled = "account_disabled",
    /// The account was enabled, which ends what was there before.
    AccountEnabled = "account_enabled",
    /// The account is, or was, deleted.
    AccountDeleted = "account_deleted",
    /// No client has the id, or its secret is another.
    InvalidClient = "invalid_client",
    /// The address is not proven to be the owner's.
    EmailNotVerified = "email_not_verified",
    /// There were too many attempts.
    RateLimited = "rate_limited",
    /// A security event came between the check of the credentials and the session.
    Superseded = "superseded",
    /// The user has logged out.
    LoggedOut = "logged_out",
    /// The user has ended the session, or all others, from another one.
    RevokedByUser = "revoked_by_user",
    /// An administrator has taken it back.
    RevokedByAdmin = "revoked_by_admin",
    /// An operator has taken it back, on the command line.
    RevokedByOperator = "revoked_by_operator",
    /// A client has taken its token back.
    RevokedByClient = "revoked_by_client",
    /// The password was changed.
    PasswordChanged = "password_changed",
    /// The password was reset.
    PasswordReset = "password_reset",
    /// The role was changed.
    RoleChanged = "role_changed",
    /// The e-mail address was changed.
    EmailChanged = "email_changed",
    /// A claim of its tokens got another value.
    ClaimsChanged = "claims_changed",
    /// The end of sessions was decided while the token store was out of reach, and made up for.
    CutOffSettled = "cut_off_settled",
    /// The database was restored from a backup, and the account advanced past what the token store knew.
    DatabaseRestored = "database_restored",
    /// A refresh token was used that had been used before.
    ReuseDetected = "reuse_detected",
    /// The refresh token was redeemed for a newer one.
    Rotated = "rotated",
    /// The session was not refreshed for too long.
    IdleTimeout = "idle_timeout",
    /// The session's time was over, however much it was used.
    AbsoluteTimeout = "absolute_timeout",
    /// The account had more sessions than it may have, and this one was the first to go.
    TooManySessions = "too_many_sessions",
    /// The access token's time was over.
    TokenExpired = "token_expired",
    /// The reset token was used, superseded or expired.
    InvalidResetToken = "invalid_reset_token",
    /// As many places as may have reset tokens at once had live ones already: nothing was sent.
    TooManyPlaces = "too_many_places",
    /// The token store has lost its data since.
    StoreLost = "store_lost",
    /// The text is no token of any kind.
    Malformed = "malformed",
    /// The token's signature or its authentication code is not ours.
    NotOurs = "not_ours",
    /// The token names a key that there is not, or not any more.
    UnknownKey = "unknown_key",
    /// The token is rightly signed and of another kind.
    WrongType = "wrong_type",
    /// The token is from another issuer.
    WrongIssuer = "wrong_issuer",
    /// The token is for another audience.
    WrongAudience = "wrong_audience",
    /// The token's time has not come.
    NotYetValid = "not_yet_valid",
    /// Nothing is known of it.
    Unknown = "unknown",
}

impl From<Timeout> for Reason {
    fn from(timeout: Timeout) -> Self {
        match timeout {
            Timeout::Idle => Self::IdleTimeout,
            Timeout::Absolute => Self::AbsoluteTimeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_read_back_and_each_is_used_once() {
        for action in AuditAction::ALL {
            assert_eq!(action.as_str().parse(), Ok(*action));
        }
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        let actions: HashSet<_> = AuditAction::ALL.iter().map(|action| action.as_str()).collect();
        let reasons: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!((actions.len(), reasons.len()), (AuditAction::ALL.len(), Reason::ALL.len()));
        assert_eq!("Login_Succeeded".parse::<AuditAction>(), Err(AuditActionError));
        assert_eq!("".parse::<Reason>(), Err(ReasonError));
    }
}
