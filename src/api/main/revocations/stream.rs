//! `/revocations/stream`: what is taken back from now on, as server-sent events.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hallpass_verify::RevocationTarget;
use poem::http::HeaderValue;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use uuid::Uuid;

use crate::domain::clock::Timestamp;
use crate::service::Services;
use crate::service::feed_readers::FeedReader;
use crate::service::revocations::{Cursor, Entries};

/// How often a stream says that nothing is missing. A reader that hears nothing for longer knows
/// that its copy is old.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a stream lasts at most: about as long as the token that opened it.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

/// One reader, and how far it is.
struct Following {
    services: Services,
    reader: FeedReader,
    /// The id of the token that the stream was opened with.
    token: Uuid,
    /// Whether that was taken back.
    is_over: bool,
    bell: watch::Receiver<()>,
    heartbeat: Interval,
    began: Instant,
    cursor: Cursor,
    /// Whether the reader was led elsewhere.
    was_led_away: bool,
}

/// The events of one reader.
fn events(
    services: Services,
    first: Entries,
    reader: FeedReader,
    token: Uuid,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let text = written(&first);
    let following = Following {
        is_over: names(&first, token),
        bell: services.revocations.listen(),
        services,
        reader,
        token,
        heartbeat,
        began: Instant::now(),
        cursor: first.cursor,
        was_led_away: false,
    };
    stream::unfold((following, Some(text)), async |(mut following, first)| {
        let text = match first.filter(|text| !text.is_empty()) {
            Some(text) => text,
            None => following.next().await?,
        };
        Some((Ok(Bytes::from(text)), (following, None)))
    })
}

impl Following {
    /// The next events; `None` when there are to be no more.
    async fn next(&mut self) -> Option<String> {
        let Self { services, reader, token, is_over, bell, heartbeat, began, cursor, was_led_away } = self;
        let revocations = &services.revocations;
        loop {
            if *is_over || *was_led_away || began.elapsed() > STREAM_MAX {
                return None;
            }
            if revocations.is_closed() {
                *was_led_away = true;
                return Some(format!("event: reconnect\nid: {cursor}\ndata: {{}}\n\n"));
            }
            let is_heartbeat = tokio::select! {
                () = reader.has_to_end() => return None,
                changed = bell.changed() => {
                    changed.ok()?;
                    false
                }
                _ = heartbeat.tick() => true,
            };
            // Silence while the copy is old: that is what silence means.
            let Ok(entries) = revocations.since(*cursor) else { continue };
            *is_over = names(&entries, *token);
            let mut text = written(&entries);
            *cursor = entries.cursor;
            if is_heartbeat {
                let (now, until) = (services.now().as_secs(), entries.complete_until.as_millis());
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    "event: heartbeat\nid: {cursor}\ndata: {{\"server_time\":{now},\"server_time_ms\":{until}}}\n\n"
                );
            }
            if !text.is_empty() {
                return Some(text);
            }
        }
    }
}

/// Whether a token is among what was taken back.
fn names(entries: &Entries, token: Uuid) -> bool {
    entries.revocations.iter().any(|revocation| revocation.target == RevocationTarget::Token(token))
}

/// Entries as events. All have the cursor behind the last of them: who is cut off in between is told
/// all of them again.
fn written(entries: &Entries) -> String {
    let mut text = String::new();
    let last = entries.revocations.len().saturating_sub(1);
    for (position, revocation) in entries.revocations.iter().enumerate() {
        let Ok(data) = serde_json::to_string(revocation) else { continue };
        let _ = write!(text, "event: revocation\ndata: {data}\n");
        if position == last {
            let _ = writeln!(text, "id: {}", entries.cursor);
        }
        text.push('\n');
    }
    text
}

/// A stream of server-sent events.
pub struct EventStream {
    /// What the clock shows of which the events tell.
    clock: Timestamp,
    events: Body,
}

impl EventStream {
    /// What came so far and what comes from now on, for as long as this reader may have it.
    pub(super) fn new(services: &Services, first: Entries, reader: FeedReader, token: Uuid) -> Self {
        let clock = services.revocations.clock();
        let events = events(services.clone(), first, reader, token);
        Self { clock, events: Body::from_bytes_stream(events) }
    }
}

/// What the service's clock shows.
const CLOCK: &str = "Hallpass-Clock";

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .content_type("text/event-stream")
            .header(CLOCK, self.clock.as_millis())
            .body(self.events);
        // A proxy that collects an answer before it passes it on would make every stream old.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        let schema = MetaSchema {
            description: Some("Server-sent events: `revocation`, `heartbeat` and `reconnect`."),
            example: Some(
                "event: revocation\ndata: {\"sid\":\"0d9f1c3a-6a52-4b0e-9c7e-3f1d2b8a5e64\",\"exp\":1796170505}\nid: 5f0c4a3e8b5d4c0fa1d2e3f405162738.42\n\n".into(),
            ),
            ..MetaSchema::new("string")
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The stream.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "text/event-stream",
                    schema: MetaSchemaRef::Inline(Box::new(schema)),
                }],
                headers: vec![MetaHeader {
                    name: CLOCK.to_owned(),
                    description: Some(
                        "What the service's clock shows, milliseconds since the Unix epoch.".to_owned(),
                    ),
                    required: true,
                    deprecated: false,
                    schema: i64::schema_ref(),
                }],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}
