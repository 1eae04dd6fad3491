//! The page of all errors, `/docs/errors`: what the `type` and the `code` of a problem (RFC 9457) lead to. The
//! same stands in docs/errors.md. Both are made from the table of codes and from the document, which says where
//! each is answered.

use std::fmt::Write as _;

use poem::Route;
use serde_json::Value;

use super::docs_page::{DocsPage, page_when_asked};
use crate::api::errors::ErrorCode;
use crate::domain::html::escape;

/// Operations that are named one by one; more of them are counted.
const NAMED_AT_MOST: usize = 8;

/// What the page says before the errors.
const INTRODUCTION: [&str; 2] = [
    "Every error of the main API is a problem (RFC 9457) with a stable code: program against `code`, or against `type`, which is \
     `urn:hallpass:error:` and the code. `title` and `detail` are for people and may change.",
    "401 is always a verdict about what was presented. 503 means that nothing can be told just now: try again after \
     `Retry-After`, and log nobody out.",
];

/// An error, as people are told of it.
struct Entry {
    code: ErrorCode,
    /// Where it is answered: method and path.
    operations: Vec<String>,
}

impl Entry {
    fn meaning(&self) -> String {
        self.code.meaning().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn status(&self) -> String {
        let status = self.code.status();
        let reason = status.canonical_reason().unwrap_or_default();
        match self.operations.iter().any(|operation| operation.contains(" /oauth2/")) {
            true => {
                let name = self.code.oauth_name();
                format!("{} {reason}; under `/oauth2` the `error` is `{name}`.", status.as_str())
            }
            false => format!("{} {reason}.", status.as_str()),
        }
    }

    fn operations(&self) -> String {
        match self.operations.len() {
            0 => "Answered before any operation begins.".to_owned(),
            n if n > NAMED_AT_MOST => format!("Answered by {n} operations."),
            _ => format!("Answered by {}.", self.operations.join(", ")),
        }
    }
}

/// All errors, each with where `document` has it.
fn entries(document: &Value) -> Vec<Entry> {
    let operations = operations(document);
    let entry = |code: &ErrorCode| {
        let name = code.name();
        let answered = operations.iter().filter(|(_, codes)| codes.contains(&name));
        Entry { code: *code, operations: answered.map(|(place, _)| place.clone()).collect() }
    };
    ErrorCode::ALL.iter().map(entry).collect()
}

/// Each operation as `` `GET /path` ``, and the codes that it answers.
fn operations(document: &Value) -> Vec<(String, Vec<String>)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let answers = operation["responses"].as_object().into_iter().flat_map(|answers| answers.values());
            let media = answers.filter_map(|answer| answer["content"].as_object());
            let examples =
                media.flat_map(|media| media.values()).filter_map(|media| media["examples"].as_object());
            let codes = examples.flat_map(|examples| examples.keys().cloned()).collect();
            operations.push((format!("`{} {path}`", method.to_uppercase()), codes));
        }
    }
    operations
}

/// docs/errors.md.
pub fn markdown(document: &Value) -> String {
    let mut text = String::from("# Errors\n\n");
    for paragraph in INTRODUCTION {
        let _ = writeln!(text, "{paragraph}\n");
    }
    let _ = writeln!(text, "A running service has this page at `/docs/errors`.");
    for entry in entries(document) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n## {}\n\n{}\n", entry.code.name(), entry.meaning());
        let _ = writeln!(text, "- Status {}", entry.status());
        let _ = writeln!(text, "- Says: {}", entry.code.text());
        let _ = writeln!(text, "- {}", entry.operations());
    }
    text
}

/// The page for browsers.
fn html(document: &Value) -> String {
    let mut sections = String::new();
    for paragraph in INTRODUCTION {
        let _ = writeln!(sections, "    <p>{}</p>", marked_up(paragraph));
    }
    for entry in entries(document) {
        let name = entry.code.name();
        let _ = writeln!(
            sections,
            "    <section id=\"{name}\">\n      <h2><a href=\"#{name}\">{name}</a></h2>\n      <p>{}</p>\n      \
             <ul>\n        <li>Status {}</li>\n        <li>Says: {}</li>\n        <li>{}</li>\n      </ul>\n    \
             </section>",
            marked_up(&entry.meaning()),
            marked_up(&entry.status()),
            escape(entry.code.text()),
            marked_up(&entry.operations()),
        );
    }
    include_str!("docs/errors.html").replace("{errors}", &sections)
}

/// Text as HTML, with what stands between backticks as code.
fn marked_up(text: &str) -> String {
    let part = |(index, part): (usize, &str)| match index % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    text.split('`').enumerate().map(part).collect()
}

/// Adds the page where there is a docs page.
pub fn mount<F>(routes: Route, document: F, docs: &DocsPage) -> Route
where
    F: Fn() -> Result<Value, serde_json::Error> + Send + Sync + 'static,
{
    match docs {
        DocsPage::Off => routes,
        DocsPage::On | DocsPage::Filled(_) => {
            routes.at("/docs/errors", page_when_asked(move || document().map(|document| html(&document))))
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;
    use poem::test::TestClient;

    use serde_json::json;

    use super::*;

    fn document() -> Value {
        let examples = json!({ "invalid_client": { "value": {} } });
        let answers = json!({ "401": { "content": { "application/json": { "examples": examples } } } });
        json!({ "paths": { "/oauth2/token": { "post": { "responses": answers } } } })
    }

    #[tokio::test]
    async fn the_page_has_a_place_for_each_code_and_is_not_there_without_docs() {
        let client = TestClient::new(mount(Route::new(), || Ok(document()), &DocsPage::On));
        let response = client.get("/docs/errors").send().await;
        response.assert_status_is_ok();
        response.assert_header("content-type", "text/html; charset=utf-8");
        let html = response.0.into_body().into_string().await.expect("text");
        for code in ErrorCode::ALL {
            assert!(html.contains(&format!("<section id=\"{}\">", code.name())), "{code:?}");
        }
        assert!(!html.contains('`') && !html.contains("{errors}"), "{html}");
        let client = TestClient::new(mount(Route::new(), || Ok(document()), &DocsPage::Off));
        client.get("/docs/errors").send().await.assert_status(StatusCode::NOT_FOUND);
    }

    #[test]
    fn an_error_is_told_with_where_it_is_answered() {
        let text = markdown(&document());
        let wanted = "\n## invalid_client\n\nWrong client id or client secret.\n\n- Status 401 Unauthorized; under \
                      `/oauth2` the `error` is `invalid_client`.\n- Says: The client's id or its secret is wrong.\n\
                      - Answered by `POST /oauth2/token`.\n";
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("## last_admin\n") && text.contains("- Status 409 Conflict.\n"), "{text}");
    }
}
