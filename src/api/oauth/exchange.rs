//! A request to exchange a token (RFC 8693 2.1).

use super::{TokenRequest, TokenResponse};
use crate::api::errors::ApiError;
use crate::api::wire::targets::{NoTexts, Repeated};
use crate::domain::tokens::AccessToken;
use crate::service;
use crate::service::exchange::{ExchangeRequest, ExchangedToken};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What the fields ask for, and as what kind of token the new one is to be told.
///
/// # Errors
/// `invalid_request` for fields that are missing or do not go together; `invalid_target`.
pub(super) fn read(fields: TokenRequest) -> Result<(ExchangeRequest, &'static str), ApiError> {
    let TokenRequest { subject_token, subject_token_type, actor_token, actor_token_type, .. } = fields;
    let issued = match fields.requested_token_type {
        None => ACCESS_TOKEN,
        Some(kind) => kind_of("requested_token_type", Some(&kind))?,
    };
    kind_of("subject_token_type", subject_token_type.as_deref())?;
    let subject = subject_token.ok_or_else(|| ApiError::invalid_field("subject_token", "is missing"))?;
    let actor = match (actor_token, actor_token_type) {
        (Some(token), kind) => {
            kind_of("actor_token_type", kind.as_deref())?;
            Some(AccessToken::new(token.trim()))
        }
        (None, Some(_)) => return Err(ApiError::invalid_field("actor_token", "is missing")),
        (None, None) => None,
    };
    // Without either it would be for whoever the client may call: the widest token is no default.
    if fields.resource.is_none() && fields.audience.is_none() {
        return Err(ApiError::invalid_field("resource", "is missing"));
    }
    let request = ExchangeRequest {
        subject: AccessToken::new(subject.trim()),
        actor,
        resources: texts(fields.resource)?,
        audiences: texts(fields.audience)?,
        scope: fields.scope,
    };
    Ok((request, issued))
}

/// An access token is a JWT here, and may be called by either name.
fn kind_of(field: &str, named: Option<&str>) -> Result<&'static str, ApiError> {
    match named {
        Some(ACCESS_TOKEN) => Ok(ACCESS_TOKEN),
        Some(JWT) => Ok(JWT),
        Some(_) => Err(ApiError::invalid_field(field, "is no kind of token that can be exchanged here")),
        None => Err(ApiError::invalid_field(field, "is missing")),
    }
}

fn texts(targets: Option<Repeated>) -> Result<Option<Vec<String>>, ApiError> {
    targets.map(Repeated::one_or_many).transpose().map_err(|NoTexts| service::Error::InvalidTarget.into())
}

pub(super) fn answer(token: &ExchangedToken, issued: &str) -> TokenResponse {
    TokenResponse {
        access_token: token.access.expose().to_owned(),
        issued_token_type: Some(issued.to_owned()),
        token_type: "Bearer".to_owned(),
        expires_in: token.expires_in,
        refresh_token: None,
        scope: Some(token.scopes.to_string()),
    }
}
