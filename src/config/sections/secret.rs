//! `secret` and `secret_accepted`: the server secret, and others that are accepted besides.

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

/// The most secrets that are accepted besides: a rotation needs one, and each makes a forged token cost another
/// look.
pub(crate) const ACCEPTED_MAX: usize = 8;

/// The parser of `secret_accepted`: one on each line, each as long as a [`secret`] is; empty lines count for
/// nothing.
pub(crate) fn accepted(text: &str) -> Parsed<Vec<Secret>> {
    const HELP: &str = "write one on each line, as they stand or stood in `secret`";
    let lines = text.lines().filter(|line| !line.is_empty());
    let secrets: Vec<_> = lines.map(Secret::new).collect();
    if secrets.iter().any(|secret| secret.expose().len() < SECRET_MIN_BYTES) {
        return problem(format!("has a line that is shorter than {SECRET_MIN_BYTES} bytes"), HELP);
    }
    if secrets.len() > ACCEPTED_MAX {
        return problem(
            format!("has more than {ACCEPTED_MAX} secrets"),
            "take those off that are used no more",
        );
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_secrets_stand_on_a_line_each() {
        let [one, two] = ["0123456789abcdef0123456789abcdef", " 123456789abcdef0123456789abcdef "];
        assert_eq!(accepted(&format!("{one}\r\n\n{two}\n")), Ok(vec![Secret::new(one), Secret::new(two)]));
        assert_eq!(accepted(&[one; ACCEPTED_MAX].join("\n")).map(|all| all.len()), Ok(ACCEPTED_MAX));
        for (bad, why) in [
            (format!("{one}\nhunter2"), "shorter than 32 bytes"),
            ([one; ACCEPTED_MAX + 1].join("\n"), "more than 8"),
        ] {
            let problem = accepted(&bad).expect_err(why);
            assert!(problem.problem.contains(why), "{problem:?}");
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
    }

    #[test]
    fn a_secret_is_long_enough_and_never_repeated() {
        assert!(secret("0123456789abcdef0123456789abcdef").is_ok());
        assert!(secret("0123456789abcdef0123456789abcde").is_err());
        assert!(!format!("{:?}", secret("hunter2").err()).contains("hunter2"));
    }
}
