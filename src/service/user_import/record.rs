//! One line of an import: a JSON object, read strictly. No text in here repeats what a line says.

use std::fmt;
use std::str::FromStr as _;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::moment;
use super::problem::LineProblem;
use crate::crypto::password::{ForeignHash, HashKind};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::external_id::ExternalId;
use crate::domain::metadata::Metadata;
use crate::domain::name::Name;
use crate::domain::password::PasswordHash;
use crate::domain::user::{ImportedUser, NewUser, Role};

/// A line that was read.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) user: ImportedUser,
    /// What the password was hashed with; `None`: there is none, its owner must reset it.
    pub(super) hash_kind: Option<HashKind>,
    pub(super) hash_kib: u32,
}

/// What an entry says about a person, still to be judged. `None` and `null` are as good as nothing.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Given {
    pub(super) email: Option<Value>,
    pub(super) password_hash: Option<Value>,
    pub(super) first_name: Option<Value>,
    pub(super) last_name: Option<Value>,
    pub(super) role: Option<Value>,
    pub(super) email_verified: Option<Value>,
    pub(super) disabled: Option<Value>,
    pub(super) created_at: Option<Value>,
    pub(super) external_id: Option<Value>,
    pub(super) metadata: Option<Value>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(…)")
    }
}

/// Reads a line of hallpass' own form.
pub(super) fn given(line: &[u8]) -> Result<Given, LineProblem> {
    let Fields(fields) = serde_json::from_slice(line).map_err(|_| LineProblem::NotAnObject)?;
    let [
        email,
        password_hash,
        first_name,
        last_name,
        role,
        email_verified,
        disabled,
        created_at,
        external_id,
        metadata,
    ] = by_name(fields)?;
    Ok(Given {
        email,
        password_hash,
        first_name,
        last_name,
        role,
        email_verified,
        disabled,
        created_at,
        external_id,
        metadata,
    })
}

impl Given {
    /// The account to be made of it.
    pub(super) fn judge(self, now: Timestamp, allow_admins: bool) -> Result<Record, LineProblem> {
        let email = text("email", self.email)?.ok_or(LineProblem::Missing("email"))?;
        let email = Email::parse(&email).map_err(LineProblem::Email)?;
        let hash = self.password_hash.map_or(Ok(None), foreign_hash)?;
        let role = match text("role", self.role)? {
            Some(role) => Role::from_str(&role).map_err(|_| LineProblem::Role)?,
            None => Role::Member,
        };
        if role == Role::Admin && !allow_admins {
            return Err(LineProblem::Admin);
        }
        let account = NewUser {
            email,
            first_name: name("first_name", self.first_name)?,
            last_name: name("last_name", self.last_name)?,
            role,
            password: hash.as_ref().map_or_else(PasswordHash::unusable, |hash| hash.hash.clone()),
            email_verified: flag("email_verified", self.email_verified)?,
            metadata: self.metadata.map_or(Ok(Metadata::default()), metadata)?,
            created_at: self.created_at.map_or(Ok(now), |value| moment::parse(&value, now))?,
        };
        let user = ImportedUser {
            account,
            disabled: flag("disabled", self.disabled)?,
            external_id: self.external_id.map_or(Ok(None), |value| parse_external_id(&value))?,
        };
        let (hash_kind, hash_kib) = hash.map(|hash| (hash.kind, hash.memory_kib)).unzip();
        Ok(Record { user, hash_kind, hash_kib: hash_kib.unwrap_or_default() })
    }
}

const NAMES: [&str; 10] = [
    "email",
    "password_hash",
    "first_name",
    "last_name",
    "role",
    "email_verified",
    "disabled",
    "created_at",
    "external_id",
    "metadata",
];

/// The values in the order of [`NAMES`]. `null` is as good as nothing.
fn by_name(fields: Vec<(String, Value)>) -> Result<[Option<Value>; 10], LineProblem> {
    let mut values: [Option<Value>; 10] = Default::default();
    for (key, value) in fields {
        let (name, slot) =
            NAMES.iter().zip(&mut values).find(|(name, _)| **name == key).ok_or(LineProblem::UnknownField)?;
        if slot.replace(value).is_some() {
            return Err(LineProblem::Twice(name));
        }
    }
    Ok(values.map(|value| value.filter(|value| !value.is_null())))
}

/// A hash as text, or the two texts that Keycloak keeps of one. None is what people have who never had a
/// password: empty text, or Django's exclamation mark with anything behind it.
fn foreign_hash(value: Value) -> Result<Option<ForeignHash>, LineProblem> {
    let hash = match &value {
        Value::String(text) if text.is_empty() || text.starts_with(PasswordHash::UNUSABLE) => {
            return Ok(None);
        }
        Value::String(text) => ForeignHash::parse(text),
        Value::Object(members) => {
            let text = |name| members.get(name).and_then(Value::as_str);
            let (Some(credential), Some(secret)) = (text("credentialData"), text("secretData")) else {
                return Err(HASH_KIND);
            };
            ForeignHash::parse_keycloak(credential, secret)
        }
        _ => return Err(HASH_KIND),
    };
    hash.map(Some).map_err(LineProblem::Hash)
}

const HASH_KIND: LineProblem = LineProblem::Kind(
    "password_hash",
    "a string, or an object with Keycloak's credentialData and secretData",
);

fn text(name: &'static str, value: Option<Value>) -> Result<Option<String>, LineProblem> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(LineProblem::Kind(name, "a string")),
    }
}

fn name(field: &'static str, value: Option<Value>) -> Result<Option<Name>, LineProblem> {
    let text = text(field, value)?;
    text.map_or(Ok(None), |text| Name::parse(&text)).map_err(|error| LineProblem::Name(field, error))
}

/// Text, or a whole number, which is taken as its digits.
fn parse_external_id(value: &Value) -> Result<Option<ExternalId>, LineProblem> {
    let id = match value {
        Value::String(text) => ExternalId::parse(text),
        Value::Number(number) if number.is_i64() || number.is_u64() => ExternalId::parse(&number.to_string()),
        _ => return Err(LineProblem::Kind("external_id", "a string or a whole number")),
    };
    id.map_err(LineProblem::ExternalId)
}

/// A JSON object; a table has it as text.
fn metadata(value: Value) -> Result<Metadata, LineProblem> {
    let metadata = match value {
        Value::String(text) => text.parse(),
        value => value.try_into(),
    };
    metadata.map_err(LineProblem::Metadata)
}

fn flag(name: &'static str, value: Option<Value>) -> Result<bool, LineProblem> {
    match value {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(LineProblem::Kind(name, "true or false")),
    }
}

/// The members of a JSON object in their order, equal keys included, which a map would swallow.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::crypto::password::HashProblem;
    use crate::domain::email::EmailError;
    use crate::domain::external_id::ExternalIdError;
    use crate::domain::name::NameError;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HASH: &str = "$2b$04$NQvTCX1v1gzwC3VafBya/OI6HTnbsnBuqTygSag9Ka3JN7DR4rakS";

    fn read(line: impl AsRef<[u8]>) -> Result<Record, LineProblem> {
        given(line.as_ref())?.judge(NOW, false)
    }

    /// A line that would be taken, with one member more or another value.
    fn with(name: &str, value: Value) -> String {
        let mut line = json!({ "email": "ada@example.com", "password_hash": HASH });
        line[name] = value;
        line.to_string()
    }

    #[test]
    fn an_address_and_a_hash_are_enough() {
        let record = read(with("email", json!("Ada@Example.com"))).expect("a record");
        let ImportedUser { account, disabled, external_id } = record.user;
        assert_eq!(external_id, None);
        assert_eq!(account.email.as_str(), "ada@example.com");
        assert_eq!(account.password.expose(), HASH);
        assert_eq!((account.first_name, account.last_name), (None, None));
        assert_eq!((account.role, account.email_verified, disabled), (Role::Member, false, false));
        assert_eq!(account.created_at, NOW);
        assert_eq!((record.hash_kind, record.hash_kib), (Some(HashKind::Bcrypt), 0));
    }

    #[test]
    fn a_hash_may_be_the_two_texts_of_keycloak() {
        let hash = json!({
            "id": "826731b2-bf17-4bd9-b45c-6a26c76ddaae",
            "type": "password",
            "credentialData": r#"{"hashIterations":1000,"algorithm":"pbkdf2-sha256","additionalParameters":{}}"#,
            "secretData": r#"{"value":"BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4=","salt":"MDEyMzQ1Njc4OWFiY2RlZg=="}"#,
        });
        let record = read(with("password_hash", hash)).expect("a record");
        assert_eq!(record.hash_kind, Some(HashKind::Pbkdf2Sha256));
        let phc = "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4";
        assert_eq!(record.user.account.password.expose(), phc);
    }

    #[test]
    fn who_has_no_hash_must_reset() {
        let absent = json!({ "email": "ada@example.com" }).to_string();
        let with_hash = |hash: Value| with("password_hash", hash);
        let unusable = json!("!B3XCCbfyKr5ck4uLMBHGvqLKFTvRhZ0ZyDp7TeDr");
        for line in
            [absent, with_hash(Value::Null), with_hash(json!("")), with_hash(json!("!")), with_hash(unusable)]
        {
            let record = read(&line).unwrap_or_else(|problem| panic!("{line}: {problem}"));
            assert!(!record.user.account.password.is_usable(), "{line}");
            assert_eq!((record.hash_kind, record.hash_kib), (None, 0), "{line}");
        }
    }

    #[test]
    fn every_field_is_taken_as_it_is_given() {
        let line = json!({
            "created_at": "2020-02-29T12:00:00.5+02:00", "disabled": true, "email_verified": true,
            "role": "admin", "last_name": "Lovelace", "first_name": "Ada",
            "password_hash": HASH, "email": "ada@example.com", "external_id": "auth0|5f7",
        });
        let given = given(line.to_string().as_bytes()).expect("a line");
        let record = given.judge(NOW, true).expect("a record");
        let ImportedUser { account, disabled, external_id } = record.user;
        assert_eq!(external_id.as_ref().map(ExternalId::as_str), Some("auth0|5f7"));
        assert_eq!(account.first_name.as_ref().map(Name::as_str), Some("Ada"));
        assert_eq!(account.last_name.as_ref().map(Name::as_str), Some("Lovelace"));
        assert_eq!((account.role, account.email_verified, disabled), (Role::Admin, true, true));
        assert_eq!(account.created_at.as_millis(), 1_582_970_400_500);
    }

    #[test]
    fn null_and_blank_names_are_as_good_as_nothing() {
        for name in
            ["first_name", "last_name", "role", "email_verified", "disabled", "created_at", "external_id"]
        {
            assert!(read(with(name, Value::Null)).is_ok(), "{name}");
        }
        let blank = read(with("first_name", json!("  "))).expect("a record");
        assert_eq!(blank.user.account.first_name, None);
        assert_eq!(read(with("external_id", json!(" "))).expect("a record").user.external_id, None);
    }

    #[test]
    fn an_external_id_is_text_or_a_whole_number() {
        for (value, id) in [
            (json!("4711"), "4711"),
            (json!(4711), "4711"),
            (json!(-1), "-1"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            let found = read(with("external_id", value)).expect("a record").user.external_id;
            assert_eq!(found.as_ref().map(ExternalId::as_str), Some(id));
        }
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_its_reason() {
        use LineProblem::*;
        for (name, value, problem) in [
            ("email", Value::Null, Missing("email")),
            ("email", json!(7), Kind("email", "a string")),
            ("email", json!("ada"), Email(EmailError::Malformed)),
            ("password_hash", json!(["x"]), HASH_KIND),
            ("password_hash", json!({ "secretData": "{}" }), HASH_KIND),
            ("password_hash", json!({ "credentialData": {}, "secretData": "{}" }), HASH_KIND),
            (
                "password_hash",
                json!({ "credentialData": "{}", "secretData": "{}" }),
                Hash(HashProblem::UnknownFormat),
            ),
            ("password_hash", json!("hunter2"), Hash(HashProblem::UnknownFormat)),
            ("first_name", json!(1), Kind("first_name", "a string")),
            ("last_name", json!("a\u{0}b"), Name("last_name", NameError::ControlCharacter)),
            ("first_name", json!("x".repeat(101)), Name("first_name", NameError::TooLong)),
            ("role", json!("Admin"), Role),
            ("role", json!("owner"), Role),
            ("role", json!("admin"), Admin),
            ("role", json!(true), Kind("role", "a string")),
            ("email_verified", json!(1), Kind("email_verified", "true or false")),
            ("disabled", json!("true"), Kind("disabled", "true or false")),
            ("created_at", json!("2020-02-29"), CreatedAt),
            ("created_at", json!("2020-02-29T10:00:00"), NoOffset),
            ("created_at", json!("2999-01-01T00:00:00Z"), Future),
            ("external_id", json!(true), Kind("external_id", "a string or a whole number")),
            ("external_id", json!(1.5), Kind("external_id", "a string or a whole number")),
            ("external_id", json!("x".repeat(129)), ExternalId(ExternalIdError::TooLong)),
            ("external_id", json!("hunter2\n"), ExternalId(ExternalIdError::ControlCharacter)),
            ("password", json!("hunter2"), UnknownField),
            ("hunter2", Value::Null, UnknownField),
        ] {
            let line = with(name, value);
            let refused = read(&line).err();
            assert_eq!(refused, Some(problem), "{line}");
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn what_is_no_single_object_is_refused() {
        let good = with("role", json!("member"));
        for bad in [
            "".to_owned(),
            "x".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            format!("[{good}]"),
            format!("{good},"),
            format!("{good}{good}"),
            good[..good.len() - 1].to_owned(),
            format!("{{\"a\":{}1{}}}", "[".repeat(1000), "]".repeat(1000)),
        ] {
            assert_eq!(read(&bad).err(), Some(LineProblem::NotAnObject), "{bad}");
        }
        assert_eq!(read(b"{\"email\":\"\xff\"}").err(), Some(LineProblem::NotAnObject));
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let line =
            format!(r#"{{"email":"ada@example.com","email":"eve@example.com","password_hash":"{HASH}"}}"#);
        assert_eq!(read(line).err(), Some(LineProblem::Twice("email")));
        let line =
            format!(r#"{{"role":null,"email":"ada@example.com","role":"admin","password_hash":"{HASH}"}}"#);
        assert_eq!(read(line).err(), Some(LineProblem::Twice("role")));
    }
}
