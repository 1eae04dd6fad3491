//! JSON bodies, read strictly and written plainly.
//!
//! poem-openapi's own `Json` takes equal keys (the last one wins, while another parser in front of
//! us may take the first), takes `null` for an empty body, and answers with parser text that can
//! repeat what was sent. [`StrictJson`] refuses the first two and never says the third.

mod error;
mod parse;

use bytes::Bytes;
use poem::error::ReadBodyError;
use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::error::{BODY_MAX_BYTES, BODY_MAX_DEPTH, BodyError};
pub use self::parse::parse_value;
use crate::api::wire::json_fields;

const MEDIA_TYPE: &str = "application/json";

/// What an answer with a token takes, and some more.
const WRITTEN_BYTES: usize = 1_024;

/// A JSON request body.
///
/// `T` derives `poem_openapi::Object` for the document and `serde::Deserialize` for the parser,
/// with the same names in both. Keys that `T` does not know are ignored, or refused where it is marked
/// `#[serde(deny_unknown_fields)]`, as it is for every operation that is exact ([`crate::api::document::known_names`]).
/// `StrictJson<Option<T>>` is a body that may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StrictJson<T>(pub T);

impl<T: Type> Payload for StrictJson<T> {
    const CONTENT_TYPE: &'static str = MEDIA_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(MEDIA_TYPE)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + DeserializeOwned> ParsePayload for StrictJson<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    /// # Errors
    /// [`BodyError`], inside a [`poem::Error`].
    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = read_bytes(request, body).await?;
        let value = if bytes.is_empty() && !T::IS_REQUIRED {
            Value::Null
        } else if request.content_type().is_some_and(Self::check_content_type) {
            parse_value(&bytes)?
        } else {
            return Err(BodyError::UnsupportedMediaType.into());
        };
        Ok(Self(json_fields::read(&value).map_err(BodyError::from)?))
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for StrictJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: MEDIA_TYPE, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: T::IS_REQUIRED })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        <Self as ParsePayload>::from_request(request, body).await
    }
}

/// A JSON answer, sent as `application/json` without a charset: there is none to choose
/// (RFC 8259 8.1), and some clients compare the header with the bare name.
pub struct Json<T>(pub T);

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = MEDIA_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        Response::builder().content_type(MEDIA_TYPE).body(self.0.to_json_string())
    }
}

/// The same of a text that needs no document.
pub(crate) fn written(value: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(WRITTEN_BYTES);
    // Memory takes it all, and names are texts.
    let _ = serde_json::to_writer(&mut body, value);
    Response::builder().content_type(MEDIA_TYPE).body(body)
}

impl<T: ToJSON> ApiResponse for Json<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: MEDIA_TYPE, schema: T::schema_ref() }];
        let ok = MetaResponse {
            description: "",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![ok] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// Takes the body, whatever is in it.
///
/// # Errors
/// [`BodyError::Encoded`], [`BodyError::ByteOrderMark`], [`BodyError::TooLarge`] or
/// [`BodyError::Truncated`], inside a [`poem::Error`].
pub(crate) async fn read_bytes(request: &Request, body: &mut RequestBody) -> poem::Result<Bytes> {
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !request.headers().get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(BodyError::Encoded.into());
    }
    let bytes = body.take()?.into_bytes_limit(BODY_MAX_BYTES).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => BodyError::TooLarge,
        _ => BodyError::Truncated,
    })?;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        return Err(BodyError::ByteOrderMark.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, poem_openapi::Object, serde::Deserialize)]
    #[oai(rename_all = "camelCase")]
    #[serde(rename_all = "camelCase")]
    struct Order {
        book_title: String,
        #[oai(default)]
        #[serde(default)]
        copies: u8,
        #[serde(alias = "bookNote")]
        note: Option<String>,
        #[oai(default)]
        #[serde(default)]
        gift: bool,
        address: Option<Address>,
        #[oai(default)]
        #[serde(default)]
        tags: Vec<String>,
    }

    #[derive(Debug, PartialEq, poem_openapi::Object, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[oai(rename_all = "camelCase")]
    struct Exact {
        house_number: Option<u8>,
        #[serde(alias = "zip")]
        postal_code: String,
    }

    #[derive(Debug, PartialEq, poem_openapi::Object, serde::Deserialize)]
    struct Address {
        street: String,
        kind: Kind,
    }

    #[derive(Debug, PartialEq, poem_openapi::Enum, serde::Deserialize)]
    #[oai(rename_all = "lowercase")]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Home,
        Work,
    }

    async fn send<T: Type + DeserializeOwned>(
        content_type: Option<&str>,
        body: impl Into<poem::Body>,
    ) -> Result<T, BodyError> {
        let mut request = Request::builder().method(poem::http::Method::POST);
        if let Some(content_type) = content_type {
            request = request.content_type(content_type);
        }
        let (request, mut body) = request.body(body).split();
        match <StrictJson<T> as ParsePayload>::from_request(&request, &mut body).await {
            Ok(StrictJson(value)) => Ok(value),
            Err(error) => Err(error.downcast::<BodyError>().expect("a BodyError")),
        }
    }

    async fn order(body: &str) -> Result<Order, BodyError> {
        send(Some("application/json"), body.to_owned()).await
    }

    fn invalid(field: &'static str, problem: &'static str) -> Result<Order, BodyError> {
        Err(BodyError::Invalid { field: Some(field), problem })
    }

    const NOT_AN_OBJECT: Result<Order, BodyError> =
        Err(BodyError::Invalid { field: None, problem: "must be an object" });

    #[tokio::test]
    async fn unknown_keys_are_ignored() {
        let order = order(r#"{"bookTitle":"Emma","copies":2,"x":{"y":[null,1.5,-3]}}"#).await;
        let expected = Order {
            book_title: "Emma".into(),
            copies: 2,
            note: None,
            gift: false,
            address: None,
            tags: Vec::new(),
        };
        assert_eq!(order, Ok(expected));
    }

    #[tokio::test]
    async fn unknown_keys_are_refused_where_a_body_is_exact() {
        let exact = async |body: &str| send::<Exact>(Some("application/json"), body.to_owned()).await;
        for (body, nearest) in [
            (r#"{"postalCode":"N1","houseNo":7}"#, "houseNumber"),
            (r#"{"postal_code":"N1"}"#, "postalCode"),
            (r#"{"POSTALCODE":"N1"}"#, "postalCode"),
            (r#"{"postalCode":"N1","s3cret":{"x":[1]}}"#, "postalCode"),
            (r#"{"s3cret":1}"#, "postalCode"),
        ] {
            assert_eq!(exact(body).await, Err(BodyError::UnknownMember { nearest }), "{body}");
        }
        // What is wrong with a known one comes first.
        let both = exact(r#"{"x":1,"houseNumber":"s3cret"}"#).await;
        assert_eq!(
            both.map_err(|error| error.to_string()),
            Err("houseNumber must be a whole number".to_owned())
        );
        for fine in [r#"{"postalCode":"N1"}"#, r#"{"zip":"N1","houseNumber":null}"#] {
            assert!(exact(fine).await.is_ok(), "{fine}");
        }
    }

    #[tokio::test]
    async fn any_parameter_of_the_media_type_is_fine_and_any_other_type_is_not() {
        const BODY: &str = r#"{"bookTitle":"Emma"}"#;
        for fine in ["application/json", "Application/JSON; charset=utf-8", "application/json;v=1"] {
            assert!(send::<Order>(Some(fine), BODY).await.is_ok(), "{fine}");
        }
        for bad in [None, Some(""), Some("text/plain"), Some("application/jsonp"), Some("application/x+json")]
        {
            assert_eq!(send::<Order>(bad, BODY).await, Err(BodyError::UnsupportedMediaType), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn equal_keys_are_refused_at_any_depth_and_in_any_spelling() {
        for body in [
            r#"{"bookTitle":"Emma","bookTitle":"Emma"}"#,
            r#"{"bookTitle":"Emma","book\u0054itle":"Persuasion"}"#,
            r#"{"bookTitle":"Emma","unknown":[{"a":1,"b":{},"a":2}]}"#,
        ] {
            assert_eq!(order(body).await, Err(BodyError::DuplicateKey), "{body}");
        }
        let twice = order(r#"{"bookTitle":"Emma","note":"a","bookNote":"b"}"#).await;
        assert_eq!(twice, invalid("note", "is given twice, under two names"));
    }

    #[tokio::test]
    async fn what_is_not_json_is_refused() {
        for body in [
            "",
            " ",
            "{",
            "{} {}",
            r#"{"bookTitle":"Emma"}x"#,
            "{'bookTitle':'Emma'}",
            r#"{"bookTitle":"Emma",}"#,
            "{\"bookTitle\":\"Em\nma\"}",
            r#"{"bookTitle":"\ud800"}"#,
            r#"{"copies":NaN}"#,
            r#"{"copies":1e999}"#,
        ] {
            assert_eq!(order(body).await, Err(BodyError::NotJson), "{body}");
        }
        let latin1 = b"{\"bookTitle\":\"\xe9\"}".to_vec();
        assert_eq!(send::<Order>(Some("application/json"), latin1).await, Err(BodyError::NotJson));
    }

    #[tokio::test]
    async fn what_is_no_object_is_refused() {
        for body in ["null", "true", "7", r#""Emma""#, r#"["Emma",2,null,false,null,[]]"#] {
            assert_eq!(order(body).await, NOT_AN_OBJECT, "{body}");
        }
    }

    #[tokio::test]
    async fn a_missing_field_is_named_as_the_document_names_it() {
        assert_eq!(order("{}").await, invalid("bookTitle", "is missing"));
        let body = r#"{"bookTitle":"Emma","address":{"kind":"home"}}"#;
        assert_eq!(order(body).await, invalid("street", "is missing"));
    }

    #[tokio::test]
    async fn a_wrong_type_names_the_field_and_never_the_value() {
        for (json, field, problem) in [
            (r#""bookTitle":null"#, "bookTitle", "must be a string"),
            (r#""bookTitle":["s3cret"]"#, "bookTitle", "must be a string"),
            (r#""copies":"s3cret""#, "copies", "must be a whole number"),
            (r#""copies":1.5"#, "copies", "must be a whole number"),
            (r#""copies":-1"#, "copies", "is out of range"),
            (r#""copies":256"#, "copies", "is out of range"),
            (r#""note":{"s3cret":1}"#, "note", "must be a string"),
            (r#""gift":1"#, "gift", "must be true or false"),
            (r#""tags":"s3cret""#, "tags", "must be an array"),
            (r#""tags":["a",1]"#, "tags", "must be a string"),
            (r#""address":"s3cret""#, "address", "must be an object"),
            (r#""address":{"street":"s3cret","kind":"s3cret"}"#, "kind", "is not one of the allowed values"),
            (r#""address":{"street":"s3cret","kind":1}"#, "kind", "must be a string"),
        ] {
            let title = if field == "bookTitle" { "" } else { r#""bookTitle":"Emma","# };
            let result = order(&format!("{{{title}{json}}}")).await;
            assert_eq!(result, invalid(field, problem), "{json}");
            let text = result.map_err(|error| error.to_string()).expect_err("refused");
            assert_eq!(text, format!("{field} {problem}"));
        }
    }

    #[tokio::test]
    async fn nesting_ends_at_the_bound() {
        let nested = |levels: usize| {
            let arrays = levels - 1;
            format!(r#"{{"bookTitle":"Emma","x":{}{}}}"#, "[".repeat(arrays), "]".repeat(arrays))
        };
        assert!(order(&nested(BODY_MAX_DEPTH)).await.is_ok());
        assert_eq!(order(&nested(BODY_MAX_DEPTH + 1)).await, Err(BodyError::TooDeep));
        assert_eq!(order(&nested(20_000)).await, Err(BodyError::TooDeep));
    }

    #[tokio::test]
    async fn size_ends_at_the_bound() {
        let sized = |bytes: usize| {
            let frame = r#"{"bookTitle":""}"#.len();
            format!(r#"{{"bookTitle":"{}"}}"#, "a".repeat(bytes - frame))
        };
        assert!(order(&sized(BODY_MAX_BYTES)).await.is_ok());
        assert_eq!(order(&sized(BODY_MAX_BYTES + 1)).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn an_optional_body_may_be_left_out() {
        assert_eq!(send::<Option<Order>>(None, "").await, Ok(None));
        assert_eq!(send::<Option<Order>>(Some("application/json"), "").await, Ok(None));
        assert_eq!(send::<Option<Order>>(Some("application/json"), "null").await, Ok(None));
        let body = r#"{"bookTitle":"Emma"}"#;
        assert_eq!(send::<Option<Order>>(None, body).await, Err(BodyError::UnsupportedMediaType));
        assert!(matches!(send::<Option<Order>>(Some("application/json"), body).await, Ok(Some(_))));
        let missing = send::<Option<Order>>(Some("application/json"), "{}").await.map(drop);
        assert_eq!(missing, invalid("bookTitle", "is missing").map(drop));
    }

    #[tokio::test]
    async fn an_answer_is_plain_application_json() {
        let response = Json("Emma".to_owned()).into_response();
        assert_eq!(response.content_type(), Some("application/json"));
        assert_eq!(response.into_body().into_string().await.expect("text"), r#""Emma""#);
    }
}
