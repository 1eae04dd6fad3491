//! One feed: what a validator hears, step by step, and what it is to say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cases::*;
use crate::keys::Signers;

/// What the issuer's clock shows when the other one shows nothing, milliseconds since 1970.
pub(super) const ISSUER_CLOCK: i64 = NOW * 1_000;
/// For which entries count, seconds since 1970.
pub(super) const END: i64 = NOW + LIFETIME;
pub(super) const JTI: &str = "00000000-0000-4000-8000-000000000001";
pub(super) const SID: &str = "00000000-0000-4000-8000-000000000002";
pub(super) const OTHER: &str = "00000000-0000-4000-8000-0000000000ff";

/// The next step of a client.
pub(super) fn read() -> Value {
    json!({"next": "read"})
}

pub(super) fn list() -> Value {
    json!({"next": "list"})
}

pub(super) fn open(last_event_id: &str) -> Value {
    json!({"next": "open", "last_event_id": last_event_id})
}

/// A list of steps with their answers.
pub(super) struct Feed {
    rules: Value,
    steps: Vec<Value>,
    expected: Vec<Value>,
    /// The clock that ages are counted by, milliseconds.
    pub(super) at: i64,
    /// What the time of day is set forward by against that, milliseconds.
    pub(super) ahead: i64,
    /// The same of the issuer's clock.
    pub(super) issuer_ahead: i64,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            rules: json!({}),
            steps: Vec::new(),
            expected: Vec::new(),
            at: 10_000,
            ahead: 0,
            issuer_ahead: 0,
        }
    }

    /// Keys, an empty list and an open stream, heard at once.
    pub(super) fn following() -> Self {
        let mut feed = Self::new();
        feed.keys(Some("published")).list(&[]).open();
        feed
    }

    pub(super) fn by(mut self, rules: Value) -> Self {
        merge(&mut self.rules, &rules);
        self
    }

    pub(super) fn issuer_shows(&self) -> i64 {
        ISSUER_CLOCK + self.at + self.issuer_ahead
    }

    pub(super) fn step(&mut self, mut step: Value, expected: Value) -> &mut Self {
        step["at_ms"] = self.at.into();
        step["now_ms"] = (ISSUER_CLOCK + self.at + self.ahead).into();
        self.steps.push(step);
        self.expected.push(expected);
        self
    }

    pub(super) fn wait(&mut self, millis: i64) -> &mut Self {
        self.at += millis;
        self
    }

    pub(super) fn keys(&mut self, name: Option<&str>) -> &mut Self {
        self.step(json!({"do": "keys", "keys": name}), json!({}))
    }

    pub(super) fn list(&mut self, entries: &[Value]) -> &mut Self {
        let body = self.body(entries);
        self.list_of(200, &body.to_string(), open("c0"))
    }

    pub(super) fn body(&self, entries: &[Value]) -> Value {
        json!({"cursor": "c0", "server_time": self.issuer_shows() / 1_000, "server_time_ms": self.issuer_shows(), "entries": entries})
    }

    pub(super) fn list_of(&mut self, status: u16, body: &str, expected: Value) -> &mut Self {
        let headers = json!({"hallpass-clock": self.issuer_shows().to_string()});
        self.answer("list", status, headers, body, expected)
    }

    pub(super) fn answer(
        &mut self,
        what: &str,
        status: u16,
        headers: Value,
        body: &str,
        expected: Value,
    ) -> &mut Self {
        let asked = self.at;
        self.answer_late(what, asked, status, headers, body, expected)
    }

    pub(super) fn answer_late(
        &mut self,
        what: &str,
        asked: i64,
        status: u16,
        headers: Value,
        body: &str,
        expected: Value,
    ) -> &mut Self {
        let mut step = json!({"do": what, "asked_ms": asked, "status": status, "headers": headers});
        if what == "list" {
            step["body"] = body.into();
        }
        self.step(step, expected)
    }

    pub(super) fn open(&mut self) -> &mut Self {
        let headers = json!({"hallpass-clock": self.issuer_shows().to_string()});
        self.answer("open", 200, headers, "", read())
    }

    pub(super) fn text(&mut self, text: &str, expected: Value) -> &mut Self {
        self.step(json!({"do": "bytes", "text": text}), expected)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8], expected: Value) -> &mut Self {
        self.step(json!({"do": "bytes", "base64": STANDARD.encode(bytes)}), expected)
    }

    pub(super) fn event(&mut self, name: &str, id: &str, data: &Value, expected: Value) -> &mut Self {
        self.text(&event(name, id, data), expected)
    }

    pub(super) fn revocation(&mut self, entry: &Value) -> &mut Self {
        self.event("revocation", "c1", entry, read())
    }

    /// What was true so many milliseconds before, by the issuer's clock.
    pub(super) fn beat_of(&mut self, before: i64, expected: Value) -> &mut Self {
        let stated = self.issuer_shows() - before;
        self.event(
            "heartbeat",
            "c2",
            &json!({"server_time": stated / 1_000, "server_time_ms": stated}),
            expected,
        )
    }

    pub(super) fn beat(&mut self) -> &mut Self {
        self.beat_of(0, read())
    }

    pub(super) fn end(&mut self, expected: Value) -> &mut Self {
        self.step(json!({"do": "end"}), expected)
    }

    pub(super) fn check(&mut self, token: &str, code: &str) -> &mut Self {
        self.step(json!({"do": "check", "token": token}), outcome(code))
    }

    pub(super) fn add_to(&self, lines: &mut Lines, group: &str, about: &str) {
        let mut line = json!({
            "kind": "feed", "id": "", "issuer": ISSUER, "audience": AUDIENCE, "typ": "at+jwt", "leeway_ms": 5_000,
            "max_staleness_ms": 2_000, "policy": "reject", "stream": true, "steps": self.steps,
        });
        merge(&mut line, &self.rules);
        lines.add(group, about, line, &json!({"steps": self.expected}));
    }
}

pub(super) fn event(name: &str, id: &str, data: &Value) -> String {
    format!("event: {name}\nid: {id}\ndata: {data}\n\n")
}

/// A right token with one claim set.
pub(super) fn token_with(signers: &Signers, claim: &str, value: impl Into<Value>) -> String {
    signers.es.token(&signers.es.header(), &with(claims(), claim, value))
}

pub(super) fn token(signers: &Signers) -> String {
    signers.es.token(&signers.es.header(), &claims())
}
