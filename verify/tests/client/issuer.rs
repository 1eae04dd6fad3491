//! An issuer that can be told to fail.

use std::collections::HashMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use poem::endpoint::make;
use poem::http::{StatusCode, header};
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Body, IntoResponse, Request, Response, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::tokens::{NOW, TestKey};

pub const CLIENT: &str = "orders";
pub const SECRET: &str = "hush: 50% ü";

/// How often a heartbeat comes; the real one takes a second.
const BEAT: Duration = Duration::from_millis(20);

pub const METADATA: &str = "/.well-known/oauth-authorization-server";
pub const JWKS: &str = "/jwks.json";
pub const TOKEN: &str = "/oauth2/token";
pub const INTROSPECT: &str = "/oauth2/introspect";
pub const REVOCATIONS: &str = "/revocations";
pub const STREAM: &str = "/revocations/stream";

/// It is gone when dropped.
pub struct Issuer {
    address: SocketAddr,
    world: Arc<World>,
    runtime: Option<Runtime>,
}

/// What outlives a restart.
struct World {
    state: Mutex<State>,
    /// Wakes the streams.
    changed: watch::Sender<()>,
    /// The runtime of the test: the issuer's clock runs as the validator's does.
    test: Handle,
    started_at: Instant,
}

struct State {
    url: String,
    metadata: Value,
    keys: Vec<Value>,
    max_age: u64,
    /// By number; a cursor is the number of the last one, behind the name of the journal.
    entries: Vec<Value>,
    journal: u32,
    /// The first entry that a stream can still send.
    kept_from: usize,
    /// Bumped to end all streams.
    streams: u32,
    open_streams: usize,
    led_away: usize,
    beating: bool,
    beats: usize,
    hanging: bool,
    /// Status by path.
    broken: HashMap<String, u16>,
    /// Only the last token given out is taken.
    tokens: usize,
    active: bool,
    requests: HashMap<String, usize>,
    not_modified: usize,
    /// The cursor that the last stream began with.
    resumed_from: String,
    server_time: i64,
    /// What its clock was set forward by, milliseconds.
    set_forward: i64,
    /// How old its own knowledge is, milliseconds.
    statement_age: i64,
}

impl Issuer {
    pub fn start(keys: &[&TestKey]) -> Self {
        let state = State {
            url: String::new(),
            metadata: Value::Null,
            keys: keys.iter().map(|key| key.jwk()).collect(),
            max_age: 3_600,
            entries: Vec::new(),
            journal: 1,
            kept_from: 0,
            streams: 0,
            open_streams: 0,
            led_away: 0,
            beating: true,
            beats: 0,
            hanging: false,
            broken: HashMap::new(),
            tokens: 0,
            active: true,
            requests: HashMap::new(),
            not_modified: 0,
            resumed_from: String::new(),
            server_time: NOW,
            set_forward: 0,
            statement_age: 0,
        };
        let world = Arc::new(World {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            test: Handle::current(),
            started_at: Instant::now(),
        });
        let (runtime, address) = serve(&world, SocketAddr::from(([127, 0, 0, 1], 0)));
        let issuer = Self { address, world, runtime: Some(runtime) };
        let url = format!("http://{address}");
        {
            let mut state = issuer.state();
            state.metadata = json!({
                "issuer": url,
                "jwks_uri": format!("{url}{JWKS}"),
                "token_endpoint": format!("{url}{TOKEN}"),
                "introspection_endpoint": format!("{url}{INTROSPECT}"),
                "hallpass_revocations_endpoint": format!("{url}{REVOCATIONS}"),
                "hallpass_revocations_stream_endpoint": format!("{url}{STREAM}"),
            });
            state.url = url;
        }
        issuer
    }

    pub fn url(&self) -> String {
        self.state().url.clone()
    }

    /// Sets a member of the metadata; `null` takes it out.
    pub fn set_metadata(&self, member: &str, value: Value) {
        let mut state = self.state();
        let metadata = state.metadata.as_object_mut().expect("an object");
        metadata.remove(member);
        if !value.is_null() {
            metadata.insert(member.to_owned(), value);
        }
    }

    /// Publishes other keys, good for that many seconds.
    pub fn publish(&self, keys: &[&TestKey], max_age: u64) {
        let mut state = self.state();
        state.keys = keys.iter().map(|key| key.jwk()).collect();
        state.max_age = max_age;
    }

    /// Publishes keys as they are written here.
    pub fn publish_text(&self, keys: &[Value]) {
        self.state().keys = keys.to_vec();
    }

    pub fn revoke(&self, entry: Value) {
        self.revoke_quietly(entry);
        self.world.changed.send_replace(());
    }

    /// The same, and the streams may notice by themselves.
    pub fn revoke_quietly(&self, entry: Value) {
        self.state().entries.push(entry);
    }

    /// Loses everything that was revoked, as a store does that restarts empty.
    pub fn lose_journal(&self) {
        let mut state = self.state();
        state.entries.clear();
        state.journal += 1;
        state.kept_from = 0;
        drop(state);
        self.world.changed.send_replace(());
    }

    /// Streams can no longer go on from cursors that were given out before.
    pub fn trim_journal(&self) {
        let mut state = self.state();
        state.kept_from = state.entries.len() + 1;
        state.entries.push(json!({"kid": "trimmed", "exp": NOW + 900}));
    }

    /// Ends all streams, by closing their connections.
    pub fn drop_streams(&self) {
        self.state().streams += 1;
        self.world.changed.send_replace(());
    }

    /// Leads all streams elsewhere, and leaves their connections to the other side.
    pub fn lead_streams_away(&self) {
        self.state().led_away += 1;
        self.world.changed.send_replace(());
    }

    pub fn open_streams(&self) -> usize {
        self.state().open_streams
    }

    /// Whether heartbeats come by themselves.
    pub fn set_beating(&self, beating: bool) {
        self.state().beating = beating;
    }

    /// One heartbeat to every stream.
    pub fn beat(&self) {
        self.state().beats += 1;
        self.world.changed.send_replace(());
    }

    /// Answers nothing any more and keeps all connections open, as a process does that was stopped.
    pub fn set_hanging(&self, hanging: bool) {
        self.state().hanging = hanging;
        self.world.changed.send_replace(());
    }

    /// Answers a path with a status; 200 mends it.
    pub fn set_status(&self, path: &str, status: u16) {
        self.state().broken.insert(path.to_owned(), status);
    }

    /// Takes the access tokens back that it gave to clients.
    pub fn expire_client_tokens(&self) {
        self.state().tokens += 1;
    }

    pub fn set_active(&self, active: bool) {
        self.state().active = active;
    }

    pub fn set_server_time(&self, seconds: i64) {
        self.state().server_time = seconds;
    }

    /// Sets the clock forward, or back.
    pub fn set_clock_forward(&self, millis: i64) {
        self.state().set_forward += millis;
    }

    /// How old what it says is when it says it.
    pub fn set_statement_age(&self, millis: i64) {
        self.state().statement_age = millis;
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        self.state().requests.get(path).copied().unwrap_or_default()
    }

    /// Behind how many entries the last stream began.
    pub fn resumed_from(&self) -> Option<usize> {
        let state = self.state();
        state.position(&state.resumed_from)
    }

    /// How often the answer was 304.
    pub fn not_modified(&self) -> usize {
        self.state().not_modified
    }

    /// Is gone at once, with all its connections.
    pub fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not in this thread: tokio forbids to wait in a runtime's own.
            let end = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
            end.join().expect("it ends");
        }
        self.state().open_streams = 0;
    }

    /// Comes back at the same address.
    pub fn come_back(&mut self) {
        self.runtime = Some(serve(&self.world, self.address).0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.world.state()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.die();
    }
}

fn serve(world: &Arc<World>, address: SocketAddr) -> (Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let world = world.clone();
    let (bound, on_bound) = oneshot::channel();
    runtime.spawn(async move {
        let acceptor = TcpListener::bind(address).into_acceptor().await.expect("a free port");
        let address = acceptor.local_addr()[0].as_socket_addr().copied().expect("an address");
        bound.send(address).expect("somebody waits");
        let endpoint = make(move |request| {
            let world = world.clone();
            async move { world.answer(request).await }
        });
        Server::new_with_acceptor(acceptor).run(endpoint).await.expect("it serves");
    });
    (runtime, on_bound.blocking_recv_anywhere())
}

/// Tests run in a runtime, where tokio forbids a thread to wait.
trait BlockingAnywhere<T> {
    fn blocking_recv_anywhere(self) -> T;
}

impl<T: Send + 'static> BlockingAnywhere<T> for oneshot::Receiver<T> {
    fn blocking_recv_anywhere(self) -> T {
        std::thread::spawn(move || self.blocking_recv()).join().expect("a thread").expect("a value")
    }
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked here")
    }

    /// What the clock shows, milliseconds.
    fn clock(&self, state: &State) -> i64 {
        let _of_the_test = self.test.enter();
        let elapsed = i64::try_from(self.started_at.elapsed().as_millis()).expect("a short test");
        NOW * 1_000 + elapsed + state.set_forward
    }

    async fn answer(self: Arc<Self>, mut request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let (hanging, broken) = {
            let mut state = self.state();
            *state.requests.entry(path.clone()).or_default() += 1;
            (state.hanging, state.broken.get(&path).copied())
        };
        if hanging {
            pending::<()>().await;
        }
        if let Some(status) = broken.filter(|status| *status != 200) {
            let status = StatusCode::from_u16(status).expect("a status");
            return Response::builder().status(status).body("out of order");
        }
        let form = request.take_body().into_string().await.expect("a body");
        match path.as_str() {
            METADATA => json_answer(&self.state().metadata),
            JWKS => self.jwks(&request),
            TOKEN => self.token(&request, &form),
            INTROSPECT => self.introspect(&request, &form),
            REVOCATIONS => self.snapshot(&request),
            STREAM => self.stream(&request),
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    fn jwks(&self, request: &Request) -> Response {
        let mut state = self.state();
        let body = json!({ "keys": state.keys });
        let etag = format!("\"{}\"", body.to_string().len());
        if request.header(header::IF_NONE_MATCH) == Some(&etag) {
            state.not_modified += 1;
            return empty(StatusCode::NOT_MODIFIED);
        }
        json_answer(&body)
            .with_header(header::ETAG, &etag)
            .with_header(header::CACHE_CONTROL, format!("public, max-age={}", state.max_age))
            .into_response()
    }

    fn token(&self, request: &Request, form: &str) -> Response {
        if !is_client(request) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        if form != "grant_type=client_credentials&scope=revocations%3Aread" {
            return empty(StatusCode::BAD_REQUEST);
        }
        let mut state = self.state();
        state.tokens += 1;
        json_answer(&json!({
            "access_token": format!("token-{}", state.tokens),
            "token_type": "Bearer",
            "expires_in": 900,
            "scope": "revocations:read",
        }))
    }

    fn introspect(&self, request: &Request, form: &str) -> Response {
        if !is_client(request) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        if !form.starts_with("token=eyJ") {
            return empty(StatusCode::BAD_REQUEST);
        }
        json_answer(&json!({"active": self.state().active}))
    }

    fn snapshot(&self, request: &Request) -> Response {
        let mut state = self.state();
        if !state.is_authorized(request) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        let cursor = state.cursor(state.entries.len());
        let etag = format!("\"{cursor}\"");
        let clock = self.clock(&state);
        let until = clock - state.statement_age;
        let with_times = |response: Response| {
            response
                .with_header("hallpass-clock", clock.to_string())
                .with_header("hallpass-complete-until", until.to_string())
                .into_response()
        };
        if request.header(header::IF_NONE_MATCH) == Some(&etag) {
            state.not_modified += 1;
            return with_times(empty(StatusCode::NOT_MODIFIED));
        }
        let body = json!({
            "cursor": cursor, "entries": state.entries, "server_time": state.server_time, "server_time_ms": until,
        });
        with_times(json_answer(&body)).with_header(header::ETAG, &etag).into_response()
    }

    fn stream(self: Arc<Self>, request: &Request) -> Response {
        let mut state = self.state();
        if !state.is_authorized(request) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        let cursor = request.header("last-event-id").unwrap_or_default();
        let from = state.position(cursor);
        cursor.clone_into(&mut state.resumed_from);
        let (out, body) = tokio::io::duplex(1024 * 1024);
        let name = state.streams;
        let beats = state.beats;
        state.open_streams += 1;
        let clock = self.clock(&state);
        drop(state);
        tokio::spawn(async move {
            // The other side may be gone.
            let _ = self.feed(out, from, name, beats).await;
            self.state().open_streams -= 1;
        });
        Response::builder()
            .content_type("text/event-stream")
            .header("hallpass-clock", clock.to_string())
            .body(Body::from_async_read(body))
    }

    async fn feed(
        &self,
        mut out: DuplexStream,
        from: Option<usize>,
        name: u32,
        mut beats: usize,
    ) -> std::io::Result<()> {
        let Some(mut sent) = from else {
            return out.write_all(b"event: reset\ndata: {}\n\n").await;
        };
        let journal = self.state().journal;
        let mut changed = self.changed.subscribe();
        let led_away = self.state().led_away;
        loop {
            let mut text = String::new();
            {
                let state = self.state();
                if state.streams != name {
                    return Ok(());
                }
                if state.led_away != led_away {
                    let cursor = state.cursor(sent);
                    text.push_str(&format!("event: reconnect\nid: {cursor}\ndata: {{}}\n\n"));
                }
                if state.journal != journal {
                    text.push_str("event: reset\ndata: {}\n\n");
                } else if !state.hanging {
                    for (number, entry) in state.entries.iter().enumerate().skip(sent) {
                        let cursor = state.cursor(number + 1);
                        text.push_str(&format!("event: revocation\nid: {cursor}\ndata: {entry}\n\n"));
                    }
                    sent = state.entries.len();
                    if state.beating || beats != state.beats {
                        beats = state.beats;
                        let cursor = state.cursor(sent);
                        let data = json!({
                            "server_time": state.server_time,
                            "server_time_ms": self.clock(&state) - state.statement_age,
                        });
                        text.push_str(&format!("event: heartbeat\nid: {cursor}\ndata: {data}\n\n"));
                    }
                }
            }
            out.write_all(text.as_bytes()).await?;
            // Silence is no fault here: it ends with the next change or beat.
            let _ = tokio::time::timeout(BEAT, changed.changed()).await;
        }
    }
}

impl State {
    fn cursor(&self, sent: usize) -> String {
        format!("{}-{sent}", self.journal)
    }

    /// How many entries lie before a cursor, where the stream can go on from there.
    fn position(&self, cursor: &str) -> Option<usize> {
        let (journal, sent) = cursor.split_once('-')?;
        let sent = sent.parse().ok()?;
        (journal == self.journal.to_string() && sent >= self.kept_from).then_some(sent)
    }

    fn is_authorized(&self, request: &Request) -> bool {
        request.header(header::AUTHORIZATION) == Some(&format!("Bearer token-{}", self.tokens))
    }
}

/// RFC 6749 2.3.1.
fn is_client(request: &Request) -> bool {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode("orders:hush%3A+50%25+%C3%BC");
    request.header(header::AUTHORIZATION) == Some(&format!("Basic {pair}"))
}

fn empty(status: StatusCode) -> Response {
    Response::builder().status(status).finish()
}

fn json_answer(body: &Value) -> Response {
    Response::builder().content_type("application/json").body(body.to_string())
}
