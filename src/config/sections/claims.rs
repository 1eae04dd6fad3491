//! `tokens.claims` and `tokens.claims_cut_off`: claims of one's own.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::engine::{Parsed, Review, parse, problem};
use crate::domain::mapped_claims::{ClaimName, ClaimSource, MappedClaim, MappedClaims, WatchedFields};

const CLAIMS: &str = "tokens.claims";
const CUT_OFF: &str = "tokens.claims_cut_off";

/// Whose change of value ends an account's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimsCutOff {
    /// All claims'.
    All,
    /// Those of these names.
    Named(BTreeSet<ClaimName>),
}

impl Default for ClaimsCutOff {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl ClaimsCutOff {
    /// What of an account stands in these claims.
    pub fn watched(&self, claims: &MappedClaims) -> WatchedFields {
        claims.account_fields(|name| match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        })
    }

    /// A name of no claim is a slip that would end nothing.
    pub(crate) fn review(&self, claims: &MappedClaims, review: &mut Review<'_>) {
        let Self::Named(names) = self else { return };
        let unknown = names.iter().find(|name| claims.get(name.as_str()).is_none());
        if let Some(name) = unknown.filter(|_| review.sound(&[CLAIMS, CUT_OFF])) {
            let problem = format!("names {:?}, which is not in `{CLAIMS}`", name.as_str());
            review.refuse(CUT_OFF, problem, format!("name claims of `{CLAIMS}`, or write true for all"));
        }
    }
}

/// A table: for each claim a path, or a table with what there is to say of it.
pub fn claims(text: &str) -> Parsed<MappedClaims> {
    const HELP: &str = "write a path for each claim, like tenant = \"account.metadata.tenant\"";
    let claims: Map<String, Value> =
        serde_json::from_str(text).or_else(|_| problem("is no table of claims", HELP))?;
    claims.into_iter().map(|(name, claim)| Ok((claim_name(&name)?, mapped(&name, claim)?))).collect()
}

/// `true` for all claims, or their names with commas between.
pub fn cut_off(text: &str) -> Parsed<ClaimsCutOff> {
    match text.trim() {
        "true" => Ok(ClaimsCutOff::All),
        "false" => Ok(ClaimsCutOff::default()),
        text => Ok(ClaimsCutOff::Named(parse::list(claim_name)(text)?.into_iter().collect())),
    }
}

fn claim_name(text: &str) -> Parsed<ClaimName> {
    text.parse()
        .or_else(|error| problem(format!("names the claim {text:?}, which {error}"), "call it otherwise"))
}

fn mapped(name: &str, claim: Value) -> Parsed<MappedClaim> {
    let help = || {
        format!(
            "write {name} = \"account.metadata.x\", {name} = {{ value = \"x\" }} or {name} = {{ from = \
             \"account.metadata.x\", audiences = [\"https://…\"] }}"
        )
    };
    let refused =
        |problem: &str| Err(parse::Problem { problem: format!("has {name:?}, {problem}"), help: help() });
    let Value::Object(mut members) = claim else {
        return match claim {
            Value::String(path) => Ok(MappedClaim { source: path_of(name, &path)?, audiences: None }),
            _ => refused("which is neither a path nor a table"),
        };
    };
    let (value, from, audiences) =
        (members.remove("value"), members.remove("from"), members.remove("audiences"));
    if !members.is_empty() {
        return refused("which has more than `value`, `from` and `audiences`");
    }
    let source = match (value, from) {
        (Some(Value::Null), None) => return refused("whose `value` is nothing"),
        (Some(value), None) => ClaimSource::Value(literal(name, value)?),
        (None, Some(Value::String(path))) => path_of(name, &path)?,
        _ => return refused("which has not just one of `value` and `from`, a path"),
    };
    let audiences = match audiences.map(serde_json::from_value::<BTreeSet<String>>) {
        None => None,
        Some(Ok(audiences)) if !audiences.is_empty() => Some(audiences),
        Some(_) => return refused("whose `audiences` is no list of texts, or an empty one"),
    };
    Ok(MappedClaim { source, audiences })
}

fn path_of(name: &str, path: &str) -> Parsed<ClaimSource> {
    path.parse().or_else(|error| {
        problem(
            format!("has {name:?} from {path:?}, which {error}"),
            format!("write a path, or {name} = {{ value = {path:?} }} for what is always the same"),
        )
    })
}

/// `may_act` has one shape (RFC 8693 4.4).
fn literal(name: &str, value: Value) -> Parsed<Value> {
    match name != ClaimName::MAY_ACT || value["sub"].is_string() {
        true => Ok(value),
        false => problem(
            "has may_act, which is no object with `sub`",
            "write may_act = { value = { sub = \"…\" } }",
        ),
    }
}
