//! Does with progenitor's client what every client does, against a running service: `hallpass-sdk SERVICE FRONT`.

#[allow(dead_code, reason = "a client has more than one program uses")]
mod hallpass {
    include!(concat!(env!("OUT_DIR"), "/hallpass.rs"));
}
mod me;
mod session;

use hallpass::types::{ErrorCode, LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest};
use hallpass::{Client, Error};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use session::Session;

const PASSWORD: &str = "an engine weaves patterns";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (service, front) = (arguments.next().expect("SERVICE"), arguments.next().expect("FRONT"));
    an_account_lives(&service).await;
    a_session_lasts(&front).await;
    println!("rust (progenitor): well");
}

/// Registers, logs in, asks who it is, refreshes, logs out and is refused.
async fn an_account_lives(service: &str) {
    let anonymous = Client::new(service);
    let registration = RegisterRequest {
        email: "rust@example.com".parse().expect("an address"),
        password: PASSWORD.parse().expect("a password"),
        first_name: Some("Ferris".parse().expect("a name")),
        last_name: None,
    };
    let account = anonymous.register(&registration).await.expect("registered");
    assert_eq!(account.first_name.as_deref(), Some("Ferris"));
    let Err(Error::ErrorResponse(refusal)) = anonymous.register(&registration).await else { panic!("twice") };
    assert_eq!((refusal.status().as_u16(), refusal.code), (409, ErrorCode::EmailTaken));

    let mut who = LoginRequest {
        email: "rust@example.com".parse().expect("an address"),
        password: "wrong".parse().expect("a password"),
    };
    let Err(Error::ErrorResponse(refusal)) = anonymous.login(&who).await else { panic!("a wrong password") };
    assert_eq!((refusal.status().as_u16(), refusal.code), (401, ErrorCode::InvalidCredentials));
    who.password = PASSWORD.parse().expect("a password");
    let login = anonymous.login(&who).await.expect("logged in");
    assert_eq!(login.user.email, "rust@example.com");

    let client = with_token(service, &login.access_token);
    assert_eq!(client.auth_me().await.expect("auth-me").user.id, account.id);
    assert_eq!(client.get_me().await.expect("me").last_name, None);
    let body = RefreshRequest { refresh_token: Some(login.refresh_token.clone()) };
    let pair = anonymous.refresh_token(&body).await.expect("refreshed");
    assert_ne!(pair.refresh_token, login.refresh_token);

    let client = with_token(service, &pair.access_token);
    client.logout(None, &LogoutRequest { refresh_token: None }).await.expect("logged out");
    let Err(Error::ErrorResponse(refusal)) = client.get_me().await else { panic!("served after the logout") };
    assert_eq!((refusal.status().as_u16(), refusal.code), (401, ErrorCode::TokenRevoked));
}

/// The code of the documentation refreshes once and waits.
async fn a_session_lasts(front: &str) {
    assert_eq!(me::who_am_i(front).await.expect("the administrator"), "johndoe@example.com");
    let who = LoginRequest {
        email: "johndoe@example.com".parse().expect("an address"),
        password: "password".parse().expect("a password"),
    };
    let session = Session::log_in(front, &who).await.expect("logged in");
    let me = async || {
        session.call(async |hallpass| hallpass.get_me().await).await.expect("served").into_inner().id
    };
    assert_eq!(me().await, 1);
    let before = refreshes(front).await;
    tell(front, "expire").await;
    assert_eq!(tokio::join!(me(), me(), me(), me()), (1, 1, 1, 1));
    assert_eq!(refreshes(front).await, before + 1, "one refresh for all");
    tell(front, "busy").await;
    assert_eq!(me().await, 1);
}

fn with_token(service: &str, token: &str) -> Client {
    let bearer = format!("Bearer {token}").parse().expect("text");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    Client::new_with_client(
        service,
        reqwest::Client::builder().default_headers(headers).build().expect("a client"),
    )
}

async fn tell(front: &str, what: &str) {
    reqwest::Client::new().post(format!("{front}/front/{what}")).send().await.expect("told");
}

async fn refreshes(front: &str) -> u64 {
    let text = reqwest::get(format!("{front}/front/refreshes"))
        .await
        .expect("an answer")
        .bytes()
        .await
        .expect("a body");
    let counts: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    counts["refreshes"].as_u64().expect("a number")
}
