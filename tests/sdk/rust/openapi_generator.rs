//! What every client does, with openapi-generator's.

use generated::apis::authentication_api::{auth_me, login, logout, refresh_token, register};
use generated::apis::configuration::Configuration;
use generated::apis::users_api::get_me;
use generated::apis::{Error, ResponseContent};
use generated::models::{
    ErrorCode, LoginRequest, LogoutRequest, Problem, RefreshRequest, RegisterRequest, Role,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::PASSWORD;

const EMAIL: &str = "generated@example.com";

/// Registers, logs in, asks who it is, refreshes, logs out and is refused.
pub async fn an_account_lives(service: &str) {
    let anonymous = at(service);
    let mut registration = RegisterRequest::new(EMAIL.to_owned(), PASSWORD.to_owned());
    registration.first_name = Some(Some("Ferris".to_owned()));
    let account = register(&anonymous, registration.clone()).await.expect("registered");
    assert_eq!(account.first_name.flatten().as_deref(), Some("Ferris"));
    refused(register(&anonymous, registration).await, 409, ErrorCode::EmailTaken);

    let wrong = LoginRequest::new(EMAIL.to_owned(), "wrong".to_owned());
    refused(login(&anonymous, wrong).await, 401, ErrorCode::InvalidCredentials);
    let right = LoginRequest::new(EMAIL.to_owned(), PASSWORD.to_owned());
    let opened = login(&anonymous, right).await.expect("logged in");
    assert_eq!(opened.user.email, EMAIL);

    let client = with_token(service, &opened.access_token);
    assert_eq!(auth_me(&client).await.expect("auth-me").user.id, account.id.expect("an id"));
    let me = get_me(&client).await.expect("me");
    assert_eq!((me.role, me.last_name), (Role::Member, None));
    let body = RefreshRequest {
        refresh_token: Some(Some(opened.refresh_token.clone())),
        ..RefreshRequest::default()
    };
    let pair = refresh_token(&anonymous, Some(body)).await.expect("refreshed");
    assert_ne!(pair.refresh_token, opened.refresh_token);

    let client = with_token(service, &pair.access_token);
    logout(&client, None, Some(LogoutRequest::new())).await.expect("logged out");
    refused(get_me(&client).await, 401, ErrorCode::TokenRevoked);
}

/// The front answers members that no document has.
pub async fn a_later_version_is_understood(front: &str) {
    let who = LoginRequest::new("johndoe@example.com".to_owned(), "password".to_owned());
    let opened = login(&at(front), who).await.expect("logged in");
    let me = get_me(&with_token(front, &opened.access_token)).await.expect("me");
    assert_eq!((me.id, me.role), (1, Role::Admin));
}

fn at(service: &str) -> Configuration {
    Configuration { base_path: service.to_owned(), ..Configuration::default() }
}

fn with_token(service: &str, token: &str) -> Configuration {
    Configuration { bearer_access_token: Some(token.to_owned()), ..at(service) }
}

/// Asserts that an operation was refused; its error is one of as many kinds as it has statuses, each a problem.
fn refused<T, E: Serialize + DeserializeOwned>(outcome: Result<T, Error<E>>, status: u16, code: ErrorCode) {
    let Err(Error::ResponseError(ResponseContent { status: answered, content, entity })) = outcome else {
        panic!("{code} is an error with an answer");
    };
    assert!(entity.is_some(), "{content}");
    let problem: Problem = serde_json::from_str(&content).expect("a problem");
    assert_eq!((answered.as_u16(), problem.code), (status, code));
}
