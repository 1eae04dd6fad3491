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
//! `HALLPASS_AUDIENCE` (the issuer; several with commas between), `HALLPASS_CLIENT_ID` and `HALLPASS_CLIENT_SECRET` (the sample
//! client of `hallpass dev`), `HALLPASS_REACH_AT` (where the issuer is reached, if not at its own URL)
//! and `HALLPASS_DANGER_ALLOW_HTTP` (`true`: without TLS, in a network where nobody listens).

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hallpass_verify::AccessClaims;
use hallpass_verify::client::{StalePolicy, Validator, ValidatorBuilder};
use hallpass_verify::guard::Guard;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::error::{MethodNotAllowedError, ReadBodyError};
use poem::http::uri::Scheme;
use poem::http::{HeaderMap, StatusCode, header};
use poem::web::{Data, Json, LocalAddr, RemoteAddr};
use poem::{Addr, Body, Endpoint, EndpointExt, IntoResponse, Request, Response, Route, get, handler};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The most bytes a book may have.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// The most characters each of its texts may have.
const TEXT_MAX_CHARS: usize = 200;
/// The most connections at once; whoever comes beyond waits.
const CONNECTIONS_MAX: usize = 1024;
/// How long requests may take to finish once the service was told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

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

impl Book {
    /// A book out of JSON, or what is wrong with it.
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let book: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let texts = [
            ("author", &book.author),
            ("country", &book.country),
            ("language", &book.language),
            ("title", &book.title),
        ];
        for (name, text) in texts {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                return Err(format!("`{name}` must be a line of text"));
            }
            if text.chars().count() > TEXT_MAX_CHARS {
                return Err(format!("`{name}` must have at most {TEXT_MAX_CHARS} characters"));
            }
        }
        Ok(book)
    }
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

/// How long clients may take.
#[derive(Clone, Copy)]
pub struct Patience {
    /// For a request's line and headers, from the connection or from the last answer on.
    pub head: Duration,
    /// For a body.
    pub body: Duration,
    /// For everything that a connection brings; a request that is under way then has this long again.
    pub connection: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(15),
            body: Duration::from_secs(10),
            connection: Duration::from_secs(120),
        }
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
async fn upload(
    claims: Data<&AccessClaims>,
    shelf: Data<&Shelf>,
    patience: Data<&Patience>,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    if claims.require_role("admin").is_err() {
        return refused(StatusCode::UNAUTHORIZED, "only administrators add books");
    }
    if !is_plain_json(headers) {
        return refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a book comes as application/json, not compressed",
        );
    }
    let bytes = match timeout(patience.0.body, body.into_bytes_limit(BODY_MAX_BYTES)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => {
            let message = format!("a book has at most {BODY_MAX_BYTES} bytes");
            return refused(StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        Ok(Err(_)) => return refused(StatusCode::BAD_REQUEST, "the body did not come to its end"),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    };
    match Book::parse(&bytes) {
        Ok(book) => shelf.0.0.write().unwrap_or_else(PoisonError::into_inner).push(book),
        Err(problem) => {
            return refused(StatusCode::BAD_REQUEST, &format!("this is no book: {problem}"));
        }
    }
    Json(json!({"message": "book uploaded"})).with_status(StatusCode::CREATED).into_response()
}

/// Whether a body is said to be JSON, once, and nothing has been done to it (`Content-Encoding`).
fn is_plain_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(media_type), None) = (types.next(), types.next()) else { return false };
    let essence = media_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
        && !headers.contains_key(header::CONTENT_ENCODING)
}

fn refused(status: StatusCode, message: &str) -> Response {
    Json(json!({"message": message})).with_status(status).into_response()
}

/// What the router refuses, in the shape of everything else.
async fn misrouted(error: poem::Error) -> Response {
    if error.is::<MethodNotAllowedError>() {
        let answer = refused(StatusCode::METHOD_NOT_ALLOWED, "books are got or posted");
        return answer.with_header(header::ALLOW, "GET, HEAD, POST").into_response();
    }
    match error.status() {
        StatusCode::NOT_FOUND => refused(StatusCode::NOT_FOUND, "the books are at /"),
        status => refused(status, status.canonical_reason().unwrap_or("this did not work")),
    }
}

/// The service, for whomever the validator lets in.
pub fn app(validator: Validator, patience: Patience) -> impl Endpoint<Output = Response> + 'static {
    let books = Route::new().at("/", get(list).post(upload)).catch_all_error(misrouted);
    books.data(Shelf::with_samples()).data(patience).with(Guard::new(validator)).map_to_response()
}

/// Takes connections until `stop` is ready, then waits for the requests that are under way. Written out
/// since poem's own server has no bound for heads: half a request would hold its connection for ever.
///
/// # Errors
/// The socket has no address.
pub async fn serve(
    listener: TcpListener,
    app: impl Endpoint<Output = Response> + 'static,
    patience: Patience,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let local = listener.local_addr()?;
    let (app, places) = (Arc::new(app), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let (tell, told) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, most likely: asking at once would only burn time.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (app, mut told) = (Arc::clone(&app), told.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let (local, remote) =
                    (LocalAddr(Addr::SocketAddr(local)), RemoteAddr(Addr::SocketAddr(peer)));
                let (app, request) =
                    (Arc::clone(&app), Request::from((request, local, remote, Scheme::HTTP)));
                async move { Ok::<hyper::Response<_>, Infallible>(app.get_response(request).await.into()) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(patience.head);
            let mut connection = pin!(server.serve_connection(TokioIo::<TcpStream>::new(stream), service));
            tokio::select! {
                // What goes wrong on a connection is its client's business.
                _ = connection.as_mut() => return,
                () = sleep(patience.connection) => {}
                _ = told.changed() => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = timeout(patience.connection, connection).await;
            drop(place);
        });
    }
    drop((listener, told));
    // The last connection that ends is the last that could be told.
    let _ = tell.send(());
    let _ = timeout(SHUTDOWN_GRACE, tell.closed()).await;
    Ok(())
}

/// A validator for tokens of which one of these audiences, with commas between, is enough.
pub fn validator_for(issuer: String, audiences: &str) -> ValidatorBuilder {
    let mut audiences = audiences.split(',').map(str::trim);
    let first = Validator::builder(issuer, audiences.next().unwrap_or_default());
    audiences.fold(first, |builder, audience| builder.another_audience(audience))
}

fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = setting("HALLPASS_ISSUER", "http://127.0.0.1:8080");
    let audiences = setting("HALLPASS_AUDIENCE", &issuer);
    // Lazily: this service may be up before its issuer, and answers 503 until it is.
    let mut builder = validator_for(issuer, &audiences)
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
    let patience = Patience::default();
    let app = app(builder.connect_lazy()?, patience);
    let listener = TcpListener::bind(setting("BOOKS_LISTEN", "127.0.0.1:8090")).await?;
    println!("books listens on {}", listener.local_addr()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    serve(listener, app, patience, stop).await?;
    Ok(())
}
