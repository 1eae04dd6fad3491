//! The pages that links in mails lead to, unless the settings name others: `/reset-password` and
//! `/verify-email`.
//!
//! Looking at a page uses nothing up: mail scanners follow links before people do. The token is in
//! the fragment, which browsers send to no server, and the page posts it when a button is pressed.

use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{Request, Response, Route, RouteMethod, get};

use crate::api::pages::docs_page::own;
use crate::domain::html::escape;
use crate::domain::link::Link;

/// What a page may do: run and show what this origin serves, and call it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The app that the pages belong to, as people know it.
#[derive(Clone, Debug, Default)]
pub struct App {
    /// What they call it.
    pub name: String,
    /// Where they go on, if that is known.
    pub url: Option<Link>,
}

impl App {
    /// A page with the app's name, and the way on, in their places.
    fn fill(&self, html: &str) -> String {
        let name = escape(&self.name);
        let way_on = match &self.url {
            Some(url) => format!("<a href=\"{}\">Back to {name}</a>", escape(url.as_str())),
            None => String::new(),
        };
        html.replace("{{way_on}}", &way_on).replace("{{name}}", &name)
    }
}

/// Adds the pages and their assets.
///
/// All links are relative, so the pages work behind a path prefix; but for the way on, which leads to the app.
pub fn mount(routes: Route, app: &App) -> Route {
    routes
        .at("/reset-password", page(app.fill(include_str!("mails/reset_password.html"))))
        .at("/verify-email", page(app.fill(include_str!("mails/verify_email.html"))))
        .at("/pages/pages.css", own("text/css; charset=utf-8", include_str!("mails/pages.css")))
        .at("/pages/pages.js", own("text/javascript; charset=utf-8", include_str!("mails/pages.js")))
}

/// A page, which nobody is to keep: what every answer gets (no-store, no-referrer) is right for it.
fn page(html: String) -> RouteMethod {
    get(make_sync(move |_: Request| {
        let mut response = Response::builder().content_type("text/html; charset=utf-8").body(html.clone());
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
        let client = TestClient::new(mount(Route::new(), &App::default()));
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
    async fn a_page_has_the_name_of_the_app_and_the_way_on_as_text() {
        let named = App {
            name: "<b onload=\"a\"> & 'Co' {{way_on}}".to_owned(),
            url: Some(Link::parse("https://www.example.com/?a=1&b='\"").expect("a link")),
        };
        let nameless = App { name: "auth.example.com".to_owned(), url: None };
        for path in PAGES {
            let read = async |app: &App| {
                let response = TestClient::new(mount(Route::new(), app)).get(path).send().await;
                response.assert_header("content-security-policy", CONTENT_SECURITY_POLICY);
                response.0.into_body().into_string().await.expect("text")
            };
            let html = read(&named).await;
            let name = "&lt;b onload=&quot;a&quot;&gt; &amp; &#39;Co&#39; {{way_on}}";
            assert!(html.contains(&format!(" · {name}</title>")), "{html}");
            assert!(html.contains(&format!("<p class=\"app\">{name}</p>")), "{html}");
            let link = format!("<a href=\"https://www.example.com/?a=1&amp;b=%27%22\">Back to {name}</a>");
            assert!(html.contains(&link), "{html}");
            let html = read(&nameless).await;
            assert!(
                html.contains("<p class=\"app\">auth.example.com</p>") && !html.contains("<a "),
                "{html}"
            );
            assert!(!html.contains("{{"), "{html}");
        }
    }

    #[tokio::test]
    async fn a_page_takes_nothing_but_looks() {
        let client = TestClient::new(mount(Route::new(), &App::default()));
        for path in PAGES {
            client.head(path).send().await.assert_status_is_ok();
            client.post(path).send().await.assert_status(StatusCode::METHOD_NOT_ALLOWED);
        }
    }
}
