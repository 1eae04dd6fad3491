//! Announces what no operation's own code shows: headers that extractors and the error handler set, and
//! the answer of the root to a request that takes too long.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::examples::place;
use super::walk::{component, each_operation, each_response, object_in};
use super::{add_components, is_success};
use crate::api::document::known_names::is_exact;
use crate::api::errors::ApiError;
use crate::api::errors::example_of;

/// The header that takes a refresh token, by which a security scheme is known to buy new access tokens.
const REFRESH_TOKEN_HEADER: &str = "X-Refresh-Token";

/// What a query with a parameter that an exact operation does not take is answered, in the words of its 400.
const UNKNOWN_PARAMETER: &str =
    "The query has a parameter that the operation does not take, or one of them twice (`unknown_parameter`).";

/// The root answers 408 whatever the operation, in the shape of the operation's other errors.
pub(super) fn announce_timeout(operation: &mut Map<String, Value>, examples: &mut Map<String, Value>) {
    const DESCRIPTION: &str = "The request was not received and answered within 20 seconds (`request_timeout`). \
        Whether it was carried out is not known.";
    announce(operation, "408", DESCRIPTION, ApiError::request_timeout, examples);
}

/// What an exact operation does not take is refused before it, with 400.
pub(super) fn announce_unknown_parameters(
    operation: &mut Map<String, Value>,
    examples: &mut Map<String, Value>,
) {
    if is_exact(operation) {
        let example = || ApiError::unknown_parameter(&["limit", "after"]);
        announce(operation, "400", UNKNOWN_PARAMETER, example, examples);
    }
}

/// Adds an error to the answers of an operation, or to what an answer of its status says already. It has the
/// shape of the operation's other errors; that of 500 stands for them, since every operation has one. The
/// example goes to `examples`, by its name in that shape.
fn announce(
    operation: &mut Map<String, Value>,
    status: &str,
    description: &str,
    error: impl Fn() -> ApiError,
    examples: &mut Map<String, Value>,
) {
    let Some(responses) = object_in(operation, "responses") else { return };
    let of_500 = responses.get("500").and_then(|answer| answer.get("content")).and_then(Value::as_object);
    let Some(content) = of_500.cloned() else { return };
    let answer = responses.entry(status).or_insert_with(|| json!({ "description": "", "content": {} }));
    let Some(answer) = answer.as_object_mut() else { return };
    if let Some(Value::String(said)) = answer.get_mut("description")
        && !said.contains(description)
    {
        *said = format!("{said} {description}").trim_start().to_owned();
    }
    let Some(known) = object_in(answer, "content") else { return };
    for (media_type, media) in content {
        let schema = media.get("schema").cloned().unwrap_or_default();
        let example = component(&schema).and_then(|name| example_of(name, error()));
        let media = known.entry(media_type).or_insert_with(|| json!({ "schema": schema }));
        let (Some(media), Some((name, example))) = (media.as_object_mut(), example) else { continue };
        if let Some(named) = media.entry("examples").or_insert_with(|| json!({})).as_object_mut() {
            named.entry(&name).or_insert_with(|| place(&name, &example, examples));
        }
    }
    responses.sort_keys();
}

/// Headers that extractors and the error handler set, which no operation's own code shows.
pub(super) fn announce_headers(spec: &mut Value) {
    let refreshing = schemes(spec, takes_refresh_token);
    let basic = schemes(spec, |scheme| scheme.get("scheme").and_then(Value::as_str) == Some("basic"));
    let mut used = BTreeSet::new();
    each_operation(spec, &mut |operation| {
        // Where tokens may be left out they are not checked by the extractor that renews them.
        let refreshes = requirements(operation).any(|scheme| refreshing.contains(scheme))
            && !may_come_without_tokens(operation);
        let takes_basic = requirements(operation).any(|scheme| basic.contains(scheme));
        let is_limited = object_in(operation, "responses").is_some_and(|all| all.contains_key("429"));
        each_response(operation, &mut |status, response| {
            let own = match status {
                "401" if takes_basic => Some(("WWW-Authenticate", "WWW-Authenticate-Basic")),
                "401" | "403" => Some(itself("WWW-Authenticate")),
                "429" | "503" => Some(itself("Retry-After")),
                _ if refreshes && is_success(status) => Some(itself("X-Access-Token")),
                _ => None,
            };
            let counted = is_limited && may_have_been_counted(status);
            let limits = ["RateLimit-Policy", "RateLimit"].into_iter().filter(|_| counted).map(itself);
            for (name, component) in own.into_iter().chain(limits) {
                let headers = response.entry("headers").or_insert_with(|| json!({}));
                if let Some(headers) = headers.as_object_mut().filter(|headers| !headers.contains_key(name)) {
                    headers
                        .insert(name.into(), json!({ "$ref": format!("#/components/headers/{component}") }));
                    used.insert(component);
                }
            }
        });
    });
    let headers = used.into_iter().map(|name| (name.to_owned(), header(name)));
    add_components(spec, "headers", headers.collect());
}

/// Whether an answer of a limited operation can say what is left: not one to a body that was not read,
/// nor one of a service that cannot tell.
fn may_have_been_counted(status: &str) -> bool {
    !matches!(status, "413" | "415") && !status.starts_with('5')
}

/// Most headers are the component of their name.
fn itself(name: &'static str) -> (&'static str, &'static str) {
    (name, name)
}

/// The header object behind a name of [`announce_headers`].
fn header(name: &str) -> Value {
    match name {
        "Retry-After" => json!({
            "description": "Seconds to wait before the next try (RFC 9110 10.2.3).",
            "schema": { "type": "integer", "minimum": 0, "example": 1 }
        }),
        "RateLimit-Policy" => json!({
            "description": "The limits that the request came under, if any, each by the name of its setting: so many \
                            at once (`q`), refilled evenly over so many seconds (`w`) \
                            (draft-ietf-httpapi-ratelimit-headers-10).",
            "schema": { "type": "string", "example": "\"login.per_ip\";q=300;w=60, \"login.per_account\";q=20;w=900" }
        }),
        "RateLimit" => json!({
            "description": "Of the limits that the request was counted for, the one of which the least is left: how \
                            many more (`r`), and in how many seconds there is one more (`t`). What is left for an account is \
                            told only to whoever has shown its password.",
            "schema": { "type": "string", "example": "\"login.per_ip\";r=290;t=1" }
        }),
        "WWW-Authenticate" => json!({
            "description": "How to authenticate. Says `error=\"invalid_token\"` only when a token was \
                            presented, and `error=\"insufficient_scope\"` with 403 (RFC 6750 3).",
            "schema": { "type": "string", "example": "Bearer" }
        }),
        "WWW-Authenticate-Basic" => json!({
            "description": "How to authenticate, for a client that tried it by `Authorization` (RFC 6749 5.2). Whoever \
                            sent no such header is not asked for a password.",
            "schema": { "type": "string", "example": "Basic realm=\"hallpass\"" }
        }),
        _ => json!({
            "description": "A new access token, when the presented one had expired and `X-Refresh-Token` \
                            was live. Use it from now on.",
            "schema": { "type": "string" }
        }),
    }
}

/// The names of the security schemes that are `wanted`.
fn schemes(spec: &Value, wanted: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let schemes =
        spec.pointer("/components/securitySchemes").and_then(Value::as_object).into_iter().flatten();
    schemes.filter(|(_, scheme)| wanted(scheme)).map(|(name, _)| name.clone()).collect()
}

fn takes_refresh_token(scheme: &Value) -> bool {
    let name = scheme.get("name").and_then(Value::as_str);
    name.is_some_and(|name| name.eq_ignore_ascii_case(REFRESH_TOKEN_HEADER))
}

/// The names of the security schemes that an operation takes.
fn requirements(operation: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let alternatives = operation.get("security").and_then(Value::as_array).into_iter().flatten();
    alternatives.filter_map(Value::as_object).flat_map(Map::keys).map(String::as_str)
}

/// Whether one of the alternatives of an operation's security is to present nothing.
fn may_come_without_tokens(operation: &Map<String, Value>) -> bool {
    let alternatives = operation.get("security").and_then(Value::as_array).into_iter().flatten();
    alternatives.filter_map(Value::as_object).any(Map::is_empty)
}
