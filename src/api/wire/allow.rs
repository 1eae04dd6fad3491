//! Which methods a path takes, for the `Allow` header of 405 (RFC 9110 15.5.6).

use std::collections::{BTreeMap, BTreeSet};

use poem::http::HeaderValue;
use serde_json::{Map, Value};

/// The methods of every path of the OpenAPI documents.
pub(crate) struct AllowedMethods(Vec<(String, HeaderValue)>);

impl AllowedMethods {
    /// Reads the documents; what can be read can be asked for with HEAD as well.
    pub(crate) fn of(documents: &[Value]) -> Self {
        let mut paths: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
        let documented = documents.iter().filter_map(|document| document.get("paths")?.as_object()).flatten();
        for (template, operations) in documented {
            let methods = operations.as_object().into_iter().flat_map(Map::keys);
            let methods = methods.map(|method| method.to_ascii_uppercase());
            paths.entry(template).or_default().extend(methods);
        }
        let allow = |(template, mut methods): (&String, BTreeSet<String>)| {
            if methods.contains("GET") {
                methods.insert("HEAD".to_owned());
            }
            let methods = methods.into_iter().collect::<Vec<_>>().join(", ");
            Some((template.clone(), HeaderValue::try_from(methods).ok()?))
        };
        let mut allowed: Vec<_> = paths.into_iter().filter_map(allow).collect();
        // The router prefers names to parameters: `/users/me` is not `/users/{id}`.
        allowed.sort_by_key(|(template, _)| template.contains('{'));
        Self(allowed)
    }

    /// What `Allow` says at `path`. What no document has is a page or a document: it can be read.
    pub(crate) fn at(&self, path: &str) -> HeaderValue {
        let allowed = self.0.iter().find(|(template, _)| fits(template, path));
        allowed.map_or(HeaderValue::from_static("GET, HEAD"), |(_, methods)| methods.clone())
    }
}

/// Whether `path` is `template` with something in place of each parameter.
pub(crate) fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    let fits = |(expected, segment): (&str, &str)| {
        expected == segment || (expected.starts_with('{') && !segment.is_empty())
    };
    template.clone().count() == path.clone().count() && template.zip(path).all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_allows_what_any_document_has_for_it() {
        let main = json!({ "paths": {
            "/users/{id}": { "get": {} },
            "/users/me": { "patch": {}, "get": {} },
            "/auth/login": { "post": {} },
        } });
        let other = json!({ "paths": { "/auth/login": { "delete": {} } } });
        let allowed = AllowedMethods::of(&[main, other]);
        for (path, methods) in [
            ("/users/7", "GET, HEAD"),
            ("/users/me", "GET, HEAD, PATCH"),
            ("/auth/login", "DELETE, POST"),
            ("/docs", "GET, HEAD"),
        ] {
            assert_eq!(allowed.at(path), methods, "{path}");
        }
    }

    #[test]
    fn a_parameter_is_one_segment_that_is_not_empty() {
        assert!(fits("/users/{id}/sessions", "/users/7/sessions"));
        for other in ["/users//sessions", "/users/7", "/users/7/sessions/1", "/users/7/keys"] {
            assert!(!fits("/users/{id}/sessions", other), "{other}");
        }
    }
}
