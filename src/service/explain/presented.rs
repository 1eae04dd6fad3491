//! What an operator presents.

use uuid::Uuid;

use crate::domain::tokens::{AccessToken, RefreshToken};

/// What an operator presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOrId {
    /// An access token.
    Access(AccessToken),
    /// A refresh token.
    Refresh(RefreshToken),
    /// The id of a session (`sid`) or of an access token (`jti`).
    Id(Uuid),
}

impl TokenOrId {
    /// Tells by its looks what a text is, with or without `Bearer ` before it; `None` for anything
    /// else.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => text,
        };
        if let Ok(id) = Uuid::parse_str(text) {
            return Some(Self::Id(id));
        }
        if text.starts_with("hp_rt_") {
            return Some(Self::Refresh(RefreshToken::new(text)));
        }
        let is_jwt = text.split('.').count() == 3;
        is_jwt.then(|| Self::Access(AccessToken::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_told_by_its_looks() {
        let id = Uuid::from_u128(7);
        assert_eq!(TokenOrId::of(&format!(" {id}\n")), Some(TokenOrId::Id(id)));
        assert_eq!(TokenOrId::of("Bearer hp_rt_x"), Some(TokenOrId::Refresh(RefreshToken::new("hp_rt_x"))));
        assert_eq!(TokenOrId::of("bearer a.b.c"), Some(TokenOrId::Access(AccessToken::new("a.b.c"))));
        for other in ["", "7", "ada@example.com", "hp_pr_x", "a.b"] {
            assert_eq!(TokenOrId::of(other), None, "{other}");
        }
    }
}
