//! What an entry of the revocation feed costs whoever tells of it, and whoever hears of it.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use hallpass::domain::client::REVOCATIONS_READ;
use hallpass::domain::clock::{Clock, SystemClock};
use hallpass::domain::ids::Jti;
use hallpass::domain::tokens::ClientSecret;
use hallpass_verify::client::Validator;
use hallpass_verify::client::replay::{Answered, Next, Replay};
use poem::http::{Method, StatusCode, Uri, header};
use poem::{Body, Endpoint, Request, Response};
use uuid::Uuid;

use super::service::{InProcess, answered, authorized};
use super::{TIMES, counted_step, counting_begins};

/// How many come to read.
const READERS: usize = 20;

const CLIENT: &str = "books";
const SECRET: &str = "books-dev-secret";

/// What follows the feed, when it is let.
type Follower = Pin<Box<dyn Future<Output = ()>>>;

/// Lets the service hear that it has heard everything, which it tells for a second.
fn catch_up(service: &InProcess, follower: &mut Follower) {
    let mut bell = service.services.revocations.listen();
    service.runtime.block_on(async {
        tokio::select! {
            () = follower => {}
            changed = bell.changed() => changed.expect("a feed"),
        }
    });
}

/// A service that has revoked [`TIMES`] tokens, and an access token to read of that.
fn with_entries() -> (InProcess, Follower, String) {
    let service = InProcess::strict();
    let mut follower: Follower = Box::pin(service.services.revocations.clone().keep_following());
    let access = service.runtime.block_on(async {
        let (id, scopes) = (CLIENT.parse().expect("an id"), REVOCATIONS_READ.parse().expect("a scope"));
        service.services.clients.ensure(id, scopes, &ClientSecret::new(SECRET)).await.expect("a client");
        for number in 1..=TIMES as u128 {
            let token = Jti::from(Uuid::from_u128(number << 64));
            let denial = Duration::from_secs(900);
            service.stores.tokens.token_store.revoke_machine_token(token, denial).await.expect("revoked");
        }
        let form = format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}");
        let request = Request::builder().method(Method::POST).uri(Uri::from_static("/oauth2/token"));
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = answered(&service.endpoint, request.body(Body::from_string(form))).await;
        answer["access_token"].as_str().expect("a token").to_owned()
    });
    while service.services.revocations.snapshot().map_or(0, |entries| entries.revocations.len()) < TIMES {
        catch_up(&service, &mut follower);
    }
    (service, follower, access)
}

fn entries(events: &[u8]) -> usize {
    let name = b"event: revocation";
    events.windows(name.len()).filter(|bytes| bytes == name).count()
}

/// The answer to whoever opens the stream, and its first bytes: all entries.
fn opened(service: &InProcess, access: &str) -> (Response, Vec<u8>) {
    service.runtime.block_on(async {
        let mut response = service.endpoint.get_response(authorized("/revocations/stream", access)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut events = Box::pin(response.take_body().into_bytes_stream());
        let first = events.next().await.expect("events").expect("bytes");
        (response, first.to_vec())
    })
}

/// All entries are told to readers who have just come: with what that takes, an entry's share of it.
pub(super) fn told() -> usize {
    let (service, mut follower, access) = with_entries();
    // The service knows the token from then on.
    let (_, events) = opened(&service, &access);
    for number in 0..READERS {
        catch_up(&service, &mut follower);
        if number == 1 {
            counting_begins();
        }
        counted_step(&mut || drop(opened(&service, &access)));
    }
    (READERS - 1) * entries(&events)
}

/// A validator reads the same.
pub(super) fn heard() -> usize {
    let (service, _follower, access) = with_entries();
    let (response, events) = opened(&service, &access);
    let builder = Validator::builder("https://hallpass.example.com", "books").credentials(CLIENT, SECRET);
    let mut replay = Replay::new(builder, true).expect("a validator");
    replay.at(1_000, SystemClock.now().as_millis().try_into().expect("a time"));
    let name = |name: &header::HeaderName| name.as_str().to_owned();
    let text = |value: &header::HeaderValue| value.to_str().expect("text").to_owned();
    let headers: Vec<_> = response.headers().iter().map(|(key, value)| (name(key), text(value))).collect();
    replay.open(Answered { asked_ms: 1_000, status: 200, headers, body: String::new() });
    assert_eq!(replay.next(), Next::Read, "the stream is open");
    counting_begins();
    counted_step(&mut || replay.bytes(&events));
    assert_eq!(replay.next(), Next::Read, "nothing was wrong with it");
    entries(&events)
}
