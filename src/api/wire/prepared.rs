//! JSON answers that are the same for everybody: written once, sent many times.

use std::marker::PhantomData;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use poem::{IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};

const MEDIA_TYPE: &str = "application/json";

/// A `T` as JSON text, with its entity tag.
pub(crate) struct Prepared<T> {
    json: Bytes,
    entity_tag: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Prepared<T> {
    fn clone(&self) -> Self {
        Self { json: self.json.clone(), entity_tag: self.entity_tag.clone(), of: PhantomData }
    }
}

impl<T: ToJSON> Prepared<T> {
    /// Writes the JSON.
    pub(crate) fn new(value: &T) -> Self {
        let json = Bytes::from(value.to_json_string());
        let digest = digest::digest(&digest::SHA256, &json);
        Self { entity_tag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest)), json, of: PhantomData }
    }
}

impl<T> Prepared<T> {
    /// The strong entity tag (RFC 9110 8.8.3).
    pub(crate) fn entity_tag(&self) -> &str {
        &self.entity_tag
    }

    /// Whether `If-None-Match` names this very text (RFC 9110 13.1.2).
    pub(crate) fn is_named_by(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|tags| {
            let mut tags = tags.split(',').map(str::trim);
            tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.entity_tag)
        })
    }
}

impl<T: Type> Payload for Prepared<T> {
    const CONTENT_TYPE: &'static str = MEDIA_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Send> IntoResponse for Prepared<T> {
    fn into_response(self) -> Response {
        Response::builder().content_type(MEDIA_TYPE).body(self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_named_by_its_tag_in_any_list_or_by_a_star() {
        let prepared = Prepared::new(&"text".to_owned());
        let tag = prepared.entity_tag();
        for names in [tag.to_owned(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".to_owned()] {
            assert!(prepared.is_named_by(Some(&names)), "{names}");
        }
        for names in ["", "\"\"", "\"a\"", tag.trim_matches('"')] {
            assert!(!prepared.is_named_by(Some(names)), "{names}");
        }
        assert!(!prepared.is_named_by(None));
    }
}
