//! Who this service is to the issuer.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::error::RequestError;
use super::http::{self, SHORT_ANSWER};
use super::issuer::Issuer;

/// What the feed asks for.
const SCOPE: &str = "revocations:read";
/// A token that ends sooner is not used any more.
const MARGIN: Duration = Duration::from_secs(10);
/// How long a token is used whose end the issuer does not tell.
const UNTOLD_LIFETIME: Duration = Duration::from_secs(60);

/// The secret of a client. It cannot be shown.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Takes a secret as it was given out.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// A client's name and secret.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: ClientSecret,
}

impl Credentials {
    /// The value of `Authorization` (RFC 6749 2.3.1: both parts are form-encoded first).
    pub(crate) fn basic(&self) -> Result<HeaderValue, RequestError> {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encode(&self.id), encode(&self.secret.0)));
        sensitive(&format!("Basic {pair}"))
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, RequestError> {
    let mut value = HeaderValue::from_str(value).map_err(RequestError::unreadable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// This service's own access token, kept while it lasts.
#[derive(Debug, Default)]
pub(crate) struct OwnToken {
    held: Option<(HeaderValue, Instant)>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: Option<u64>,
}

impl OwnToken {
    /// The value of `Authorization`, with a token that was fetched now or before.
    pub(crate) async fn bearer(
        &mut self,
        issuer: &Issuer,
        endpoint: &Url,
    ) -> Result<HeaderValue, RequestError> {
        if let Some((bearer, end)) = &self.held
            && Instant::now() < *end
        {
            return Ok(bearer.clone());
        }
        let (bearer, end) = fetch(issuer, endpoint).await?;
        self.held = Some((bearer.clone(), end));
        Ok(bearer)
    }

    /// The issuer takes it no longer.
    pub(crate) fn forget(&mut self) {
        self.held = None;
    }
}

async fn fetch(issuer: &Issuer, endpoint: &Url) -> Result<(HeaderValue, Instant), RequestError> {
    let credentials =
        issuer.credentials.as_ref().ok_or_else(|| RequestError::unreadable("there are no credentials"))?;
    let asked_at = Instant::now();
    let fields = [("grant_type", "client_credentials"), ("scope", SCOPE)];
    let request = http::post_form(endpoint, credentials.basic()?, &fields)?;
    let answer: TokenAnswer = issuer.send(request, SHORT_ANSWER).await?.ok()?.json()?;
    let lifetime = answer.expires_in.map_or(UNTOLD_LIFETIME, Duration::from_secs);
    let end = asked_at.checked_add(lifetime.saturating_sub(MARGIN)).unwrap_or(asked_at);
    Ok((sensitive(&format!("Bearer {}", answer.access_token))?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let credentials = Credentials { id: "orders".to_owned(), secret: "hush".into() };
        assert!(!format!("{credentials:?}").contains("hush"));
        let shown = format!("{:?}", credentials.basic().expect("a header value"));
        assert_eq!(shown, "Sensitive");
    }

    #[test]
    fn both_parts_are_form_encoded_before_they_are_joined() {
        let credentials = Credentials { id: "a:b c".to_owned(), secret: "s%/ü".into() };
        let value = credentials.basic().expect("a header value");
        let pair = value.to_str().expect("text").strip_prefix("Basic ").expect("the scheme");
        assert_eq!(STANDARD.decode(pair).expect("base64"), b"a%3Ab+c:s%25%2F%C3%BC");
    }
}
