//! `/health/…`: for whoever starts, restarts and balances the service.

use poem::handler;
use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::error::ApiError;
use super::json::Json;
use super::refusal::{Documented, INTERNAL, Refusal, refusals};
use super::well_known::DocumentErrors;
use crate::service::Services;

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

/// The service can answer requests.
#[derive(Object)]
#[oai(rename = "Ready", example)]
pub struct Ready {
    /// Always `ready`.
    status: String,
}

impl Example for Ready {
    fn example() -> Self {
        Self { status: "ready".to_owned() }
    }
}

refusals! {
    /// Of `ready`.
    ReadyErrors {
        500 => INTERNAL,
        503 => Documented::new(
            "The database or the token store does not answer (`dependency_unavailable`); `detail` says which.",
            || vec![ApiError::not_ready(&["the token store"])],
        ),
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

    /// Can the service answer requests?
    ///
    /// Asks the database and the token store, within bounds: send no requests while this fails.
    /// Also at `/readyz` and `/healthz`.
    #[oai(path = "/ready", method = "get", operation_id = "ready")]
    async fn ready(&self, services: Data<&Services>) -> Result<Json<Ready>, Refusal<ReadyErrors>> {
        Ok(readiness(&services).await?)
    }
}

async fn readiness(services: &Services) -> Result<Json<Ready>, ApiError> {
    match services.ready().await {
        Ok(()) => Ok(Json(Ready::example())),
        Err(missing) => Err(ApiError::not_ready(&missing)),
    }
}

/// `/livez`: the name that Kubernetes prefers.
#[handler]
pub(super) fn livez() -> Json<Live> {
    Json(Live::example())
}

/// `/readyz` and `/healthz`.
#[handler]
pub(super) async fn readyz(services: Data<&Services>) -> poem::Result<Json<Ready>> {
    Ok(readiness(&services).await?)
}
