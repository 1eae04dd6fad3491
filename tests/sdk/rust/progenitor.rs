//! What every client does, with progenitor's.

use reqwest::header::{AUTHORIZATION, HeaderMap};

use crate::PASSWORD;
use crate::hallpass::types::{ErrorCode, LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest};
use crate::hallpass::{Client, Error};

/// Registers, logs in, asks who it is, refreshes, logs out and is refused.
pub async fn an_account_lives(service: &str) {
    let anonymous = Client::new(service);
    let registration = RegisterRequest {
        email: "rust@example.com".parse().expect("an address"),
        password: PASSWORD.parse().expect("a password"),
        first_name: Some("Ferris".parse().expect("a name")),
        last_name: None,
    };
    let account = anonymous.register(&registration).await.expect("registered");
    assert_eq!((account.status().as_u16(), account.first_name.as_deref()), (201, Some("Ferris")));
    let Err(Error::ErrorResponse(refusal)) = anonymous.register(&registration).await else { panic!("twice") };
    assert_eq!((refusal.status().as_u16(), refusal.code), (409, ErrorCode::EmailTaken));

    let mut who = LoginRequest {
        email: "rust@example.com".parse().expect("an address"),
        password: "wrong".parse().expect("a password"),
        resource: None,
    };
    let Err(Error::ErrorResponse(refusal)) = anonymous.login(&who).await else { panic!("a wrong password") };
    assert_eq!((refusal.status().as_u16(), refusal.code), (401, ErrorCode::InvalidCredentials));
    who.password = PASSWORD.parse().expect("a password");
    let login = anonymous.login(&who).await.expect("logged in");
    assert_eq!(login.user.email, "rust@example.com");

    let client = with_token(service, &login.access_token);
    assert_eq!(client.auth_me().await.expect("auth-me").user.id, account.id.expect("an id"));
    assert_eq!(client.get_me().await.expect("me").last_name, None);
    let body = RefreshRequest { refresh_token: Some(login.refresh_token.clone()), resource: None };
    let pair = anonymous.refresh_token(&body).await.expect("refreshed");
    assert_ne!(pair.refresh_token, login.refresh_token);

    let client = with_token(service, &pair.access_token);
    client.logout(None, &LogoutRequest { refresh_token: None }).await.expect("logged out");
    let Err(Error::ErrorResponse(refusal)) = client.get_me().await else { panic!("served after the logout") };
    assert_eq!((refusal.status().as_u16(), refusal.code), (401, ErrorCode::TokenRevoked));
}

fn with_token(service: &str, token: &str) -> Client {
    let bearer = format!("Bearer {token}").parse().expect("text");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    Client::new_with_client(
        service,
        reqwest::Client::builder().default_headers(headers).build().expect("a client"),
    )
}
