//! What a client of an older document meets in a newer one.
//!
//! Written for the documents of this service: OpenAPI 3.0, schemas that are components, inline or an
//! `allOf` of one reference, no unions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

/// Something that a client of the older document relies on and the newer one does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The operation's id.
    pub operation: String,
    /// Where in the operation, and what.
    pub what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.what)
    }
}

/// All breaks between two documents, in the order of the operations' names.
///
/// An operation that is gone or moved, a request that was taken and is not any more, and an answer that
/// has less, or something else, than it had.
pub fn breaks(old: &Value, new: &Value) -> Vec<Break> {
    let (before, after) = (operations(old), operations(new));
    let mut found = Vec::new();
    for (id, (place, operation)) in &before {
        let mut report = |what: String| found.push(Break { operation: (*id).to_owned(), what });
        match after.get(id) {
            None => report("is gone".to_owned()),
            Some((elsewhere, _)) if elsewhere != place => report(format!("was {place} and is {elsewhere}")),
            Some((_, successor)) => {
                Comparison { old, new, report: &mut report }.operation(operation, successor)
            }
        }
    }
    found
}

type Operation<'a> = (String, &'a Value);

fn operations(document: &Value) -> BTreeMap<&str, Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    });
    operations.filter_map(|found| Some((found.1["operationId"].as_str()?, found))).collect()
}

/// Who gets less when a schema changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Clients send it: it must not take less than it took.
    Request,
    /// Clients read it: it must not hold less, or anything else, than it held.
    Answer,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    report: &'a mut dyn FnMut(String),
}

impl Comparison<'_> {
    fn operation(&mut self, old: &Value, new: &Value) {
        self.security(old, new);
        self.parameters(old, new);
        self.body(&old["requestBody"], &new["requestBody"]);
        for (status, answer) in members(&old["responses"]).filter(|(status, _)| status.starts_with('2')) {
            match new["responses"].get(status) {
                None => (self.report)(format!("{status} is gone")),
                Some(successor) => {
                    self.content(status, &answer["content"], &successor["content"], Side::Answer)
                }
            }
        }
    }

    fn security(&mut self, old: &Value, new: &Value) {
        let alternatives = |operation: &Value| operation["security"].as_array().cloned().unwrap_or_default();
        let (before, after) = (alternatives(old), alternatives(new));
        if before.is_empty() && !after.is_empty() && !after.contains(&Value::Object(Map::new())) {
            (self.report)("was public and is not any more".to_owned());
        }
        for gone in before.iter().filter(|way| !after.is_empty() && !after.contains(way)) {
            (self.report)(format!("cannot be called with {gone} any more"));
        }
    }

    fn parameters(&mut self, old: &Value, new: &Value) {
        let (before, after) = (parameters(old), parameters(new));
        for (name, parameter) in &before {
            match after.get(name) {
                None => (self.report)(format!("parameter {name} is gone")),
                Some(successor) => {
                    if is_required(successor) && !is_required(parameter) {
                        (self.report)(format!("parameter {name} is required now"));
                    }
                    self.schema(
                        &format!("parameter {name}"),
                        &parameter["schema"],
                        &successor["schema"],
                        Side::Request,
                    );
                }
            }
        }
        for (name, _) in after.iter().filter(|(name, new)| is_required(new) && !before.contains_key(*name)) {
            (self.report)(format!("parameter {name} is new and required"));
        }
    }

    fn body(&mut self, old: &Value, new: &Value) {
        if is_required(new) && !is_required(old) {
            (self.report)("a body is required now".to_owned());
        }
        self.content("the body", &old["content"], &new["content"], Side::Request);
    }

    fn content(&mut self, place: &str, old: &Value, new: &Value, side: Side) {
        for (kind, media) in members(old) {
            match new.get(kind) {
                None => (self.report)(format!("{place} is no {kind} any more")),
                Some(successor) => self.schema(place, &media["schema"], &successor["schema"], side),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value, side: Side) {
        let (old, new) = (resolve(self.old, old), resolve(self.new, new));
        if old["type"] != new["type"] {
            (self.report)(format!("{place} was {} and is {}", old["type"], new["type"]));
            return;
        }
        match side {
            Side::Request => self.narrowed(place, old, new),
            Side::Answer => self.widened(place, old, new),
        }
        for (name, property) in members(&old["properties"]) {
            match new["properties"].get(name) {
                None => (self.report)(format!("{place}: {name} is gone")),
                Some(successor) => self.schema(&format!("{place}: {name}"), property, successor, side),
            }
        }
        if let (Some(item), Some(successor)) = (old.get("items"), new.get("items")) {
            self.schema(&format!("{place}: each"), item, successor, side);
        }
    }

    /// A request that takes less.
    fn narrowed(&mut self, place: &str, old: &Value, new: &Value) {
        for name in strings(&new["required"]).difference(&strings(&old["required"])) {
            (self.report)(format!("{place}: {name} is required now"));
        }
        let (before, after) = (strings(&old["enum"]), strings(&new["enum"]));
        for value in before.difference(&after).filter(|_| new.get("enum").is_some()) {
            (self.report)(format!("{place} takes no {value} any more"));
        }
        if old["nullable"] == true && new["nullable"] != true {
            (self.report)(format!("{place} takes no null any more"));
        }
        for keyword in ["maxLength", "maximum", "maxItems"] {
            if lower(&new[keyword], &old[keyword]) {
                (self.report)(format!("{place} has a lower {keyword}"));
            }
        }
        for keyword in ["minLength", "minimum", "minItems"] {
            if higher(&new[keyword], &old[keyword]) {
                (self.report)(format!("{place} has a higher {keyword}"));
            }
        }
        for keyword in ["pattern", "format", "enum"] {
            let is_other = keyword != "enum" && old.get(keyword).is_some() && old[keyword] != new[keyword];
            let is_new = old.get(keyword).is_none();
            if new.get(keyword).is_some() && (is_new || is_other) {
                (self.report)(format!("{place} has another {keyword}"));
            }
        }
    }

    /// An answer that holds less, or more than a strict reader knows.
    fn widened(&mut self, place: &str, old: &Value, new: &Value) {
        for name in strings(&old["required"]).difference(&strings(&new["required"])) {
            (self.report)(format!("{place}: {name} is not always there any more"));
        }
        if new["nullable"] == true && old["nullable"] != true {
            (self.report)(format!("{place} can be null now"));
        }
        let (before, after) = (strings(&old["enum"]), strings(&new["enum"]));
        for value in after.difference(&before).filter(|_| old.get("enum").is_some()) {
            (self.report)(format!("{place} can be {value} now"));
        }
        if old.get("enum").is_some() && new.get("enum").is_none() {
            (self.report)(format!("{place} can be anything now"));
        }
        if old.get("format").is_some() && old["format"] != new["format"] {
            (self.report)(format!("{place} has another format"));
        }
    }
}

/// What a schema refers to, directly or as the sole member of an `allOf`.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = match schema["allOf"].as_array().map(Vec::as_slice) {
        Some([only]) => only,
        _ => schema,
    };
    let pointer = target["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(target)
}

fn parameters(operation: &Value) -> BTreeMap<String, &Value> {
    let list = operation["parameters"].as_array().into_iter().flatten();
    list.map(|one| {
        (format!("{} in {}", one["name"].as_str().unwrap_or("?"), one["in"].as_str().unwrap_or("?")), one)
    })
    .collect()
}

fn is_required(described: &Value) -> bool {
    described["required"] == true
}

fn members(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a bound from above has come down; none is no bound.
fn lower(new: &Value, old: &Value) -> bool {
    new.as_f64().is_some_and(|new| old.as_f64().is_none_or(|old| new < old))
}

/// Whether a bound from below has gone up.
fn higher(new: &Value, old: &Value) -> bool {
    new.as_f64().is_some_and(|new| old.as_f64().is_none_or(|old| new > old))
}
