//! The HTTP surface: requests in, domain words to the service, answers out.
//!
//! A method parses, calls one function of the service and maps the answer. `error` holds the map
//! from what the service says to what a client reads, `root` what every request passes.

mod allow;
pub mod auth;
pub mod docs_page;
pub mod document;
pub mod dto;
pub mod error;
pub mod health;
pub mod json;
mod json_fields;
pub mod refusal;
mod root;
pub mod security;
pub mod users;
pub mod well_known;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, Response, Route, get};
use poem_openapi::{LicenseObject, OpenApiService, Tags};
use serde_json::Value;

use crate::domain::random::Random;
use crate::service::Services;

/// The groups of operations in the document.
#[derive(Tags)]
pub enum Tag {
    /// Register, log in, refresh, log out, change or reset a password.
    Authentication,
    /// One's own account, and for administrators everybody's.
    Users,
    /// The public keys with which any other service can check access tokens on its own.
    Discovery,
    /// For what starts, restarts and balances the service.
    Health,
}

type MainApi =
    (auth::AuthApi, users::UsersApi, well_known::WellKnownApi, health::HealthApi, docs_page::FrontDoor);

fn main_api() -> OpenApiService<MainApi, ()> {
    let apis =
        (auth::AuthApi, users::UsersApi, well_known::WellKnownApi, health::HealthApi, docs_page::FrontDoor);
    let licence = LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html");
    OpenApiService::new(apis, "hallpass", env!("CARGO_PKG_VERSION"))
        .description(include_str!("document/description.md"))
        .license(licence)
}

/// The OpenAPI document of the main API, repaired: what `/openapi.json` serves, what the docs page
/// shows and what `openapi/hallpass.json` holds.
///
/// # Errors
/// When poem-openapi's document is no JSON; a defect of ours.
pub fn main_document() -> Result<Value, serde_json::Error> {
    Ok(document::repair(serde_json::from_str(&main_api().spec())?))
}

/// Every OpenAPI document by the name of its file.
///
/// # Errors
/// When a document cannot be built; a defect of ours.
pub fn documents() -> Result<Vec<(&'static str, String)>, serde_json::Error> {
    Ok(vec![("hallpass.json", document::to_pretty_json(&main_document()?))])
}

/// The whole service as one endpoint. With `https`, browsers are told to stay with it.
///
/// # Errors
/// When a document cannot be built; a defect of ours.
pub fn build(
    services: Services,
    random: Arc<dyn Random>,
    https: bool,
) -> Result<impl Endpoint<Output = Response> + 'static, serde_json::Error> {
    let document = main_document()?;
    let keys = well_known::PublishedKeys::new(&services.key_ring)?;
    let routes = docs_page::mount(Route::new())
        .at("/openapi.json", docs_page::document_endpoint(document::to_pretty_json(&document)))
        .at("/livez", get(health::livez))
        .at("/readyz", get(health::readyz))
        .at("/healthz", get(health::readyz))
        .nest("/", main_api())
        .data(services)
        .data(keys);
    let allowed = allow::AllowedMethods::of(&[document]);
    Ok(root::wrap(routes, random, https, allowed))
}
