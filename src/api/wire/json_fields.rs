//! From a JSON value to a request's fields, with errors that are safe to send back.
//!
//! serde's error texts repeat what was sent and name Rust types, and a path of keys would repeat
//! keys that were sent. Here the name in an error is always one of the code's own: where a key is not known,
//! the known one that is nearest.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::api::wire::nearest::nearest;

/// What is wrong with which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldError {
    /// A field is missing, or holds what it cannot.
    Invalid {
        /// The innermost field of a struct that holds the fault; `None` for the body itself.
        field: Option<&'static str>,
        /// What is wrong, to be read behind the name.
        problem: &'static str,
    },
    /// A struct that takes no others than its own was given another one.
    UnknownMember {
        /// The name of its own that is nearest.
        nearest: &'static str,
    },
}

/// Reads `T` out of `value`; keys that `T` does not know are ignored, unless it denies them.
///
/// # Errors
/// The first fault in the order of `T`'s fields; then keys that it denies, then fields that are missing.
pub(crate) fn read<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, FieldError> {
    T::deserialize(Node { value, field: None })
}

impl FieldError {
    /// The same fault, laid to `field` unless a field further in has it already.
    fn within(self, outer: Option<&'static str>) -> Self {
        match self {
            Self::Invalid { field, problem } => Self::Invalid { field: field.or(outer), problem },
            Self::UnknownMember { .. } => self,
        }
    }

    const fn problem(problem: &'static str) -> Self {
        Self::Invalid { field: None, problem }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { field, problem } => write!(f, "{} {problem}", field.unwrap_or("the body")),
            Self::UnknownMember { nearest } => write!(f, "{nearest} is the nearest known name"),
        }
    }
}

impl std::error::Error for FieldError {}

/// serde hands over the offending value with most faults; it is dropped here.
impl serde::de::Error for FieldError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::problem("is not valid")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::problem(must_be(&expected.to_string()))
    }

    fn invalid_value(value: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::problem(match value {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => "is out of range",
            _ => "is not valid",
        })
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::problem("has the wrong length")
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::problem("is not one of the allowed values")
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Invalid { field: Some(field), problem: "is missing" }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Invalid { field: Some(field), problem: "is given twice, under two names" }
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        match nearest(name, known) {
            Some(nearest) => Self::UnknownMember { nearest },
            None => Self::problem("has a member that is not known here"),
        }
    }
}

/// What serde's own visitors say they expect, in JSON's words.
fn must_be(expected: &str) -> &'static str {
    match expected {
        "a string" | "a borrowed string" => "must be a string",
        "a boolean" => "must be true or false",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "must be a whole number",
        "f32" | "f64" => "must be a number",
        "a sequence" => "must be an array",
        "a map" => "must be an object",
        _ => "is of the wrong type",
    }
}

/// A value and the field it stands in.
#[derive(Clone, Copy)]
struct Node<'de> {
    value: &'de Value,
    field: Option<&'static str>,
}

impl<'de> Node<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let inside = |value| Node { value, ..self };
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, Some(value)) => visitor.visit_f64(value),
                _ => Err(FieldError::problem("is out of range")),
            },
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(inside))),
            Value::Object(map) => {
                visitor.visit_map(MapDeserializer::new(map.iter().map(|(k, v)| (k.as_str(), inside(v)))))
            }
        }
    }
}

impl<'de> IntoDeserializer<'de, FieldError> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.visit(visitor).map_err(|fault| fault.within(self.field))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    /// Offers the struct its own fields, in its own order, and then the others, which it ignores or denies.
    /// serde would also take an array of the fields' values, which no document mentions.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let Value::Object(map) = self.value else {
            return Err(FieldError::problem("must be an object").within(self.field));
        };
        let known = fields.iter().filter_map(|&name| Some((name, map.get(name)?)));
        let known = known.map(|(name, value)| (name, Node { value, field: Some(name) }));
        let others = map.iter().filter(|(name, _)| !fields.contains(&name.as_str()));
        let others = others.map(|(name, value)| (name.as_str(), Node { value, ..self }));
        let members = MapDeserializer::new(known.chain(others));
        visitor.visit_map(members).map_err(|fault| fault.within(self.field))
    }

    /// Enums of plain names only: the API has no others.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.value {
            Value::String(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
            _ => Err(FieldError::problem("must be a string")),
        }
        .map_err(|fault| fault.within(self.field))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier
    }
}
