//! One kept-alive connection to a service, and how long its answers take.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a service may say in a row that it cannot answer just now.
const BUSY_MAX: u32 = 10;

/// How long to wait when it does: what `Retry-After` says at least.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Headers that differ from answer to answer in any case.
const PASSING_HEADERS: [&str; 2] = ["date", "x-request-id"];

/// The field of a reset token, where the service answers one: always another.
const TOKEN_FIELD: &str = "passwordResetToken";

/// Why a service cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("the service at {0} cannot be reached")]
    Unreachable(String, #[source] std::io::Error),
    #[error("the service at {0} did not answer as HTTP wants it")]
    Http(String, #[source] hyper::Error),
    #[error("the request cannot be built")]
    Request(#[from] hyper::http::Error),
    #[error("the service did not answer within {secs} s", secs = TIMEOUT.as_secs())]
    Silent,
    #[error(
        "the service limits the rate of requests (429), so there is nothing to measure: run this against a service \
         that was started with HALLPASS_RATE_LIMITS__ENABLED=false"
    )]
    RateLimited,
    #[error("the service cannot do its work (503), {BUSY_MAX} times in a row: see its log")]
    Busy,
    #[error("{path} was answered with the status {status}, which is not that of a measurable answer", status = .status.as_u16())]
    Unexpected { path: &'static str, status: StatusCode },
}

/// What an answer shows to whoever asked, but for what differs in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub status: StatusCode,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A connection that is kept alive, and made again when the service has closed it.
pub(super) struct Client {
    authority: String,
    base_path: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client of the service with this `host:port`, whose API is below `base_path`.
    pub fn new(authority: String, base_path: &str) -> Self {
        Self { authority, base_path: base_path.trim_end_matches('/').to_owned(), sender: None }
    }

    /// Posts a body, waiting while the service is too busy; answers what came and how long it took.
    pub async fn post(
        &mut self,
        path: &'static str,
        body: &Value,
        expected: StatusCode,
    ) -> Result<(Shown, Duration), ClientError> {
        for _ in 0..BUSY_MAX {
            let (shown, took) = match tokio::time::timeout(TIMEOUT, self.once(path, body)).await {
                Ok(answer) => answer?,
                Err(_) => return Err(ClientError::Silent),
            };
            match shown.status {
                status if status == expected => return Ok((shown, took)),
                StatusCode::TOO_MANY_REQUESTS => return Err(ClientError::RateLimited),
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(BUSY_PAUSE).await,
                status => return Err(ClientError::Unexpected { path, status }),
            }
        }
        Err(ClientError::Busy)
    }

    async fn once(&mut self, path: &str, body: &Value) -> Result<(Shown, Duration), ClientError> {
        let request = Request::post(format!("{}{path}", self.base_path))
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))?;
        let authority = self.authority.clone();
        let broken = |error| ClientError::Http(authority.clone(), error);
        let sender = self.connection().await?;
        let began = Instant::now();
        let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        let took = began.elapsed();
        let headers = parts
            .headers
            .iter()
            .filter(|(name, _)| !PASSING_HEADERS.contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Ok((Shown { status: parts.status, headers, body: without_token(&body) }, took))
    }

    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ClientError> {
        if let Some(sender) = self.sender.take()
            && !sender.is_closed()
        {
            return Ok(self.sender.insert(sender));
        }
        let unreachable = |error| ClientError::Unreachable(self.authority.clone(), error);
        let stream = TcpStream::connect(&self.authority).await.map_err(unreachable)?;
        // A small request shall not wait for the acknowledgement of an earlier one.
        stream.set_nodelay(true).map_err(unreachable)?;
        let broken = |error| ClientError::Http(self.authority.clone(), error);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with the service's side, or with the runtime.
        tokio::spawn(connection);
        let sender = self.sender.insert(sender);
        sender.ready().await.map_err(|error| ClientError::Http(self.authority.clone(), error))?;
        Ok(sender)
    }
}

/// The body with a reset token cut down to its length.
fn without_token(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body).into_owned();
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else { return text };
    match json.get_mut(TOKEN_FIELD) {
        Some(token) => {
            *token = Value::from(token.as_str().map(str::len));
            json.to_string()
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_token_counts_by_its_length() {
        let body = |token| format!(r#"{{"message":"m","passwordResetToken":"{token}"}}"#);
        assert_eq!(without_token(body("abc").as_bytes()), without_token(body("xyz").as_bytes()));
        assert_ne!(without_token(body("abc").as_bytes()), without_token(body("abcd").as_bytes()));
        assert_eq!(without_token(br#"{"message":"m"}"#), r#"{"message":"m"}"#);
    }
}
