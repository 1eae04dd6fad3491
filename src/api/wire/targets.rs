//! Whom a token is asked for (RFC 8707): members of a body that are taken as they come, since what is wrong with
//! them is told under a name of its own, and not to everybody.

use std::borrow::Cow;

use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::audiences::Asked;

/// Texts, or whatever came in their place. The document has an array of them, but for a field of a form, which has
/// one text and may come several times: generated clients cannot write a form with an array in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets<const IN_FORM: bool = false>(Value);

/// A field of a form that may come several times.
pub type Repeated = Targets<true>;

impl<const IN_FORM: bool> Targets<IN_FORM> {
    /// What a body asks for in which one text stands for itself, as in a form.
    pub fn asked(resource: Option<Self>, audience: Option<Self>) -> Asked {
        match (resource.map(Self::one_or_many).transpose(), audience.map(Self::one_or_many).transpose()) {
            (Ok(resource), Ok(audience)) => Asked::of(resource, audience),
            _ => Asked::Malformed,
        }
    }

    /// What a body asks for that has an array.
    pub fn asked_in_array(resource: Option<Self>) -> Asked {
        match resource.map(Self::many).transpose() {
            Ok(resource) => Asked::of(resource, None),
            Err(NoTexts) => Asked::Malformed,
        }
    }

    /// The texts.
    ///
    /// # Errors
    /// [`NoTexts`].
    pub fn one_or_many(self) -> Result<Vec<String>, NoTexts> {
        match self.0 {
            Value::String(text) => Ok(vec![text]),
            _ => self.many(),
        }
    }

    fn many(self) -> Result<Vec<String>, NoTexts> {
        let Value::Array(items) = self.0 else { return Err(NoTexts) };
        let text = |item| match item {
            Value::String(text) => Ok(text),
            _ => Err(NoTexts),
        };
        items.into_iter().map(text).collect()
    }
}

/// What came is no text, and no array of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTexts;

impl<'de, const IN_FORM: bool> Deserialize<'de> for Targets<IN_FORM> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl<const IN_FORM: bool> Type for Targets<IN_FORM> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        if IN_FORM { String::name() } else { <Vec<String>>::name() }
    }

    fn schema_ref() -> MetaSchemaRef {
        if IN_FORM { String::schema_ref() } else { <Vec<String>>::schema_ref() }
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<const IN_FORM: bool> ParseFromJSON for Targets<IN_FORM> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.map(Self).ok_or_else(ParseError::expected_input)
    }
}

impl<const IN_FORM: bool> ToJSON for Targets<IN_FORM> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn targets(value: Value) -> Option<Targets> {
        Some(Targets::<false>(value))
    }

    #[test]
    fn one_text_stands_for_itself_where_a_form_may_have_one() {
        let both = |value: Value| {
            (Targets::asked(targets(value.clone()), None), Targets::asked_in_array(targets(value)))
        };
        let one = Asked::of(Some(vec!["urn:a".to_owned()]), None);
        assert_eq!(both(json!("urn:a")), (one.clone(), Asked::Malformed));
        assert_eq!(both(json!(["urn:a"])), (one.clone(), one));
        for bad in [json!(7), json!({"a": 1}), json!([1]), json!(["urn:a", null]), json!(true), json!("")] {
            assert_eq!(both(bad.clone()), (Asked::Malformed, Asked::Malformed), "{bad}");
        }
        assert_eq!(Repeated::asked(None, None), Asked::Nothing);
        assert_eq!(<Targets>::asked_in_array(None), Asked::Nothing);
        assert_eq!(Targets::asked(None, targets(json!(7))), Asked::Malformed);
    }
}
