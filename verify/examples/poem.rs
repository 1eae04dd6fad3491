//! A service with poem: everybody with a right token may greet, administrators may see how the
//! validator is doing.
//!
//! ```text
//! HALLPASS_ISSUER=http://127.0.0.1:8080 HALLPASS_CLIENT_ID=orders HALLPASS_CLIENT_SECRET=… \
//!     cargo run --example poem --features poem
//! curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:3000/greeting
//! ```

use std::env;
use std::error::Error;

use hallpass_verify::AccessClaims;
use hallpass_verify::client::{StalePolicy, Validator};
use hallpass_verify::guard::{Guard, Refusal};
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, Route, Server, get, handler};

#[handler]
fn greeting(claims: Data<&AccessClaims>) -> String {
    format!("hello {}", claims.sub)
}

/// What only some may do can also be asked within a handler.
#[handler]
fn status(claims: Data<&AccessClaims>, validator: Data<&Validator>) -> poem::Result<String> {
    claims.require_role("admin").map_err(Refusal::from)?;
    Ok(format!("{:?}", validator.status()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = env::var("HALLPASS_ISSUER")?;
    let audience = env::var("HALLPASS_AUDIENCE").unwrap_or_else(|_| issuer.clone());
    let validator = Validator::builder(issuer, audience)
        .credentials(env::var("HALLPASS_CLIENT_ID")?, env::var("HALLPASS_CLIENT_SECRET")?)
        .stale_policy(StalePolicy::Introspect)
        .connect_lazy()?;
    let app = Route::new()
        .at("/greeting", get(greeting))
        .at("/status", get(status))
        .with(Guard::new(validator.clone()))
        .data(validator);
    Server::new(TcpListener::bind("127.0.0.1:3000")).run(app).await?;
    Ok(())
}
