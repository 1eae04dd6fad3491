//! The docs page: Swagger UI from this program's own bytes, under a strict content policy.
//!
//! Nothing on the page comes from another host, nothing is inline, and the page shows the very
//! document that `/openapi.json` serves.

use std::io::{Cursor, Read};
use std::sync::OnceLock;

use crate::api::compat::Dialect;
use crate::api::errors::ApiError;
use crate::api::wire::served::{Served, Variant, accepts_gzip};
use crate::domain::html::escape;
use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::error::NotFoundError;
use poem::http::{HeaderValue, header};
use poem::web::Data;
use poem::{Endpoint, Request, Response, Route, RouteMethod, get};
use poem_openapi::{ApiResponse, OpenApi};
use serde::Serialize;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may do: run and show what this origin serves, and call it. Swagger UI's icons are
/// `data:` images; its styles go through the DOM, which no policy forbids.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where in the page the document switch goes, and where what the page fills in.
const SWITCH_PLACE: &str = "<!-- document switch -->";
const SAMPLES_PLACE: &str = "{samples}";

/// Whether there is a docs page, and what it fills in.
#[derive(Clone, Default)]
pub enum DocsPage {
    /// There is none; the documents stay, for generators.
    Off,
    /// There is one.
    #[default]
    On,
    /// There is one, for whoever develops: with what everybody knows filled in.
    Filled(Samples),
}

/// Who gets in with what everybody knows: of `hallpass dev` alone.
#[derive(Clone, Serialize)]
pub struct Samples {
    /// Who can log in.
    pub account: Option<SampleAccount>,
    /// The client for the OAuth forms.
    pub client: SampleClient,
}

/// An account by the fields of a login.
#[derive(Clone, Serialize)]
pub struct SampleAccount {
    /// Its address.
    pub email: String,
    /// Its password.
    pub password: &'static str,
}

/// A client by the fields of the OAuth forms.
#[derive(Clone, Serialize)]
pub struct SampleClient {
    /// Its id.
    pub client_id: &'static str,
    /// Its secret.
    pub client_secret: &'static str,
}

/// Adds the page at `/docs` and `/docs/`, and its assets below, unless there is none.
///
/// All links are relative, so the page works behind a path prefix; they come in two spellings,
/// since seen from `/docs` the assets are one level further down.
pub fn mount(app: Route, dialects: &[&Dialect], page_is: &DocsPage) -> Route {
    let samples = match page_is {
        DocsPage::Off => return app,
        DocsPage::On => "{}".to_owned(),
        DocsPage::Filled(samples) => serde_json::to_string(samples).unwrap_or_default(),
    };
    let html = include_str!("docs/index.html").replace(SWITCH_PLACE, &document_switch(dialects));
    let html = html.replace(SAMPLES_PLACE, &escape(&samples));
    app.at("/docs", page(html.replace("=\"./", "=\"docs/")))
        .at("/docs/", page(html))
        .at("/docs/docs.css", own(CSS, include_str!("docs/docs.css")))
        .at("/docs/docs.js", own(JAVASCRIPT, include_str!("docs/docs.js")))
        .at("/docs/plugins.js", own(JAVASCRIPT, include_str!("docs/plugins.js")))
        .at("/docs/snippets.js", own(JAVASCRIPT, include_str!("docs/snippets.js")))
        .at("/docs/favicon.svg", own("image/svg+xml", include_str!("docs/favicon.svg")))
        .at("/docs/swagger-ui.css", vendored(CSS, "swagger-ui.css"))
        .at("/docs/swagger-ui-bundle.js", vendored(JAVASCRIPT, "swagger-ui-bundle.js"))
}

/// Links from one API's document to the others; nothing where the main API is the only one.
fn document_switch(dialects: &[&Dialect]) -> String {
    if dialects.is_empty() {
        return String::new();
    }
    let link = |dialect: &&Dialect| {
        let (name, title) = (dialect.document_name, dialect.title);
        format!("<a href=\"?document={name}\" data-document=\"{name}\">{title}</a>")
    };
    let links: String = dialects.iter().map(link).collect();
    format!("<nav class=\"documents\" aria-label=\"APIs\"><a href=\"?\">Main API</a>{links}</nav>")
}

/// The way from `/` to the page; no operation of the API, so the document does not show it.
pub(crate) struct DocsRedirect;

/// Where to go.
#[derive(ApiResponse)]
enum ToDocs {
    /// The docs page, relative, so that it works behind a path prefix.
    #[oai(status = 307)]
    Redirect(#[oai(header = "Location")] String),
}

#[OpenApi]
impl DocsRedirect {
    #[oai(path = "/", method = "get", hidden = true)]
    async fn docs_redirect(&self, page: Data<&DocsPage>) -> poem::Result<ToDocs> {
        match page.0 {
            DocsPage::Off => Err(NotFoundError.into()),
            DocsPage::On | DocsPage::Filled(_) => Ok(ToDocs::Redirect("docs".to_owned())),
        }
    }
}

/// An endpoint that serves an OpenAPI document.
pub fn document_endpoint(json: String) -> impl Endpoint + 'static {
    own("application/json", json)
}

/// An endpoint for a page.
pub(super) fn page(html: impl Into<Bytes>) -> RouteMethod {
    let served = Served::new(HTML, html);
    get(make_sync(move |request: Request| under_policy(served.answer(request.headers()))))
}

/// The same for one that takes more to write than most services ever use: written when it is first asked for.
pub(super) fn page_when_asked<E>(write: impl Fn() -> Result<String, E> + Send + Sync + 'static) -> RouteMethod
where
    E: std::error::Error + Send + Sync + 'static,
{
    let served = OnceLock::new();
    get(make_sync(move |request: Request| -> poem::Result<Response> {
        let served = match served.get() {
            Some(served) => served,
            None => {
                let html = write().map_err(ApiError::internal)?;
                served.get_or_init(|| Served::new(HTML, html))
            }
        };
        Ok(under_policy(served.answer(request.headers())))
    }))
}

fn under_policy(mut page: Response) -> Response {
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    page
}

/// An endpoint for a text of our own.
pub(crate) fn own(content_type: &'static str, body: impl Into<Bytes>) -> RouteMethod {
    let served = Served::new(content_type, body);
    get(make_sync(move |request: Request| served.answer(request.headers())))
}

/// An endpoint for a file of Swagger UI, unpacked when it is first asked for.
fn vendored(content_type: &'static str, name: &'static str) -> RouteMethod {
    let packed = OnceLock::new();
    get(make_sync(move |request: Request| -> poem::Result<Response> {
        let headers = request.headers();
        if accepts_gzip(headers) {
            let packed =
                packed.get_or_init(|| gzip_member(name).map(|gzip| Variant::gzip(content_type, gzip)));
            return Ok(packed.as_ref().ok_or(NotFoundError)?.answer(headers));
        }
        Ok(Variant::plain(content_type, unpack(name).ok_or(NotFoundError)?).answer(headers))
    }))
}

type Archive = ZipArchive<Cursor<&'static [u8]>>;

/// The archive and where in it `name` of Swagger UI's dist folder is.
fn locate(name: &str) -> Option<(Archive, usize)> {
    let archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
    let suffix = format!("/dist/{name}");
    let index = archive.file_names().position(|path| path.is_ok_and(|path| path.ends_with(&suffix)))?;
    Some((archive, index))
}

/// A file of Swagger UI as a gzip stream. The archive holds it as a raw deflate stream, so all it
/// takes is a header and a trailer (RFC 1952 2.3), and nothing is unpacked or packed.
fn gzip_member(name: &str) -> Option<Vec<u8>> {
    const DEFLATE_NO_FLAGS_NO_TIME_UNKNOWN_SYSTEM: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut archive, index) = locate(name)?;
    let mut member = archive.by_index_raw(index).ok()?;
    if member.compression() != CompressionMethod::Deflated {
        return None;
    }
    let mut gzip = DEFLATE_NO_FLAGS_NO_TIME_UNKNOWN_SYSTEM.to_vec();
    member.read_to_end(&mut gzip).ok()?;
    gzip.extend(member.crc32().to_le_bytes());
    gzip.extend(u32::try_from(member.size()).ok()?.to_le_bytes());
    Some(gzip)
}

/// A file of Swagger UI as it is.
fn unpack(name: &str) -> Option<Vec<u8>> {
    let (mut archive, index) = locate(name)?;
    let mut bytes = Vec::new();
    archive.by_index(index).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use poem::test::{TestClient, TestResponse};

    use super::*;
    use crate::api::compat::DIALECTS;
    use crate::api::wire::served::gunzip;

    async fn html(page: DocsPage) -> String {
        let client = TestClient::new(mount(Route::new(), &[], &page));
        client.get("/docs").send().await.0.into_body().into_string().await.expect("text")
    }

    #[tokio::test]
    async fn what_is_filled_in_is_text_in_the_page_whatever_it_is() {
        let account = SampleAccount { email: "\"><script>&x".to_owned(), password: "password" };
        let client = SampleClient { client_id: "books", client_secret: "secret" };
        let html = html(DocsPage::Filled(Samples { account: Some(account), client })).await;
        let (_, samples) = html.split_once("data-samples=\"").expect("the samples");
        let (samples, _) = samples.split_once('"').expect("an end");
        assert!(!samples.contains('<') && !html.contains("<script>"), "{samples}");
        let read = samples.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
        let read = read.replace("&amp;", "&");
        let read: serde_json::Value = serde_json::from_str(&read).expect("JSON");
        assert_eq!(read["account"]["email"], "\"><script>&x");
        assert_eq!(read["client"]["client_secret"], "secret");
    }

    #[tokio::test]
    async fn nothing_is_filled_in_where_nothing_is_given() {
        assert!(html(DocsPage::On).await.contains("data-samples=\"{}\""));
    }

    #[tokio::test]
    async fn there_is_no_page_where_it_is_off() {
        let client = TestClient::new(mount(Route::new(), &DIALECTS, &DocsPage::Off));
        for path in ["/docs", "/docs/", "/docs/docs.js", "/docs/swagger-ui-bundle.js"] {
            client.get(path).send().await.assert_status(poem::http::StatusCode::NOT_FOUND);
        }
    }

    fn client() -> TestClient<Route> {
        let document = document_endpoint("{}\n".into());
        TestClient::new(mount(Route::new(), &DIALECTS, &DocsPage::On).at("/openapi.json", document))
    }

    fn header_of<'a>(response: &'a TestResponse, name: &str) -> &'a str {
        response.0.header(name).unwrap_or_default()
    }

    #[tokio::test]
    async fn the_page_names_assets_that_are_there_with_and_without_a_slash() {
        for (path, folder) in [("/docs", "/"), ("/docs/", "/docs/")] {
            let response = client().get(path).send().await;
            response.assert_status_is_ok();
            assert_eq!(header_of(&response, "content-type"), HTML);
            let html = response.0.into_body().into_string().await.expect("text");
            assert!(html.starts_with("<!doctype html>"));
            let links = html.split("=\"").skip(1).filter_map(|rest| rest.split('"').next());
            let assets: Vec<_> = links.filter(|link| link.contains('.') && link.contains('/')).collect();
            assert_eq!(assets.len(), 8, "{assets:?}");
            for asset in assets {
                let url = format!("{folder}{}", asset.trim_start_matches("./"));
                client().get(&url).send().await.assert_status_is_ok();
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_inline_or_from_elsewhere() {
        let response = client().get("/docs").send().await;
        assert_eq!(header_of(&response, "content-security-policy"), CONTENT_SECURITY_POLICY);
        let html = response.0.into_body().into_string().await.expect("text");
        for foreign in ["http:", "https:", "=\"//", "<style", "style=", "onclick", "<script>"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
    }

    #[tokio::test]
    async fn a_file_that_did_not_change_is_not_sent_again() {
        for path in ["/docs", "/docs/docs.css", "/docs/swagger-ui.css", "/openapi.json"] {
            let first = client().get(path).send().await;
            let tag = header_of(&first, "etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() == 24, "{tag}");
            assert_eq!(header_of(&first, "cache-control"), "no-cache");
            let known = format!("\"other\", W/{tag}");
            client()
                .get(path)
                .header("if-none-match", known)
                .send()
                .await
                .assert_status(poem::http::StatusCode::NOT_MODIFIED);
            client().get(path).header("if-none-match", "\"other\"").send().await.assert_status_is_ok();
        }
    }

    #[tokio::test]
    async fn the_document_is_plain_json() {
        let response = client().get("/openapi.json").send().await;
        assert_eq!(header_of(&response, "content-type"), "application/json");
        response.assert_text("{}\n").await;
    }

    #[tokio::test]
    async fn swagger_ui_is_sent_packed_to_those_who_take_it() {
        for name in ["swagger-ui.css", "swagger-ui-bundle.js"] {
            let path = format!("/docs/{name}");
            let plain = client().get(&path).header("accept-encoding", "br, gzip;q=0").send().await;
            assert_eq!(header_of(&plain, "content-encoding"), "");
            let packed = client().get(&path).header("accept-encoding", "br, gzip;q=0.5").send().await;
            assert_eq!(header_of(&packed, "content-encoding"), "gzip");
            assert_eq!(header_of(&packed, "vary"), "Accept-Encoding");
            assert_ne!(header_of(&packed, "etag"), header_of(&plain, "etag"));
            let plain = plain.0.into_body().into_bytes().await.expect("bytes");
            let packed = packed.0.into_body().into_bytes().await.expect("bytes");
            assert!(packed.len() * 3 < plain.len());
            assert_eq!(gunzip(&packed), plain);
        }
    }
}
