//! `/forward-auth`: a reverse proxy asks before it lets a request through.
//!
//! nginx asks with GET and a path of its own, Traefik with GET and the method in a header, Envoy with the
//! original method and the original path behind a prefix. All of them are the same question, so
//! [`to_one_question`] makes one operation of them, which is the one in the document.

use poem::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use poem::web::Data;
use poem::{IntoResponse, Request, Response};
use poem_openapi::param::Query;
use poem_openapi::registry::{MetaHeader, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, OpenApi};

use crate::api::callers::security::Unproven;
use crate::api::document::tags::Tag;
use crate::api::errors::ApiError;
use crate::api::errors::refusal::{
    Documented, INTERNAL, Refusal, UNAUTHORIZED, UNAVAILABLE, examples, refusals,
};
use crate::api::main::well_known::RESOURCE_PATH;
use crate::domain::audiences::is_audience;
use crate::service::caller::Caller;
use crate::service::{self, Services};

/// Where proxies ask; anything may follow behind a `/`.
pub(crate) const PATH: &str = "/forward-auth";

/// The account's id, as in the claim `sub`.
const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
/// The account's e-mail address, empty unless its owner has proven it.
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
/// The account's roles, with commas between.
const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");

/// Whether a path is one at which proxies ask.
pub(crate) fn is_asked(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Turns every request below [`PATH`], whatever its method, its path and its body, into the one
/// operation. The query counts on the very path alone: behind a longer one it is the client's, who has
/// no say in what is asked here.
pub(crate) fn to_one_question(mut request: Request) -> Request {
    if !is_asked(request.uri().path()) {
        return request;
    }
    if request.uri().path() != PATH {
        *request.uri_mut() = Uri::from_static(PATH);
    }
    request.set_method(Method::GET);
    // Whatever it carries is for the service behind the proxy.
    drop(request.take_body());
    request
}

/// Whether services are told of addresses that nobody has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnverifiedEmail {
    /// They are not: people register with anybody's address, and services hand over accounts by it.
    Withheld,
    /// They are (`forward_auth.unverified_email`).
    Told,
}

/// The request may pass; who sent it is in the headers. All of them come every time, so that a proxy
/// that copies them leaves none of the client's own.
pub struct Pass {
    user: HeaderValue,
    email: HeaderValue,
    groups: HeaderValue,
}

impl Pass {
    /// Who passes.
    ///
    /// # Errors
    /// A defect: claims that no header can hold.
    pub(crate) fn of(caller: &Caller, unverified: UnverifiedEmail) -> Result<Self, ApiError> {
        let is_told = caller.email_verified || unverified == UnverifiedEmail::Told;
        // Bytes, since an address may have letters beyond ASCII; control characters are refused here.
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).map_err(ApiError::internal);
        Ok(Self {
            user: HeaderValue::from(caller.user.get()),
            email: value(if is_told { &caller.email } else { "" })?,
            groups: match &*caller.roles {
                [only] => value(only)?,
                roles => value(&roles.join(","))?,
            },
        })
    }
}

impl IntoResponse for Pass {
    fn into_response(self) -> Response {
        Response::builder()
            .status(StatusCode::OK)
            .header(REMOTE_USER, self.user)
            .header(REMOTE_EMAIL, self.email)
            .header(REMOTE_GROUPS, self.groups)
            .finish()
    }
}

impl ApiResponse for Pass {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let response = MetaResponse {
            description: "The request may pass. There is no body; the headers say who sent it.",
            status: Some(200),
            status_range: None,
            content: Vec::new(),
            headers: vec![
                header("Remote-User", "The account's id, as in the claim `sub`."),
                header(
                    "Remote-Email",
                    "The account's e-mail address, in lower case. It is empty where the owner had not proven \
                     that it is theirs when the access token was issued, unless the service is told \
                     otherwise (`forward_auth.unverified_email`).",
                ),
                header("Remote-Groups", "The account's roles, with commas between."),
            ],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

refusals! {
    /// Of `forwardAuth`.
    ForwardAuthErrors {
        400 => Documented::new(
            "`role` is none that can be asked for, or `audience` can be none (`invalid_request`): nobody passes.",
            || vec![ApiError::invalid_field("role", "has a value that cannot be taken")],
        ),
        401 => UNAUTHORIZED,
        403 => Documented::new(
            "The caller lacks the role that `role` asks for (`forbidden`).",
            || examples([service::Error::Forbidden]),
        ),
        500 => INTERNAL, 503 => UNAVAILABLE,
    }
}

/// The question of proxies.
pub struct ForwardAuthApi;

#[OpenApi(tag = "Tag::Proxies")]
impl ForwardAuthApi {
    /// May this request pass?
    ///
    /// For nginx (`auth_request`), Traefik (`ForwardAuth`), Envoy (`ext_authz`) and others that ask before
    /// they let a request through. It is answered by the tokens of the request alone, revocations
    /// included: any method is taken, any path behind `/forward-auth/`, and no body is read. With an
    /// expired access token, or none, and a live `X-Refresh-Token` the answer carries a new access token
    /// for the client. The access token of somebody who acts for the account (claim `act`) passes like the account's own. A machine's token (no `sid`) does not pass: nobody is logged in by it. The proxy
    /// must not let clients send `Remote-User`, `Remote-Email` and `Remote-Groups` to the services behind
    /// it.
    #[oai(path = "/forward-auth", method = "get", operation_id = "forwardAuth")]
    async fn forward_auth(
        &self,
        services: Data<&Services>,
        tokens: Unproven,
        unverified: Data<&UnverifiedEmail>,
        /// The role that it takes to pass, one of those that the service knows (`roles`); any will do where this is left
        /// out. It counts on the path `/forward-auth` itself, not on a longer one.
        role: Query<Option<String>>,
        /// Whom the access token has to be for (claim `aud`): this service unless given. It counts on the path
        /// `/forward-auth` itself as well.
        audience: Query<Option<String>>,
    ) -> Result<Pass, Refusal<ForwardAuthErrors>> {
        let audience = audience.0.as_deref();
        if !audience.is_none_or(is_audience) {
            return Err(ApiError::invalid_field("audience", "has a value that cannot be taken").into());
        }
        let caller = tokens.prove(audience).await.map_err(|error| {
            error.naming_resource_metadata(format!("{}{RESOURCE_PATH}", services.issuer()))
        })?;
        // Which roles there are is told only to whoever has a token.
        if let Some(role) = role.0 {
            if !services.roles().contains(&role) {
                return Err(ApiError::invalid_field("role", "has a value that cannot be taken").into());
            }
            caller.require_role(&role).map_err(|_| ApiError::lacking_role(&role))?;
        }
        Ok(Pass::of(&caller, *unverified.0)?)
    }
}

#[cfg(test)]
mod tests {
    use poem::Body;

    use super::*;

    fn asked(method: Method, uri: &str) -> Request {
        let request = Request::builder().method(method).uri(uri.parse().expect("a URI"));
        to_one_question(request.body(Body::from_string("a body".to_owned())))
    }

    #[tokio::test]
    async fn every_method_and_path_below_is_the_same_question() {
        for uri in ["/forward-auth", "/forward-auth/", "/forward-auth/a/b?role=admin", "/forward-auth//"] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::TRACE] {
                let mut request = asked(method, uri);
                assert_eq!((request.method(), request.uri()), (&Method::GET, &Uri::from_static(PATH)));
                assert!(request.take_body().into_vec().await.expect("a body").is_empty(), "{uri}");
            }
        }
        assert_eq!(asked(Method::POST, "/forward-auth?role=admin").uri().query(), Some("role=admin"));
    }

    #[tokio::test]
    async fn other_paths_are_left_alone() {
        for uri in ["/forward-authority", "/auth/login", "/x/forward-auth", "/forward-auth%2F"] {
            let mut request = asked(Method::POST, uri);
            assert_eq!((request.method(), request.uri().path()), (&Method::POST, uri));
            assert!(!request.take_body().into_vec().await.expect("a body").is_empty(), "{uri}");
        }
    }
}
