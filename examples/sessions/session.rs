use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::sync::Mutex;

use crate::hallpass::types::{ErrorCode, LoginRequest, Problem, RefreshRequest};
use crate::hallpass::{Client, Error, ResponseValue};

type Answer<T> = Result<ResponseValue<T>, Error<Problem>>;

/// A login. What it calls has an access token that is always a live one.
pub struct Session {
    base_url: String,
    tokens: Mutex<Tokens>,
}

struct Tokens {
    client: Client,
    access: String,
    refresh: String,
}

impl Session {
    pub async fn log_in(base_url: &str, who: &LoginRequest) -> Result<Self, Error<Problem>> {
        let login = patiently(async || Client::new(base_url).login(who).await).await?.into_inner();
        let tokens = Mutex::new(Tokens::new(base_url, login.access_token, login.refresh_token));
        Ok(Self { base_url: base_url.to_owned(), tokens })
    }

    pub async fn call<T>(&self, operation: impl AsyncFn(&Client) -> Answer<T>) -> Answer<T> {
        let (client, used) = self.tokens.lock().await.current();
        match patiently(async || operation(&client).await).await {
            Err(Error::ErrorResponse(refusal)) if refusal.code == ErrorCode::TokenExpired => {
                let client = self.refresh_once(&used).await?;
                patiently(async || operation(&client).await).await
            }
            answer => answer,
        }
    }

    async fn refresh_once(&self, used: &str) -> Result<Client, Error<Problem>> {
        let mut tokens = self.tokens.lock().await; // one refresh, however many calls wait for it
        if tokens.access == used {
            let body = RefreshRequest { refresh_token: Some(tokens.refresh.clone()), resource: None };
            let pair = patiently(async || tokens.client.refresh_token(&body).await).await?.into_inner();
            *tokens = Tokens::new(&self.base_url, pair.access_token, pair.refresh_token);
        }
        Ok(tokens.client.clone())
    }
}

impl Tokens {
    fn new(base_url: &str, access: String, refresh: String) -> Self {
        let bearer = HeaderValue::try_from(format!("Bearer {access}")).expect("a token is plain text");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let client = reqwest::Client::builder().default_headers(headers).build().expect("no odd settings");
        Self { client: Client::new_with_client(base_url, client), access, refresh }
    }

    fn current(&self) -> (Client, String) {
        (self.client.clone(), self.access.clone())
    }
}

/// Calls, and again after a 503.
async fn patiently<T>(call: impl AsyncFn() -> Answer<T>) -> Answer<T> {
    for _ in 0..4 {
        match call().await {
            Err(Error::ErrorResponse(refusal))
                if refusal.status() == 503 && refusal.code != ErrorCode::RevocationPending =>
            {
                let seconds =
                    refusal.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(1))).await;
            }
            answer => return answer,
        }
    }
    call().await
}
