//! What is asked all day and needs nobody: whether a known token still stands, where this process can tell by itself.
//!
//! The answer is that of the operation, and only the answer 200. Whatever is not exactly that question, is not known
//! here or is to be refused goes the long way, which decides as if nobody had looked.

use poem::http::{Method, header};
use poem::{IntoResponse, Request, Response};

use super::auth::AuthMe;
use super::forward_auth::{self, Pass, UnverifiedEmail};
use crate::api::callers::security::{X_REFRESH_TOKEN, bearer, single};
use crate::domain::tokens::AccessToken;
use crate::service::Services;

/// Where an account asks who it is.
const AUTH_ME: &str = "/auth/auth-me";

/// The questions that are answered so.
enum Question {
    AuthMe,
    ForwardAuth,
}

/// Answers at once.
#[derive(Clone)]
pub(crate) struct AtOnce {
    services: Services,
    unverified: UnverifiedEmail,
}

impl AtOnce {
    pub(crate) fn new(services: Services, unverified: UnverifiedEmail) -> Self {
        Self { services, unverified }
    }

    /// The answer, if it is 200 and known here.
    pub(crate) fn answer(&self, request: &Request) -> Option<Response> {
        let question = question(request)?;
        let headers = request.headers();
        if headers.contains_key(X_REFRESH_TOKEN) {
            return None;
        }
        let token = bearer(single(headers, &header::AUTHORIZATION).ok()??)?;
        let access = AccessToken::new(token);
        let caller = self.services.access_tokens.known_caller(&access)?;
        match question {
            Question::AuthMe => {
                let user = self.services.accounts.who_at_once(&caller)?;
                Some(AuthMe::written(&user, access.expose()))
            }
            Question::ForwardAuth => Some(Pass::of(&caller, self.unverified).ok()?.into_response()),
        }
    }
}

fn question(request: &Request) -> Option<Question> {
    let uri = request.uri();
    if request.method() != Method::GET || uri.query().is_some() {
        return None;
    }
    match uri.path() {
        AUTH_ME => Some(Question::AuthMe),
        path if forward_auth::is_asked(path) => Some(Question::ForwardAuth),
        _ => None,
    }
}
