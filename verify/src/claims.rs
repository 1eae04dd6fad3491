use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::actor::{Actor, MayAct};

/// The claims of an access token (RFC 9068 2.2).
///
/// Each has exactly the JSON type that hallpass writes; a token whose claims have another type is
/// refused instead of being read as if the claim were absent (CVE-2026-25537). What only some
/// tokens have may be left out, but not be `null`.
///
/// A token that a client got for itself (`client_credentials`, RFC 6749 4.4) has no user behind it:
/// no [`sid`](Self::sid), no [`sv`](Self::sv), no [`email`](Self::email) with what belongs to it, and the
/// client's id as [`sub`](Self::sub).
///
/// What was taken back is told by [`sv`](Self::sv) and [`inc`](Self::inc): numbers, which no clock
/// that is wrong can confuse.
///
/// `Debug` leaves the e-mail address out, and what the issuer maps: that is personal data, and claims end up in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued the token: hallpass's public URL, exactly.
    pub iss: String,
    /// Whom the token is for. One audience is written as a plain string, which every validator
    /// takes; either form is read.
    #[serde(serialize_with = "one_as_string", deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// The user's id in digits; of a machine's token, the client's id (RFC 9068 2.2).
    pub sub: String,
    /// When the token ends, seconds since the Unix epoch.
    pub exp: i64,
    /// When the token was issued, seconds since the Unix epoch, rounded down.
    pub iat: i64,
    /// When the token begins, seconds since the Unix epoch. hallpass writes none: a token begins when
    /// it is issued. One that is there is looked at.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The token's own id.
    pub jti: Uuid,
    /// The session that the token belongs to; a machine's token belongs to none.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// The account's security version when the session was opened, which grows with every security
    /// event (a new password, another role …). Every token with a [`sid`](Self::sid) has one.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub sv: Option<i64>,
    /// The number of the issuer's memory of sessions and revocations that the token was issued under:
    /// it grows whenever that memory was lost.
    pub inc: u64,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The user's e-mail address when the session was opened; a machine has none.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the user has proven that [`email`](Self::email) is theirs, as far as the issuer knew when
    /// it issued the token (OpenID Connect Core 5.1). Nothing is known where the claim is absent.
    ///
    /// Anybody can register with anybody's address: who tells people apart by it asks
    /// [`verified_email`](Self::verified_email), or better goes by [`sub`](Self::sub).
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// When the user proved who they are, seconds since the Unix epoch: at the login, and not at a refresh
    /// (OpenID Connect Core 2). A machine has none, nor what follows; nor have tokens of builds before.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How they did (RFC 8176): `pwd` is a password.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub amr: Option<Vec<String>>,
    /// How much that proves: `urn:hallpass:acr:1` is one factor, `urn:hallpass:acr:2` are two.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The user's roles when the session was opened.
    pub roles: Vec<String>,
    /// What the token may be used for, words between single spaces (RFC 9068 2.2.3).
    /// [`has_scope`](Self::has_scope) takes it apart.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Who acts for the subject, in a token that a service got in exchange for the one it was called with
    /// (RFC 8693 4.1).
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// Who alone may exchange the token (RFC 8693 4.4); whoever may otherwise, where the claim is absent.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    pub may_act: Option<MayAct>,
    /// All that the token says besides: the claims that the issuer maps (`tokens.claims`). They are written with the
    /// others; whoever reads claims without [`Verifier`](crate::Verifier) has none of them.
    #[serde(flatten, skip_deserializing)]
    pub extra: Map<String, Value>,
}

impl AccessClaims {
    /// Who acts for the subject, the present actor first; nobody, where the subject acts itself.
    pub fn actors(&self) -> impl Iterator<Item = &str> {
        self.act.iter().flat_map(Actor::chain).map(|actor| actor.sub.as_str())
    }

    /// A claim that is none of those with a field here.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.extra.get(name)
    }

    /// The user's e-mail address, if the issuer says that the user has proven it to be theirs.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified == Some(true))
    }
}

impl fmt::Debug for AccessClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every field by name: a new claim must decide whether it may be seen.
        let Self {
            iss,
            aud,
            sub,
            exp,
            iat,
            nbf,
            jti,
            sid,
            sv,
            inc,
            client_id,
            email: _,
            email_verified,
            auth_time,
            amr,
            acr,
            roles,
            scope,
            act,
            may_act,
            extra: _,
        } = self;
        f.debug_struct("AccessClaims")
            .field("iss", iss)
            .field("aud", aud)
            .field("sub", sub)
            .field("exp", exp)
            .field("iat", iat)
            .field("nbf", nbf)
            .field("jti", jti)
            .field("sid", sid)
            .field("sv", sv)
            .field("inc", inc)
            .field("client_id", client_id)
            .field("email_verified", email_verified)
            .field("auth_time", auth_time)
            .field("amr", amr)
            .field("acr", acr)
            .field("roles", roles)
            .field("scope", scope)
            .field("act", act)
            .field("may_act", may_act)
            .finish_non_exhaustive()
    }
}

/// The claims that have a field.
const NAMES: [&str; 20] = [
    "iss",
    "aud",
    "sub",
    "exp",
    "iat",
    "nbf",
    "jti",
    "sid",
    "sv",
    "inc",
    "client_id",
    "email",
    "email_verified",
    "auth_time",
    "amr",
    "acr",
    "roles",
    "scope",
    "act",
    "may_act",
];

/// What a token says besides ([`AccessClaims::extra`]). It is read apart from the others, since a token is as right as ever
/// where that is more than can be read, like a number beyond all bounds: it has none then.
#[derive(Default)]
pub(crate) struct Extra(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Extra;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Extra, A::Error> {
                let mut extra = Map::new();
                while let Some(name) = members.next_key::<Cow<'_, str>>()? {
                    if NAMES.contains(&&*name) {
                        members.next_value::<IgnoredAny>()?;
                    } else {
                        extra.insert(name.into_owned(), members.next_value()?);
                    }
                }
                Ok(Extra(extra))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// In the special case of one audience, `aud` may be a single string (RFC 7519 4.1.3).
fn one_as_string<S: Serializer>(audiences: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match audiences {
        [audience] => serializer.serialize_str(audience),
        several => several.serialize(serializer),
    }
}

/// `aud` is a string or an array of strings (RFC 7519 4.1.3).
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(audience) => vec![audience],
        OneOrMany::Many(audiences) => audiences,
    })
}

/// A claim that may be absent: `null` is not absence.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(aud: &[&str]) -> AccessClaims {
        AccessClaims {
            iss: "https://id.example.com".to_owned(),
            aud: aud.iter().map(ToString::to_string).collect(),
            sub: "42".to_owned(),
            exp: 2_000_000_900,
            iat: 2_000_000_000,
            nbf: None,
            jti: Uuid::from_u128(1),
            sid: Some(Uuid::from_u128(2)),
            sv: Some(3),
            inc: 7,
            client_id: "hallpass".to_owned(),
            email: Some("ada@example.com".to_owned()),
            email_verified: Some(true),
            auth_time: Some(1_999_999_000),
            amr: Some(vec!["pwd".to_owned()]),
            acr: Some("urn:hallpass:acr:1".to_owned()),
            roles: vec!["member".to_owned()],
            scope: Some("orders:read orders:write".to_owned()),
            act: None,
            may_act: None,
            extra: Map::new(),
        }
    }

    #[test]
    fn who_acts_is_written_as_the_standard_has_it_and_read_with_members_that_are_not_known() {
        let before = Actor { sub: "gateway".to_owned(), act: None };
        let act = Actor { sub: "orders".to_owned(), act: Some(Box::new(before)) };
        let exchanged = AccessClaims { act: Some(act), ..claims(&["a"]) };
        let mut written = serde_json::to_value(&exchanged).expect("JSON");
        assert_eq!(written["act"], json!({"sub": "orders", "act": {"sub": "gateway"}}));
        written["act"]["iss"] = json!("https://id.example.com");
        let read: AccessClaims = serde_json::from_value(written.clone()).expect("claims");
        assert_eq!(read.actors().collect::<Vec<_>>(), ["orders", "gateway"]);
        assert_eq!(read, exchanged);
        let nested = json!({"sub": "a", "act": 1});
        for bad in [json!(null), json!("orders"), json!(["orders"]), json!({}), json!({"sub": 1}), nested] {
            written["act"] = bad.clone();
            assert!(serde_json::from_value::<AccessClaims>(written.clone()).is_err(), "{bad}");
        }
        assert_eq!(claims(&["a"]).actors().count(), 0);
    }

    fn written(aud: &[&str]) -> Value {
        serde_json::to_value(claims(aud)).expect("JSON")
    }

    #[test]
    fn one_audience_is_written_as_a_string_and_several_as_an_array() {
        assert_eq!(written(&["a"])["aud"], json!("a"));
        assert_eq!(written(&["a", "b"])["aud"], json!(["a", "b"]));
        assert_eq!(written(&[])["aud"], json!([]));
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for aud in [&["a"][..], &["a", "b"], &[]] {
            let read: AccessClaims = serde_json::from_value(written(aud)).expect("claims");
            assert_eq!(read, claims(aud));
        }
        let mut single_in_an_array = written(&["a"]);
        single_in_an_array["aud"] = json!(["a"]);
        let read: AccessClaims = serde_json::from_value(single_in_an_array).expect("claims");
        assert_eq!(read, claims(&["a"]));
    }

    #[test]
    fn what_a_machine_does_not_have_is_not_written_and_reads_back_as_absent() {
        let machine = AccessClaims {
            sid: None,
            sv: None,
            email: None,
            email_verified: None,
            auth_time: None,
            amr: None,
            acr: None,
            scope: None,
            ..claims(&["a"])
        };
        let written = serde_json::to_value(&machine).expect("JSON");
        let absent = [
            "nbf",
            "sid",
            "sv",
            "email",
            "email_verified",
            "auth_time",
            "amr",
            "acr",
            "scope",
            "act",
            "may_act",
        ];
        for claim in absent {
            assert_eq!(written.get(claim), None, "{claim}");
        }
        let read: AccessClaims = serde_json::from_value(written).expect("claims");
        assert_eq!(read, machine);
    }

    /// One of another type is not taken for one that is absent: what asks for a fresh login would pass.
    #[test]
    fn what_a_token_says_about_its_login_has_one_type_each() {
        for (claim, wrong) in [
            ("auth_time", json!("1999999000")),
            ("auth_time", json!(1.5)),
            ("auth_time", Value::Null),
            ("amr", json!("pwd")),
            ("amr", json!([1])),
            ("amr", Value::Null),
            ("acr", json!(1)),
            ("acr", Value::Null),
        ] {
            let mut claims = written(&["a"]);
            claims[claim] = wrong.clone();
            assert!(serde_json::from_value::<AccessClaims>(claims).is_err(), "{claim}: {wrong}");
        }
    }

    #[test]
    fn an_address_is_verified_only_where_the_token_says_so() {
        let of = |email: Option<&str>, email_verified| AccessClaims {
            email: email.map(str::to_owned),
            email_verified,
            ..claims(&["a"])
        };
        let ada = Some("ada@example.com");
        assert_eq!(of(ada, Some(true)).verified_email(), ada);
        for claims in [of(ada, Some(false)), of(ada, None), of(None, Some(true))] {
            assert_eq!(claims.verified_email(), None, "{:?}", claims.email_verified);
        }
    }

    #[test]
    fn what_an_issuer_maps_is_read_beside_the_rest() {
        let mut mapped = claims(&["a"]);
        mapped.extra.insert("tenant".to_owned(), json!({"id": 7}));
        let written = serde_json::to_value(&mapped).expect("JSON");
        assert_eq!(written["tenant"], json!({"id": 7}));
        // Each claim with a field has a name in the list.
        let Extra(extra) = serde_json::from_value(written).expect("claims");
        assert_eq!(extra, mapped.extra);
        assert_eq!((mapped.claim("tenant"), mapped.claim("sub")), (Some(&json!({"id": 7})), None));
        assert!(!format!("{mapped:?}").contains("tenant"), "{mapped:?}");
    }

    #[test]
    fn debug_leaves_the_email_address_out() {
        let shown = format!("{:?}", claims(&["a"]));
        assert!(!shown.contains("ada@"), "{shown}");
        assert!(shown.contains("sub: \"42\""), "{shown}");
    }
}
