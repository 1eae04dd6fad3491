//! Which deployment of hallpass this is.

use std::fmt;

use super::ids::DeploymentId;

/// What the keys of a deployment begin with in a store that it may share with others, such as
/// staging with production.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeploymentMark(String);

/// The longest mark, in characters.
pub const DEPLOYMENT_MARK_MAX: usize = 32;

/// A text is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a deployment's mark is 1 to {DEPLOYMENT_MARK_MAX} characters of a-z, 0-9 and -")]
pub struct DeploymentMarkError;

impl DeploymentMark {
    /// Reads a mark: 1 to 32 characters of `a-z`, `0-9` and `-`, so that it cannot be mistaken for
    /// another part of a key.
    ///
    /// # Errors
    /// [`DeploymentMarkError`].
    pub fn parse(text: &str) -> Result<Self, DeploymentMarkError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_mark = (1..=DEPLOYMENT_MARK_MAX).contains(&text.len()) && text.bytes().all(fits);
        is_mark.then(|| Self(text.to_owned())).ok_or(DeploymentMarkError)
    }

    /// The mark that begins a digest: 8 hex digits.
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        Self(digest[..4].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeploymentMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose the keys with a mark are, as the store keeps it beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Where its clients reach it: that of a copy of its database is another.
    pub public_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_nothing_that_a_key_is_divided_by() {
        for good in ["a", "prod", "0f8fad5b", "eu-west-1", &"x".repeat(32)] {
            assert_eq!(DeploymentMark::parse(good).as_ref().map(DeploymentMark::as_str), Ok(good));
        }
        let digest = [0xab; 32];
        assert_eq!(DeploymentMark::of_digest(&digest), DeploymentMark::parse("abababab").expect("a mark"));
        for bad in ["", "Prod", "a:b", "{a}", "a b", "a*", "ä", "a_b", &"x".repeat(33)] {
            assert_eq!(DeploymentMark::parse(bad), Err(DeploymentMarkError), "{bad}");
        }
    }
}
