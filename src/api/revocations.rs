//! `/revocations`: what was taken back, for services that check tokens on their own.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use poem::http::{HeaderValue, header};
use poem::web::Data;
use poem::{Body, IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::Header;
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Example;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi};
use tokio::time::Instant;
use uuid::Uuid;

use super::Tag;
use super::error::ApiError;
use super::json::Json;
use super::refusal::{Documented, INTERNAL, Refusal, UNAVAILABLE, examples, refusals};
use super::security::{ACCESS_SCHEME, bearer, register_schemes, single};
use crate::domain::client::REVOCATIONS_READ;
use crate::domain::tokens::AccessToken;
use crate::service::revocations::{Cursor, Entries, Revocations};
use crate::service::{AuthError, Services};

/// How often a stream says that nothing is missing. A reader that hears nothing for longer knows
/// that its copy is old.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a stream lasts at most: about as long as the token that opened it.
const STREAM_MAX: Duration = Duration::from_secs(15 * 60);

/// Something that was taken back. One of the names says what: `jti` a token, `sid` a session, `sub`
/// a user's or a client's tokens from before `not_before`, `kid` all that a key has signed, `all`
/// everything from before `not_before`.
#[derive(Object)]
#[oai(rename = "Revocation", skip_serializing_if_is_none, example)]
pub struct RevocationDto {
    /// The token's id.
    jti: Option<Uuid>,
    /// The session's id.
    sid: Option<Uuid>,
    /// Claim `sub`.
    sub: Option<String>,
    /// The key's id.
    kid: Option<String>,
    /// Always `true`.
    all: Option<bool>,
    /// With `sub` and `all`: tokens whose `iat` is before this second are meant, seconds since the Unix
    /// epoch.
    not_before: Option<i64>,
    /// When every token that is meant has expired, seconds since the Unix epoch.
    exp: i64,
}

impl From<hallpass_verify::Revocation> for RevocationDto {
    fn from(revocation: hallpass_verify::Revocation) -> Self {
        use hallpass_verify::RevocationTarget as Target;
        let none = Self {
            jti: None,
            sid: None,
            sub: None,
            kid: None,
            all: None,
            not_before: None,
            exp: revocation.exp,
        };
        match revocation.target {
            Target::Token(jti) => Self { jti: Some(jti), ..none },
            Target::Session(sid) => Self { sid: Some(sid), ..none },
            Target::User { sub, not_before } => Self { sub: Some(sub), not_before: Some(not_before), ..none },
            Target::Key(kid) => Self { kid: Some(kid), ..none },
            Target::All { not_before } => Self { all: Some(true), not_before: Some(not_before), ..none },
        }
    }
}

impl Example for RevocationDto {
    fn example() -> Self {
        let sid = Uuid::from_u128(0x0d9f_1c3a_6a52_4b0e_9c7e_3f1d_2b8a_5e64);
        hallpass_verify::Revocation {
            target: hallpass_verify::RevocationTarget::Session(sid),
            exp: 1_796_170_505,
        }
        .into()
    }
}

/// Everything that was taken back and still matters.
#[derive(Object)]
#[oai(rename = "Revocations", example)]
pub struct RevocationsDto {
    /// Where the stream goes on: to be sent as `Last-Event-ID`.
    cursor: String,
    /// What was taken back, oldest first.
    entries: Vec<RevocationDto>,
    /// The service's clock, seconds since the Unix epoch.
    server_time: i64,
}

impl Example for RevocationsDto {
    fn example() -> Self {
        Self {
            cursor: "5f0c4a3e8b5d4c0fa1d2e3f405162738.42".to_owned(),
            entries: vec![RevocationDto::example()],
            server_time: 1_796_169_600,
        }
    }
}

/// The answer to a request for all that was taken back.
#[derive(ApiResponse)]
pub enum RevocationsResponse {
    /// Everything that still matters.
    #[oai(status = 200)]
    All(
        Json<RevocationsDto>,
        /// Names what was known, for `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// Nothing has come since what `If-None-Match` names.
    #[oai(status = 304)]
    NotModified(
        /// Names what was known.
        #[oai(header = "ETag")]
        String,
    ),
}

refusals! {
    /// Of both operations.
    FeedErrors {
        401 => Documented::new(
            "No access token came (`authentication_required`), or it is expired (`token_expired`: get another \
             from `/oauth2/token`), altered (`invalid_token`) or revoked, with its client perhaps \
             (`token_revoked`).",
            || {
                let mut all = examples([
                    AuthError::Unauthenticated,
                    AuthError::TokenExpired,
                    AuthError::TokenRevoked,
                ]);
                all.push(ApiError::unreadable_token());
                all
            },
        ),
        403 => Documented::new(
            "The access token lacks the scope `revocations:read`, or is a user's (`insufficient_scope`).",
            || examples([AuthError::InsufficientScope]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

/// A client that may read the feed, proven.
pub struct FeedReader;

impl<'a> ApiExtractor<'a> for FeedReader {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_schemes(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![ACCESS_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let services = request
            .data::<Services>()
            .ok_or_else(|| ApiError::internal("the API was built without its services"))?;
        let token = single(request.headers(), &header::AUTHORIZATION)?.and_then(bearer);
        let token = token.ok_or(AuthError::Unauthenticated).map_err(ApiError::from)?;
        let token = AccessToken::new(token);
        services.clients.authorize(&token, REVOCATIONS_READ).await.map_err(ApiError::from)?;
        Ok(Self)
    }
}

/// The operations under `/revocations`.
pub struct RevocationsApi;

#[OpenApi(prefix_path = "/revocations", tag = "Tag::Revocations")]
impl RevocationsApi {
    /// Get everything that was taken back
    ///
    /// Answers every revocation that still matters: whoever knows them and follows the stream from
    /// `cursor` on knows of every logout. For a client's own access token with the scope
    /// `revocations:read`.
    #[oai(path = "/", method = "get", operation_id = "listRevocations")]
    async fn list(
        &self,
        services: Data<&Services>,
        _reader: FeedReader,
        /// The `ETag` of an earlier answer.
        #[oai(name = "If-None-Match")]
        known: Header<Option<String>>,
    ) -> Result<RevocationsResponse, Refusal<FeedErrors>> {
        let Entries { revocations, cursor } = services.0.revocations.snapshot().map_err(AuthError::from)?;
        let etag = format!("\"{cursor}\"");
        if known.0.is_some_and(|known| known.trim() == etag) {
            return Ok(RevocationsResponse::NotModified(etag));
        }
        let dto = RevocationsDto {
            cursor: cursor.to_string(),
            entries: revocations.into_iter().map(RevocationDto::from).collect(),
            server_time: services.0.now().as_secs(),
        };
        Ok(RevocationsResponse::All(Json(dto), etag))
    }

    /// Follow what is taken back
    ///
    /// Server-sent events. `revocation`: one entry as in the list, as JSON. `heartbeat`, every second:
    /// nothing is missing up to here; when none comes, the reader's copy is old and it should ask
    /// instead. The id of each event is a cursor; with the last one as `Last-Event-ID` the stream goes
    /// on there, and entries may come twice. Without it everything that still matters comes first. The
    /// stream ends after 15 minutes at the latest: open it again.
    #[oai(path = "/stream", method = "get", operation_id = "streamRevocations")]
    async fn stream(
        &self,
        services: Data<&Services>,
        _reader: FeedReader,
        /// The id of the last event that was received, or a `cursor`.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<String>>,
    ) -> Result<EventStream, Refusal<FeedErrors>> {
        let revocations = services.0.revocations.clone();
        let cursor = last.0.and_then(|text| text.trim().parse::<Cursor>().ok());
        // Now rather than in the stream: who cannot be told says 503.
        let first = match cursor {
            Some(cursor) => revocations.since(cursor),
            None => revocations.snapshot(),
        };
        let first = first.map_err(AuthError::from)?;
        let clock = services.0.clone();
        Ok(EventStream(Body::from_bytes_stream(events(revocations, first, move || clock.now().as_secs()))))
    }
}

/// The events of one reader.
fn events(
    revocations: Revocations,
    first: Entries,
    server_time: impl Fn() -> i64 + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let bell = revocations.listen();
    let began = Instant::now();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let text = written(&first);
    let state = (revocations, bell, heartbeat, first.cursor, Some(text));
    stream::unfold(state, move |(revocations, mut bell, mut heartbeat, mut cursor, first)| {
        let now = server_time();
        async move {
            if let Some(text) = first.filter(|text| !text.is_empty()) {
                return Some((Ok(Bytes::from(text)), (revocations, bell, heartbeat, cursor, None)));
            }
            loop {
                if revocations.is_closed() || began.elapsed() > STREAM_MAX {
                    return None;
                }
                let is_heartbeat = tokio::select! {
                    changed = bell.changed() => {
                        if changed.is_err() {
                            return None;
                        }
                        false
                    }
                    _ = heartbeat.tick() => true,
                };
                // Silence while the copy is old: that is what silence means.
                let Ok(entries) = revocations.since(cursor) else { continue };
                let mut text = written(&entries);
                cursor = entries.cursor;
                if is_heartbeat {
                    // Writing to a String cannot fail.
                    let _ =
                        write!(text, "event: heartbeat\nid: {cursor}\ndata: {{\"server_time\":{now}}}\n\n");
                }
                if !text.is_empty() {
                    return Some((Ok(Bytes::from(text)), (revocations, bell, heartbeat, cursor, None)));
                }
            }
        }
    })
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
pub struct EventStream(Body);

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let mut response = Response::builder().content_type("text/event-stream").body(self.0);
        // A proxy that collects an answer before it passes it on would make every stream old.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        let schema = MetaSchema {
            description: Some("Server-sent events: `revocation` and `heartbeat`."),
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
                headers: Vec::new(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}
