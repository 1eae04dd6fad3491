//! What is written down, for whom to read.

mod keys;
mod others;
mod people;
mod reading;

use serde_json::Value;

use crate::support::{Actor, Admin, LoggedIn};

const HOME: &str = "192.0.2.7";

/// A page of the log.
async fn page(admin: &Admin, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/audit?limit=200&{query}")).send().await;
    answer.json(200).as_array().expect("a list").clone()
}

/// The entries about an account, oldest first, each as one line: what, by whom, why, how many sessions.
async fn story(admin: &Admin, user: i64) -> Vec<String> {
    let mut entries = page(admin, &format!("user={user}")).await;
    entries.reverse();
    entries.iter().map(line).collect()
}

fn line(entry: &Value) -> String {
    let mut line = format!("{} {}", text(entry, "action"), text(entry, "actor"));
    if let Some(reason) = entry["reason"].as_str() {
        line.push_str(&format!(" {reason}"));
    }
    if let Some(sessions) = entry["count"].as_i64() {
        line.push_str(&format!(" ({sessions})"));
    }
    line
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_else(|| panic!("no {field} in {entry}"))
}

/// The session of a pair of tokens.
fn session_of(person: &LoggedIn) -> String {
    crate::support::jwt::claims(&person.tokens.access)["sid"].as_str().expect("a sid").to_owned()
}
