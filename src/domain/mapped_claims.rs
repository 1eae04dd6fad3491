//! Claims of one's own: what tokens say besides, out of the settings, the account or the client.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde_json::{Map, Value};

use super::client::Client;
use super::user::User;

/// The names that tokens have a meaning for already: those of their standards that are in use here, and hallpass' own.
const TAKEN: [&str; 20] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "client_id",
    "scope",
    "roles",
    "email",
    "email_verified",
    "auth_time",
    "amr",
    "acr",
    "act",
    "cnf",
    "sv",
    "inc",
];

/// The name of a claim of one's own: 1 to 128 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName(String);

/// Why a claim cannot be called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimNameError {
    /// It is empty, too long, or would break a line.
    #[error("is not 1 to 128 bytes without control characters")]
    Malformed,
    /// Tokens have it already.
    #[error("is a name that hallpass' tokens have a meaning for")]
    Taken,
}

impl ClaimName {
    /// Who may act for the subject (RFC 8693 4.4): the one registered name that may be mapped.
    pub const MAY_ACT: &str = "may_act";

    const MAX_BYTES: usize = 128;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimName {
    type Err = ClaimNameError;

    fn from_str(text: &str) -> Result<Self, ClaimNameError> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        match (fits, TAKEN.contains(&text)) {
            (_, true) => Err(ClaimNameError::Taken),
            (true, false) => Ok(Self(text.to_owned())),
            (false, false) => Err(ClaimNameError::Malformed),
        }
    }
}

/// Something of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountField {
    /// `account.id`, a number.
    Id,
    /// `account.email`.
    Email,
    /// `account.first_name`.
    FirstName,
    /// `account.last_name`.
    LastName,
    /// `account.created_at`, seconds since the Unix epoch.
    CreatedAt,
    /// `account.external_id`.
    ExternalId,
    /// `account.metadata`, or what a path in it leads to.
    Metadata(Vec<String>),
}

impl AccountField {
    /// What the account has of it.
    pub fn of(&self, user: &User) -> Option<Value> {
        match self {
            Self::Id => Some(user.id.get().into()),
            Self::Email => Some(user.email.as_str().into()),
            Self::FirstName => user.first_name.as_ref().map(|name| name.as_str().into()),
            Self::LastName => user.last_name.as_ref().map(|name| name.as_str().into()),
            Self::CreatedAt => Some(user.created_at.as_secs().into()),
            Self::ExternalId => user.external_id.as_ref().map(|id| id.as_str().into()),
            Self::Metadata(path) => user.metadata.find(path),
        }
    }
}

/// Where the value of a claim comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimSource {
    /// It is always the same.
    Value(Value),
    /// From the account that a person's token is of.
    Account(AccountField),
    /// `client.id`: the client that the token is issued to.
    ClientId,
    /// `client.metadata`, or what a path in it leads to, of the client that got the token for itself.
    ClientMetadata(Vec<String>),
}

/// The text is no path to anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no path: those are account.id, .email, .first_name, .last_name, .created_at, .external_id, client.id, and \
     account.metadata and client.metadata with names behind"
)]
pub struct ClaimPathError;

impl FromStr for ClaimSource {
    type Err = ClaimPathError;

    fn from_str(path: &str) -> Result<Self, ClaimPathError> {
        let mut names = path.split('.');
        let of = (names.next(), names.next());
        let rest: Vec<String> = names.map(str::to_owned).collect();
        if rest.iter().any(String::is_empty) {
            return Err(ClaimPathError);
        }
        let field = match of {
            (Some("account"), Some("metadata")) => return Ok(Self::Account(AccountField::Metadata(rest))),
            (Some("client"), Some("metadata")) => return Ok(Self::ClientMetadata(rest)),
            _ if !rest.is_empty() => return Err(ClaimPathError),
            (Some("client"), Some("id")) => return Ok(Self::ClientId),
            (Some("account"), Some("id")) => AccountField::Id,
            (Some("account"), Some("email")) => AccountField::Email,
            (Some("account"), Some("first_name")) => AccountField::FirstName,
            (Some("account"), Some("last_name")) => AccountField::LastName,
            (Some("account"), Some("created_at")) => AccountField::CreatedAt,
            (Some("account"), Some("external_id")) => AccountField::ExternalId,
            _ => return Err(ClaimPathError),
        };
        Ok(Self::Account(field))
    }
}

/// A claim of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedClaim {
    /// Where its value comes from.
    pub source: ClaimSource,
    /// The audiences whose tokens have it; all where this is none.
    pub audiences: Option<BTreeSet<String>>,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A person's, who has this account, issued to the client of that id.
    Person(Option<&'a User>, &'a str),
    /// That of a client, for itself.
    Machine(&'a Client),
}

/// Claims of one's own, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappedClaims(BTreeMap<ClaimName, MappedClaim>);

impl MappedClaims {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claim of that name.
    pub fn get(&self, name: &str) -> Option<&MappedClaim> {
        self.0.iter().find(|(known, _)| known.as_str() == name).map(|(_, claim)| claim)
    }

    /// Their names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &ClaimName> {
        self.0.keys()
    }

    /// Whether one of them comes from the account.
    pub fn ask_for_the_account(&self) -> bool {
        self.0.values().any(|claim| matches!(claim.source, ClaimSource::Account(_)))
    }

    /// What a token for these audiences says besides. A path that leads nowhere leaves its claim out.
    pub fn of(&self, subject: Subject<'_>, audiences: &[String]) -> Map<String, Value> {
        let is_for = |claim: &MappedClaim| {
            let named = claim.audiences.as_ref();
            named.is_none_or(|named| audiences.iter().any(|audience| named.contains(audience)))
        };
        let said = self.0.iter().filter(|(_, claim)| is_for(claim));
        said.filter_map(|(name, claim)| Some((name.0.clone(), claim.source.value_for(subject)?))).collect()
    }

    /// What of accounts stands in the claims of these names.
    pub fn account_fields<'a>(&'a self, is_named: impl Fn(&ClaimName) -> bool + 'a) -> WatchedFields {
        let fields =
            self.0.iter().filter(|(name, _)| is_named(name)).filter_map(|(_, claim)| match &claim.source {
                ClaimSource::Account(field) => Some(field.clone()),
                _ => None,
            });
        WatchedFields(fields.collect())
    }
}

impl FromIterator<(ClaimName, MappedClaim)> for MappedClaims {
    fn from_iter<I: IntoIterator<Item = (ClaimName, MappedClaim)>>(claims: I) -> Self {
        Self(claims.into_iter().collect())
    }
}

impl ClaimSource {
    fn value_for(&self, subject: Subject<'_>) -> Option<Value> {
        match (self, subject) {
            (Self::Value(value), _) => Some(value.clone()),
            (Self::Account(field), Subject::Person(user, _)) => field.of(user?),
            (Self::ClientId, Subject::Person(_, client)) => Some(client.into()),
            (Self::ClientId, Subject::Machine(client)) => Some(client.id.as_str().into()),
            (Self::ClientMetadata(path), Subject::Machine(client)) => client.metadata.find(path),
            (Self::Account(_), Subject::Machine(_)) | (Self::ClientMetadata(_), Subject::Person(..)) => None,
        }
    }
}

/// What of an account must not stand in tokens any longer once it is another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchedFields(BTreeSet<AccountField>);

impl WatchedFields {
    /// None of them.
    pub const NONE: Self = Self(BTreeSet::new());

    /// Whether one of them is another.
    pub fn differ(&self, before: &User, after: &User) -> bool {
        self.0.iter().any(|field| field.of(before) != field.of(after))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::audiences::Audiences;
    use crate::domain::clock::Timestamp;
    use crate::domain::email::Email;
    use crate::domain::external_id::ExternalId;
    use crate::domain::ids::UserId;
    use crate::domain::name::Name;
    use crate::domain::password::PasswordHash;
    use crate::domain::user::{Role, SecurityVersion};

    fn ada() -> User {
        User {
            id: UserId::try_from(7).expect("an id"),
            email: Email::parse("ada@example.com").expect("an address"),
            external_id: ExternalId::parse("4711").expect("an id"),
            first_name: Name::parse("Ada").expect("a name"),
            last_name: None,
            roles: Role::Member.into(),
            password: PasswordHash::unusable(),
            disabled: false,
            email_verified: true,
            metadata: r#"{"tenant": "north", "org": {"id": 7}, "none": null}"#.parse().expect("metadata"),
            security_version: SecurityVersion::FIRST,
            created_at: Timestamp::from_millis(1_796_169_600_999),
        }
    }

    fn orders() -> Client {
        Client {
            id: "orders".parse().expect("an id"),
            scopes: "".parse().expect("scopes"),
            audience: None,
            audiences: Audiences::default(),
            exchange: false,
            metadata: r#"{"tier": 2}"#.parse().expect("metadata"),
            secrets: Vec::new(),
            created_at: Timestamp::from_millis(0),
        }
    }

    fn mapped(claims: &[(&str, &str)]) -> MappedClaims {
        let claim = |(name, path): &(&str, &str)| {
            let source = path.parse().expect("a path");
            (name.parse().expect("a name"), MappedClaim { source, audiences: None })
        };
        claims.iter().map(claim).collect()
    }

    #[test]
    fn a_claim_has_a_name_that_is_free() {
        for good in ["tenant", "https://example.com/tenant", "may_act", "Sub", "rôle", &"a".repeat(128)] {
            assert!(good.parse::<ClaimName>().is_ok(), "{good}");
        }
        for taken in TAKEN {
            assert_eq!(taken.parse::<ClaimName>(), Err(ClaimNameError::Taken), "{taken}");
        }
        for bad in ["", "a\nb", &"a".repeat(129)] {
            assert_eq!(bad.parse::<ClaimName>(), Err(ClaimNameError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_one_of_few_or_leads_into_metadata() {
        for bad in [
            "",
            "account",
            "account.",
            "account.password",
            "account.email.x",
            "account.id.",
            "client.email",
            "client.id.x",
            "account.metadata.",
            "account.metadata..x",
            "metadata.x",
            "Account.id",
            " account.id",
            "prod",
        ] {
            assert_eq!(bad.parse::<ClaimSource>(), Err(ClaimPathError), "{bad:?}");
        }
    }

    #[test]
    fn a_persons_token_says_what_leads_somewhere() {
        let claims = mapped(&[
            ("a", "account.id"),
            ("b", "account.email"),
            ("c", "account.first_name"),
            ("d", "account.last_name"),
            ("e", "account.created_at"),
            ("f", "account.external_id"),
            ("g", "account.metadata.tenant"),
            ("h", "account.metadata.org"),
            ("i", "account.metadata.org.id"),
            ("j", "account.metadata.none"),
            ("k", "account.metadata.tenant.x"),
            ("l", "client.id"),
            ("m", "client.metadata.tier"),
        ]);
        let said = Value::Object(claims.of(Subject::Person(Some(&ada()), "hallpass"), &[]));
        let expected = json!({
            "a": 7, "b": "ada@example.com", "c": "Ada", "e": 1_796_169_600, "f": "4711", "g": "north", "h": {"id": 7},
            "i": 7, "l": "hallpass",
        });
        assert_eq!(said, expected);
        let machine = Value::Object(claims.of(Subject::Machine(&orders()), &[]));
        assert_eq!(machine, json!({"l": "orders", "m": 2}));
        assert!(claims.ask_for_the_account() && !mapped(&[("a", "client.id")]).ask_for_the_account());
    }

    #[test]
    fn a_claim_may_be_for_some_audiences_alone() {
        let for_orders = MappedClaim {
            source: ClaimSource::Value(json!("pro")),
            audiences: Some(["https://orders".to_owned(), "https://bills".to_owned()].into()),
        };
        let claims: MappedClaims = [("plan".parse().expect("a name"), for_orders)].into_iter().collect();
        let said = |audiences: &[&str]| {
            let audiences: Vec<String> = audiences.iter().map(ToString::to_string).collect();
            claims.of(Subject::Machine(&orders()), &audiences).len()
        };
        assert_eq!((said(&["https://orders"]), said(&["https://a", "https://bills"])), (1, 1));
        assert_eq!((said(&["https://orders/"]), said(&[])), (0, 0));
    }

    #[test]
    fn what_is_watched_differs_only_where_its_value_does() {
        let claims = mapped(&[("tenant", "account.metadata.tenant"), ("name", "account.first_name")]);
        let watched = claims.account_fields(|name| name.as_str() == "tenant");
        let with = |metadata: &str| User { metadata: metadata.parse().expect("metadata"), ..ada() };
        assert!(!watched.differ(&ada(), &with(r#"{"tenant": "north"}"#)));
        assert!(watched.differ(&ada(), &with(r#"{"tenant": "south"}"#)));
        assert!(watched.differ(&ada(), &with("{}")));
        let renamed = User { first_name: None, ..ada() };
        assert!(!watched.differ(&ada(), &renamed));
        assert!(claims.account_fields(|_| true).differ(&ada(), &renamed));
    }
}
