//! `/audit`: what happened, for administrators.

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::api::callers::security::Authenticated;
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{Documented, INTERNAL, Refusal, UNAUTHORIZED, UNAVAILABLE, refusals};
use crate::api::main::administration::FORBIDDEN;
use crate::api::wire::addresses;
use crate::api::wire::dto::UserIdParam;
use crate::api::wire::json::Json;
use crate::domain::audit::{AuditAction, AuditActor, AuditFilter, AuditId, Reason, RecordedEntry};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, SessionId};
use crate::service::Services;
use crate::service::caller::Administrator;

/// Entries in a page, unless asked otherwise, and at most.
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

/// Something that happened. It names ids only: no secret, and no e-mail address.
#[derive(Object)]
#[oai(rename = "AuditEntry", example)]
pub struct AuditEntryDto {
    /// The entry's place in the log: a later entry has a greater one, a gap means nothing.
    id: i64,
    /// When it happened, seconds since the Unix epoch.
    at: i64,
    /// What happened: `account_created`, `accounts_imported`, `account_disabled`, `account_enabled`,
    /// `account_deleted`, `role_changed`, `email_changed`, `email_verified`, `login_succeeded`,
    /// `login_failed`, `session_ended`, `sessions_ended`, `session_expired`, `refresh_token_reused`,
    /// `token_revoked`, `password_changed`, `password_change_failed`, `password_reset_requested`,
    /// `password_reset`, `password_reset_failed`, `client_created`, `client_secret_rotated`,
    /// `client_changed`, `client_deleted`, `client_refused`, `signing_key_added`, `signing_key_promoted`,
    /// `signing_key_retired`, `signing_key_deleted`, `signing_key_revoked`, `secret_rotated` or
    /// `stores_restored`. Later versions may add to these.
    action: String,
    /// Who did it: `user:` and an account's id, `client:` and a client's id, `operator` (the command line),
    /// `service` (hallpass itself), or `anonymous`.
    actor: String,
    /// The id of the account that it was done to, `null` where there is none.
    #[oai(nullable)]
    user: Option<i64>,
    /// The session that it is about or was done from (claim `sid`), `null` where there is none.
    #[oai(nullable)]
    session: Option<Uuid>,
    /// The access token that it is about (claim `jti`), `null` where there is none.
    #[oai(nullable)]
    token: Option<Uuid>,
    /// The network address that it was done from, `null` where there is none.
    #[oai(nullable)]
    address: Option<String>,
    /// Why, for programs: `wrong_password`, `reuse_detected`, `idle_timeout`, `revoked_by_admin` …; `null`
    /// where the action says it all. Later versions may add to these.
    #[oai(nullable)]
    reason: Option<String>,
    /// The client or the signing key that it is about, by its id, `null` where there is none.
    #[oai(nullable)]
    object: Option<String>,
    /// How many sessions it ended, or accounts it brought or sent to log in again, or failed attempts it stands for: beyond 600 a minute
    /// those of strangers are not noted one by one. `null` where it is not about that, or where the end of the
    /// sessions was not confirmed yet.
    #[oai(nullable)]
    count: Option<u64>,
}

impl From<&RecordedEntry> for AuditEntryDto {
    fn from(recorded: &RecordedEntry) -> Self {
        let entry = &recorded.entry;
        Self {
            id: recorded.id.get(),
            at: entry.at.as_secs(),
            action: entry.action.to_string(),
            actor: entry.actor.to_string(),
            user: entry.user.map(|user| user.get()),
            session: entry.session.map(|session| *session.as_uuid()),
            token: entry.token.map(|token| *token.as_uuid()),
            address: entry.address.map(|address| address.to_string()),
            reason: entry.reason.map(|reason| reason.to_string()),
            object: entry.object.clone(),
            count: entry.count,
        }
    }
}

impl Example for AuditEntryDto {
    fn example() -> Self {
        Self {
            id: 4711,
            at: 1_796_169_600,
            action: AuditAction::SessionEnded.to_string(),
            actor: "user:1".to_owned(),
            user: Some(2),
            session: Some(Uuid::from_u128(0x0d9f_1c3a_6a52_4b0e_9c7e_3f1d_2b8a_5e64)),
            token: None,
            address: Some("192.0.2.7".to_owned()),
            reason: Some(Reason::RevokedByAdmin.to_string()),
            object: None,
            count: None,
        }
    }
}

/// The answer to a request for a page of the audit log.
#[derive(ApiResponse)]
pub enum AuditResponse {
    /// A page of entries, newest first.
    #[oai(status = 200)]
    Page(
        Json<Vec<AuditEntryDto>>,
        /// `<…>; rel="next"`: the next page, of older entries, if there is one (RFC 8288).
        #[oai(header = "Link")]
        Option<String>,
    ),
}

refusals! {
    /// Of `listAudit`.
    ListAuditErrors {
        400 => Documented::new(
            "`limit` is no number from 1 to 200, or another parameter has a value that cannot be taken, as an \
             action that there is not (`invalid_request`; `errors` names the parameter).",
            || vec![ApiError::invalid_field("action", "has a value that cannot be taken")],
        ),
        401 => UNAUTHORIZED,
        403 => FORBIDDEN,
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

/// The operations under `/audit`.
pub struct AuditApi;

#[OpenApi(tag = "Tag::Administration")]
impl AuditApi {
    /// List the audit log
    ///
    /// For administrators: what happened to accounts, sessions and tokens, newest first, a page at a time.
    /// The next page is at the address in the `Link` header; the last page has none. Given several
    /// parameters, entries satisfy all of them. What the answering process has seen is in it at once; what
    /// others have seen within moments.
    #[oai(path = "/audit", method = "get", operation_id = "listAudit")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn list_audit(
        &self,
        services: Data<&Services>,
        caller: Authenticated,
        /// Entries in this page: 50 unless given, 200 at most.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// The page begins with the newest entry before the one with this id: with the newest of all unless
        /// given.
        #[oai(validator(minimum(value = "0")))]
        before: Query<Option<i64>>,
        /// Done to the account with this id.
        user: Query<Option<UserIdParam>>,
        /// Done by this actor: `user:` and an account's id, `client:` and a client's id, `operator`, `service`
        /// or `anonymous`.
        actor: Query<Option<String>>,
        /// About, or done from, the session with this id (claim `sid`).
        session: Query<Option<Uuid>>,
        /// About the access token with this id (claim `jti`).
        token: Query<Option<Uuid>>,
        /// Of this kind: one of the entries' `action`.
        action: Query<Option<String>>,
        /// For this reason: one of the entries' `reason`.
        reason: Query<Option<String>>,
        /// At this moment or later, seconds since the Unix epoch.
        since: Query<Option<i64>>,
        /// Before this moment, seconds since the Unix epoch.
        until: Query<Option<i64>>,
    ) -> Result<AuditResponse, Refusal<ListAuditErrors>> {
        let by = Administrator::from_caller(&caller.0)?;
        let moment = |seconds: i64| Timestamp::from_secs(seconds);
        let filter = AuditFilter {
            user: user.0.map(|user| user.0),
            actor: parameter::<AuditActor>("actor", actor.0.as_deref())?,
            session: session.0.map(SessionId::from),
            token: token.0.map(Jti::from),
            action: parameter::<AuditAction>("action", action.0.as_deref())?,
            reason: parameter::<Reason>("reason", reason.0.as_deref())?,
            since: since.0.map(moment),
            until: until.0.map(moment),
        };
        let limit = limit.0.unwrap_or(DEFAULT_PAGE).clamp(1, LARGEST_PAGE);
        let page = services.0.audit.list(by, &filter, before.0.map(AuditId::new), limit).await?;
        let next = |before| addresses::next_page(&services, &target(limit, before, &filter));
        let link = page.next.map(next);
        Ok(AuditResponse::Page(Json(page.entries.iter().map(AuditEntryDto::from).collect()), link))
    }
}

/// A parameter that has a vocabulary of its own.
fn parameter<T: std::str::FromStr>(name: &str, text: Option<&str>) -> Result<Option<T>, ApiError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| ApiError::invalid_field(name, "has a value that cannot be taken"))
}

/// Where a page is.
fn target(limit: u32, before: AuditId, filter: &AuditFilter) -> String {
    let AuditFilter { user, actor, session, token, action, reason, since, until } = filter;
    let seconds = |moment: &Timestamp| moment.as_secs().to_string();
    let parameters = [
        ("limit", Some(limit.to_string())),
        ("before", Some(before.to_string())),
        ("user", user.map(|user| user.to_string())),
        ("actor", actor.as_ref().map(ToString::to_string)),
        ("session", session.map(|session| session.to_string())),
        ("token", token.map(|token| token.to_string())),
        ("action", action.map(|action| action.to_string())),
        ("reason", reason.map(|reason| reason.to_string())),
        ("since", since.as_ref().map(seconds)),
        ("until", until.as_ref().map(seconds)),
    ];
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let path = "/audit?".to_owned();
    let end = path.len();
    Serializer::for_suffix(path, end).extend_pairs(given).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_in_the_same_way() {
        let filter = AuditFilter {
            actor: Some(AuditActor::Client("reports".parse().expect("an id"))),
            reason: Some(Reason::IdleTimeout),
            since: Some(Timestamp::from_millis(5_000)),
            ..AuditFilter::default()
        };
        let page = target(10, AuditId::new(7), &filter);
        assert_eq!(page, "/audit?limit=10&before=7&actor=client%3Areports&reason=idle_timeout&since=5");
    }

    #[test]
    fn every_action_is_documented() {
        let document = crate::api::main_document().expect("the document");
        let action = document.pointer("/components/schemas/AuditEntry/properties/action/description");
        let text = action.and_then(serde_json::Value::as_str).expect("a description");
        for action in AuditAction::ALL {
            assert!(text.contains(&format!("`{action}`")), "{action} is missing in: {text}");
        }
    }
}
