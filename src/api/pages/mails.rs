//! The pages that links in mails lead to, unless the settings name others: `/reset-password` and
//! `/verify-email`.
//!
//! Looking at a page uses nothing up: mail scanners follow links before people do. The token is in
//! the fragment, which browsers send to no server, and the page posts it when a button is pressed.

use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{Request, Response, Route, RouteMethod, get};

use crate::api::pages::docs_page::own;

/// What a page may do: run and show what this origin serves, and call it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds the pages and their assets.
///
/// All links are relative, so the pages work behind a path prefix.
pub fn mount(app: Route) -> Route {
    app.at("/reset-password", page(include_str!("mails/reset_password.html")))
        .at("/verify-email", page(include_str!("mails/verify_email.html")))
        .at("/pages/pages.css", own("text/css; charset=utf-8", include_str!("mails/pages.css")))
        .at("/pages/pages.js", own("text/javascript; charset=utf-8", include_str!("mails/pages.js")))
}

/// A page, which nobody is to keep: what every answer gets (no-store, no-referrer) is right for it.
fn page(html: &'static str) -> RouteMethod {
    get(make_sync(move |_: Request| {
        let mut response = Response::builder().content_type("text/html; charset=utf-8").body(html);
        let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;
    use poem::test::TestClient;

    use super::*;

    const PAGES: [&str; 2] = ["/reset-password", "/verify-email"];

    #[tokio::test]
    async fn a_page_is_all_from_here_and_nothing_of_it_is_inline() {
        let client = TestClient::new(mount(Route::new()));
        for path in PAGES {
            let response = client.get(path).send().await;
            response.assert_status_is_ok();
            response.assert_header("content-security-policy", CONTENT_SECURITY_POLICY);
            let html = response.0.into_body().into_string().await.expect("text");
            for foreign in ["http:", "https:", "=\"/", "<style", "style=", "onclick", "<script>", "<form"] {
                assert!(!html.contains(foreign), "{foreign} in {path}");
            }
            for asset in ["pages/pages.css", "pages/pages.js"] {
                assert!(html.contains(&format!("=\"{asset}\"")), "{asset} in {path}");
                client.get(format!("/{asset}")).send().await.assert_status_is_ok();
            }
        }
    }

    #[tokio::test]
    async fn a_page_takes_nothing_but_looks() {
        let client = TestClient::new(mount(Route::new()));
        for path in PAGES {
            client.head(path).send().await.assert_status_is_ok();
            client.post(path).send().await.assert_status(StatusCode::METHOD_NOT_ALLOWED);
        }
    }
}
