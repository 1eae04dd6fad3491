//! What is asked of the service and of the references.

use serde_json::{Value, json};

use crate::load::Asker;
use crate::stack::PASSWORD;

/// `GET` of a path, with an access token or without.
pub(crate) fn get(path: &str, access: Option<&str>) -> Vec<u8> {
    let authorization = access.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}\r\n").into_bytes()
}

/// `POST` of a JSON text.
pub(crate) fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {browser}\r\nContent-Type: application/json\r\n"
    );
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The same again and again.
pub(crate) struct Again(pub(crate) Vec<u8>);

impl Asker for Again {
    fn next(&mut self) -> Vec<u8> {
        self.0.clone()
    }
}

/// Asks with each of these tokens once.
pub(crate) struct Once {
    pub(crate) path: &'static str,
    pub(crate) tokens: Vec<String>,
}

impl Asker for Once {
    fn next(&mut self) -> Vec<u8> {
        get(self.path, Some(&self.tokens.pop().expect("a token that was not presented")))
    }
}

/// Makes the account of that number.
pub(crate) fn register(number: usize) -> Again {
    let email = format!("ada.lovelace.{number}@example.com");
    let names = json!({ "email": email, "password": PASSWORD, "firstName": "Ada", "lastName": "Lovelace" });
    Again(post("/auth/register", &names))
}

/// Logs into it, each time anew.
pub(crate) fn log_in(number: usize) -> Again {
    let email = format!("ada.lovelace.{number}@example.com");
    Again(post("/auth/login", &json!({ "email": email, "password": PASSWORD })))
}

/// A session: refreshes with what the last answer brought, and keeps the access tokens.
pub(crate) struct Session {
    pub(crate) refresh: String,
    pub(crate) access: Vec<String>,
}

impl Session {
    /// Out of the answer of a login or a refresh.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut session = Self { refresh: String::new(), access: Vec::new() };
        session.heard(body);
        session
    }

    /// The tokens that were not presented yet, to be presented at that path.
    pub(crate) fn present(&mut self, path: &'static str) -> Once {
        Once { path, tokens: std::mem::take(&mut self.access) }
    }
}

impl Asker for Session {
    fn next(&mut self) -> Vec<u8> {
        post("/auth/refresh-token", &json!({ "refreshToken": self.refresh }))
    }

    fn heard(&mut self, body: &[u8]) {
        let tokens: Value = serde_json::from_slice(body).expect("JSON");
        let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        self.refresh = text("refreshToken");
        self.access.push(text("accessToken"));
    }
}

/// A session that presents each of its access tokens as it comes: one new token after another.
pub(crate) struct Offering {
    pub(crate) session: Session,
}

impl Asker for Offering {
    fn next(&mut self) -> Vec<u8> {
        match self.session.access.pop() {
            Some(token) => get("/forward-auth", Some(&token)),
            None => self.session.next(),
        }
    }

    fn heard(&mut self, body: &[u8]) {
        if !body.is_empty() {
            self.session.heard(body);
        }
    }
}
