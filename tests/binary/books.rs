//! The example microservice, its routes and its server as they are, against the real service.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{Answer, Call, Client, Tokens, get, login, post};
use crate::process::{PATIENCE, Service, dev, eventually};

#[path = "../../examples/books.rs"]
#[expect(dead_code, reason = "its main reads settings for what is started here")]
mod example;

/// As its documentation says.
const BODY_MAX_BYTES: usize = 16 * 1024;

struct Books {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
    issuer: Service,
    admin: Tokens,
    member: Tokens,
    _folder: TempDir,
}

impl Books {
    async fn start(patience: example::Patience) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let issuer = dev(folder.path()).start();
        let url = format!("http://{}", issuer.address());
        // As its setting has them: one of these is enough.
        let audiences = format!("https://elsewhere.example.com, {url}");
        let builder = example::validator_for(url, &audiences).credentials("books", "books-dev-secret");
        eventually("it tells of revocations", async || issuer.client().tells_of_revocations().await).await;
        let validator = builder.max_staleness(PATIENCE).connect().await.expect("connected");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let stopping = async {
            // Whoever drops the other end wants it to stop as well.
            let _ = stopped.await;
        };
        let app = example::app(validator, patience);
        let ended = tokio::spawn(example::serve(listener, app, patience, stopping));
        let client = issuer.client();
        let admin = Tokens::of(&client.send(login("johndoe@example.com", "password")).await);
        let member = client.logged_in("ada@example.com").await;
        Self { address, stop, ended, issuer, admin, member, _folder: folder }
    }

    async fn started() -> Self {
        Self::start(example::Patience::default()).await
    }

    async fn send(&self, call: Call) -> Answer {
        Client::new(self.address).send(call).await
    }

    /// An administrator's post of this text, said to be of this type.
    async fn upload(&self, media_type: &str, text: impl Into<String>) -> Answer {
        let call = post("/").bearer(&self.admin.access).header("content-type", media_type);
        self.send(call.body(text.into())).await
    }

    async fn titles(&self) -> Vec<String> {
        let answer = self.send(get("/").bearer(&self.member.access)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let books = answer.json();
        let title = |book: &Value| book["title"].as_str().expect("a title").to_owned();
        books.as_array().expect("a list").iter().map(title).collect()
    }
}

fn book() -> Value {
    json!({
        "author": "Ursula K. Le Guin", "country": "United States", "language": "English",
        "pages": 341, "title": "The Dispossessed", "year": 1974,
    })
}

fn assert_refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    assert!(answer.json()["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
}

#[tokio::test]
async fn members_read_the_shelf_and_administrators_add_to_it() {
    let books = Books::started().await;
    assert_eq!(books.titles().await, ["Things Fall Apart", "Solaris"]);
    let shown = books.send(get("/").bearer(&books.admin.access)).await.json();
    assert_eq!(
        shown[1],
        json!({
            "author": "Stanisław Lem", "country": "Poland", "language": "Polish",
            "pages": 204, "title": "Solaris", "year": 1961,
        })
    );

    let refused = books.send(post("/").bearer(&books.member.access).json(&book())).await;
    assert_refused(&refused, 401);
    // Whoever may not add books is not told what is wrong with theirs.
    assert_refused(&books.send(post("/").bearer(&books.member.access).body("{")).await, 401);
    let added = books.upload("Application/JSON; charset=utf-8", book().to_string()).await;
    assert_eq!((added.status, added.json()), (StatusCode::CREATED, json!({"message": "book uploaded"})));
    assert_eq!(books.titles().await, ["Things Fall Apart", "Solaris", "The Dispossessed"]);

    for call in [get("/"), post("/").json(&book()), get("/elsewhere")] {
        books.send(call).await.assert_problem(401, "authentication_required");
    }
    assert_eq!(books.issuer.client().log_out(&books.member.access).await.status, StatusCode::OK);
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let seen = async {
        while books.send(get("/").bearer(&books.member.access)).await.status != StatusCode::UNAUTHORIZED {
            look.tick().await;
        }
    };
    timeout(PATIENCE, seen).await.expect("the log out is seen");
}

#[tokio::test]
async fn what_is_no_book_is_refused_with_what_is_wrong() {
    let books = Books::started().await;
    let with = |name: &str, value: Value| {
        let mut book = book();
        book[name] = value;
        book.to_string()
    };
    let mut without = book();
    without.as_object_mut().expect("an object").remove("title");
    let twice = with("year", json!(1)).replacen('{', "{\"year\": 2,", 1);
    for (body, named) in [
        ("{".to_owned(), "EOF"),
        (String::new(), "EOF"),
        ("null".to_owned(), "null"),
        (format!("{} {{}}", book()), "trailing"),
        (without.to_string(), "title"),
        (twice, "year"),
        (with("isbn", json!("0-06-012563-2")), "isbn"),
        (with("pages", json!("341")), "invalid type"),
        (with("pages", json!(-1)), "invalid value"),
        (with("title", json!(" ")), "title"),
        (with("author", json!("a\nb")), "author"),
        (with("country", json!("x".repeat(201))), "country"),
    ] {
        let answer = books.upload("application/json", body.clone()).await;
        assert_refused(&answer, 400);
        assert!(answer.text().contains(named), "{body}: {answer:?}");
    }
    let not_utf8 = post("/").bearer(&books.admin.access).header("content-type", "application/json");
    assert_refused(&books.send(not_utf8.body(&b"{\"title\": \"\xff\"}"[..])).await, 400);

    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        assert_refused(&books.upload(media_type, book().to_string()).await, 415);
    }
    let untyped = post("/").bearer(&books.admin.access).body(book().to_string());
    assert_refused(&books.send(untyped.clone()).await, 415);
    let json = untyped.header("content-type", "application/json");
    assert_refused(&books.send(json.clone().header("content-type", "text/plain")).await, 415);
    assert_refused(&books.send(json.header("content-encoding", "gzip")).await, 415);

    assert_eq!(books.titles().await, ["Things Fall Apart", "Solaris"], "nothing came of it");
}

#[tokio::test]
async fn a_book_has_a_bound_to_the_byte() {
    let books = Books::started().await;
    let padded = |bytes: usize| format!("{:<bytes$}", book().to_string());
    let at_the_bound = books.upload("application/json", padded(BODY_MAX_BYTES)).await;
    assert_eq!(at_the_bound.status, StatusCode::CREATED, "{at_the_bound:?}");
    assert_refused(&books.upload("application/json", padded(BODY_MAX_BYTES + 1)).await, 413);
}

#[tokio::test]
async fn other_addresses_and_methods_are_refused_in_the_same_shape() {
    let books = Books::started().await;
    let member = &books.member.access;
    assert_refused(&books.send(get("/elsewhere").bearer(member)).await, 404);
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = books.send(Call::new(method, "/").bearer(member)).await;
        assert_refused(&answer, 405);
        assert_eq!(answer.header("allow"), "GET, HEAD, POST");
    }
    let head = books.send(Call::new(Method::HEAD, "/").bearer(member)).await;
    assert_eq!((head.status, head.text()), (StatusCode::OK, ""));
}

/// Sends bytes and reads to the end of the connection.
async fn reply(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes.as_bytes()).await.expect("they go out");
    let mut reply = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("an end");
    String::from_utf8_lossy(&reply).into_owned()
}

#[tokio::test]
async fn nobody_holds_a_connection_by_being_slow() {
    let short = Duration::from_millis(300);
    let patience = example::Patience { head: short, ..example::Patience::default() };
    let books = Books::start(patience).await;
    for bytes in ["", "GET / HTTP/1.1\r\nHost: loc"] {
        let reply = reply(books.address, bytes).await;
        assert!(!reply.contains(" 200 "), "{bytes:?}: {reply}");
    }
    let bearer = format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", books.admin.access);
    let idle = reply(books.address, &format!("GET / HTTP/1.1\r\n{bearer}\r\n")).await;
    assert!(idle.starts_with("HTTP/1.1 200 "), "answered, then closed: {idle}");

    let patience = example::Patience { body: short, ..example::Patience::default() };
    let books = Books::start(patience).await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{",
        books.admin.access
    );
    let slow = reply(books.address, &head).await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && slow.contains("in time"), "{slow}");

    let patience = example::Patience { connection: short, ..example::Patience::default() };
    let books = Books::start(patience).await;
    let old = reply(books.address, "").await;
    assert_eq!(old, "", "closed though its head had longer");
}

#[tokio::test]
async fn it_stops_when_the_requests_under_way_are_answered() {
    let books = Books::started().await;
    let mut stream = TcpStream::connect(books.address).await.expect("a connection");
    let text = book().to_string();
    let (first, second) = text.split_at(20);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        books.admin.access,
        text.len()
    );
    stream.write_all(head.as_bytes()).await.expect("they go out");
    let mut go_on = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut go_on)).await.expect("in time").expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(first.as_bytes()).await.expect("they go out");

    books.stop.send(()).expect("it runs");
    let refused = async {
        while TcpStream::connect(books.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.expect("nobody comes any more");
    stream.write_all(second.as_bytes()).await.expect("they go out");
    let mut reply = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut reply)).await.expect("an end").expect("an answer");
    let reply = String::from_utf8_lossy(&reply);
    assert!(reply.starts_with("HTTP/1.1 201 "), "{reply}");
    timeout(PATIENCE, books.ended).await.expect("it ends").expect("no panic").expect("well");
}
