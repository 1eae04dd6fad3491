//! Bodies that come as a form or as JSON, both read as strictly.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use poem::{Request, RequestBody};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::api::wire::json::{BodyError, StrictJson, parse_value, read_bytes};
use crate::api::wire::json_fields;

/// The media type of forms.
pub const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A request body of fields of text, as a form or as JSON.
///
/// The document has the form alone, and JSON in words: with two kinds of body for one operation, clients
/// that openapi-python-client writes cannot be imported, and progenitor writes none.
///
/// Whichever it is, [`json_fields::read`] takes the fields out, so that both have the same names
/// and the same checks. poem-openapi's own `Form` takes equal keys and bytes that are no text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FormOrJson<T>(pub T);

/// The fields of a form.
pub trait FormFields {
    /// Those that may come several times; as JSON they are arrays.
    const REPEATABLE: &'static [&'static str] = &[];
}

impl<T: Type + DeserializeOwned + FormFields> FormOrJson<T> {
    /// Reads the body of a request, where no framework does.
    pub(crate) async fn read(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = read_bytes(request, body).await?;
        let essence = request.content_type().map(|text| text.split(';').next().unwrap_or_default().trim());
        let value = match essence {
            Some(essence) if essence.eq_ignore_ascii_case(FORM) => parse_form(&bytes, T::REPEATABLE)?,
            Some(essence) if essence.eq_ignore_ascii_case(JSON) => parse_value(&bytes)?,
            None if bytes.is_empty() => Value::Object(Map::new()),
            _ => return Err(BodyError::NeitherFormNorJson.into()),
        };
        Ok(Self(json_fields::read(&value).map_err(BodyError::from)?))
    }
}

impl<'a, T: Type + DeserializeOwned + FormFields> ApiExtractor<'a> for FormOrJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <StrictJson<T> as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: FORM, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Self::read(request, body).await
    }
}

/// Reads a form (WHATWG URL 5.1) in which no field comes twice but those that are `repeatable`, and all text is
/// UTF-8. A `%` that begins no escape stands for itself, as everywhere.
///
/// # Errors
/// [`BodyError::DuplicateKey`], or [`BodyError::Invalid`] for what is no text.
pub fn parse_form(bytes: &[u8], repeatable: &[&str]) -> Result<Value, BodyError> {
    let mut fields = Map::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=').map(decode);
        let name = halves.next().transpose()?.unwrap_or_default();
        let value = halves.next().transpose()?.unwrap_or_default();
        match fields.entry(name) {
            Entry::Vacant(vacant) => drop(vacant.insert(value.into())),
            Entry::Occupied(mut known) if repeatable.contains(&known.key().as_str()) => {
                repeat(known.get_mut(), value);
            }
            Entry::Occupied(_) => return Err(BodyError::DuplicateKey),
        }
    }
    Ok(Value::Object(fields))
}

/// Adds a value to those that a field has already.
fn repeat(known: &mut Value, value: String) {
    match known {
        Value::Array(values) => values.push(value.into()),
        one => *one = vec![one.take(), value.into()].into(),
    }
}

fn decode(text: &[u8]) -> Result<String, BodyError> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded = percent_decode(&spaced).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| BodyError::Invalid { field: None, problem: "is not UTF-8" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        for (form, fields) in [
            ("", json!({})),
            ("a=1&b=2", json!({"a": "1", "b": "2"})),
            ("a=x+y%20z&b=%2B", json!({"a": "x y z", "b": "+"})),
            ("a=b=c&d&=e", json!({"a": "b=c", "d": "", "": "e"})),
            ("&&a=1&", json!({"a": "1"})),
            ("a=%C5%BC", json!({"a": "ż"})),
            ("a=50%&b=%zz", json!({"a": "50%", "b": "%zz"})),
        ] {
            assert_eq!(parse_form(form.as_bytes(), &[]), Ok(fields), "{form}");
        }
    }

    #[test]
    fn a_field_that_comes_twice_is_refused_in_any_spelling() {
        for form in ["a=1&a=1", "a=1&b=2&a=3", "a=1&%61=2", "a&a"] {
            assert_eq!(parse_form(form.as_bytes(), &[]), Err(BodyError::DuplicateKey), "{form}");
        }
    }

    #[test]
    fn a_repeatable_field_may_come_several_times_and_no_other_beside_it() {
        let parse = |form: &str| parse_form(form.as_bytes(), &["r"]);
        assert_eq!(parse("r=1&a=2"), Ok(json!({"r": "1", "a": "2"})));
        assert_eq!(parse("r=1&a=2&r=3&%72=1"), Ok(json!({"r": ["1", "3", "1"], "a": "2"})));
        for form in ["r=1&r=2&a=1&a=1", "R=1&R=2"] {
            assert_eq!(parse(form), Err(BodyError::DuplicateKey), "{form}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for form in [b"a=%ff".as_slice(), b"a=\xff", b"%C5=1", b"a=%ED%A0%80"] {
            assert!(matches!(parse_form(form, &[]), Err(BodyError::Invalid { field: None, .. })), "{form:?}");
        }
    }
}
