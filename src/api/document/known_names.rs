//! Which operations take a name in a request that they do not know.
//!
//! `?emial=…` that is dropped without a word lists everybody, and `{"enabled": false}` changes nothing and is
//! answered like a change. So an operation is exact: what its query or its body has beside what it takes is
//! refused. Those that keep another service's contract are not, for its clients may send more, nor are OAuth's
//! (RFC 6749 3.2: unrecognized parameters are ignored), nor what is merely looked at.

use std::collections::{BTreeMap, BTreeSet};

use poem::Request;
use poem::http::Method;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::api::errors::ApiError;
use crate::api::wire::allow::fits;

/// The operations that take names they do not know. Any other is exact.
const LENIENT: [&str; 23] = [
    // Contracts R and B.
    "register",
    "login",
    "authMe",
    "authMePost",
    "refreshToken",
    "getMe",
    // Contract N.
    "signUp",
    "signIn",
    "signOut",
    "refresh",
    // Contract G.
    "createUser",
    "createAccessToken",
    "deleteAccessToken",
    "refreshAccessToken",
    "getProfile",
    // OAuth.
    "createToken",
    "introspectToken",
    "revokeToken",
    // What is looked at.
    "getJwks",
    "getAuthorizationServerMetadata",
    "getOpenIdConfiguration",
    "getProtectedResourceMetadata",
    "live",
];

/// Whether an operation refuses names that it does not know.
pub(crate) fn is_exact(operation: &Map<String, Value>) -> bool {
    let id = operation.get("operationId").and_then(Value::as_str);
    id.is_some_and(|id| !LENIENT.contains(&id))
}

/// The parameters that exact operations take in the query.
pub(crate) struct KnownParameters(Vec<(String, BTreeMap<String, Vec<String>>)>);

impl KnownParameters {
    /// Reads the documents. What no document has is a page or a document, and may be asked for in any way.
    pub(crate) fn of(documents: &[Value]) -> Self {
        let mut paths: BTreeMap<&String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        let documented = documents.iter().filter_map(|document| document.get("paths")?.as_object()).flatten();
        for (template, operations) in documented {
            // Also where none is exact: `/users/me` is not `/users/{id}`.
            let known = paths.entry(template).or_default();
            for (method, operation) in operations.as_object().into_iter().flatten() {
                if let Some(operation) = operation.as_object().filter(|operation| is_exact(operation)) {
                    known.insert(method.to_ascii_uppercase(), query_names(operation));
                }
            }
        }
        let mut known: Vec<_> =
            paths.into_iter().map(|(template, known)| (template.clone(), known)).collect();
        // The router prefers names to parameters.
        known.sort_by_key(|(template, _)| template.contains('{'));
        Self(known)
    }

    /// Refuses a parameter that the operation does not take, or one that comes twice: which of the two counts
    /// is not for the service to guess.
    ///
    /// # Errors
    /// `unknown_parameter`, without a word out of the request.
    pub(crate) fn check(&self, request: &Request) -> Result<(), ApiError> {
        let Some(query) = request.uri().query() else { return Ok(()) };
        // What can be read can be asked for with HEAD as well.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let path = request.uri().path();
        let known = self.0.iter().find(|(template, _)| fits(template, path));
        let Some(known) = known.and_then(|(_, known)| known.get(method.as_str())) else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            match known.iter().find(|known| **known == *name) {
                None => return Err(ApiError::unknown_parameter(known)),
                Some(known) if !seen.insert(known) => return Err(ApiError::repeated_parameter(known)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The names that an operation takes in the query.
fn query_names(operation: &Map<String, Value>) -> Vec<String> {
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let in_query = parameters.filter(|parameter| parameter["in"] == "query");
    in_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use poem::Body;
    use serde_json::json;

    use super::*;

    fn check(method: &str, uri: &str) -> Result<(), String> {
        let parameters = json!([{ "in": "query", "name": "limit" }, { "in": "query", "name": "after" },
            { "in": "header", "name": "If-None-Match" }]);
        let document = json!({ "paths": {
            "/users/{id}": { "get": { "operationId": "getUser" }, "patch": { "operationId": "updateUser" } },
            "/users": { "get": { "operationId": "listUsers", "parameters": parameters },
                "post": { "operationId": "createUser" } },
            "/users/me": { "get": { "operationId": "getMe" }, "patch": { "operationId": "updateMe" } },
            "/health/live": { "get": { "operationId": "live" } },
        } });
        let request = Request::builder().method(method.parse().expect("a method"));
        let request = request.uri(uri.parse().expect("a URI")).body(Body::empty());
        KnownParameters::of(&[document]).check(&request).map_err(|error| error.to_string())
    }

    #[test]
    fn what_an_exact_operation_takes_it_takes_once() {
        for fine in ["/users", "/users?", "/users?limit=1", "/users?&after=1&limit=", "/users?%6Cimit=1"] {
            assert_eq!(check("GET", fine), Ok(()), "{fine}");
            assert_eq!(check("HEAD", fine), Ok(()), "{fine}");
        }
        for unknown in ["?limits=1", "?Limit=1", "?=1", "?limit=1&x", "?limit%20=1", "?If-None-Match=1"] {
            for method in ["GET", "HEAD"] {
                let error = check(method, &format!("/users{unknown}")).expect_err(unknown);
                assert!(error.contains("it takes limit and after"), "{error}");
            }
        }
        for twice in ["?limit=1&limit=1", "?limit=1&after=1&%6cimit=2", "?limit&limit"] {
            let error = check("GET", &format!("/users{twice}")).expect_err(twice);
            assert!(error.contains("limit twice"), "{error}");
        }
        for other in ["/users/7?x", "/users/7?limit=1"] {
            let error = check("PATCH", other).expect_err(other);
            assert!(error.contains("it takes none"), "{error}");
        }
        assert!(check("PATCH", "/users/me?x").is_err());
    }

    #[test]
    fn others_take_what_they_do_not_know() {
        for (method, uri) in [
            ("POST", "/users?x=1&x=2"),
            ("GET", "/users/me?x"),
            ("GET", "/health/live?x"),
            ("GET", "/docs?x"),
            ("DELETE", "/users?x"),
            ("GET", "/users/7/8?x"),
        ] {
            assert_eq!(check(method, uri), Ok(()), "{method} {uri}");
        }
    }
}
