//! `cookie.*`: the cookie of pages that keep their refresh token in one.

use crate::config::engine::{Always, Parsed, problem, settings};

/// The longest name.
const NAME_MAX: usize = 40;

settings! {
    /// The cookie of pages that ask for it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CookieSettings {
        /// What the cookie is called in which pages that ask for it (`Hallpass-Mode: cookie`) have their refresh token:
        /// letters, digits, `-` and `_`, at most 40. Browsers see it behind `__Host-` (`__Secure-` where `public_url` has a
        /// path; neither with http). Two services on one host need two names. See [docs/browser.md](docs/browser.md).
        name: String = "cookie.name" {
            kind: Text, parse: name, default: Always("hallpass"), example: "hallpass-staging",
        },
    }
}

fn name(text: &str) -> Parsed<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match is_plain && (1..=NAME_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => problem("is no name for a cookie", "write 1 to 40 letters, digits, `-` and `_`"),
    }
}
