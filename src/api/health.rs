//! `/health/…`: for whoever starts, restarts and balances the service.

use poem::handler;
use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::error::ApiError;
use super::json::Json;
use super::refusal::{INTERNAL, Refusal, refusals};
use super::well_known::DocumentErrors;
use crate::service::Services;

/// How the service is.
#[derive(Object)]
#[oai(rename = "Health", example)]
pub struct Health {
    /// `live` or `ready`.
    status: String,
}

impl Health {
    fn of(status: &str) -> Self {
        Self { status: status.to_owned() }
    }
}

impl Example for Health {
    fn example() -> Self {
        Self::of("ready")
    }
}

refusals! {
    /// Of `ready`.
    ReadyErrors {
        500 => INTERNAL,
        503 => "The database or the token store does not answer; `detail` says which.",
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
    async fn live(&self) -> Result<Json<Health>, Refusal<DocumentErrors>> {
        Ok(Json(Health::of("live")))
    }

    /// Can the service answer requests?
    ///
    /// Asks the database and the token store, within bounds: send no requests while this fails.
    /// Also at `/readyz` and `/healthz`.
    #[oai(path = "/ready", method = "get", operation_id = "ready")]
    async fn ready(&self, services: Data<&Services>) -> Result<Json<Health>, Refusal<ReadyErrors>> {
        Ok(readiness(&services).await?)
    }
}

async fn readiness(services: &Services) -> Result<Json<Health>, ApiError> {
    match services.ready().await {
        Ok(()) => Ok(Json(Health::of("ready"))),
        Err(missing) => Err(ApiError::not_ready(&missing)),
    }
}

/// `/livez`: the name that Kubernetes prefers.
#[handler]
pub(super) fn livez() -> Json<Health> {
    Json(Health::of("live"))
}

/// `/readyz` and `/healthz`.
#[handler]
pub(super) async fn readyz(services: Data<&Services>) -> poem::Result<Json<Health>> {
    Ok(readiness(&services).await?)
}
