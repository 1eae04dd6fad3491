//! A microservice behind hallpass: a shelf of books that everybody who is logged in may read and
//! administrators may add to. It checks tokens on its own, and learns of every logout.
//!
//! ```text
//! cargo run --release -- dev                    # the issuer, with this service's client
//! cargo run --release --example books           # this service
//! curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8090/
//! ```
//!
//! Settings: `BOOKS_LISTEN` (127.0.0.1:8090), `HALLPASS_ISSUER` (http://127.0.0.1:8080),
//! `HALLPASS_AUDIENCE` (the issuer), `HALLPASS_CLIENT_ID` and `HALLPASS_CLIENT_SECRET` (the sample
//! client of `hallpass dev`), `HALLPASS_REACH_AT` (where the issuer is reached, if not at its own URL)
//! and `HALLPASS_DANGER_ALLOW_HTTP` (`true`: without TLS, in a network where nobody listens).

use std::env;
use std::error::Error;
use std::sync::{Arc, PoisonError, RwLock};

use hallpass_verify::AccessClaims;
use hallpass_verify::client::{StalePolicy, Validator};
use hallpass_verify::guard::Guard;
use poem::http::StatusCode;
use poem::listener::TcpListener;
use poem::web::{Data, Json};
use poem::{Body, EndpointExt, IntoResponse, Response, Route, Server, get, handler};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A book on the shelf.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    author: String,
    country: String,
    language: String,
    pages: u32,
    title: String,
    year: i32,
}

#[derive(Clone)]
struct Shelf(Arc<RwLock<Vec<Book>>>);

impl Shelf {
    fn with_samples() -> Self {
        let book = |author: &str, country: &str, language: &str, pages, title: &str, year| Book {
            author: author.to_owned(),
            country: country.to_owned(),
            language: language.to_owned(),
            pages,
            title: title.to_owned(),
            year,
        };
        Self(Arc::new(RwLock::new(vec![
            book("Chinua Achebe", "Nigeria", "English", 209, "Things Fall Apart", 1958),
            book("Stanisław Lem", "Poland", "Polish", 204, "Solaris", 1961),
        ])))
    }
}

/// For everybody with a role.
#[handler]
fn list(claims: Data<&AccessClaims>, shelf: Data<&Shelf>) -> Response {
    if claims.roles.is_empty() {
        return refused(StatusCode::FORBIDDEN, "this is for people");
    }
    Json(&*shelf.0.0.read().unwrap_or_else(PoisonError::into_inner)).into_response()
}

/// For administrators. A member is told 401, as the service that this one replaces does.
#[handler]
async fn upload(claims: Data<&AccessClaims>, shelf: Data<&Shelf>, body: Body) -> Response {
    if claims.require_role("admin").is_err() {
        return refused(StatusCode::UNAUTHORIZED, "only administrators add books");
    }
    let Ok(book) = body.into_json::<Book>().await else {
        return refused(StatusCode::BAD_REQUEST, "this is no book");
    };
    shelf.0.0.write().unwrap_or_else(PoisonError::into_inner).push(book);
    Json(json!({"message": "book uploaded"})).with_status(StatusCode::CREATED).into_response()
}

fn refused(status: StatusCode, message: &str) -> Response {
    Json(json!({"message": message})).with_status(status).into_response()
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = setting("HALLPASS_ISSUER", "http://127.0.0.1:8080");
    let audience = setting("HALLPASS_AUDIENCE", &issuer);
    // Lazily: this service may be up before its issuer, and answers 503 until it is.
    let mut builder = Validator::builder(issuer, audience)
        .credentials(
            setting("HALLPASS_CLIENT_ID", "books"),
            setting("HALLPASS_CLIENT_SECRET", "books-dev-secret"),
        )
        .stale_policy(StalePolicy::Introspect);
    if let Ok(url) = env::var("HALLPASS_REACH_AT") {
        builder = builder.reach_at(url);
    }
    if setting("HALLPASS_DANGER_ALLOW_HTTP", "false") == "true" {
        builder = builder.danger_allow_http();
    }
    let validator = builder.connect_lazy()?;
    let app =
        Route::new().at("/", get(list).post(upload)).with(Guard::new(validator)).data(Shelf::with_samples());
    let listen = setting("BOOKS_LISTEN", "127.0.0.1:8090");
    println!("books listens on {listen}");
    Server::new(TcpListener::bind(listen)).run(app).await?;
    Ok(())
}
