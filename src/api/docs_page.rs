//! The docs page: Swagger UI from this program's own bytes, under a strict content policy.
//!
//! Nothing on the page comes from another host, nothing is inline, and the page shows the very
//! document that `/openapi.json` serves.

use std::io::{Cursor, Read};
use std::sync::OnceLock;

use super::compat::CompatApi;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::error::NotFoundError;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};
use poem::{Endpoint, Request, Response, Route, RouteMethod, get};
use poem_openapi::{ApiResponse, OpenApi};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{CompressionMethod, ZipArchive};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may do: run and show what this origin serves, and call it. Swagger UI's icons are
/// `data:` images; its styles go through the DOM, which no policy forbids.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where in the page the document switch goes.
const SWITCH_PLACE: &str = "<!-- document switch -->";

/// Adds the page at `/docs` and `/docs/`, and its assets below.
///
/// All links are relative, so the page works behind a path prefix; they come in two spellings,
/// since seen from `/docs` the assets are one level further down.
pub fn mount(app: Route, compat: &[CompatApi]) -> Route {
    let html = include_str!("docs/index.html").replace(SWITCH_PLACE, &document_switch(compat));
    app.at("/docs", page(html.replace("=\"./", "=\"docs/")))
        .at("/docs/", page(html))
        .at("/docs/docs.css", own(CSS, include_str!("docs/docs.css")))
        .at("/docs/docs.js", own(JAVASCRIPT, include_str!("docs/docs.js")))
        .at("/docs/favicon.svg", own("image/svg+xml", include_str!("docs/favicon.svg")))
        .at("/docs/swagger-ui.css", vendored(CSS, "swagger-ui.css"))
        .at("/docs/swagger-ui-bundle.js", vendored(JAVASCRIPT, "swagger-ui-bundle.js"))
}

/// Links from one API's document to the others; nothing where the main API is the only one.
fn document_switch(compat: &[CompatApi]) -> String {
    if compat.is_empty() {
        return String::new();
    }
    let link = |api: &CompatApi| {
        let (name, title) = (api.document_name(), api.title());
        format!("<a href=\"?document={name}\" data-document=\"{name}\">{title}</a>")
    };
    let links: String = compat.iter().map(link).collect();
    format!("<nav class=\"documents\" aria-label=\"APIs\"><a href=\"?\">Main API</a>{links}</nav>")
}

/// The way from `/` to the page; no operation of the API, so the document does not show it.
pub(super) struct FrontDoor;

/// Where to go.
#[derive(ApiResponse)]
enum ToDocs {
    /// The docs page, relative, so that it works behind a path prefix.
    #[oai(status = 307)]
    Redirect(#[oai(header = "Location")] String),
}

#[OpenApi]
impl FrontDoor {
    #[oai(path = "/", method = "get", hidden = true)]
    async fn front_door(&self) -> ToDocs {
        ToDocs::Redirect("docs".to_owned())
    }
}

/// An endpoint that serves an OpenAPI document.
pub fn document_endpoint(json: String) -> impl Endpoint + 'static {
    own("application/json", json)
}

/// An endpoint for the page itself.
fn page(html: impl Into<Bytes>) -> RouteMethod {
    let served = Served::new(HTML, html);
    get(make_sync(move |request: Request| {
        let mut response = served.answer(request.headers());
        let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }))
}

/// An endpoint for a text of our own.
pub(super) fn own(content_type: &'static str, body: impl Into<Bytes>) -> RouteMethod {
    let served = Served::new(content_type, body);
    get(make_sync(move |request: Request| served.answer(request.headers())))
}

/// An endpoint for a file of Swagger UI, unpacked when it is first asked for.
fn vendored(content_type: &'static str, name: &'static str) -> RouteMethod {
    let packed = OnceLock::new();
    get(make_sync(move |request: Request| -> poem::Result<Response> {
        let packed = packed.get_or_init(|| gzip_member(name).map(|gzip| Served::new(content_type, gzip)));
        let packed = packed.as_ref().ok_or(NotFoundError)?;
        let mut response = if accepts_gzip(request.headers()) {
            let mut response = packed.answer(request.headers());
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        } else {
            Served::new(content_type, unpack(name).ok_or(NotFoundError)?).answer(request.headers())
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        Ok(response)
    }))
}

/// A body with its validator.
struct Served {
    content_type: &'static str,
    entity_tag: String,
    body: Bytes,
}

impl Served {
    fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let hash = digest::digest(&digest::SHA256, &body);
        Self {
            content_type,
            entity_tag: format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])),
            body,
        }
    }

    /// The body, or 304 to someone who has it (RFC 9110 13.1.2). `no-cache` means: keep it, but ask
    /// each time, so that an upgrade shows at once.
    fn answer(&self, request: &HeaderMap) -> Response {
        let response = Response::builder()
            .header(header::ETAG, &self.entity_tag)
            .header(header::CACHE_CONTROL, "no-cache");
        if names_entity(request, &self.entity_tag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        response.content_type(self.content_type).body(self.body.clone())
    }
}

/// Whether `If-None-Match` names the entity.
fn names_entity(request: &HeaderMap, entity_tag: &str) -> bool {
    let known = members(request, header::IF_NONE_MATCH).any(|tag| tag.trim_start_matches("W/") == entity_tag);
    known || members(request, header::IF_NONE_MATCH).any(|tag| tag == "*")
}

/// Whether `Accept-Encoding` names gzip and does not rule it out (RFC 9110 12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    members(request, header::ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

/// The members of a header that is a list, over all its lines.
fn members(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
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

    fn client() -> TestClient<Route> {
        let document = document_endpoint("{}\n".into());
        TestClient::new(mount(Route::new(), &CompatApi::ALL).at("/openapi.json", document))
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
            assert_eq!(assets.len(), 6, "{assets:?}");
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
                .assert_status(StatusCode::NOT_MODIFIED);
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

    /// Unpacks a gzip stream by putting its deflate stream, sum and size back into an archive.
    fn gunzip(packed: &[u8]) -> Vec<u8> {
        let (stream, trailer) = packed[10..].split_at(packed.len() - 18);
        let (sum, size) = trailer.split_at(4);
        let stream_size = u32::try_from(stream.len()).expect("a short stream").to_le_bytes();
        let before_the_sum = [b'P', b'K', 3, 4, 20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        let name = [1, 0, 0, 0, b'f'];
        let archive = [&before_the_sum, sum, &stream_size, size, &name, stream].concat();
        let mut archive = archive.as_slice();
        let mut file =
            zip::read::read_zipfile_from_stream(&mut archive).expect("an archive").expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("sum and size fit");
        bytes
    }
}
