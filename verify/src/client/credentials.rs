//! Who this service is to the issuer.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;

use super::error::RequestError;

/// The secret of a client. It cannot be shown.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Takes a secret as it was given out.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// A client's name and secret.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: ClientSecret,
}

impl Credentials {
    /// The value of `Authorization` (RFC 6749 2.3.1: both parts are form-encoded first).
    pub(crate) fn basic(&self) -> Result<HeaderValue, RequestError> {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encode(&self.id), encode(&self.secret.0)));
        sensitive(&format!("Basic {pair}"))
    }
}

pub(super) fn sensitive(value: &str) -> Result<HeaderValue, RequestError> {
    let mut value = HeaderValue::from_str(value).map_err(RequestError::unreadable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let credentials = Credentials { id: "orders".to_owned(), secret: "hush".into() };
        assert!(!format!("{credentials:?}").contains("hush"));
        let shown = format!("{:?}", credentials.basic().expect("a header value"));
        assert_eq!(shown, "Sensitive");
    }

    #[test]
    fn both_parts_are_form_encoded_before_they_are_joined() {
        let credentials = Credentials { id: "a:b c".to_owned(), secret: "s%/ü".into() };
        let value = credentials.basic().expect("a header value");
        let pair = value.to_str().expect("text").strip_prefix("Basic ").expect("the scheme");
        assert_eq!(STANDARD.decode(pair).expect("base64"), b"a%3Ab+c:s%25%2F%C3%BC");
    }
}
