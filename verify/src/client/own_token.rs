//! The access token by which this service asks the issuer.

use std::time::Duration;

use hyper::header::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::credentials::sensitive;
use super::error::RequestError;
use super::http::{self, SHORT_ANSWER};
use super::issuer::Issuer;

/// What the feed asks for.
const SCOPE: &str = "revocations:read";
/// A token that ends sooner is not used any more.
const MARGIN: Duration = Duration::from_secs(10);
/// How long a token is used whose end the issuer does not tell.
const UNTOLD_LIFETIME: Duration = Duration::from_secs(60);

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
