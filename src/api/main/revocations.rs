//! `/revocations`: what was taken back, for services that check tokens on their own.

mod stream;

use poem::http::header;
use poem::web::Data;
use poem::{Request, RequestBody};
use poem_openapi::param::Header;
use poem_openapi::registry::Registry;
use poem_openapi::types::Example;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi};
use uuid::Uuid;

use stream::EventStream;

use crate::api::callers::security::{ACCESS_SCHEME, bearer, register_schemes, single};
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{Documented, INTERNAL, Refusal, UNAVAILABLE, examples, refusals};
use crate::api::wire::json::Json;
use crate::domain::client::REVOCATIONS_READ;
use crate::domain::tokens::AccessToken;
use crate::service::clients::Authorized;
use crate::service::revocations::{Cursor, Entries};
use crate::service::{self, Services};

/// Something that was taken back. One of the names says what: `jti` a token, `sid` a session, `sub`
/// an account's tokens from before a security event, `kid` all that a key has signed, `all` everything
/// from before the service's memory was lost. An entry that names none of them, or whose members you
/// do not know how to read, says that something was taken back that you do not know.
#[derive(Object)]
#[oai(rename = "Revocation", skip_serializing_if_is_none, example)]
pub struct RevocationDto {
    /// The token's id.
    jti: Option<Uuid>,
    /// The session's id.
    sid: Option<Uuid>,
    /// Claim `sub`. One that is no number is the id of a client that was deleted: tokens whose claim `client_id` is that, or
    /// whose `act` names it however deep, are meant as well, whatever their `sv`.
    sub: Option<String>,
    /// The key's id.
    kid: Option<String>,
    /// Always `true`.
    all: Option<bool>,
    /// With `sub`: tokens whose claim `sv` is below this, or that have none, are meant.
    sv: Option<i64>,
    /// With `all`: tokens whose claim `inc` is below this are meant.
    inc: Option<u64>,
    /// With `inc`, where not all tokens are meant: those whose `sub` is a number that leaves this when
    /// divided by 64; 64 means those whose `sub` is no number.
    partition: Option<u8>,
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
            sv: None,
            inc: None,
            partition: None,
            exp: revocation.exp,
        };
        match revocation.target {
            Target::Token(jti) => Self { jti: Some(jti), ..none },
            Target::Session(sid) => Self { sid: Some(sid), ..none },
            Target::User { sub, sv } => Self { sub: Some(sub), sv: Some(sv), ..none },
            Target::Key(kid) => Self { kid: Some(kid), ..none },
            Target::All { inc, partition } => {
                let partition = partition.map(hallpass_verify::Partition::number);
                Self { all: Some(true), inc: Some(inc), partition, ..none }
            }
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
    /// Up to when nothing is missing, by the clock of `Hallpass-Clock`, milliseconds since the Unix epoch.
    server_time_ms: i64,
}

impl Example for RevocationsDto {
    fn example() -> Self {
        Self {
            cursor: "5f0c4a3e8b5d4c0fa1d2e3f405162738.42".to_owned(),
            entries: vec![RevocationDto::example()],
            server_time: 1_796_169_600,
            server_time_ms: 1_796_169_599_870,
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
        /// What the service's clock shows, milliseconds since the Unix epoch.
        #[oai(header = "Hallpass-Clock")]
        i64,
        /// Up to when nothing is missing, by the same clock: `server_time_ms`.
        #[oai(header = "Hallpass-Complete-Until")]
        i64,
    ),
    /// Nothing has come since what `If-None-Match` names.
    #[oai(status = 304)]
    NotModified(
        /// Names what was known.
        #[oai(header = "ETag")]
        String,
        /// What the service's clock shows, milliseconds since the Unix epoch.
        #[oai(header = "Hallpass-Clock")]
        i64,
        /// Up to when nothing is missing, by the same clock.
        #[oai(header = "Hallpass-Complete-Until")]
        i64,
    ),
}

const REFUSED_TOKEN: Documented = Documented::new(
    "No access token came (`authentication_required`), or it is expired (`token_expired`: get another \
     from `/oauth2/token`), altered (`invalid_token`) or revoked, with its client perhaps \
     (`token_revoked`).",
    || {
        let mut all = examples([
            service::Error::Unauthenticated,
            service::Error::TokenExpired,
            service::Error::TokenRevoked,
        ]);
        all.push(ApiError::unreadable_token());
        all
    },
);

const NO_READER: Documented = Documented::new(
    "The access token lacks the scope `revocations:read`, or is a user's (`insufficient_scope`).",
    || examples([service::Error::InsufficientScope]),
);

refusals! {
    /// Of `listRevocations`.
    FeedErrors {
        401 => REFUSED_TOKEN, 403 => NO_READER, 500 => INTERNAL, 503 => UNAVAILABLE,
    }

    /// Of `streamRevocations`.
    StreamErrors {
        401 => REFUSED_TOKEN, 403 => NO_READER, 500 => INTERNAL,
        503 => Documented::new(
            "A store does not answer (`dependency_unavailable`), or as many streams are open as may be, of all \
             clients or of this one (`overloaded`): try again after `Retry-After` seconds.",
            || vec![ApiError::dependency_unavailable(), service::Error::TooManyStreams.into()],
        ),
    }
}

/// A client that may read the feed, proven.
pub struct FeedClient(Authorized);

impl<'a> ApiExtractor<'a> for FeedClient {
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
        let token = token.ok_or(service::Error::Unauthenticated).map_err(ApiError::from)?;
        let token = AccessToken::new(token);
        let authorized = services.clients.authorize(&token, REVOCATIONS_READ).await;
        Ok(Self(authorized.map_err(ApiError::from)?))
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
        _client: FeedClient,
        /// The `ETag` of an earlier answer.
        #[oai(name = "If-None-Match")]
        known: Header<Option<String>>,
    ) -> Result<RevocationsResponse, Refusal<FeedErrors>> {
        let copy = &services.0.revocations;
        let Entries { revocations, cursor, complete_until } =
            copy.snapshot().map_err(service::Error::from)?;
        let (clock, until) = (copy.clock().as_millis(), complete_until.as_millis());
        let etag = format!("\"{cursor}\"");
        if known.0.is_some_and(|known| known.trim() == etag) {
            return Ok(RevocationsResponse::NotModified(etag, clock, until));
        }
        let dto = RevocationsDto {
            cursor: cursor.to_string(),
            entries: revocations.into_iter().map(RevocationDto::from).collect(),
            server_time: services.0.now().as_secs(),
            server_time_ms: until,
        };
        Ok(RevocationsResponse::All(Json(dto), etag, clock, until))
    }

    /// Follow what is taken back
    ///
    /// Server-sent events. `revocation`: one entry as in the list, as JSON. `heartbeat`, every second:
    /// nothing is missing that was taken back before `server_time_ms`, by the clock that the header
    /// `Hallpass-Clock` shows; when none comes, or late ones, the reader's copy is old and it should ask
    /// instead. The id of each event is a cursor; with the last one as `Last-Event-ID` the stream goes
    /// on there, and entries may come twice. Without it everything that still matters comes first. The
    /// stream ends after 15 minutes at the latest: open it again. `reconnect` comes last when this replica stops:
    /// open it at another one, at once. Later versions may add kinds of events. It ends as soon as its client is deleted or
    /// its token revoked, and is cut when nobody reads it. As many may be open as the service's settings say.
    #[oai(path = "/stream", method = "get", operation_id = "streamRevocations")]
    async fn stream(
        &self,
        services: Data<&Services>,
        client: FeedClient,
        /// The id of the last event that was received, or a `cursor`.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<String>>,
    ) -> Result<EventStream, Refusal<StreamErrors>> {
        let FeedClient(Authorized { client, claims }) = client;
        let reader = services.0.feed_readers.open(&client)?;
        let revocations = &services.0.revocations;
        let cursor = last.0.and_then(|text| text.trim().parse::<Cursor>().ok());
        // Now rather than in the stream: who cannot be told says 503.
        let first = match cursor {
            Some(cursor) => revocations.since(cursor),
            None => revocations.snapshot(),
        };
        let first = first.map_err(service::Error::from)?;
        Ok(EventStream::new(services.0, first, reader, claims.jti))
    }
}
