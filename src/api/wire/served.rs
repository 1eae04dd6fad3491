//! Texts that are the same for everybody: sent once, and packed for those who take that.
//!
//! Only what is written before anybody asks is packed. An answer with a secret never is: its length would tell what
//! is in it to whoever can add to it (BREACH).

use std::io::Write;
use std::sync::OnceLock;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use poem::Response;
use poem::http::{HeaderMap, HeaderValue, StatusCode, header};

/// A text of our own, packed when somebody first takes it so.
pub(crate) struct Served {
    plain: Variant,
    packed: OnceLock<Option<Variant>>,
}

impl Served {
    pub(crate) fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { plain: Variant::plain(content_type, body), packed: OnceLock::new() }
    }

    /// The text in the coding that the request takes.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let packed = || self.packed.get_or_init(|| self.plain.packed()).as_ref();
        let variant = accepts_gzip(request).then(packed).flatten();
        variant.unwrap_or(&self.plain).answer(request)
    }
}

/// A body in one coding, with its validator: each coding has its own (RFC 9110 8.8.3.3).
pub(crate) struct Variant {
    content_type: &'static str,
    entity_tag: String,
    is_packed: bool,
    body: Bytes,
}

impl Variant {
    /// A body as it is.
    pub(crate) fn plain(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(content_type, body.into(), false)
    }

    /// A body that is a gzip stream.
    pub(crate) fn gzip(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(content_type, body.into(), true)
    }

    fn new(content_type: &'static str, body: Bytes, is_packed: bool) -> Self {
        let hash = digest::digest(&digest::SHA256, &body);
        let entity_tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]));
        Self { content_type, entity_tag, is_packed, body }
    }

    /// The same, packed; `None` where that makes it no shorter.
    fn packed(&self) -> Option<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory cannot fail; if it does, the plain text is right as well.
        encoder.write_all(&self.body).ok()?;
        let packed = encoder.finish().ok()?;
        (packed.len() < self.body.len()).then(|| Self::gzip(self.content_type, packed))
    }

    /// The body, or 304 to someone who has it (RFC 9110 13.1.2). `no-cache` means: keep it, but ask
    /// each time, so that an upgrade shows at once.
    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let response = Response::builder()
            .header(header::ETAG, &self.entity_tag)
            .header(header::VARY, "Accept-Encoding")
            .header(header::CACHE_CONTROL, "no-cache");
        if names_entity(request, &self.entity_tag) {
            return response.status(StatusCode::NOT_MODIFIED).finish();
        }
        let mut response = response.content_type(self.content_type).body(self.body.clone());
        if self.is_packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Whether `If-None-Match` names the entity.
fn names_entity(request: &HeaderMap, entity_tag: &str) -> bool {
    let known = members(request, header::IF_NONE_MATCH).any(|tag| tag.trim_start_matches("W/") == entity_tag);
    known || members(request, header::IF_NONE_MATCH).any(|tag| tag == "*")
}

/// Whether `Accept-Encoding` names gzip and does not rule it out (RFC 9110 12.5.3).
pub(crate) fn accepts_gzip(request: &HeaderMap) -> bool {
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

/// Unpacks a gzip stream.
#[cfg(test)]
pub(crate) fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(packed);
    std::io::Read::read_to_end(&mut decoder, &mut bytes).expect("a gzip stream");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a text that says the same again and again and again and again and again and again and again";

    fn ask(served: &Served, headers: &[(header::HeaderName, &str)]) -> Response {
        let lines = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value")));
        served.answer(&lines.collect())
    }

    #[tokio::test]
    async fn a_text_is_packed_for_those_who_take_it_and_for_nobody_else() {
        let served = Served::new("text/plain", TEXT);
        for (accepted, is_packed) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip, deflate, br, zstd", true),
            ("gzip;q=0", false),
            ("br", false),
            ("identity", false),
            ("xgzip", false),
        ] {
            let response = ask(&served, &[(header::ACCEPT_ENCODING, accepted)]);
            assert_eq!(response.header(header::CONTENT_ENCODING), is_packed.then_some("gzip"), "{accepted}");
            assert_eq!(response.header(header::VARY), Some("Accept-Encoding"), "{accepted}");
            let body = response.into_body().into_bytes().await.expect("bytes");
            assert_eq!(body.len() < TEXT.len(), is_packed, "{accepted}");
            assert_eq!(if is_packed { gunzip(&body) } else { body.to_vec() }, TEXT.as_bytes(), "{accepted}");
        }
        assert_eq!(ask(&served, &[]).header(header::CONTENT_ENCODING), None);
    }

    #[tokio::test]
    async fn each_coding_has_its_own_validator_and_is_not_sent_again() {
        let served = Served::new("text/plain", TEXT);
        let tag = |coding| {
            ask(&served, &[(header::ACCEPT_ENCODING, coding)]).header(header::ETAG).map(str::to_owned)
        };
        let (plain, packed) = (tag("identity").expect("a tag"), tag("gzip").expect("a tag"));
        assert_ne!(plain, packed);
        for (coding, known, is_known) in [
            ("gzip", format!("\"other\", {packed}"), true),
            ("gzip", format!("W/{packed}"), true),
            ("identity", plain.clone(), true),
            ("identity", "*".to_owned(), true),
            ("gzip", plain.clone(), false),
            ("identity", packed, false),
        ] {
            let response =
                ask(&served, &[(header::ACCEPT_ENCODING, coding), (header::IF_NONE_MATCH, &known)]);
            let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
            assert_eq!(response.status(), status, "{coding} {known}");
            // RFC 9110 15.4.5: what a cache goes by comes with 304 as well.
            assert_eq!(response.header(header::VARY), Some("Accept-Encoding"), "{coding} {known}");
            assert_eq!(response.header(header::ETAG), tag(coding).as_deref(), "{coding} {known}");
        }
    }

    #[test]
    fn what_packing_makes_no_shorter_stays_as_it_is() {
        let response = ask(&Served::new("text/plain", "short"), &[(header::ACCEPT_ENCODING, "gzip")]);
        assert_eq!(response.header(header::CONTENT_ENCODING), None);
    }
}
