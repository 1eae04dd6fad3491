//! What happened to accounts, sessions and tokens, for whoever has to find out later.
//!
//! An entry names ids only: no e-mail address, no password, no token. What somebody merely typed
//! into a login is not kept either, since people type passwords where the address should stand.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use uuid::Uuid;

use super::client::ClientId;
use super::clock::Timestamp;
use super::ids::{Jti, KeyId, SessionId, UserId};
use super::random::{self, Random};
use super::session::Timeout;

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

        /// The text is none of the names.
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
    /// An account was shut.
    AccountDisabled = "account_disabled",
    /// A shut account was opened again.
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
    /// A client was deleted.
    ClientDeleted = "client_deleted",
    /// Somebody who says to be a client could not prove it.
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
    /// The account is, or was, shut.
    AccountDisabled = "account_disabled",
    /// The account was opened again, which ends what was there before.
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

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuditActor {
    /// Somebody who has not proven who they are.
    Anonymous,
    /// An account's owner; an administrator is one too.
    User(UserId),
    /// Whoever may run commands with the server's settings.
    Operator,
    /// A client application, by its id.
    Client(ClientId),
    /// hallpass itself.
    Service,
}

impl AuditActor {
    /// What kind of actor, by its name.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(_) => "user",
            Self::Operator => "operator",
            Self::Client(_) => "client",
            Self::Service => "service",
        }
    }
}

/// The text names no actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an actor is `anonymous`, `operator`, `service`, `user:` and an id, or `client:` and an id")]
pub struct AuditActorError;

/// `user:7`, `client:reports`, `operator`, `service`, `anonymous`.
impl fmt::Display for AuditActor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Client(id) => write!(f, "client:{id}"),
            other => f.write_str(other.kind()),
        }
    }
}

impl FromStr for AuditActor {
    type Err = AuditActorError;

    fn from_str(text: &str) -> Result<Self, AuditActorError> {
        match text.split_once(':') {
            None => match text {
                "anonymous" => Ok(Self::Anonymous),
                "operator" => Ok(Self::Operator),
                "service" => Ok(Self::Service),
                _ => Err(AuditActorError),
            },
            Some(("user", id)) => id.parse().map(Self::User).map_err(|_| AuditActorError),
            Some(("client", id)) => id.parse().map(Self::Client).map_err(|_| AuditActorError),
            Some(_) => Err(AuditActorError),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditEntry {
    /// Tells the entry from every other: written twice, it is kept once.
    pub event: Uuid,
    /// When, by the clock of the process that saw it.
    pub at: Timestamp,
    /// What.
    pub action: AuditAction,
    /// Who did it.
    pub actor: AuditActor,
    /// Whom it was done to; `None` where no account is concerned.
    pub user: Option<UserId>,
    /// The session that it is about, or was done from.
    pub session: Option<SessionId>,
    /// The access token that it is about.
    pub token: Option<Jti>,
    /// The network address that it was done from; `None` where there is none.
    pub address: Option<IpAddr>,
    /// Why.
    pub reason: Option<Reason>,
    /// The client, or the signing key, that it is about, by its id.
    pub object: Option<String>,
    /// How many sessions it ended, or accounts it brought, or attempts it stands for, where that is known:
    /// `None` while the end of sessions is still owed.
    pub count: Option<u64>,
}

impl AuditEntry {
    /// An entry that says what, who and when; the rest follows by the methods below.
    pub fn new(action: AuditAction, actor: AuditActor, at: Timestamp, random: &dyn Random) -> Self {
        Self {
            event: random::uuid(random),
            at,
            action,
            actor,
            user: None,
            session: None,
            token: None,
            address: None,
            reason: None,
            object: None,
            count: None,
        }
    }

    /// It was done to this account.
    #[must_use]
    pub fn on(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// It is about this session, or was done from it.
    #[must_use]
    pub fn session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// It is about this access token.
    #[must_use]
    pub fn token(self, token: Jti) -> Self {
        Self { token: Some(token), ..self }
    }

    /// It was done from this address, where there is one.
    #[must_use]
    pub fn from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// That is why.
    #[must_use]
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// It is about this client.
    #[must_use]
    pub fn client(self, client: &ClientId) -> Self {
        Self { object: Some(client.to_string()), ..self }
    }

    /// It is about this signing key.
    #[must_use]
    pub fn key(self, key: &KeyId) -> Self {
        Self { object: Some(key.to_string()), ..self }
    }

    /// It ended so many sessions; `None` when that is not known yet.
    #[must_use]
    pub fn ending(self, sessions: Option<usize>) -> Self {
        let count = sessions.map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        Self { count, ..self }
    }
}

/// The place of an entry in the log: a later one has a greater number, a gap means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(i64);

impl AuditId {
    /// From a stored or presented number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEntry {
    /// Its place.
    pub id: AuditId,
    /// What happened.
    pub entry: AuditEntry,
}

/// Which entries are wanted: those that satisfy everything that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Done to this account.
    pub user: Option<UserId>,
    /// Done by this actor.
    pub actor: Option<AuditActor>,
    /// About or from this session.
    pub session: Option<SessionId>,
    /// About this access token.
    pub token: Option<Jti>,
    /// Of this kind.
    pub action: Option<AuditAction>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// At this moment or later.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
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

    #[test]
    fn an_actor_is_read_back_from_its_text() {
        let user = UserId::try_from(7).expect("an id");
        for (actor, text) in [
            (AuditActor::Anonymous, "anonymous"),
            (AuditActor::User(user), "user:7"),
            (AuditActor::Operator, "operator"),
            (AuditActor::Client("reports.nightly".parse().expect("an id")), "client:reports.nightly"),
            (AuditActor::Service, "service"),
        ] {
            assert_eq!(actor.to_string(), text);
            assert_eq!(text.parse(), Ok(actor));
        }
        for bad in ["", "7", "user", "user:", "user:007", "client:", "client:a\0", "Operator", "robot:7"] {
            assert_eq!(bad.parse::<AuditActor>(), Err(AuditActorError), "{bad:?}");
        }
    }
}
