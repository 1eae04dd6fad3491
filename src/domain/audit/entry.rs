//! What is written into the log, and what is looked for there.

use std::fmt;
use std::net::IpAddr;

use uuid::Uuid;

use super::actor::AuditActor;
use super::names::{AuditAction, Reason};
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::random::{self, Random};

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
    /// How many sessions it ended, or accounts it brought or sent to log in again, or attempts it stands for, where that is known:
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
