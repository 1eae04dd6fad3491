//! A document as it is served: as it is, and in the form that a generator asks for (`?for=progenitor`).

use std::sync::{Arc, OnceLock};

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, Request, Response};
use serde_json::Value;
use url::form_urlencoded;

use crate::api::document::profiles::Profile;
use crate::api::document::to_pretty_json;
use crate::api::errors::ApiError;
use crate::api::pages::docs_page::document_endpoint;

/// The parameter that names a profile.
const FOR: &str = "for";

/// An endpoint that serves the document that `make` builds, each form of it built when it is first asked for: few
/// ever are. Any other parameter than `for` is ignored, as those who append some to all addresses expect.
pub fn endpoint<F>(make: F) -> impl Endpoint<Output = Response> + 'static + use<F>
where
    F: Fn() -> Result<Value, serde_json::Error> + Send + Sync + 'static,
{
    let profiles = [None].into_iter().chain(Profile::ALL.map(Some));
    let forms: Vec<_> = profiles.map(|profile| Form { profile, served: OnceLock::new() }).collect();
    let shared = Arc::new((make, forms));
    poem::endpoint::make(move |request: Request| {
        let shared = shared.clone();
        async move {
            let (make, forms) = &*shared;
            let profile = asked_for(request.uri().query().unwrap_or_default())?;
            let form = forms.iter().find(|form| form.profile == profile);
            let form = form.ok_or_else(|| ApiError::internal("a profile has no form"))?;
            form.served(make)?.call(request).await
        }
    })
    .map_to_response()
}

/// A form of a document.
struct Form {
    /// The one of a generator; `None`: the document as it is.
    profile: Option<Profile>,
    served: OnceLock<BoxEndpoint<'static>>,
}

impl Form {
    /// Two that ask at first both build it, and one of the two is kept.
    fn served(
        &self,
        make: impl Fn() -> Result<Value, serde_json::Error>,
    ) -> Result<&BoxEndpoint<'static>, ApiError> {
        if let Some(served) = self.served.get() {
            return Ok(served);
        }
        let document = make().map_err(ApiError::internal)?;
        let document = match self.profile {
            Some(profile) => profile.shape(document),
            None => document,
        };
        let endpoint = document_endpoint(to_pretty_json(&document)).map_to_response();
        Ok(self.served.get_or_init(|| endpoint.boxed()))
    }
}

/// The profile that a query names; none where it names none.
///
/// # Errors
/// 400 for one that there is not, with those that there are, and for two.
fn asked_for(query: &str) -> Result<Option<Profile>, ApiError> {
    let mut names = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == FOR);
    let Some((_, name)) = names.next() else { return Ok(None) };
    if names.next().is_some() {
        return Err(ApiError::repeated_parameter(FOR));
    }
    let known = Profile::ALL.map(Profile::name).join(" or ");
    Profile::named(&name)
        .map(Some)
        .ok_or_else(|| ApiError::invalid_field(FOR, &format!("must be {known}, or left out")))
}
