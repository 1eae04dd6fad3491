//! Collects lines, and sees that the crate says of each what was expected.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::probe::{Probe, agrees};

pub const ISSUER: &str = "https://id.example.com";
pub const AUDIENCE: &str = "https://api.example.com";
/// Seconds since 1970.
pub const NOW: i64 = 2_000_000_000;
/// Seconds.
pub const LIFETIME: i64 = 900;

pub const OK: &str = "ok";
pub const INVALID: &str = "invalid_token";
pub const EXPIRED: &str = "token_expired";
pub const REVOKED: &str = "token_revoked";
pub const UNAVAILABLE: &str = "dependency_unavailable";
pub const FORBIDDEN: &str = "forbidden";
pub const SCOPE: &str = "insufficient_scope";

/// Lines of one file.
#[derive(Default)]
pub struct Lines {
    lines: Vec<Value>,
    ids: HashSet<String>,
    probe: Probe,
    /// Answers that are not what was expected.
    surprises: Vec<String>,
}

impl Lines {
    /// Names a key set for the lines that follow.
    pub fn keys(&mut self, name: &str, jwks: &str) {
        let line = json!({"kind": "keys", "name": name, "jwks": jwks, "expect": {"verdict": "ok"}});
        self.probe.answer(&line);
        self.lines.push(line);
    }

    /// A line of any kind, whose answer has to have what is expected; its answer becomes `expect`.
    pub fn add(&mut self, group: &str, about: &str, mut line: Value, expected: &Value) {
        line["id"] = self.id(group, about).into();
        let answer = self.probe.answer(&line);
        if !agrees(&answer, expected) {
            self.surprises.push(format!("{line}\nis answered {answer}\nexpected {expected}\n"));
        }
        line["expect"] = answer;
        if let Some(claims) = expected.get("claims") {
            line["expect"]["claims"] = claims.clone();
        }
        self.lines.push(line);
    }

    /// A token by the usual rules, but for what `rules` says otherwise.
    pub fn token_by(&mut self, rules: &Value, group: &str, about: &str, token: &str, code: &str) {
        let mut line = usual("token");
        line["token"] = token.into();
        merge(&mut line, rules);
        self.add(group, about, line, &outcome(code));
    }

    /// A token by the usual rules.
    pub fn token(&mut self, group: &str, about: &str, token: &str, code: &str) {
        self.token_by(&json!({}), group, about, token, code);
    }

    /// A request with these `Authorization` headers.
    pub fn request(&mut self, rules: &Value, about: &str, authorization: &[&str], expected: &Value) {
        let mut line = usual("request");
        line["authorization"] = authorization.into();
        merge(&mut line, rules);
        self.add("request", about, line, expected);
    }

    /// As they are written. There is nothing to write while an answer is not what was expected.
    pub fn written(&self) -> String {
        assert!(self.surprises.is_empty(), "{}", self.surprises.join("\n"));
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn id(&mut self, group: &str, about: &str) -> String {
        let about: String = about.chars().take(80).collect();
        let id = format!("{group}/{about}");
        let again = |number: usize| if number == 1 { id.clone() } else { format!("{id} #{number}") };
        let id = (1..).map(again).find(|id| !self.ids.contains(id)).expect("a number");
        self.ids.insert(id.clone());
        id
    }
}

/// The answer that has this code.
pub fn outcome(code: &str) -> Value {
    let status = match code {
        OK => return json!({"verdict": "ok"}),
        FORBIDDEN | SCOPE => 403,
        UNAVAILABLE => 503,
        _ => 401,
    };
    json!({"verdict": "refused", "code": code, "status": status})
}

fn usual(kind: &str) -> Value {
    json!({
        "kind": kind, "id": "", "keys": "published", "issuer": ISSUER, "audience": AUDIENCE, "typ": "at+jwt",
        "leeway_ms": 5_000, "now_ms": NOW * 1_000,
    })
}

pub fn merge(line: &mut Value, rules: &Value) {
    for (member, value) in rules.as_object().expect("rules") {
        line[member] = value.clone();
    }
}

/// Claims that are right at [`NOW`].
pub fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "42",
        "exp": NOW + LIFETIME,
        "iat": NOW,
        "jti": "00000000-0000-4000-8000-000000000001",
        "sid": "00000000-0000-4000-8000-000000000002",
        "sv": 3,
        "inc": 7,
        "client_id": "hallpass",
        "email": "ada@example.com",
        "email_verified": true,
        "roles": ["member"],
        "scope": "orders:read",
    })
}

/// Claims of a token that a client got for itself.
pub fn machine() -> Value {
    ["sid", "sv", "email", "email_verified"]
        .iter()
        .fold(with(with(claims(), "sub", "orders"), "roles", json!([])), |claims, claim| {
            without(claims, claim)
        })
}

/// An object with one member set.
pub fn with(mut object: Value, member: &str, value: impl Into<Value>) -> Value {
    object[member] = value.into();
    object
}

/// An object without one of its members, or as it was.
pub fn without(mut object: Value, member: &str) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.shift_remove(member);
    }
    object
}
