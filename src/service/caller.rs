//! Who calls an operation.

use std::borrow::Cow;
use std::net::IpAddr;

use hallpass_verify::{AccessClaims, Rejection};

use super::error::{Error, Result};
use crate::domain::audit::{AuditActor, Reason};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::place::Place;
use crate::domain::tokens::AccessToken;
use crate::domain::user::{Role, SecurityVersion};

/// Who is calling, proven.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// What they may do here.
    pub role: Role,
    /// All roles that the token names.
    pub roles: Cow<'static, [Cow<'static, str>]>,
    /// Their e-mail address, empty in a token that has none: ours do.
    pub email: String,
    /// Whether they had proven that it is theirs when that token was issued.
    pub email_verified: bool,
    /// The session they call from.
    pub session: SessionId,
    /// The version of the account that the session is of.
    pub security_version: SecurityVersion,
    /// A live access token of that session.
    pub access: AccessToken,
    /// When that token was issued, seconds since the Unix epoch.
    pub issued_at: i64,
    /// When that token ends, seconds since the Unix epoch.
    pub expires_at: i64,
    /// Whether somebody else acts for them, by a token that was exchanged.
    pub on_behalf: bool,
    /// Whether that token is new: the presented one was expired or absent.
    pub renewed: bool,
    /// Where they call from, if the connection tells.
    pub address: Option<IpAddr>,
}

impl Caller {
    /// Who presents a token, by its claims, which have been checked. A machine is no caller: nobody is logged in
    /// by its token.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] for claims that are no person's.
    pub fn of(access: AccessToken, claims: &AccessClaims, address: Option<IpAddr>) -> Result<Self> {
        let malformed = || Error::InvalidToken(Rejection::Malformed);
        let is_admin = claims.roles.iter().any(|role| role == Role::Admin.as_str());
        Ok(Self {
            user: claims.sub.parse().map_err(|_| malformed())?,
            role: if is_admin { Role::Admin } else { Role::Member },
            roles: roles_of(claims),
            email: claims.email.clone().unwrap_or_default(),
            email_verified: claims.verified_email().is_some(),
            session: claims.sid.map(SessionId::from).ok_or_else(malformed)?,
            security_version: claims.sv.map(SecurityVersion::new).ok_or_else(malformed)?,
            access,
            issued_at: claims.iat,
            expires_at: claims.exp,
            on_behalf: claims.act.is_some(),
            renewed: false,
            address,
        })
    }

    /// Lets people pass, and nobody who acts for one: a service that was called is not to change accounts, and
    /// whatever role its caller has, it administers nothing.
    ///
    /// # Errors
    /// [`Error::InsufficientScope`].
    pub fn require_in_person(&self) -> Result<()> {
        if self.on_behalf { Err(Error::InsufficientScope) } else { Ok(()) }
    }

    /// Lets those pass who have the role, to the letter.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody else.
    pub fn require_role(&self, role: &str) -> Result<()> {
        if self.roles.iter().any(|own| own == role) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Lets administrators pass.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody else.
    pub fn require_admin(&self) -> Result<()> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Member => Err(Error::Forbidden),
        }
    }
}

/// Most are members and no more, of whom nothing has to be copied.
fn roles_of(claims: &AccessClaims) -> Cow<'static, [Cow<'static, str>]> {
    const MEMBER: &[Cow<'static, str>] = &[Cow::Borrowed(Role::Member.as_str())];
    match claims.roles.as_slice() {
        [only] if only == Role::Member.as_str() => Cow::Borrowed(MEMBER),
        roles => roles.iter().cloned().map(Cow::Owned).collect(),
    }
}

/// Somebody who may change other people's accounts. Every such operation asks for one, so that none
/// is reached without the question who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Administrator {
    /// Logged in with the role `admin`.
    User {
        /// Who.
        id: UserId,
        /// The session they work from.
        session: SessionId,
        /// Where they work from, if the connection tells.
        address: Option<IpAddr>,
    },
    /// Whoever may run commands with the server's settings.
    Operator,
}

impl Administrator {
    /// The caller, if they are one.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::InsufficientScope`].
    pub fn from_caller(caller: &Caller) -> Result<Self> {
        caller.require_in_person()?;
        caller.require_admin()?;
        Ok(Self::User { id: caller.user, session: caller.session, address: caller.address })
    }

    /// As the audit log names them.
    pub fn actor(self) -> AuditActor {
        match self {
            Self::User { id, .. } => AuditActor::User(id),
            Self::Operator => AuditActor::Operator,
        }
    }

    /// Where they work from.
    pub(super) fn place(self) -> Place {
        match self {
            Self::User { address, .. } => Place::of(address),
            Self::Operator => Place::Unknown,
        }
    }

    /// Why a session or a token has ended that they have ended.
    pub fn reason(self) -> Reason {
        match self {
            Self::User { .. } => Reason::RevokedByAdmin,
            Self::Operator => Reason::RevokedByOperator,
        }
    }
}
