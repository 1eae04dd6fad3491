//! What a sidecar answers: the checks of access tokens, by what it knows of its issuer.
//!
//! It has no stores and mints nothing. `/forward-auth` and `/oauth2/introspect` keep the contracts of the service
//! for access tokens; it knows no refresh tokens. Whoever reaches it may ask, so it listens on this machine alone.

use std::sync::Arc;

use hallpass_verify::Rejection;
use hallpass_verify::client::{ValidationError, Validator};
use poem::http::{HeaderMap, header};
use poem::{Endpoint, EndpointExt, IntoResponse, Request, Response, Route, get, post};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::callers::security::{bearer, single};
use super::errors::ApiError;
use super::errors::oauth::unsupported_token_type;
use super::main::forward_auth::{self, Pass, UnverifiedEmail};
use super::main::health;
use super::oauth::{IntrospectionDto, TokenInQuestion};
use super::pages::metrics;
use super::wire::form::FormOrJson;
use super::wire::json::Json;
use crate::domain::roles::RoleName;
use crate::domain::tokens::AccessToken;
use crate::metrics::Moment;
use crate::service;
use crate::service::caller::Caller;
use crate::service::oauth::{Introspection, is_refresh_token};
use crate::service::readiness::{Check, Checked, Operation, Readiness};
use crate::service::visitor::Visitor;

/// The parameter that a proxy asks for a role with. Which roles there are only the service knows.
const ROLE: &str = "role";

/// The operations by their methods and names, for the log and for `Allow`.
pub(super) fn document() -> Value {
    json!({ "paths": {
        "/forward-auth": { "get": { "operationId": "forwardAuth" } },
        "/oauth2/introspect": { "post": { "operationId": "introspectToken" } },
        "/health/live": { "get": { "operationId": "live" } },
        "/health/ready": { "get": { "operationId": "ready" } },
    } })
}

/// The operations over what `validator` knows.
pub(super) fn routes(validator: Validator, unverified: UnverifiedEmail) -> impl Endpoint<Output = Response> {
    let (passing, asking, looking, watched) =
        (validator.clone(), validator.clone(), validator.clone(), validator);
    let forward_auth = poem::endpoint::make(move |request: Request| {
        let validator = passing.clone();
        async move { pass(&validator, &request, unverified).await.map_err(poem::Error::from) }
    });
    let introspect = poem::endpoint::make(move |request: Request| {
        let validator = asking.clone();
        async move { introspect(&validator, request).await }
    });
    let ready = poem::endpoint::make_sync(move |_| health::answer(&readiness(&looking)));
    let ready = Arc::new(ready);
    let metrics = poem::endpoint::make_sync(move |_| metrics::answer(&moment(&watched)));
    Route::new()
        .at("/livez", get(health::livez))
        .at("/health/live", get(health::livez))
        .at("/readyz", get(ready.clone()))
        .at("/healthz", get(ready.clone()))
        .at("/health/ready", get(ready))
        .at(forward_auth::PATH, get(forward_auth))
        .at("/oauth2/introspect", post(introspect))
        .at(metrics::PATH, get(metrics))
        .before(async |request| Ok(forward_auth::to_one_question(request)))
        .map_to_response()
}

/// May this request pass? The rules are those of the service's own `/forward-auth`.
async fn pass(
    validator: &Validator,
    request: &Request,
    unverified: UnverifiedEmail,
) -> Result<Response, ApiError> {
    let role = role_asked_for(request.uri().query().unwrap_or_default())?;
    let token =
        presented(request.headers())?.ok_or_else(|| ApiError::from(service::Error::Unauthenticated))?;
    let claims = validator.validate(token).await.map_err(refusal)?;
    let address = request.data::<Visitor>().and_then(Visitor::address);
    let caller = Caller::of(AccessToken::new(token), &claims, address)?;
    if let Some(role) = role {
        let known = role.parse::<RoleName>();
        known.map_err(|_| ApiError::invalid_field(ROLE, "has a value that cannot be taken"))?;
        caller.require_role(&role).map_err(|_| ApiError::lacking_role(&role))?;
    }
    Ok(Pass::of(&caller, unverified)?.into_response())
}

/// The role in a query, once or not at all, and nothing beside it: a mistake lets nobody in.
fn role_asked_for(query: &str) -> Result<Option<String>, ApiError> {
    let mut role = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != ROLE {
            return Err(ApiError::unknown_parameter(&[ROLE]));
        }
        if role.replace(value.into_owned()).is_some() {
            return Err(ApiError::repeated_parameter(ROLE));
        }
    }
    Ok(role)
}

fn presented(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    Ok(single(headers, &header::AUTHORIZATION)?.and_then(bearer))
}

/// What there is to say about an access token (RFC 7662 2.2).
async fn introspect(validator: &Validator, request: Request) -> poem::Result<Response> {
    let (request, mut body) = request.split();
    let asked = FormOrJson::<TokenInQuestion>::read(&request, &mut body).await?.0;
    if is_refresh_token(asked.token()) {
        return Ok(unsupported_token_type(
            "A sidecar knows access tokens alone: ask the service about others.",
        ));
    }
    let introspection = match validator.validate(asked.token()).await {
        Ok(claims) => Introspection::Access(Box::new(claims)),
        Err(error) if error.is_verdict() => Introspection::Inactive,
        Err(error) => return Err(refusal(error).into()),
    };
    Ok(Json(IntrospectionDto::from(introspection)).into_response())
}

/// The error of the service that says the same.
fn refusal(error: ValidationError) -> ApiError {
    match error {
        ValidationError::Rejected(Rejection::Expired(_)) => service::Error::TokenExpired.into(),
        ValidationError::Rejected(rejection) => service::Error::InvalidToken(rejection).into(),
        ValidationError::Revoked => service::Error::TokenRevoked.into(),
        error => ApiError::dependency_unavailable_since(error),
    }
}

/// Ready as long as it can tell: it has keys, and what it knows of revocations is young enough.
fn readiness(validator: &Validator) -> Readiness {
    let status = validator.status();
    let check = |name, is_good, failing| Checked {
        name,
        check: if is_good { Check::Ok } else { Check::Failing(failing) },
        needed_for: &[Operation::Validate],
    };
    Readiness {
        checks: vec![check("keys", status.keys > 0, "unavailable"), check("feed", status.is_fresh, "stale")],
    }
}

fn moment(validator: &Validator) -> Moment {
    let readiness = readiness(validator);
    Moment {
        ready: vec![(Operation::Validate.word(), readiness.serves(Operation::Validate))],
        checks: readiness.of_things(),
        feed_age: validator.status().feed_age,
        ..Moment::default()
    }
}
