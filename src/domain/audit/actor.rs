//! Who did something.

use std::fmt;
use std::str::FromStr;

use crate::domain::client::ClientId;
use crate::domain::ids::UserId;

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuditActor {
    /// A caller who has not proven who they are.
    Anonymous,
    /// An account's owner; an administrator is one too.
    User(UserId),
    /// A person who may run commands with the server's settings.
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

#[cfg(test)]
mod tests {
    use super::*;

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
