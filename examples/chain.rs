//! A service in a chain: it says by whom it was called, and calls the next one on behalf of that user (docs/tokens.md).
//! Run three times with settings of their own, it is a gateway, a service of orders and one of bills.
//!
//! Each knows itself by a client of the issuer with the scope `revocations:read`; those that call a next one may
//! exchange tokens, and ask for the next one's audience:
//!
//! ```text
//! hallpass clients create gateway --scopes revocations:read --allow-audience https://orders.example.com --exchange
//! hallpass clients create orders --scopes revocations:read --audience https://orders.example.com \
//!   --allow-audience https://billing.example.com --exchange
//! hallpass clients create billing --scopes revocations:read --audience https://billing.example.com
//!
//! cargo run --release --example chain        # with the settings of each
//! curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8091/
//! ```
//!
//! Settings: `CHAIN_LISTEN` (127.0.0.1:8091), `HALLPASS_ISSUER` (http://127.0.0.1:8080), `HALLPASS_AUDIENCE` (the issuer),
//! `HALLPASS_CLIENT_ID`, `HALLPASS_CLIENT_SECRET`; and of a service that calls another `NEXT_ADDRESS` (127.0.0.1:8092) and
//! `NEXT_AUDIENCE`.

use std::env;
use std::error::Error;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass_verify::AccessClaims;
use hallpass_verify::client::Validator;
use hallpass_verify::guard::Guard;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use poem::http::{StatusCode, Uri, header};
use poem::listener::TcpListener;
use poem::web::{Data, Json};
use poem::{Endpoint, EndpointExt, IntoResponse, Response, Route, Server, get, handler};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::form_urlencoded::Serializer;

type Failed = Box<dyn Error + Send + Sync>;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A service that is called next, and how a token for it is had.
#[derive(Clone)]
pub struct Next {
    /// Where it listens.
    pub address: String,
    /// Whom its tokens are for.
    pub audience: String,
    /// Where tokens are exchanged.
    pub issuer: String,
    /// Who asks for one, and the secret that proves it.
    pub client: (String, String),
}

impl Next {
    /// What the next service says to whoever calls by this token, which is for us.
    async fn call(&self, token: &str) -> Result<Value, Failed> {
        let token = self.exchange(token).await?;
        let request = Request::get("/").header(header::AUTHORIZATION, format!("Bearer {token}"));
        send(&self.address, request.body(String::new())?).await
    }

    /// A token of the same user that is for the next service.
    async fn exchange(&self, token: &str) -> Result<String, Failed> {
        let issuer: Uri = self.issuer.parse()?;
        let form = Serializer::new(String::new())
            .append_pair("grant_type", GRANT)
            .append_pair("subject_token", token)
            .append_pair("subject_token_type", ACCESS_TOKEN)
            .append_pair("resource", &self.audience)
            .finish();
        let (id, secret) = &self.client;
        let request = Request::post(format!("{}/oauth2/token", issuer.path().trim_end_matches('/')))
            .header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)?;
        let answer = send(issuer.authority().ok_or("the issuer has no address")?.as_str(), request).await?;
        Ok(answer["access_token"].as_str().ok_or("the answer has no token")?.to_owned())
    }
}

/// Sends a request, in a network where nobody listens, and answers the JSON that comes back.
async fn send(address: &str, mut request: Request<String>) -> Result<Value, Failed> {
    request.headers_mut().insert(header::HOST, address.parse()?);
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let answer = sender.send_request(request.map(Full::<bytes::Bytes>::from)).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    match status.is_success() {
        true => Ok(serde_json::from_slice(&body)?),
        false => Err(format!("{address} answered {status}").into()),
    }
}

/// Who called, and on whose behalf; and what the next service says of the same.
#[handler]
async fn whoami(
    request: &poem::Request,
    claims: Data<&AccessClaims>,
    next: Data<&Arc<Option<Next>>>,
) -> Response {
    let mut said = json!({
        "audience": claims.aud,
        "user": claims.sub,
        "actors": claims.actors().collect::<Vec<_>>(),
    });
    if let Some(next) = &**next.0 {
        let token = request.header(header::AUTHORIZATION).and_then(|value| value.split_once(' '));
        match next.call(token.map_or("", |(_, token)| token.trim())).await {
            Ok(answer) => said["next"] = answer,
            Err(error) => {
                eprintln!("the next service cannot be called: {error}");
                return StatusCode::BAD_GATEWAY.into_response();
            }
        }
    }
    Json(said).into_response()
}

/// The service, for whom the validator lets in.
pub fn app(validator: Validator, next: Option<Next>) -> impl Endpoint<Output = Response> + 'static {
    let routes = Route::new().at("/", get(whoami)).data(Arc::new(next));
    routes.with(Guard::new(validator)).map_to_response()
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = setting("HALLPASS_ISSUER", "http://127.0.0.1:8080");
    let client = (env::var("HALLPASS_CLIENT_ID")?, env::var("HALLPASS_CLIENT_SECRET")?);
    let next = env::var("NEXT_AUDIENCE").ok().map(|audience| Next {
        address: setting("NEXT_ADDRESS", "127.0.0.1:8092"),
        audience,
        issuer: issuer.clone(),
        client: client.clone(),
    });
    let audience = setting("HALLPASS_AUDIENCE", &issuer);
    let validator =
        Validator::builder(issuer, audience).credentials(client.0, client.1.as_str()).connect_lazy()?;
    let listener = TcpListener::bind(setting("CHAIN_LISTEN", "127.0.0.1:8091"));
    Server::new(listener).run(app(validator, next)).await?;
    Ok(())
}
