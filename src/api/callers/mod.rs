//! Who calls: tokens in headers, where a request comes from, and with which program.

pub mod header_token;
pub mod origin;
pub mod refresh_cookie;
pub(crate) mod renewed_token;
pub mod security;
