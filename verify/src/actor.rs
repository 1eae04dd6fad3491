use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Who acts for the subject of a token (RFC 8693 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Actor {
    /// The client, or the subject of the actor's token.
    pub sub: String,
    /// Who acted before, where the token was exchanged for another that was exchanged itself: it says how the token
    /// came here, and permits nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

impl Actor {
    /// The actors, the present one first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.act.as_deref())
    }
}

/// Who may become the actor of a token's subject (RFC 8693 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MayAct {
    /// The client, or the subject of the actor's token.
    pub sub: String,
}

/// A JSON object, and never an array in its place: `sub`, what `act` may be, and other members, which are passed over.
impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members { has_act: true })
    }
}

impl<'de> Deserialize<'de> for MayAct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members { has_act: false }).map(|Actor { sub, .. }| Self { sub })
    }
}

struct Members {
    has_act: bool,
}

impl<'de> Visitor<'de> for Members {
    type Value = Actor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Actor, A::Error> {
        let (mut sub, mut act) = (None, None);
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            match &*name {
                "sub" if sub.is_some() => return Err(A::Error::duplicate_field("sub")),
                "sub" => sub = Some(members.next_value()?),
                "act" if self.has_act && act.is_some() => return Err(A::Error::duplicate_field("act")),
                "act" if self.has_act => act = Some(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Actor { sub: sub.ok_or_else(|| A::Error::missing_field("sub"))?, act })
    }
}
