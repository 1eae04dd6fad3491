//! `secret`: the server secret.

use crate::config::engine::{Parsed, Secret, problem};
use crate::crypto::secret::SECRET_MIN_BYTES;

/// How to get a server secret.
pub(crate) const SECRET_HELP: &str =
    "make one with `openssl rand -base64 48`, and set HALLPASS_SECRET_FILE (or HALLPASS_SECRET)";

/// The parser of `secret`: at least [`SECRET_MIN_BYTES`] bytes.
pub(crate) fn secret(text: &str) -> Parsed<Secret> {
    if text.len() < SECRET_MIN_BYTES {
        return problem(format!("is shorter than {SECRET_MIN_BYTES} bytes"), SECRET_HELP);
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_enough_and_never_repeated() {
        assert!(secret("0123456789abcdef0123456789abcdef").is_ok());
        assert!(secret("0123456789abcdef0123456789abcde").is_err());
        assert!(!format!("{:?}", secret("hunter2").err()).contains("hunter2"));
    }
}
