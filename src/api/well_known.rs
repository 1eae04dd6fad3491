//! `/.well-known/…`: what other services need to check tokens on their own.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::{StatusCode, header};
use poem::web::headers::{ETag, HeaderMapExt, IfNoneMatch};
use poem::{Endpoint, IntoResponse, Request, Response};

/// How long a validator may keep a document of keys or metadata, seconds.
const MAX_AGE_SECONDS: u32 = 300;

/// A JSON document that anybody may fetch and keep for five minutes.
pub struct PublicDocument {
    json: String,
    etag: String,
}
