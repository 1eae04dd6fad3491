//! `/auth/sessions`: one's own sessions, and ending them.

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use uuid::Uuid;

use crate::api::callers::renewed_token::RenewedToken;
use crate::api::callers::security::Authenticated;
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, INTERNAL, ON_BEHALF, Refusal, UNAUTHORIZED, UNAVAILABLE, examples, refusals,
};
use crate::api::wire::addresses;
use crate::api::wire::json::Json;
use crate::domain::ids::SessionId;
use crate::domain::session::Session;
use crate::domain::session_cap::SessionCursor;
use crate::service::sessions::SessionPage;
use crate::service::{self, Services};

/// A live session: a login on some device. Times are seconds since the Unix epoch.
#[derive(Object)]
#[oai(rename = "Session", rename_all = "camelCase", example)]
pub struct SessionDto {
    /// The session's id, claim `sid` of its access tokens.
    id: Uuid,
    /// Whether this is the session that asks.
    current: bool,
    /// When it was opened.
    created_at: i64,
    /// When its newest access token was issued.
    last_used_at: i64,
    /// When it ends unless it is refreshed.
    idle_expires_at: i64,
    /// When it ends in any case.
    absolute_expires_at: i64,
    /// The network address that it was opened from, `null` if unknown. Behind a proxy this is the
    /// proxy's.
    #[oai(nullable)]
    address: Option<String>,
    /// The `User-Agent` that it was opened with, `null` if none came. One of more than 64 bytes is shortened to as
    /// many: of a browser's, what all browsers write is left out (`Mozilla/5.0`, `(KHTML, like Gecko)`), so
    /// that platform, browser and version show, and a `…` stands where more was cut. Anybody can write any: show
    /// it as text.
    #[oai(nullable)]
    user_agent: Option<String>,
    /// What opened it, claim `client_id` of its access tokens: `hallpass` for a login with e-mail address
    /// and password.
    client: String,
}

impl SessionDto {
    pub(crate) fn new(session: &Session, current: SessionId) -> Self {
        Self {
            id: *session.id.as_uuid(),
            current: session.id == current,
            created_at: session.created_at.as_secs(),
            last_used_at: session.issued_at.as_secs(),
            idle_expires_at: session.idle_deadline.as_secs(),
            absolute_expires_at: session.absolute_deadline.as_secs(),
            address: session.carried.origin.address.map(|address| address.to_string()),
            user_agent: session.carried.origin.user_agent.clone(),
            client: session.carried.origin.client.clone(),
        }
    }
}

impl Example for SessionDto {
    fn example() -> Self {
        Self {
            id: Uuid::from_u128(0x0d9f_1c3a_6a52_4b0e_9c7e_3f1d_2b8a_5e64),
            current: true,
            created_at: 1_796_169_600,
            last_used_at: 1_796_256_000,
            idle_expires_at: 1_796_860_800,
            absolute_expires_at: 1_798_761_600,
            address: Some("192.0.2.7".to_owned()),
            user_agent: Some("(X11; Linux x86_64; rv:140.0) Firefox/140.0".to_owned()),
            client: "hallpass".to_owned(),
        }
    }
}

/// The session has ended and its tokens are refused from now on.
#[derive(Object)]
#[oai(rename = "SessionRevoked", example)]
pub struct SessionRevoked {
    /// What was done.
    message: String,
}

impl Example for SessionRevoked {
    fn example() -> Self {
        Self { message: "session ended".to_owned() }
    }
}

/// The sessions have ended and their tokens are refused from now on.
#[derive(Object)]
#[oai(rename = "SessionsRevoked", example)]
pub struct SessionsRevoked {
    /// How many there were.
    ended: u64,
}

impl SessionsRevoked {
    pub(crate) fn new(ended: usize) -> Self {
        Self { ended: u64::try_from(ended).unwrap_or(u64::MAX) }
    }
}

impl Example for SessionsRevoked {
    fn example() -> Self {
        Self { ended: 2 }
    }
}

/// The answer to a request for a page of a list of sessions.
#[derive(ApiResponse)]
pub enum SessionListResponse {
    /// A page of live sessions, newest first.
    #[oai(status = 200)]
    Page(
        Json<Vec<SessionDto>>,
        /// `<…>; rel="next"`: the next page, if there is one (RFC 8288).
        #[oai(header = "Link")]
        Option<String>,
    ),
}

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 200;

/// When a list of sessions answers 400.
pub(crate) const NO_SUCH_PAGE: Documented = Documented::new(
    "`limit` is no number from 1 to 200, or `after` is out of no `Link` header (`invalid_request`).",
    || vec![ApiError::invalid_field("limit", "has a value that cannot be taken")],
);

/// Which page of a list of sessions is asked for.
pub(crate) struct PageOfSessions {
    pub(crate) after: Option<SessionCursor>,
    pub(crate) limit: u32,
}

impl PageOfSessions {
    pub(crate) fn asked_for(limit: Option<u32>, after: Option<&str>) -> Result<Self, ApiError> {
        let after = after
            .map(str::parse)
            .transpose()
            .map_err(|_| ApiError::invalid_field("after", "is out of no `Link` header"))?;
        Ok(Self { after, limit: limit.unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE) })
    }

    pub(crate) fn answer(
        &self,
        services: &Services,
        path: &str,
        page: &SessionPage,
        current: SessionId,
    ) -> SessionListResponse {
        let limit = self.limit;
        let next = |after| addresses::next_page(services, &format!("{path}?limit={limit}&after={after}"));
        let link = page.next.map(next);
        let sessions = page.sessions.iter().map(|session| SessionDto::new(session, current)).collect();
        SessionListResponse::Page(Json(sessions), link)
    }
}

refusals! {
    /// Of `listSessions`.
    ListSessionsErrors {
        400 => NO_SUCH_PAGE, 401 => UNAUTHORIZED, 403 => ON_BEHALF, 500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `revokeSession`.
    RevokeSessionErrors {
        401 => UNAUTHORIZED, 403 => ON_BEHALF,
        404 => Documented::new(
            "The caller has no such session: it has ended, or it is somebody else's (`not_found`).",
            || examples([service::Error::NotFound]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
    /// Of `revokeOtherSessions`.
    RevokeOthersErrors { 401 => UNAUTHORIZED, 403 => ON_BEHALF, 500 => INTERNAL, 503 => UNAVAILABLE }
}

/// The operations under `/auth/sessions`.
pub struct SessionsApi;

#[OpenApi(prefix_path = "/auth/sessions", tag = "Tag::Sessions")]
impl SessionsApi {
    /// List the own sessions
    ///
    /// Answers the caller's live sessions, newest first and a page at a time, this one marked: when and
    /// where each was opened, when it was last used and when it ends. The next page is at the address in the
    /// `Link` header; the last page has none.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list_sessions(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// Sessions in this page: 100 unless given, 200 at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// The page begins behind this place in the list, out of a `Link` header: the first page unless given.
        #[oai(validator(
            pattern = "^[0-9]{1,15}\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
        ))]
        after: Query<Option<String>>,
    ) -> Result<SessionListResponse, Refusal<ListSessionsErrors>> {
        let page = PageOfSessions::asked_for(limit.0, after.0.as_deref())?;
        let sessions = services.0.sessions.list(&caller.0, page.after, page.limit).await?;
        Ok(page.answer(&services, "/auth/sessions", &sessions, caller.0.session))
    }

    /// End one of the own sessions
    ///
    /// Ends a session of the caller's, at once and for all its tokens; the one that asks may be it.
    #[oai(path = "/:sid", method = "delete", operation_id = "revokeSession")]
    async fn revoke_session(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        renewed: Data<&RenewedToken>,
        /// The session's id, out of the list.
        sid: Path<Uuid>,
    ) -> Result<Json<SessionRevoked>, Refusal<RevokeSessionErrors>> {
        let session = SessionId::from(sid.0);
        services.0.sessions.revoke_own(&caller.0, session).await?;
        if session == caller.0.session {
            renewed.withdraw();
        }
        Ok(Json(SessionRevoked::example()))
    }

    /// End all other own sessions
    ///
    /// Ends every session of the caller's but the one that asks, at once and for all their tokens, and
    /// answers how many. A session that is being opened at the same moment may live on. After a 503 some
    /// may have ended: the same request ends the rest.
    #[oai(path = "/", method = "delete", operation_id = "revokeOtherSessions")]
    async fn revoke_other_sessions(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
    ) -> Result<Json<SessionsRevoked>, Refusal<RevokeOthersErrors>> {
        let ended = services.0.sessions.revoke_others(&caller.0).await?;
        Ok(Json(SessionsRevoked::new(ended)))
    }
}
