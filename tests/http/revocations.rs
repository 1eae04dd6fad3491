//! `/revocations`: the feed that other services follow.

use std::time::Duration;

use futures_util::StreamExt;
use hallpass::service::Error;
use hallpass::service::caller::Administrator;
use poem::Endpoint;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, LoggedIn, MINUTE, TestApp, jwt, on_both_flavours};

/// Longer than anything here takes: a wait that ends by what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

on_both_flavours! {
    a_log_out_is_in_the_list_and_in_the_stream,
    a_security_event_is_told_by_its_version,
    a_deleted_client_is_told_by_its_id,
    a_stream_goes_on_where_it_was_cut,
    what_a_stranger_tells_is_told_from_the_beginning,
    a_stream_ends_with_its_client_at_every_replica,
    a_stream_ends_with_its_token,
}

async fn client_token(app: &TestApp) -> String {
    token_of(app, "books", "books-dev-secret").await
}

async fn token_of(app: &TestApp, id: &str, secret: &str) -> String {
    let body = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
    let answer = app.anonymous().post("/oauth2/token").json(&body).send().await.tokens(200);
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// Asks until this process's copy of the feed is up to date.
async fn list(app: &TestApp, token: &str) -> Answer {
    let asking = async {
        loop {
            let answer = app.anonymous().get("/revocations").access(token).send().await;
            if answer.status != 503 {
                return answer;
            }
            let _ = app.services().revocations.listen().changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("a copy that is up to date")
}

/// Asks until an entry is there.
async fn listed(app: &TestApp, token: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut bell = app.services().revocations.listen();
    let asking = async {
        loop {
            let all = list(app, token).await.json(200);
            if let Some(entry) = all["entries"].as_array().expect("entries").iter().find(|e| wanted(e)) {
                return entry.clone();
            }
            bell.changed().await.expect("a service that runs");
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the entry")
}

/// An event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

/// A reader of the stream.
struct Follower {
    body: futures_util::stream::BoxStream<'static, Vec<u8>>,
    text: String,
}

impl Follower {
    async fn open(app: &TestApp, token: &str, last: Option<&str>) -> Self {
        let mut request = poem::Request::builder()
            .uri("/revocations/stream".parse().expect("a path"))
            .header("authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = app.endpoint().get_response(request.finish()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.content_type(), Some("text/event-stream"));
        assert_eq!(response.header("hallpass-clock"), Some((app.now() * 1_000).to_string().as_str()));
        let body = response.into_body().into_bytes_stream();
        let body = body.map(|chunk| chunk.expect("a stream that goes on").to_vec()).boxed();
        Self { body, text: String::new() }
    }

    async fn next(&mut self) -> Event {
        let reading = async {
            loop {
                if let Some(end) = self.text.find("\n\n") {
                    let event: String = self.text.drain(..end + 2).collect();
                    return parse(&event);
                }
                let chunk = self.body.next().await.expect("a stream that goes on");
                self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("an event")
    }

    /// Reads until there is no more.
    async fn end(mut self) {
        let reading = async { while self.body.next().await.is_some() {} };
        tokio::time::timeout(PATIENCE, reading).await.expect("an end");
    }

    async fn next_revocation(&mut self) -> Event {
        loop {
            let event = self.next().await;
            if event.name == "revocation" {
                return event;
            }
        }
    }
}

fn parse(event: &str) -> Event {
    let field = |name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
    };
    Event {
        name: field("event").expect("a name"),
        id: field("id"),
        data: serde_json::from_str(&field("data").expect("data")).expect("JSON"),
    }
}

async fn sid_of(actor: &impl Actor) -> String {
    let sessions = actor.get("/auth/sessions").send().await.json(200);
    sessions[0]["id"].as_str().expect("an id").to_owned()
}

async fn a_log_out_is_in_the_list_and_in_the_stream(app: TestApp) {
    let token = client_token(&app).await;
    list(&app, &token).await.json(200);
    let mut follower = Follower::open(&app, &token, None).await;
    let ada = app.member("ada").await;
    let sid = sid_of(&ada).await;
    app.log_out(&ada.tokens.access).await.json(200);

    let expected = json!({"sid": sid, "exp": app.now() + 910});
    assert_eq!(listed(&app, &token, |entry| entry["sid"] == sid.as_str()).await, expected);
    loop {
        let event = follower.next_revocation().await;
        if event.data.get("sid").is_some() {
            assert_eq!(event.data, expected);
            break;
        }
    }
    let first = list(&app, &token).await;
    let etag = first.header("etag").expect("an ETag").to_owned();
    let again = app.anonymous().get("/revocations").access(&token).header("if-none-match", &etag);
    let again = again.send().await;
    assert_eq!(again.status, 304);
    // The clock stands still, on a whole second.
    let now_ms = (app.now() * 1_000).to_string();
    for answer in [&first, &again] {
        for header in ["hallpass-clock", "hallpass-complete-until"] {
            assert_eq!(answer.header(header), Some(now_ms.as_str()), "{header}");
        }
    }
    assert_eq!(etag, format!("\"{}\"", first.json(200)["cursor"].as_str().expect("a cursor")));

    // When every token of the session has expired, nobody needs to know any more.
    app.advance(MINUTE * 16);
    let token = client_token(&app).await;
    let entries = list(&app, &token).await.json(200)["entries"].clone();
    assert!(entries.as_array().is_some_and(|entries| entries.iter().all(|e| e["sid"] != sid.as_str())));
}

/// Tokens of a login right after the event are above it, in whatever second they were issued.
async fn a_security_event_is_told_by_its_version(app: TestApp) {
    let token = client_token(&app).await;
    let ada = app.member("ada").await;
    let sub = ada.id.to_string();
    ada.change_password("another password of hers").await.json(200);
    let again = LoggedIn::log_in(&app, "ada@example.com", "another password of hers").await;
    let (before, after) = (&jwt::claims(&ada.tokens.access)["sv"], &jwt::claims(&again.tokens.access)["sv"]);
    assert!(before.as_i64() < after.as_i64(), "{before} before {after}");
    let expected = json!({"sub": sub, "sv": after, "exp": app.now() + 910});
    assert_eq!(listed(&app, &token, |entry| entry["sub"] == sub.as_str()).await, expected);
}

async fn a_deleted_client_is_told_by_its_id(app: TestApp) {
    let token = client_token(&app).await;
    let admin = app.admin().await;
    admin.post("/clients").json(&json!({"id": "orders"})).send().await.tokens(201);
    admin.delete("/clients/orders").send().await.json(200);
    // Half a minute more than of an account: a request that has found it before may still be minting.
    let expected = json!({"sub": "orders", "sv": 1, "exp": app.now() + 940});
    assert_eq!(listed(&app, &token, |entry| entry["sub"] == "orders").await, expected);
}

/// It is gone at once, and the journal has it for whoever follows.
#[tokio::test]
async fn a_client_that_is_deleted_while_redis_is_away_is_told_of_when_it_is_back() {
    let app = TestApp::on_servers_of_its_own().await;
    let token = client_token(&app).await;
    app.admin().await.post("/clients").json(&json!({"id": "orders"})).send().await.tokens(201);
    let orders = "orders".parse().expect("a client id");
    app.redis().pause();
    let deleted = app.services().clients.delete(Administrator::Operator, &orders).await;
    assert!(matches!(deleted, Err(Error::RevocationPending(_))), "{deleted:?}");
    let again = app.services().clients.delete(Administrator::Operator, &orders).await;
    assert!(matches!(again, Err(Error::NotFound)), "{again:?}");
    app.redis().resume();
    app.recovered().await;
    // What stood there at a look is left behind at the next one.
    for _ in 0..2 {
        app.keep_journal().await.expect("both stores");
    }
    listed(&app, &token, |entry| entry["sub"] == "orders").await;
}

/// Nothing is told of a client that is still there.
#[tokio::test]
async fn a_client_is_not_deleted_while_the_database_is_away() {
    let app = TestApp::on_servers_of_its_own().await;
    app.stop_postgres();
    let books = "books".parse().expect("a client id");
    let deleted = app.services().clients.delete(Administrator::Operator, &books).await;
    assert!(matches!(deleted, Err(Error::Store(_))), "{deleted:?}");
}

async fn a_stream_goes_on_where_it_was_cut(app: TestApp) {
    let token = client_token(&app).await;
    list(&app, &token).await.json(200);
    let mut follower = Follower::open(&app, &token, None).await;
    let ada = app.member("ada").await;
    app.log_out(&ada.tokens.access).await.json(200);
    let mut last = follower.next_revocation().await;
    while last.data.get("sid").is_none() {
        last = follower.next_revocation().await;
    }
    drop(follower);

    let eve = app.member("eve").await;
    let sid = sid_of(&eve).await;
    app.log_out(&eve.tokens.access).await.json(200);
    let mut follower = Follower::open(&app, &token, last.id.as_deref()).await;
    assert_eq!(follower.next_revocation().await.data["sid"], sid.as_str());
    loop {
        let event = follower.next().await;
        if event.name == "heartbeat" {
            // The clock stands still, on a whole second.
            let expected = json!({"server_time": app.now(), "server_time_ms": app.now() * 1_000});
            assert_eq!(event.data, expected);
            assert!(event.id.is_some());
            break;
        }
    }
}

async fn what_a_stranger_tells_is_told_from_the_beginning(app: TestApp) {
    let token = client_token(&app).await;
    let ada = app.member("ada").await;
    let sid = sid_of(&ada).await;
    app.log_out(&ada.tokens.access).await.json(200);
    listed(&app, &token, |entry| entry["sid"] == sid.as_str()).await;
    // Of another replica, of a process that is gone, or nonsense.
    for cursor in ["00000000000000000000000000000007.99", "nonsense"] {
        let mut follower = Follower::open(&app, &token, Some(cursor)).await;
        while follower.next_revocation().await.data["sid"] != sid.as_str() {}
    }
}

async fn a_stream_ends_with_its_client_at_every_replica(app: TestApp) {
    let elsewhere = app.another_instance(|_| ()).await;
    let admin = app.admin().await;
    let body = json!({"id": "spy", "scopes": ["revocations:read"]});
    let made = admin.post("/clients").json(&body).send().await.tokens(201);
    let spy = token_of(&app, "spy", made["secret"].as_str().expect("a secret")).await;
    let books = client_token(&app).await;
    for app in [&app, &elsewhere] {
        list(app, &spy).await.json(200);
    }
    let (here, there) =
        (Follower::open(&app, &spy, None).await, Follower::open(&elsewhere, &spy, None).await);
    let (mut other, mut far) =
        (Follower::open(&app, &books, None).await, Follower::open(&elsewhere, &books, None).await);
    admin.delete("/clients/spy").send().await.json(200);
    here.end().await;
    there.end().await;
    // Nobody else is cut off.
    while other.next().await.name != "heartbeat" {}
    while far.next().await.name != "heartbeat" {}
}

async fn a_stream_ends_with_its_token(app: TestApp) {
    let (first, second) = (client_token(&app).await, client_token(&app).await);
    list(&app, &first).await.json(200);
    let follower = Follower::open(&app, &first, None).await;
    let mut other = Follower::open(&app, &second, None).await;
    let form = format!("token={first}");
    let revoke = app.anonymous().post("/oauth2/revoke").text("application/x-www-form-urlencoded", form);
    assert_eq!(revoke.send().await.status, 200);
    follower.end().await;
    let token = &jwt::claims(&first)["jti"];
    while other.next_revocation().await.data.get("jti") != Some(token) {}
    while other.next().await.name != "heartbeat" {}
}

#[tokio::test]
async fn streams_are_bounded_for_each_client_and_for_all_of_them() {
    let app = TestApp::set(&["feed.max_streams=3", "feed.max_streams_per_client=2"]).await;
    let admin = app.admin().await;
    let body = json!({"id": "orders", "scopes": ["revocations:read"]});
    let made = admin.post("/clients").json(&body).send().await.tokens(201);
    let orders = token_of(&app, "orders", made["secret"].as_str().expect("a secret")).await;
    let books = client_token(&app).await;
    list(&app, &books).await.json(200);
    let refused = async |token: &str| {
        // One that is opened would go on and on.
        let asking = app.anonymous().get("/revocations/stream").access(token).send();
        let answer = tokio::time::timeout(PATIENCE, asking).await.expect("a refusal");
        answer.assert_refused(503, "overloaded");
    };
    let first = Follower::open(&app, &books, None).await;
    let _second = Follower::open(&app, &books, None).await;
    refused(&books).await;
    // The bound of one is none of another.
    let third = Follower::open(&app, &orders, None).await;
    refused(&orders).await;
    // The list is for everybody, and whoever goes makes room.
    list(&app, &books).await.json(200);
    drop(first);
    let _fourth = Follower::open(&app, &orders, None).await;
    refused(&books).await;
    drop(third);
    Follower::open(&app, &books, None).await;
}

#[tokio::test]
async fn the_feed_is_for_clients_with_the_scope() {
    let app = TestApp::spawn().await;
    let ada = app.member("ada").await;
    for path in ["/revocations", "/revocations/stream"] {
        app.anonymous().get(path).send().await.assert_refused(401, "authentication_required");
        ada.get(path).send().await.assert_refused(403, "insufficient_scope");
        let forged = app.anonymous().get(path).access("a.b.c").send().await;
        forged.assert_refused(401, "invalid_token");
    }
    let token = client_token(&app).await;
    app.advance(MINUTE * 16);
    let late = app.anonymous().get("/revocations").access(&token).send().await;
    late.assert_refused(401, "token_expired");
}

#[tokio::test]
async fn a_copy_that_is_not_up_to_date_is_not_handed_out() {
    let app = TestApp::on_redis_and_postgres().await;
    let token = client_token(&app).await;
    list(&app, &token).await.json(200);
    app.redis().kill();
    let asking = async {
        while app.anonymous().get("/revocations").access(&token).send().await.status == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("a copy that grows old");
    for path in ["/revocations", "/revocations/stream"] {
        let answer = app.anonymous().get(path).access(&token).send().await;
        answer.assert_refused(503, "dependency_unavailable");
    }
}

#[tokio::test]
async fn a_replica_that_stops_leads_its_readers_elsewhere_and_none_misses_anything() {
    let app = TestApp::on_redis_and_postgres().await;
    let other = app.another_replica(|_| ()).await;
    let token = client_token(&app).await;
    let mut follower = Follower::open(&app, &token, None).await;
    let ada = app.member("ada").await;
    ada.post("/auth/logout").send().await.json(200);
    while follower.next().await.name != "revocation" {}

    app.services().revocations.close();
    let mut last = follower.next().await;
    while last.name != "reconnect" {
        last = follower.next().await;
    }
    assert_eq!(last.data, json!({}));
    follower.end().await;
    // What comes meanwhile is told where it goes on.
    let eve = other.member("eve").await;
    eve.post("/auth/logout").send().await.json(200);
    let mut follower = Follower::open(&other, &token, last.id.as_deref()).await;
    let mut event = follower.next().await;
    while event.name != "revocation" || event.data["sid"] != jwt::claims(&eve.tokens.access)["sid"] {
        event = follower.next().await;
    }
}
