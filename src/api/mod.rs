//! The HTTP surface: requests in, domain words to the service, answers out.
//!
//! A method parses, calls one function of the service and maps the answer. The rooms, from the ground up:
//!
//! - `wire`: bodies, headers and addresses; `errors`: what a client reads when nothing was done;
//! - `callers`: who calls; `document`: the OpenAPI document and what is read out of it;
//! - `main`: the operations of the main API; `oauth`: those under `/oauth2`; `compat`: the other dialects;
//! - `pages`: pages and documents as they are served; `root`: what every request passes.

pub mod callers;
pub mod compat;
pub mod document;
pub mod errors;
pub mod main;
pub mod oauth;
pub mod pages;
pub mod root;
mod sidecar;
pub mod wire;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt, IntoEndpoint, IntoResponse, Request, Response, Route, get};
use poem_openapi::OpenApiService;
use serde_json::Value;

use self::callers::refresh_cookie::CookieRules;
use self::compat::{CompatApi, Dialect};
use self::document::known_names::KnownParameters;
use self::document::profiles::Profile;
use self::document::tags::licence;
use self::main::at_once::{AtOnce, Look};
use self::main::{forward_auth, health, well_known};
use self::pages::docs_page::{self, DocsPage};
use self::pages::{dev_mails, documents, errors as errors_page, mails};
use self::root::cors::Cors;
use self::root::door::{AllowedHosts, Door};
use self::wire::addresses;
use self::wire::client_address::TrustedProxies;
use crate::config::LoggedRequests;
use crate::domain::random::Random;
use crate::mail::ShownMails;
use crate::service::Services;

/// All of the main API, in the order of its document.
type MainApi = (main::AccountApis, oauth::OAuthApi, main::ServiceApis, docs_page::DocsRedirect);

fn main_api() -> OpenApiService<MainApi, ()> {
    let groups = (main::account_apis(), oauth::OAuthApi, main::service_apis(), docs_page::DocsRedirect);
    OpenApiService::new(groups, "hallpass", env!("CARGO_PKG_VERSION"))
        .description(include_str!("document/description.md"))
        .license(licence())
}

/// The OpenAPI document of the main API, repaired: what `/openapi.json` serves, what the docs page
/// shows and what `openapi/hallpass.json` holds.
///
/// # Errors
/// When poem-openapi's document is no JSON; a defect of ours.
pub fn main_document() -> Result<Value, serde_json::Error> {
    document::of(&main_api().spec())
}

/// Every OpenAPI document by the name of its file, as it is served when no profile is asked for.
///
/// # Errors
/// When a document cannot be built; a defect of ours.
pub fn documents() -> Result<Vec<(&'static str, String)>, serde_json::Error> {
    let mut documents = vec![("hallpass.json", document::to_pretty_json(&main_document()?))];
    for dialect in compat::DIALECTS {
        documents.push((dialect.document_name, document::to_pretty_json(&dialect.document()?)));
    }
    Ok(documents)
}

/// Every OpenAPI document in the form that a generator needs, by the name of its file.
///
/// # Errors
/// When a document cannot be built; a defect of ours.
pub fn documents_for(profile: Profile) -> Result<Vec<(&'static str, String)>, serde_json::Error> {
    let shape = |(name, text): (&'static str, String)| {
        Ok((name, document::to_pretty_json(&profile.shape(serde_json::from_str(&text)?))))
    };
    documents()?.into_iter().map(shape).collect()
}

/// Who is let in, who is believed and who may read the answers.
#[derive(Default)]
pub struct Surroundings {
    /// Believed about where requests come from.
    pub proxies: TrustedProxies,
    /// The names that the service answers to; any where there are none.
    pub hosts: Option<AllowedHosts>,
    /// Whose pages may read the answers.
    pub cors: Cors,
    /// Whether there is a docs page.
    pub docs: DocsPage,
    /// The mails that a page shows; without, there is no such page.
    pub shown_mails: Option<ShownMails>,
    /// The app that the pages of mails belong to.
    pub app: mails::App,
    /// Which requests the log has a line for.
    pub logged: LoggedRequests,
    /// What the cookie of pages that ask for it is called, before its prefix.
    pub cookie_name: Option<String>,
}

impl From<Surroundings> for root::Entrance {
    fn from(
        Surroundings { proxies, hosts, cors, docs: _, shown_mails: _, app: _, logged, cookie_name: _ }: Surroundings,
    ) -> Self {
        Self { proxies, door: Door::new(hosts), cors, logged, ..Self::default() }
    }
}

/// What is served before the service can begin: that the process lives, and that it is not ready. Pages that
/// may read the answers later on may read these.
pub fn starting(
    random: Arc<dyn Random>,
    https: bool,
    cors: Cors,
    logged: LoggedRequests,
) -> impl Endpoint<Output = Response> + 'static + use<> {
    let not_yet = || {
        poem::endpoint::make(async |_| {
            Err::<Response, poem::Error>(errors::ApiError::dependency_unavailable().into())
        })
    };
    let mut routes = Route::new();
    for path in ["/livez", "/health/live"] {
        routes = routes.at(path, get(health::livez));
    }
    for path in ["/readyz", "/healthz", "/health/ready", "/health/ready/:operation"] {
        routes = routes.at(path, get(health::not_yet));
    }
    let entrance = Surroundings { cors, logged, ..Surroundings::default() }.into();
    let shape = |_: &Request| -> root::ErrorShape { IntoResponse::into_response };
    root::wrap(routes.nest("/", not_yet()), random, https, entrance, &[], shape, |_: &Request| Look::Other)
}

/// What a sidecar answers by what `validator` knows, with the errors, headers and log lines of the service.
pub fn build_sidecar(
    validator: hallpass_verify::client::Validator,
    random: Arc<dyn Random>,
    unverified_email: forward_auth::UnverifiedEmail,
    logged: LoggedRequests,
) -> impl Endpoint<Output = Response> + 'static + use<> {
    let surroundings = Surroundings { logged, ..Surroundings::default() };
    let shape_of = |request: &Request| -> root::ErrorShape {
        match request.uri().path().starts_with(oauth::PREFIX) {
            true => oauth::respond,
            false => IntoResponse::into_response,
        }
    };
    let routes = sidecar::routes(validator, unverified_email);
    root::wrap(routes, random, false, surroundings.into(), &[sidecar::document()], shape_of, |_: &Request| {
        Look::Other
    })
}

/// The whole service as one endpoint, with the compat APIs that are named. With `https`, browsers
/// are told to stay with it; services behind proxies that ask are told of unverified addresses as
/// `unverified_email` says.
pub fn build(
    services: Services,
    random: Arc<dyn Random>,
    https: bool,
    surroundings: Surroundings,
    unverified_email: forward_auth::UnverifiedEmail,
    compat: &[CompatApi],
) -> impl Endpoint<Output = Response> + 'static + use<> {
    let published = well_known::Published::new(&services);
    let dialects = Dialect::enabled(compat);
    let path_in_front = addresses::path_of(services.issuer()).to_owned();
    let own_origin = addresses::origin_of(services.issuer()).to_owned();
    let routes =
        docs_page::mount(mails::mount(Route::new(), &surroundings.app), &dialects, &surroundings.docs);
    let routes = dev_mails::mount(routes, surroundings.shown_mails.as_ref());
    let mut routes = errors_page::mount(routes, main_document, &surroundings.docs)
        .at("/openapi.json", documents::endpoint(below(&path_in_front, main_document)));
    let mut outlines = vec![document::outline::<MainApi>()];
    for dialect in dialects.iter().copied() {
        let path = format!("/openapi/{}", dialect.document_name);
        routes = routes.at(path, documents::endpoint(below(&path_in_front, move || dialect.document())));
        outlines.push((dialect.outline)());
    }
    let known = KnownParameters::of(&outlines);
    let routes = well_known::mount(routes, services.issuer())
        .at("/livez", get(health::livez))
        .at("/readyz", get(health::readyz))
        .at("/healthz", get(health::readyz))
        .nest("/", main_api().into_endpoint())
        .before(move |request| {
            let checked = known.check(&request);
            async move { checked.map(|()| request).map_err(poem::Error::from) }
        })
        .before(async |request| Ok(forward_auth::to_one_question(request)))
        .map_to_response()
        .boxed();
    let routes = dialects.iter().fold(routes, |others, dialect| dialect.mount(others));
    let shape_of = move |request: &Request| -> root::ErrorShape {
        if request.uri().path().starts_with(oauth::PREFIX) {
            return oauth::respond;
        }
        let dialect = dialects.iter().find(|dialect| (dialect.serves)(request));
        dialect.map_or(IntoResponse::into_response, |dialect| dialect.respond)
    };
    let at_once = AtOnce::new(services.clone(), unverified_email);
    let routes = routes.data(services).data(published).data(unverified_email).data(surroundings.docs.clone());
    let cookie_name = surroundings.cookie_name.clone();
    let mut entrance = root::Entrance::from(surroundings);
    if let Some(name) = cookie_name {
        entrance.cookie = CookieRules::new(&name, https, &path_in_front);
    }
    entrance.own_origin = Some(own_origin);
    root::wrap(routes, random, https, entrance, &outlines, shape_of, move |request: &Request| {
        at_once.look_at(request)
    })
}

/// What builds a document whose paths stand below this one.
fn below(
    path: &str,
    document: impl Fn() -> Result<Value, serde_json::Error> + Send + Sync + 'static,
) -> impl Fn() -> Result<Value, serde_json::Error> + Send + Sync + 'static {
    let path = path.to_owned();
    move || {
        let mut document = document()?;
        document::serve_below(&path, &mut document);
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the outline of an API should have, out of its document.
    fn outline_of(document: &Value) -> Value {
        let mut paths = document["paths"].clone();
        for operations in paths.as_object_mut().expect("paths").values_mut() {
            for operation in operations.as_object_mut().expect("operations").values_mut() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
                let names: Vec<_> =
                    in_query.map(|parameter| json!({ "in": "query", "name": parameter["name"] })).collect();
                *operation = json!({ "operationId": operation["operationId"], "parameters": names });
            }
        }
        json!({ "paths": paths })
    }

    #[test]
    fn an_outline_has_the_operations_of_the_document_and_what_their_queries_take() {
        let main = main_document().expect("the document");
        assert_eq!(document::outline::<MainApi>(), outline_of(&main));
        assert!(outline_of(&main).to_string().contains(r#""name":"limit""#));
        for dialect in compat::DIALECTS {
            let document = dialect.document().expect("the document");
            assert_eq!((dialect.outline)(), outline_of(&document), "{}", dialect.title);
        }
    }
}
