//! The compat APIs: other services' contracts, sent as their clients send them.

mod access_tokens;
mod boom;
mod nest;
mod setting;
mod stories;

use poem::http::Method;
use serde_json::Value;

use crate::support::{Actor, Answer, Request, TestApp};

/// A password that both APIs take by default.
pub const PASSWORD: &str = "Engines weave 1843 patterns";

pub const FORM: &str = "application/x-www-form-urlencoded";

/// A request of somebody without a token.
pub fn request(app: &TestApp, method: Method, path: &str) -> Request {
    app.anonymous().request(method, path)
}

/// A form of these fields.
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends a form to the access-tokens API, with an access token if there is one.
pub async fn send_form(
    app: &TestApp,
    method: Method,
    path: &str,
    access: Option<&str>,
    fields: &[(&str, &str)],
) -> Answer {
    let request = request(app, method, path).text(FORM, form(fields));
    match access {
        Some(access) => request.header("x-access-token", access).send().await,
        None => request.send().await,
    }
}

/// The names of an object's members.
pub fn names(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The text of a member.
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("no text {name} in {object}"))
}
