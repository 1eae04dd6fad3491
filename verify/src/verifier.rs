use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::claims::{AccessClaims, Extra};
use crate::jws::UnverifiedToken;
use crate::keys::KeySet;
use crate::rejection::Rejection;

/// The longest token that is looked at, in bytes.
pub(crate) const TOKEN_MAX_BYTES: usize = 8 * 1024;

/// Five seconds: what two machines with a time service differ by, at worst.
pub(crate) const DEFAULT_LEEWAY: Duration = Duration::from_secs(5);

/// What an access token's header must name as `typ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068 2.1), which keeps other signed JWTs of the issuer out.
    #[default]
    AtJwt,
    /// `JWT`, for issuers whose other validators refuse `at+jwt`.
    Jwt,
}

impl TokenType {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtJwt => "at+jwt",
            Self::Jwt => "JWT",
        }
    }

    /// Media types compare without case, and `application/` may be left out (RFC 7515 4.1.9).
    fn accepts(self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else { return false };
        let lower = typ.to_ascii_lowercase();
        let short = lower.strip_prefix("application/").unwrap_or(&lower);
        short.eq_ignore_ascii_case(self.as_str())
    }
}

/// A token whose signature and claims are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// What it claims.
    pub claims: AccessClaims,
    /// The id of the key that signed it: a key can be taken back as well.
    pub kid: &'a str,
}

/// Checks signature and claims of access tokens.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: KeySet,
    issuer: String,
    /// One of them is enough; `None` where any token of the issuer will do.
    audiences: Option<Vec<String>>,
    token_type: TokenType,
    leeway: Duration,
}

impl Verifier {
    /// A verifier of tokens that `issuer` issued for `audience`; both are compared to the letter.
    pub fn new(keys: KeySet, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            keys,
            issuer: issuer.into(),
            audiences: Some(vec![audience.into()]),
            token_type: TokenType::default(),
            leeway: DEFAULT_LEEWAY,
        }
    }

    /// The `typ` that tokens must have; `at+jwt` unless set.
    #[must_use]
    pub fn with_token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// The same rules with other keys.
    #[must_use]
    pub fn with_keys(mut self, keys: KeySet) -> Self {
        self.keys = keys;
        self
    }

    /// How many keys there are.
    #[cfg(feature = "client")]
    pub(crate) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// How far the issuer's clock and this machine's may differ; five seconds unless set.
    #[must_use]
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The same rules for another audience.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences = Some(vec![audience.into()]);
        self
    }

    /// The same rules for one audience more: a token for any of them will do.
    #[must_use]
    pub fn with_another_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.get_or_insert_default().push(audience.into());
        self
    }

    /// The same rules for whomever a token is for: the issuer looks so at what is to be ended, and nobody else should.
    #[must_use]
    pub fn with_any_audience(mut self) -> Self {
        self.audiences = None;
        self
    }

    fn is_for_us(&self, claims: &AccessClaims) -> bool {
        let Some(ours) = &self.audiences else { return true };
        claims.aud.iter().any(|audience| ours.contains(audience))
    }

    /// Checks a token at `now`.
    ///
    /// # Errors
    /// A [`Rejection`]; its text may be shown to the client, it quotes nothing of the token.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<AccessClaims, Rejection> {
        self.verify_keyed(token, now).map(|verified| verified.claims)
    }

    /// The same, and says which key signed the token, for [`Denylist::is_revoked`](crate::Denylist::is_revoked).
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_keyed(&self, token: &str, now: SystemTime) -> Result<Verified<'_>, Rejection> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Rejection::TooLong);
        }
        let token = UnverifiedToken::parse(token)?;
        let (kid, key) =
            token.header.kid().and_then(|kid| self.keys.find(kid)).ok_or(Rejection::UnknownKey)?;
        let mut claims: AccessClaims = token.verify(key)?;
        claims.extra = token.read_again::<Extra>().unwrap_or_default().0;
        if !self.token_type.accepts(token.header.typ()) {
            return Err(Rejection::WrongType);
        }
        if claims.iss != self.issuer {
            return Err(Rejection::WrongIssuer);
        }
        if !self.is_for_us(&claims) {
            return Err(Rejection::WrongAudience);
        }
        // A security event is told by its number alone: it could not concern this token.
        if claims.sid.is_some() && claims.sv.is_none() {
            return Err(Rejection::Unversioned);
        }
        self.check_times(&claims, now)?;
        Ok(Verified { claims, kid })
    }

    /// The one place that compares a token's times (RFC 7519 4.1.4 to 4.1.6).
    pub(crate) fn check_times(&self, claims: &AccessClaims, now: SystemTime) -> Result<(), Rejection> {
        let now = unix_seconds(now);
        let leeway = self.leeway_seconds();
        let latest_start = now.saturating_add(leeway);
        if claims.iat > latest_start || claims.nbf.is_some_and(|begins| begins > latest_start) {
            return Err(Rejection::NotYetValid);
        }
        if now >= claims.exp.saturating_add(leeway) {
            return Err(Rejection::Expired(Box::new(claims.clone())));
        }
        Ok(())
    }

    fn leeway_seconds(&self) -> i64 {
        i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Whole seconds, rounded down; a clock before 1970 accepts nothing.
pub(crate) fn unix_seconds(now: SystemTime) -> i64 {
    now.duration_since(UNIX_EPOCH).ok().and_then(|age| i64::try_from(age.as_secs()).ok()).unwrap_or(i64::MIN)
}
