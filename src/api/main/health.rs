//! `/health/…`: for whoever starts, restarts and balances the service.

use std::collections::BTreeMap;

use poem::web::Data;
use poem::{IntoResponse, Response, handler};
use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::api::document::tags::Tag;
use crate::api::errors::refusal::{INTERNAL, Refusal, refusals};
use crate::api::errors::retry_after_seconds;
use crate::api::main::well_known::DocumentErrors;
use crate::api::wire::json::Json;
use crate::service::Services;
use crate::service::readiness::{self, Check};

/// The process is alive.
#[derive(Object)]
#[oai(rename = "Live", example)]
pub struct Live {
    /// Always `live`.
    status: String,
}

impl Example for Live {
    fn example() -> Self {
        Self { status: "live".to_owned() }
    }
}

/// Whether the service can do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ReadinessStatus", rename_all = "snake_case")]
pub enum ReadinessStatus {
    /// Everything is as it should be.
    Ready,
    /// Tokens are validated and refreshed; something else is not as it should be.
    Degraded,
    /// Tokens are not validated, or not refreshed.
    NotReady,
}

/// What readiness is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "ReadinessOperation", rename_all = "snake_case")]
pub enum ReadinessOperation {
    /// Access tokens are checked.
    Validate,
    /// Refresh tokens are redeemed.
    Refresh,
    /// Sessions are opened.
    Login,
    /// Sessions and tokens are revoked.
    Revoke,
}

impl From<ReadinessOperation> for readiness::Operation {
    fn from(operation: ReadinessOperation) -> Self {
        match operation {
            ReadinessOperation::Validate => Self::Validate,
            ReadinessOperation::Refresh => Self::Refresh,
            ReadinessOperation::Login => Self::Login,
            ReadinessOperation::Revoke => Self::Revoke,
        }
    }
}

/// What the service stands on, and how that is.
#[derive(Object)]
#[oai(rename = "Readiness", example)]
pub struct Readiness {
    /// In a word.
    status: ReadinessStatus,
    /// Each thing by its name: `ok`, or in a word what is wrong. `token_store` is `unavailable`,
    /// `read_only` (it takes no writes) or `full` (it takes revocations alone); `database` is
    /// `unavailable`; `journal`, what the token store may have forgotten, is `behind` while that is made good;
    /// `feed`, the copy of the revocations that followers are told from, is `stale`;
    /// `shutdown` is there, and `stopping`, once the process was told to stop;
    /// `clock` is `odd` where this replica's clock is wrong, `token_store_odd` or `database_odd` where
    /// theirs is.
    checks: BTreeMap<String, String>,
}

impl Example for Readiness {
    fn example() -> Self {
        let checks =
            [("clock", "ok"), ("database", "ok"), ("feed", "ok"), ("journal", "ok"), ("token_store", "ok")];
        let owned = |(name, check): (&str, &str)| (name.to_owned(), check.to_owned());
        Self { status: ReadinessStatus::Ready, checks: checks.map(owned).into() }
    }
}

impl From<&readiness::Readiness> for Readiness {
    fn from(found: &readiness::Readiness) -> Self {
        let status = match found.status() {
            readiness::Status::Ready => ReadinessStatus::Ready,
            readiness::Status::Degraded => ReadinessStatus::Degraded,
            readiness::Status::NotReady => ReadinessStatus::NotReady,
        };
        let mut checks = BTreeMap::new();
        for checked in &found.checks {
            let shown: &mut String = checks.entry(checked.name.to_owned()).or_insert_with(|| "ok".to_owned());
            if let (Check::Failing(word), "ok") = (checked.check, shown.as_str()) {
                word.clone_into(shown);
            }
        }
        Self { status, checks }
    }
}

/// What readiness is answered with: the same body with either status.
#[derive(ApiResponse)]
enum ReadinessAnswer {
    /// Send requests.
    #[oai(status = 200)]
    Ready(Json<Readiness>),
    /// Send none. `checks` says what is wrong.
    #[oai(status = 503)]
    NotReady(Json<Readiness>, #[oai(header = "Retry-After")] u64),
}

impl ReadinessAnswer {
    fn new(is_ready: bool, found: &readiness::Readiness) -> Self {
        let body = Json(Readiness::from(found));
        match is_ready {
            true => Self::Ready(body),
            false => Self::NotReady(body, retry_after_seconds()),
        }
    }
}

refusals! {
    /// Of `ready` and `readyFor`.
    ReadyErrors {
        500 => INTERNAL,
    }
}

/// The operations under `/health`.
pub struct HealthApi;

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl HealthApi {
    /// Is the process alive?
    ///
    /// Asks nothing but the process itself: restart it when this fails. Also at `/livez`.
    #[oai(path = "/live", method = "get", operation_id = "live")]
    async fn live(&self) -> Result<Json<Live>, Refusal<DocumentErrors>> {
        Ok(Json(Live::example()))
    }

    /// Can the service do its work?
    ///
    /// Ready as long as tokens are validated and refreshed: send no requests while it is not. It asks
    /// the database and writes to the token store, within bounds. `degraded` is ready: without its
    /// database the service validates and refreshes tokens, and logs nobody in. Also at `/readyz` and
    /// `/healthz`.
    // Not in the document, nor is the next: generators of clients take errors of one shape alone, and
    // this 503 has the body of the 200.
    #[oai(path = "/ready", method = "get", operation_id = "ready", hidden = true)]
    async fn ready(&self, services: Data<&Services>) -> Result<ReadinessAnswer, Refusal<ReadyErrors>> {
        Ok(readiness(&services).await)
    }

    /// Can the service do this part of its work?
    ///
    /// For a balancer that sends each kind of request where it is served, and for alarms: without the
    /// database `login` and `revoke` are not ready, and `validate` and `refresh` are.
    #[oai(path = "/ready/:operation", method = "get", operation_id = "readyFor", hidden = true)]
    async fn ready_for(
        &self,
        services: Data<&Services>,
        /// Which part.
        operation: Path<ReadinessOperation>,
    ) -> Result<ReadinessAnswer, Refusal<ReadyErrors>> {
        let found = services.readiness.check().await;
        Ok(ReadinessAnswer::new(found.serves(operation.0.into()), &found))
    }
}

async fn readiness(services: &Services) -> ReadinessAnswer {
    let found = services.readiness.check().await;
    ReadinessAnswer::new(found.status() != readiness::Status::NotReady, &found)
}

/// Readiness by what was found.
pub(crate) fn answer(found: &readiness::Readiness) -> Response {
    ReadinessAnswer::new(found.status() == readiness::Status::Ready, found).into_response()
}

/// Whether a path is one that health checks ask for, by whichever name.
pub(crate) fn is_check(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/healthz") || path.starts_with("/health/")
}

/// `/livez`: the name that Kubernetes prefers.
#[handler]
pub(crate) fn livez() -> Json<Live> {
    Json(Live::example())
}

/// `/readyz` and `/healthz`.
#[handler]
pub(crate) async fn readyz(services: Data<&Services>) -> Response {
    readiness(&services).await.into_response()
}

/// Readiness before the database was found.
#[handler]
pub(crate) fn not_yet() -> Response {
    let database = readiness::Checked {
        name: "database",
        check: Check::Failing("unavailable"),
        needed_for: readiness::Operation::ALL,
    };
    ReadinessAnswer::new(false, &readiness::Readiness { checks: vec![database] }).into_response()
}
