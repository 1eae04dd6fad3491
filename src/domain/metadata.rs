//! What administrators note down about an account or a client, for the claims of its tokens.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// A JSON object of at most [`MAX_BYTES`](Self::MAX_BYTES) and [`MAX_DEPTH`](Self::MAX_DEPTH). Most have none: it is
/// empty then.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Map<String, Value>);

/// Why there is no such metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is of another kind.
    #[error("is not a JSON object")]
    NotAnObject,
    /// It is longer than [`Metadata::MAX_BYTES`].
    #[error("has more than {} bytes as JSON without white space", Metadata::MAX_BYTES)]
    TooLong,
    /// It is deeper than [`Metadata::MAX_DEPTH`].
    #[error("is more than {} objects and lists deep", Metadata::MAX_DEPTH)]
    TooDeep,
}

impl Metadata {
    /// How long it may be, as JSON without white space.
    pub const MAX_BYTES: usize = 2_048;

    /// How deep it may be; the object itself counts.
    pub const MAX_DEPTH: usize = 4;

    /// Whether nothing is noted down.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is noted down.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// What stands at the end of a path; at that of none, all of it. Nothing where that leads nowhere, or to `null`.
    pub fn find(&self, path: &[String]) -> Option<Value> {
        let Some((last, before)) = path.split_last() else {
            return (!self.is_empty()).then(|| Value::Object(self.0.clone()));
        };
        let mut members = &self.0;
        for name in before {
            members = members.get(name)?.as_object()?;
        }
        members.get(last).filter(|value| !value.is_null()).cloned()
    }

    /// The text to store; none for an empty one.
    pub fn to_text(&self) -> Option<String> {
        (!self.is_empty()).then(|| text(&self.0))
    }
}

fn text(members: &Map<String, Value>) -> String {
    // Writing texts and numbers to a String cannot fail.
    serde_json::to_string(members).unwrap_or_default()
}

fn is_deeper_than(levels: usize, value: &Value) -> bool {
    let left = levels.checked_sub(1);
    let is_too_deep = |value: &Value| left.is_none_or(|left| is_deeper_than(left, value));
    match value {
        Value::Array(items) => left.is_none() || items.iter().any(is_too_deep),
        Value::Object(members) => left.is_none() || members.values().any(is_too_deep),
        _ => false,
    }
}

impl TryFrom<Value> for Metadata {
    type Error = MetadataError;

    fn try_from(value: Value) -> Result<Self, MetadataError> {
        if is_deeper_than(Self::MAX_DEPTH, &value) {
            return Err(MetadataError::TooDeep);
        }
        let Value::Object(members) = value else { return Err(MetadataError::NotAnObject) };
        if text(&members).len() > Self::MAX_BYTES {
            return Err(MetadataError::TooLong);
        }
        Ok(Self(members))
    }
}

impl FromStr for Metadata {
    type Err = MetadataError;

    fn from_str(text: &str) -> Result<Self, MetadataError> {
        serde_json::from_str::<Value>(text).map_err(|_| MetadataError::NotAnObject)?.try_into()
    }
}

/// What is noted down about people is personal data.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metadata(…)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(value: Value) -> Metadata {
        Metadata::try_from(value).expect("metadata")
    }

    fn find(metadata: &Metadata, path: &str) -> Option<Value> {
        let path: Vec<String> = path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        metadata.find(&path)
    }

    #[test]
    fn it_is_an_object_of_two_kibibytes() {
        let of = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
        assert!(Metadata::try_from(of(2_048)).is_ok());
        assert_eq!(Metadata::try_from(of(2_049)), Err(MetadataError::TooLong));
        assert_eq!(Metadata::try_from(json!({ "ä": "ä".repeat(1_100) })), Err(MetadataError::TooLong));
        for other in [json!(null), json!([]), json!("{}"), json!(7)] {
            assert_eq!(Metadata::try_from(other), Err(MetadataError::NotAnObject));
        }
        assert_eq!(" { \"a\" : 1 } ".parse(), Ok(metadata(json!({ "a": 1 }))));
        assert_eq!("{".parse::<Metadata>(), Err(MetadataError::NotAnObject));
    }

    #[test]
    fn it_is_four_levels_deep() {
        for deep in
            [json!({"a": {"b": {"c": {}}}}), json!({"a": [[[1]]]}), json!({"a": [{"b": [1, "x"]}, 2]})]
        {
            assert!(Metadata::try_from(deep.clone()).is_ok(), "{deep}");
        }
        for deeper in [json!({"a": {"b": {"c": {"d": {}}}}}), json!({"a": [[[[]]]]}), json!([[[[[1]]]]])] {
            assert_eq!(Metadata::try_from(deeper.clone()), Err(MetadataError::TooDeep), "{deeper}");
        }
    }

    #[test]
    fn a_path_leads_to_what_is_there() {
        let noted =
            metadata(json!({"plan": "pro", "org": {"id": 7, "none": null, "teams": ["a"]}, "a.b": 1}));
        assert_eq!(find(&noted, "plan"), Some(json!("pro")));
        assert_eq!(find(&noted, "org.id"), Some(json!(7)));
        assert_eq!(find(&noted, "org.teams"), Some(json!(["a"])));
        assert_eq!(find(&noted, ""), Some(Value::Object(noted.members().clone())));
        for nowhere in ["Plan", "plan.id", "org.none", "org.teams.0", "org.id.x", "a.b", "x"] {
            assert_eq!(find(&noted, nowhere), None, "{nowhere}");
        }
        assert_eq!(find(&Metadata::default(), ""), None);
    }

    #[test]
    fn it_is_told_to_no_log() {
        assert_eq!(format!("{:?}", metadata(json!({"plan": "secret"}))), "Metadata(…)");
    }
}
