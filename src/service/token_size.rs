//! How long the longest token of an account or a client is, before anybody gets it.

use std::sync::Arc;

use hallpass_verify::{AccessClaims, TokenType};
use uuid::Uuid;

use super::error::{Error, Result};
use crate::config::{RoleScopes, Settings};
use crate::domain::audiences::Audiences;
use crate::domain::client::{Client, FIRST_PARTY_CLIENT_ID};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::mapped_claims::{MappedClaims, Subject};
use crate::domain::metadata::Metadata;
use crate::domain::name::{NAME_MAX_CHARS, Name};
use crate::domain::password::PasswordHash;
use crate::domain::signing_key::SigningAlgorithm;
use crate::domain::user::{NewUser, Role, User};

/// The longest token that is handed out, bytes: proxies and servers take headers of 8 KiB in all, some of 4.
pub const TOKEN_MAX_BYTES: usize = 4_096;

/// More than any other number of a token has digits.
const LARGE: i64 = 9_999_999_999_999;

/// Measures tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TokenSize(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    issuer: String,
    /// All that a person's token may be for.
    audiences: Vec<String>,
    /// The service's own audience.
    own: String,
    typ: TokenType,
    claims: MappedClaims,
    role_scopes: RoleScopes,
    signature_bytes: usize,
}

impl TokenSize {
    /// For tokens that these settings make; `own` is the service's own audience.
    pub fn new(settings: &Settings, issuer: String, own: &str) -> Self {
        let signature_bytes = match settings.keys.algorithm {
            SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => 64,
            // A key of 4096 bits, as a file may have it.
            SigningAlgorithm::Rs256 => 512,
        };
        Self(Arc::new(Parts {
            issuer,
            audiences: listed([own], &settings.tokens.audiences),
            own: own.to_owned(),
            typ: settings.tokens.typ,
            claims: settings.tokens.claims.clone(),
            role_scopes: settings.role_scopes.clone(),
            signature_bytes,
        }))
    }

    /// Whether it depends on more of an account than its address and roles.
    pub fn asks_for_the_account(&self) -> bool {
        self.0.claims.ask_for_the_account()
    }

    /// How long a token of this account may be, bytes.
    pub fn of(&self, user: &User) -> usize {
        let scopes = self.0.role_scopes.of(user.roles.iter());
        let claims = AccessClaims {
            sub: user.id.to_string(),
            sid: Some(Uuid::max()),
            sv: Some(LARGE),
            email: Some(user.email.as_str().to_owned()),
            email_verified: Some(false),
            auth_time: Some(LARGE),
            amr: Some(["pwd", "otp", "mfa"].map(str::to_owned).to_vec()),
            acr: Some("urn:hallpass:acr:1".to_owned()),
            roles: user.roles.names(),
            scope: (!scopes.is_empty()).then(|| scopes.to_string()),
            extra: self.0.claims.of(Subject::Person(Some(user), FIRST_PARTY_CLIENT_ID), &self.0.audiences),
            ..self.claims(FIRST_PARTY_CLIENT_ID, longest(&self.0.audiences))
        };
        self.length(&claims)
    }

    /// How long a token that this client gets for itself may be, bytes.
    pub fn of_client(&self, client: &Client) -> usize {
        let own = [self.0.own.as_str()].into_iter().chain(client.audience.as_deref());
        let audiences = listed(own, &client.audiences);
        let claims = AccessClaims {
            scope: Some(client.scopes.to_string()),
            extra: self.0.claims.of(Subject::Machine(client), &audiences),
            ..self.claims(client.id.as_str(), longest(&audiences))
        };
        self.length(&claims)
    }

    /// How long a token of an account may be of which nothing is noted down, and that is a member and no more.
    pub fn without_metadata(&self) -> usize {
        let long = |bytes: usize| "n".repeat(bytes);
        let domain = [long(63), long(63), long(53), "example".to_owned()].join(".");
        let name = || Name::parse(&"\u{1d538}".repeat(NAME_MAX_CHARS)).ok().flatten();
        let email = Email::kept(format!("{}@{domain}", long(64))).ok();
        let user = email.and_then(|email| {
            let new = NewUser {
                email,
                first_name: name(),
                last_name: name(),
                role: Role::Member,
                password: PasswordHash::unusable(),
                email_verified: false,
                metadata: Metadata::default(),
                created_at: Timestamp::from_secs(LARGE),
            };
            self.largest(&new)
        });
        user.map_or(0, |user| self.of(&user))
    }

    fn largest(&self, new: &NewUser) -> Option<User> {
        Some(new.as_user(UserId::try_from(UserId::MAX).ok()?))
    }

    /// Lets an account be written whose tokens are short enough, or shorter than `before`.
    ///
    /// # Errors
    /// [`Error::TokenTooLarge`].
    pub fn admit(&self, before: Option<&User>, after: &User) -> Result<()> {
        Self::judge(before.map_or(0, |user| self.of(user)), self.of(after))
    }

    /// The same for an account to be made.
    ///
    /// # Errors
    /// [`Error::TokenTooLarge`].
    pub fn admit_new(&self, new: &NewUser) -> Result<()> {
        self.largest(new).map_or(Ok(()), |user| self.admit(None, &user))
    }

    /// The same for a client.
    ///
    /// # Errors
    /// [`Error::TokenTooLarge`].
    pub fn admit_client(&self, before: Option<&Client>, after: &Client) -> Result<()> {
        Self::judge(before.map_or(0, |client| self.of_client(client)), self.of_client(after))
    }

    fn judge(before: usize, after: usize) -> Result<()> {
        match after > TOKEN_MAX_BYTES && after > before {
            true => Err(Error::TokenTooLarge { bytes: after }),
            false => Ok(()),
        }
    }

    /// What every token has.
    fn claims(&self, client_id: &str, aud: Vec<String>) -> AccessClaims {
        AccessClaims {
            iss: self.0.issuer.clone(),
            aud,
            sub: client_id.to_owned(),
            exp: LARGE,
            iat: LARGE,
            nbf: None,
            jti: Uuid::max(),
            sid: None,
            sv: None,
            inc: LARGE.unsigned_abs(),
            client_id: client_id.to_owned(),
            email: None,
            email_verified: None,
            auth_time: None,
            amr: None,
            acr: None,
            roles: Vec::new(),
            scope: None,
            act: None,
            may_act: None,
            extra: serde_json::Map::new(),
        }
    }

    /// Header, claims and signature in base64url, with two points between (RFC 7515 3.1).
    fn length(&self, claims: &AccessClaims) -> usize {
        // The key's id is the thumbprint of 32 bytes (RFC 7638).
        let header =
            format!(r#"{{"typ":"{}","alg":"ES256","kid":"{}"}}"#, self.0.typ.as_str(), "k".repeat(43));
        let payload = serde_json::to_vec(claims).map_or(0, |payload| payload.len());
        [header.len(), payload, self.0.signature_bytes].map(encoded).iter().sum::<usize>() + 2
    }
}

/// Those of which a token may be for some.
fn listed<'a>(own: impl IntoIterator<Item = &'a str>, others: &'a Audiences) -> Vec<String> {
    own.into_iter().chain(others.iter()).map(str::to_owned).collect()
}

/// As many of them as a request may ask for, the longest.
fn longest(audiences: &[String]) -> Vec<String> {
    let mut longest = audiences.to_vec();
    longest.sort_by_key(|audience| std::cmp::Reverse(audience.len()));
    longest.truncate(Audiences::MAX_ASKED);
    longest
}

/// How long that many bytes are in base64url without padding (RFC 4648 5).
pub(super) const fn encoded(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}
