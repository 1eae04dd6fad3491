//! A session belongs to no API: each opens, refreshes, knows and ends those of the others.

use poem::http::Method;
use serde_json::json;

use super::{PASSWORD, request, send_form, text};
use crate::support::{MINUTE, TestApp, Tokens, on_both_flavours};

/// How a session begins.
#[derive(Clone, Copy, Debug)]
enum Open {
    Login,
    SignUp,
    SignIn,
    CreateUser,
    CreateAccessToken,
}

/// How its tokens are refreshed.
#[derive(Clone, Copy, Debug)]
enum Refresh {
    Main,
    Nest,
    AccessTokens,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Logout,
    SignOut,
    DeleteAccessToken,
}

const OPENS: [Open; 5] = [Open::Login, Open::SignUp, Open::SignIn, Open::CreateUser, Open::CreateAccessToken];
const REFRESHES: [Refresh; 3] = [Refresh::Main, Refresh::Nest, Refresh::AccessTokens];
const ENDS: [End; 3] = [End::Logout, End::SignOut, End::DeleteAccessToken];

async fn open(app: &TestApp, how: Open, email: &str) -> Tokens {
    let credentials = json!({"email": email, "password": PASSWORD});
    let fields = [("email", email), ("name", "Ada Lovelace"), ("password", PASSWORD)];
    let post =
        async |path, status| request(app, Method::POST, path).json(&credentials).send().await.tokens(status);
    let answer = match how {
        Open::SignUp => post("/auth/signup", 201).await,
        Open::CreateUser => send_form(app, Method::POST, "/users", None, &fields).await.tokens(201),
        Open::Login | Open::SignIn | Open::CreateAccessToken => {
            post("/auth/register", 201).await;
            match how {
                Open::Login => post("/auth/login", 200).await,
                Open::SignIn => post("/auth/signin", 200).await,
                _ => send_form(app, Method::POST, "/access-tokens", None, &fields).await.tokens(200),
            }
        }
    };
    match how {
        Open::Login | Open::SignUp | Open::SignIn => Tokens::of(&answer),
        Open::CreateUser | Open::CreateAccessToken => Tokens {
            access: text(&answer, "jwt").to_owned(),
            refresh: text(&answer, "refresh_token").to_owned(),
        },
    }
}

/// The answer's status, and the tokens to go on with.
async fn refresh(app: &TestApp, how: Refresh, tokens: &Tokens) -> Result<Tokens, u16> {
    let Tokens { access, refresh } = tokens;
    let answer = match how {
        Refresh::Main => {
            let request = request(app, Method::POST, "/auth/refresh-token");
            request.access(access).refresh(refresh).send().await
        }
        Refresh::Nest => request(app, Method::POST, "/auth/refresh").access(refresh).send().await,
        Refresh::AccessTokens => {
            let fields = [("refresh_token", refresh.as_str())];
            send_form(app, Method::POST, "/access-tokens/refresh", Some(access), &fields).await
        }
    };
    if answer.status != 200 {
        return Err(answer.status);
    }
    let answer = answer.tokens(200);
    let text = |name| text(&answer, name).to_owned();
    Ok(match how {
        Refresh::Main => Tokens::of(&answer),
        Refresh::Nest => Tokens { access: text("accessToken"), refresh: text("refresh_token") },
        Refresh::AccessTokens => Tokens { access: text("jwt"), refresh: refresh.clone() },
    })
}

async fn end(app: &TestApp, how: End, tokens: &Tokens) -> u16 {
    let Tokens { access, refresh } = tokens;
    let post = |path| request(app, Method::POST, path).access(access).send();
    match how {
        End::Logout => post("/auth/logout").await.status,
        End::SignOut => post("/auth/signout").await.status,
        End::DeleteAccessToken => {
            let fields = [("refresh_token", refresh.as_str())];
            send_form(app, Method::DELETE, "/access-tokens", Some(access), &fields).await.status
        }
    }
}

/// What each API's "who am I" says to the access token.
async fn known(app: &TestApp, Tokens { access, .. }: &Tokens) -> [u16; 3] {
    let by_bearer = |path| request(app, Method::GET, path).access(access).send();
    let me = request(app, Method::GET, "/me").header("x-access-token", access).send();
    [by_bearer("/auth/auth-me").await.status, by_bearer("/users/me").await.status, me.await.status]
}

on_both_flavours!(a_session_of_one_api_works_through_the_others, tokens_of_all_apis_refresh_in_turn);

async fn a_session_of_one_api_works_through_the_others(app: TestApp) {
    let mut number = 0;
    for opening in OPENS {
        for refreshing in REFRESHES {
            for ending in ENDS {
                let story = format!("{opening:?}, {refreshing:?}, {ending:?}");
                number += 1;
                let opened = open(&app, opening, &format!("ada{number}@example.com")).await;
                assert_eq!(known(&app, &opened).await, [200; 3], "{story}");
                let tokens = refresh(&app, refreshing, &opened).await;
                let tokens = tokens.unwrap_or_else(|status| panic!("{story}: {status}"));
                assert_eq!(known(&app, &tokens).await, [200; 3], "{story}");
                let ended = end(&app, ending, &tokens).await;
                assert!(matches!(ended, 200 | 204), "{story}: {ended}");
                for tokens in [&opened, &tokens] {
                    assert_eq!(known(&app, tokens).await, [401; 3], "{story}");
                    for again in REFRESHES {
                        assert_eq!(refresh(&app, again, tokens).await, Err(401), "{story}, {again:?}");
                    }
                    for again in ENDS {
                        assert_eq!(end(&app, again, tokens).await, 401, "{story}, {again:?}");
                    }
                }
            }
        }
    }
}

async fn tokens_of_all_apis_refresh_in_turn(app: TestApp) {
    for (number, opening) in OPENS.into_iter().enumerate() {
        let mut tokens = open(&app, opening, &format!("ada{number}@example.com")).await;
        for turn in [REFRESHES, [Refresh::AccessTokens, Refresh::Nest, Refresh::Main]].concat() {
            app.advance(16 * MINUTE);
            assert_eq!(known(&app, &tokens).await, [401; 3], "{opening:?}, {turn:?}");
            let refreshed = refresh(&app, turn, &tokens).await;
            tokens = refreshed.unwrap_or_else(|status| panic!("{opening:?}, {turn:?}: {status}"));
            assert_eq!(known(&app, &tokens).await, [200; 3], "{opening:?}, {turn:?}");
        }
    }
}
