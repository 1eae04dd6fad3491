//! The answers of this crate, in the form of `verify/vectors/README.md`.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hallpass_verify::client::replay::{Answered, Next, Replay};
use hallpass_verify::client::{CannotTell, StalePolicy, ValidationError, Validator, ValidatorBuilder};
use hallpass_verify::guard::{Refusal, bearer_token};
use hallpass_verify::{AccessClaims, KeySet, TokenType, Verifier};
use serde_json::{Map, Value, json};

/// The key sets that were named, as texts.
#[derive(Default)]
pub struct Probe {
    jwks: HashMap<String, String>,
    /// What can be used of them.
    keys: HashMap<String, KeySet>,
}

impl Probe {
    /// The answer to a line.
    pub fn answer(&mut self, line: &Value) -> Value {
        match text(line, "kind") {
            "keys" => {
                let (name, jwks) = (text(line, "name"), text(line, "jwks"));
                if let Some(keys) = KeySet::from_jwks(jwks).ok().filter(|keys| !keys.is_empty()) {
                    self.keys.insert(name.to_owned(), keys);
                }
                self.jwks.insert(name.to_owned(), jwks.to_owned());
                json!({"verdict": "ok"})
            }
            "token" => verdict(&self.admit(line, text(line, "token"), false)),
            "request" => self.request(line),
            "feed" => self.feed(line),
            _ => json!({"verdict": "skipped"}),
        }
    }

    fn request(&self, line: &Value) -> Value {
        let values: Vec<&str> = array(&line["authorization"]).map(as_text).collect();
        let admitted = bearer_token(values.iter().copied()).and_then(|token| self.admit(line, token, true));
        let mut answer = verdict(&admitted);
        if let Err(refusal) = &admitted {
            answer["challenge"] = refusal.www_authenticate().map(without_description).into();
            answer["retry_after"] = refusal.retry_after().map(|wait| wait.as_secs()).into();
        }
        answer
    }

    /// As the guard does, whose default is that a person is needed.
    fn admit(&self, line: &Value, token: &str, person: bool) -> Result<AccessClaims, Refusal> {
        let claims = self.verify(line, token)?;
        let require = &line["require"];
        if require["person"].as_bool().unwrap_or(person) {
            claims.require_person()?;
        }
        for role in array(&require["roles"]) {
            claims.require_role(as_text(role))?;
        }
        for scope in array(&require["scopes"]) {
            claims.require_scope(as_text(scope))?;
        }
        Ok(claims)
    }

    fn verify(&self, line: &Value, token: &str) -> Result<AccessClaims, ValidationError> {
        let keys = self.keys.get(text(line, "keys")).ok_or(CannotTell::NoKeys)?;
        Ok(verifier(line, keys.clone()).verify(token, moment(line))?)
    }
}

impl Probe {
    /// Hears what the issuer says, step by step.
    fn feed(&self, line: &Value) -> Value {
        let mut replay = Replay::new(follower(line), line["stream"] == true).expect("a client");
        let mut now = 0;
        let answers: Vec<Value> = array(&line["steps"])
            .map(|step| {
                now = step["now_ms"].as_u64().unwrap_or(now);
                replay.at(step["at_ms"].as_u64().expect("a time"), now);
                self.step(&mut replay, step)
            })
            .collect();
        json!({ "steps": answers })
    }

    fn step(&self, replay: &mut Replay, step: &Value) -> Value {
        let mut wait = None;
        match text(step, "do") {
            "keys" => {
                replay.keys(step["keys"].as_str().map(|name| self.jwks[name].clone()));
                return json!({});
            }
            "check" => {
                return verdict(&replay.check(text(step, "token")).map_err(Refusal::from));
            }
            "list" => wait = replay.list(answered(step)),
            "open" => wait = replay.open(answered(step)),
            "bytes" => replay.bytes(&bytes(step)),
            "end" => replay.end(),
            other => panic!("{other} is no step"),
        }
        next(replay, wait)
    }
}

/// A validator by the rules of a line.
fn follower(line: &Value) -> ValidatorBuilder {
    let policy = if line["policy"] == "allow" { StalePolicy::Allow } else { StalePolicy::Reject };
    let (audience, others) = audiences(line);
    let builder = Validator::builder(text(line, "issuer"), audience);
    others
        .fold(builder, ValidatorBuilder::another_audience)
        .credentials("orders", "hush")
        .token_type(if text(line, "typ") == "JWT" { TokenType::Jwt } else { TokenType::AtJwt })
        .leeway(millis(&line["leeway_ms"]))
        .max_staleness(millis(&line["max_staleness_ms"]))
        .stale_policy(policy)
}

/// The first audience of a line, and the others.
fn audiences(line: &Value) -> (&str, impl Iterator<Item = &str>) {
    match line["audience"].as_str() {
        Some(audience) => (audience, array(&Value::Null).map(as_text)),
        None => {
            let mut audiences = array(&line["audience"]).map(as_text);
            (audiences.next().expect("an audience"), audiences)
        }
    }
}

fn answered(step: &Value) -> Answered {
    let headers = step["headers"].as_object().into_iter().flatten();
    Answered {
        asked_ms: step["asked_ms"].as_i64().expect("a time"),
        status: step["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
        headers: headers.map(|(name, value)| (name.clone(), as_text(value).to_owned())).collect(),
        body: step["body"].as_str().unwrap_or_default().to_owned(),
    }
}

fn bytes(step: &Value) -> Vec<u8> {
    match step["base64"].as_str() {
        Some(encoded) => STANDARD.decode(encoded).expect("base64"),
        None => text(step, "text").as_bytes().to_vec(),
    }
}

/// No issuer makes anybody wait longer, milliseconds.
const LONGEST_WAIT_MS: u64 = 30_000;

fn next(replay: &Replay, wait: Option<Duration>) -> Value {
    let mut next = match replay.next() {
        Next::Read => json!({"next": "read"}),
        Next::List => json!({"next": "list"}),
        Next::Open { last_event_id } => json!({"next": "open", "last_event_id": last_event_id}),
    };
    if let Some(wait) = wait {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        next["wait_ms"] = millis.min(LONGEST_WAIT_MS).into();
    }
    next
}

/// The rules of a line.
pub fn verifier(line: &Value, keys: KeySet) -> Verifier {
    let token_type = if text(line, "typ") == "JWT" { TokenType::Jwt } else { TokenType::AtJwt };
    let (audience, others) = audiences(line);
    others
        .fold(Verifier::new(keys, text(line, "issuer"), audience), Verifier::with_another_audience)
        .with_token_type(token_type)
        .with_leeway(millis(&line["leeway_ms"]))
}

/// What a validator says, as a probe writes it.
pub fn verdict(outcome: &Result<AccessClaims, Refusal>) -> Value {
    match outcome {
        Ok(_) => json!({"verdict": "ok"}),
        Err(refusal) => json!({"verdict": "refused", "code": refusal.code(), "status": refusal.status()}),
    }
}

/// The description is for people, and each implementation's own.
fn without_description(challenge: &str) -> String {
    challenge.split(", error_description=").next().unwrap_or_default().to_owned()
}

pub fn moment(line: &Value) -> SystemTime {
    UNIX_EPOCH + millis(&line["now_ms"])
}

pub fn millis(value: &Value) -> Duration {
    Duration::from_millis(value.as_u64().expect("milliseconds"))
}

pub fn text<'a>(line: &'a Value, member: &str) -> &'a str {
    line[member].as_str().unwrap_or_else(|| panic!("{member} in {line}"))
}

fn as_text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether an answer has every member that was expected, but for what a probe need not answer.
pub fn agrees(answer: &Value, expected: &Value) -> bool {
    let none = Map::new();
    let expected = expected.as_object().unwrap_or(&none);
    expected.iter().all(|(member, value)| member == "claims" || answer.get(member) == Some(value))
}
