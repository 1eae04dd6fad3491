//! Who sends requests.

use poem::http::Method;
use serde_json::{Value, json};

use super::TestApp;
use super::exchange::{Answer, Request};

/// The administrator that the development profile creates.
pub const ADMIN_EMAIL: &str = "johndoe@example.com";
/// Its password.
pub const ADMIN_PASSWORD: &str = "password";

/// Somebody who sends requests, each with what they are known by.
pub trait Actor {
    /// A request of theirs.
    fn request(&self, method: Method, path: &str) -> Request;

    fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }
}

/// Somebody without a token.
#[derive(Clone)]
pub struct Anonymous(pub TestApp);

impl Actor for Anonymous {
    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.0.clone(), method, path)
    }
}

/// What a login or a refresh handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Tokens {
    /// Out of the answer to a login or a refresh.
    pub fn of(answer: &Value) -> Self {
        let text = |name: &str| {
            let token = answer[name].as_str().filter(|token| !token.is_empty());
            token.unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
        };
        Self { access: text("accessToken"), refresh: text("refreshToken") }
    }
}

/// Somebody in one session: an access token goes with each request.
#[derive(Clone)]
pub struct LoggedIn {
    pub app: TestApp,
    pub id: i64,
    pub email: String,
    pub password: String,
    pub tokens: Tokens,
}

impl Actor for LoggedIn {
    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.app.clone(), method, path).access(&self.tokens.access)
    }
}

impl LoggedIn {
    /// Logs in, which must work.
    pub async fn log_in(app: &TestApp, email: &str, password: &str) -> Self {
        let answer = app.log_in(email, password).await.tokens(200);
        Self {
            app: app.clone(),
            id: answer["user"]["id"].as_i64().expect("an id"),
            email: email.to_owned(),
            password: password.to_owned(),
            tokens: Tokens::of(&answer),
        }
    }

    /// The same person in another session.
    pub async fn on_another_device(&self) -> Self {
        Self::log_in(&self.app, &self.email, &self.password).await
    }

    /// Refreshes, which must work, and goes on with the new tokens.
    pub async fn refresh(&mut self) {
        let answer = self.app.refresh(&self.tokens.refresh).await.tokens(200);
        self.tokens = Tokens::of(&answer);
    }

    /// A request with both tokens, as the contracts print it.
    pub fn request_with_both(&self, method: Method, path: &str) -> Request {
        self.request(method, path).refresh(&self.tokens.refresh)
    }

    /// Asserts that the session lives: its access token and its refresh token, which is not used up.
    #[track_caller]
    pub fn assert_lives(&self) -> impl Future<Output = ()> {
        let (app, tokens) = (self.app.clone(), self.tokens.clone());
        async move {
            app.me(&tokens.access).await.json(200);
            app.auth_me_by_refresh_token(&tokens.refresh).await.json(200);
        }
    }

    /// Asserts that neither token of the session is good for anything.
    pub async fn assert_is_over(&self) {
        self.app.me(&self.tokens.access).await.assert_refused(401, "token_revoked");
        let by_refresh_token = self.app.auth_me_by_refresh_token(&self.tokens.refresh).await;
        by_refresh_token.assert_refused(401, "invalid_refresh_token");
        self.app.refresh(&self.tokens.refresh).await.assert_refused(401, "invalid_refresh_token");
    }

    /// Changes the password, from the current one.
    pub async fn change_password(&self, new: &str) -> Answer {
        let body = json!({"currentPassword": self.password, "newPassword": new});
        self.post("/auth/change-password").json(&body).send().await
    }
}

/// The administrator, logged in.
pub struct Admin(pub LoggedIn);

impl Actor for Admin {
    fn request(&self, method: Method, path: &str) -> Request {
        self.0.request(method, path)
    }
}
