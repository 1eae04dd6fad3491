//! The known name that was probably meant by an unknown one.

/// The known name that was probably meant by another one: one that begins alike or that it ends with, or else
/// the one that is spelled most alike.
pub(crate) fn nearest(name: &str, known: &'static [&'static str]) -> Option<&'static str> {
    /// What is longer is like none of our names.
    const COMPARED_CHARS: usize = 64;
    let plain = |name: &str| {
        let letters = name.chars().filter(|c| c.is_alphanumeric()).take(COMPARED_CHARS);
        letters.flat_map(char::to_lowercase).collect::<String>()
    };
    let sent = plain(name);
    let likeness = |candidate: &str| {
        let candidate = plain(candidate);
        let alike = strsim::normalized_damerau_levenshtein(&sent, &candidate);
        let begins = candidate.starts_with(&sent) || sent.starts_with(&candidate);
        let is_piece = sent.len() > 2 && (begins || sent.ends_with(&candidate));
        if is_piece { alike + 1.0 } else { alike }
    };
    // Of two that are as near the first: the documents have the names, and behind them come their aliases.
    let likely = known.iter().rev().map(|candidate| (likeness(candidate), *candidate));
    likely.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_found() {
        const ACCOUNT: [&str; 3] = ["role", "disabled", "email"];
        const CLIENT: [&str; 3] = ["id", "scopes", "audience"];
        for (name, known, meant) in [
            ("enabled", &ACCOUNT, "disabled"),
            ("Disabled", &ACCOUNT, "disabled"),
            ("roles", &ACCOUNT, "role"),
            ("e-mail", &ACCOUNT, "email"),
            ("scope", &CLIENT, "scopes"),
            ("aud", &CLIENT, "audience"),
            ("clientId", &CLIENT, "id"),
        ] {
            assert_eq!(nearest(name, known), Some(meant), "{name}");
        }
        assert_eq!(nearest("new_password", &["currentPassword", "newPassword"]), Some("newPassword"));
        assert_eq!(nearest(&"x".repeat(60_000), &["resetToken"]), Some("resetToken"));
        assert_eq!(nearest("REFRESHTOKEN", &["refreshToken", "refresh_token"]), Some("refreshToken"));
        assert_eq!(nearest("x", &[]), None);
    }
}
