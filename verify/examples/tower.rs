//! A service with hyper and a tower layer; with axum it is `Router::layer(guard)`.
//!
//! ```text
//! HALLPASS_ISSUER=http://127.0.0.1:8080 HALLPASS_CLIENT_ID=orders HALLPASS_CLIENT_SECRET=… \
//!     cargo run --example tower --features tower
//! curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:3000/
//! ```

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use hallpass_verify::AccessClaims;
use hallpass_verify::client::Validator;
use hallpass_verify::guard::Guard;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower_layer::Layer;
use tower_service::Service;

/// The service itself. It need not know how the caller became known.
#[derive(Clone)]
struct Greeter;

impl Service<Request<Incoming>> for Greeter {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let name = request.extensions().get::<AccessClaims>().map_or("nobody", |claims| &claims.sub);
        ready(Ok(Response::new(format!("hello {name}\n"))))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = env::var("HALLPASS_ISSUER")?;
    let audience = env::var("HALLPASS_AUDIENCE").unwrap_or_else(|_| issuer.clone());
    let validator = Validator::builder(issuer, audience)
        .credentials(env::var("HALLPASS_CLIENT_ID")?, env::var("HALLPASS_CLIENT_SECRET")?)
        .connect()
        .await?;
    let service = Guard::new(validator).layer(Greeter);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    loop {
        let (connection, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}
