//! The compat APIs: the contracts of other token services, so that their clients move over by
//! changing their base URL.
//!
//! Each is one file of thin translations: it parses its dialect, calls the functions of the service
//! that the main API calls, and writes its dialect's answers. Neither knows a rule of its own but
//! those that its contract adds.

pub mod access_tokens;
pub mod nest;

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, Request, Response};
use serde_json::Value;

use crate::api::document;
use crate::api::errors::ApiError;
pub use crate::config::CompatApi;

/// An API beside the main one: all that the rest of the service knows of it.
pub struct Dialect {
    /// By which setting it is there.
    pub api: CompatApi,
    /// The file that holds its document, below `/openapi/` and in the repository's `openapi`.
    pub document_name: &'static str,
    /// What the docs page's switch calls it.
    pub title: &'static str,
    /// Its document as poem-openapi has it.
    spec: fn() -> String,
    /// What every start needs of it.
    pub(crate) outline: fn() -> Value,
    /// Whether a request is for it.
    pub serves: fn(&Request) -> bool,
    /// Its operations.
    endpoint: fn() -> BoxEndpoint<'static>,
    /// How it writes errors.
    pub respond: fn(ApiError) -> Response,
}

/// All of them, in the order of the documentation. A new one has its line here and its name in [`CompatApi`].
pub const DIALECTS: [&Dialect; 2] = [&nest::DIALECT, &access_tokens::DIALECT];

impl Dialect {
    /// Those that are there by the settings.
    pub fn enabled(apis: &[CompatApi]) -> Vec<&'static Self> {
        DIALECTS.into_iter().filter(|dialect| apis.contains(&dialect.api)).collect()
    }

    /// Its OpenAPI document, repaired.
    ///
    /// # Errors
    /// When poem-openapi's document is no JSON; a defect of ours.
    pub fn document(&self) -> Result<Value, serde_json::Error> {
        document::of(&(self.spec)())
    }

    /// Its operations in front of `others`.
    pub fn mount(&'static self, others: BoxEndpoint<'static, Response>) -> BoxEndpoint<'static, Response> {
        Mounted { dialect: self, own: (self.endpoint)(), others }.boxed()
    }
}

struct Mounted {
    dialect: &'static Dialect,
    own: BoxEndpoint<'static>,
    others: BoxEndpoint<'static, Response>,
}

impl Endpoint for Mounted {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if (self.dialect.serves)(&request) {
            self.own.call(request).await
        } else {
            self.others.call(request).await
        }
    }
}
