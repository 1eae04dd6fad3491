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

/// An endpoint that serves a document. Any other parameter than `for` is ignored, as those who append some to all
/// addresses expect.
pub fn endpoint(document: &Value) -> impl Endpoint<Output = Response> + 'static + use<> {
    let text: Arc<str> = to_pretty_json(document).into();
    let plain = document_endpoint(text.to_string()).map_to_response();
    let shaped = Arc::new(Profile::ALL.map(|profile| Shaped { profile, served: OnceLock::new() }));
    let plain = Arc::new(plain.boxed());
    poem::endpoint::make(move |request: Request| {
        let (text, plain, shaped) = (Arc::clone(&text), Arc::clone(&plain), Arc::clone(&shaped));
        async move {
            let profile = asked_for(request.uri().query().unwrap_or_default())?;
            let shaped = profile.and_then(|profile| shaped.iter().find(|shaped| shaped.profile == profile));
            match shaped {
                Some(shaped) => shaped.serve(&text)?.call(request).await,
                None => plain.call(request).await,
            }
        }
    })
}

/// A profile of the document, made when it is first asked for: few ever are.
struct Shaped {
    profile: Profile,
    served: OnceLock<BoxEndpoint<'static>>,
}

impl Shaped {
    fn serve(&self, text: &str) -> Result<&BoxEndpoint<'static>, ApiError> {
        if let Some(served) = self.served.get() {
            return Ok(served);
        }
        let document = self.profile.shape(serde_json::from_str(text).map_err(ApiError::internal)?);
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
