//! Asking the issuer about one token (RFC 7662), while the feed is not to be trusted.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use super::error::RequestError;
use super::http::{self, SHORT_ANSWER};
use super::issuer::Issuer;

/// How many tokens are asked about at once: an issuer in trouble is not to be flooded by its clients.
const AT_ONCE: usize = 64;

pub(crate) struct Introspection {
    issuer: Arc<Issuer>,
    slots: Semaphore,
    /// The longest that a caller waits, queue included.
    patience: Duration,
}

#[derive(Deserialize)]
struct Answer {
    active: bool,
}

impl Introspection {
    pub(crate) fn new(issuer: Arc<Issuer>, patience: Duration) -> Self {
        Self { issuer, slots: Semaphore::new(AT_ONCE), patience }
    }

    /// Whether the issuer says that the token stands.
    pub(crate) async fn is_active(&self, endpoint: &Url, token: &str) -> Result<bool, RequestError> {
        timeout(self.patience, self.ask(endpoint, token)).await.map_err(|_| RequestError::TimedOut)?
    }

    async fn ask(&self, endpoint: &Url, token: &str) -> Result<bool, RequestError> {
        let credentials = self.issuer.credentials.as_ref();
        let credentials = credentials.ok_or_else(|| RequestError::unreadable("there are no credentials"))?;
        let _slot = self.slots.acquire().await.map_err(RequestError::unreachable)?;
        let fields = [("token", token), ("token_type_hint", "access_token")];
        let request = http::post_form(endpoint, credentials.basic()?, &fields)?;
        let answer: Answer = self.issuer.send(request, SHORT_ANSWER).await?.ok()?.json()?;
        Ok(answer.active)
    }
}
