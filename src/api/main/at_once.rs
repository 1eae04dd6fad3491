//! What is asked all day: whether a token still stands. It is answered before the way through the router, where the
//! answer is 200.
//!
//! The answer is that of the operation. Whatever is not exactly that question, or is to be refused, goes the long way;
//! what was found of its token by then goes along, so that nothing is looked at twice.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use poem::http::{Method, header};
use poem::{IntoResponse, Request, Response};

use super::auth::AuthMe;
use super::forward_auth::{self, Pass, UnverifiedEmail};
use crate::api::callers::security::{X_REFRESH_TOKEN, bearer, single};
use crate::domain::tokens::AccessToken;
use crate::service::Services;
use crate::service::access_tokens::{self, Judged};
use crate::service::caller::Caller;

/// Where an account asks who it is.
const AUTH_ME: &str = "/auth/auth-me";

/// The questions that are answered so.
#[derive(Clone, Copy)]
enum Question {
    AuthMe,
    ForwardAuth,
}

/// What comes of a look at a request.
pub(crate) enum Look {
    /// It asks for something else.
    Other,
    /// The answer, which is 200.
    Answered(Response),
    /// A store is asked: then there is the answer, or that goes the long way which was found.
    Asking(BoxFuture<'static, Result<Response, Judged>>),
    /// It goes the long way, with what was found.
    Judged(Judged),
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

    /// Looks at a request.
    pub(crate) fn look_at(&self, request: &Request) -> Look {
        let Some((question, access)) = question(request).zip(only_token(request)) else { return Look::Other };
        match self.services.access_tokens.look_at(access) {
            access_tokens::Look::Stands(caller) => match self.answer(question, caller) {
                Ok(response) => Look::Answered(response),
                Err(judged) => Look::Judged(judged),
            },
            access_tokens::Look::Refused(judged) => Look::Judged(judged),
            access_tokens::Look::Open(open) => {
                let at_once = self.clone();
                let asking = async move {
                    let caller = at_once.services.access_tokens.settle(open).await?;
                    at_once.answer(question, caller)
                };
                Look::Asking(asking.boxed())
            }
        }
    }

    /// The answer to a caller who stands, where that takes no look at the database.
    fn answer(&self, question: Question, caller: Caller) -> Result<Response, Judged> {
        let answer = match question {
            Question::AuthMe => {
                let user = self.services.accounts.who_at_once(&caller);
                user.map(|user| AuthMe::written(&user, caller.access.expose()))
            }
            Question::ForwardAuth => Pass::of(&caller, self.unverified).ok().map(IntoResponse::into_response),
        };
        answer.ok_or_else(|| Judged::stands(caller))
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

/// The access token of a request that carries no other.
fn only_token(request: &Request) -> Option<AccessToken> {
    let headers = request.headers();
    if headers.contains_key(X_REFRESH_TOKEN) {
        return None;
    }
    bearer(single(headers, &header::AUTHORIZATION).ok()??).map(AccessToken::new)
}
