//! Which operation a request asks for, by its method and its path.

use std::collections::{BTreeMap, HashMap};

use poem::http::Method;
use serde_json::Value;

use crate::api::main::{forward_auth, health};
use crate::api::wire::allow::fits;
use crate::metrics::{self, RequestSeries};

/// The operations that check a token, or hand out what tokens are checked with: asked again and again, and
/// nothing changes by it.
const VALIDATIONS: [&str; 8] = [
    "authMe",
    "authMePost",
    "forwardAuth",
    "introspectToken",
    "getJwks",
    "getAuthorizationServerMetadata",
    "getOpenIdConfiguration",
    "getProtectedResourceMetadata",
];

/// What an operation is to whoever reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes something.
    Change,
    /// It only tells.
    Read,
    /// It is one of [`VALIDATIONS`].
    Validation,
    /// A health check.
    Probe,
}

/// An operation of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// `operationId`.
    pub(crate) id: String,
    /// Its path, with the names of parameters in braces.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: Kind,
}

/// An operation, and what is counted of it.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) operation: Operation,
    pub(crate) series: RequestSeries,
    /// The method that the document has it under, as a label.
    pub(crate) method: &'static str,
}

type ByMethod = BTreeMap<String, Served>;

/// The operations of all documents.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    exact: HashMap<String, ByMethod>,
    templates: Vec<(String, ByMethod)>,
}

impl Operations {
    /// Reads the documents.
    pub(crate) fn of(documents: &[Value]) -> Self {
        let mut paths: BTreeMap<&String, ByMethod> = BTreeMap::new();
        let documented = documents.iter().filter_map(|document| document.get("paths")?.as_object()).flatten();
        for (path, operations) in documented {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let method = method.to_ascii_uppercase();
                if let Some(id) = operation.get("operationId").and_then(Value::as_str) {
                    let kind = kind_of(id, &method, path);
                    let operation = Operation { id: id.to_owned(), path: path.clone(), kind };
                    let served = Served {
                        operation,
                        series: RequestSeries::default(),
                        method: metrics::method(&method),
                    };
                    paths.entry(path).or_default().insert(method, served);
                }
            }
        }
        let mut operations = Self::default();
        for (path, by_method) in paths {
            match path.contains('{') {
                true => operations.templates.push((path.clone(), by_method)),
                false => drop(operations.exact.insert(path.clone(), by_method)),
            }
        }
        operations
    }

    /// The operation that a request asks for, if a document has it.
    pub(crate) fn at(&self, method: &Method, path: &str) -> Option<&Served> {
        if forward_auth::is_asked(path) {
            // Whatever the method, and whatever follows.
            return self.exact.get(forward_auth::PATH)?.get(Method::GET.as_str());
        }
        // What can be read can be asked for with HEAD as well.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        // The router prefers names to parameters: `/users/me` is not `/users/{id}`.
        let by_method = self.exact.get(path).or_else(|| {
            let mut templates = self.templates.iter();
            templates.find(|(template, _)| fits(template, path)).map(|(_, by_method)| by_method)
        });
        by_method?.get(method.as_str())
    }
}

fn kind_of(id: &str, method: &str, path: &str) -> Kind {
    if VALIDATIONS.contains(&id) {
        Kind::Validation
    } else if health::is_check(path) {
        Kind::Probe
    } else if is_safe(method) {
        Kind::Read
    } else {
        Kind::Change
    }
}

/// Whether a method only asks (RFC 9110 9.2.1).
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::documents;

    fn all() -> Operations {
        let documents = documents().expect("the documents");
        let read = |(_, text): &(&str, String)| serde_json::from_str(text).expect("JSON");
        Operations::of(&documents.iter().map(read).collect::<Vec<_>>())
    }

    #[test]
    fn a_request_is_known_by_its_method_and_its_path() {
        let operations = all();
        for (method, path, id, template, kind) in [
            ("POST", "/auth/login", "login", "/auth/login", Kind::Change),
            ("GET", "/users/me", "getMe", "/users/me", Kind::Read),
            ("HEAD", "/users/7", "getUser", "/users/{id}", Kind::Read),
            (
                "DELETE",
                "/users/7/sessions/x",
                "revokeUserSession",
                "/users/{id}/sessions/{sid}",
                Kind::Change,
            ),
            ("POST", "/auth/auth-me", "authMePost", "/auth/auth-me", Kind::Validation),
            ("POST", "/oauth2/introspect", "introspectToken", "/oauth2/introspect", Kind::Validation),
            ("PATCH", "/forward-auth/users/7", "forwardAuth", "/forward-auth", Kind::Validation),
            ("GET", "/health/live", "live", "/health/live", Kind::Probe),
            ("POST", "/access-tokens", "createAccessToken", "/access-tokens", Kind::Change),
            ("POST", "/auth/signin", "signIn", "/auth/signin", Kind::Change),
        ] {
            let found = operations.at(&method.parse().expect("a method"), path);
            let wanted = Operation { id: id.to_owned(), path: template.to_owned(), kind };
            assert_eq!(found.map(|served| &served.operation), Some(&wanted), "{method} {path}");
        }
        for (method, path) in
            [("GET", "/auth/login"), ("GET", "/docs"), ("GET", "/users/7/8"), ("PUT", "/users/7")]
        {
            assert!(operations.at(&method.parse().expect("a method"), path).is_none(), "{method} {path}");
        }
    }

    #[test]
    fn every_validation_is_an_operation() {
        let operations = all();
        let known =
            operations.exact.values().chain(operations.templates.iter().map(|(_, by_method)| by_method));
        let known: Vec<_> = known.flat_map(BTreeMap::values).map(|served| &*served.operation.id).collect();
        for id in VALIDATIONS {
            assert!(known.contains(&id), "{id}");
        }
    }
}
