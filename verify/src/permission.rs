use crate::claims::AccessClaims;

/// The token is right and not enough: answer 403, not 401.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Nobody is logged in by the token: a client got it for itself.
    #[error("a person's token is needed")]
    Machine,
    /// The user has not this role.
    #[error("the role {0} is needed")]
    Role(String),
    /// The token was not issued for this scope.
    #[error("the scope {0} is needed")]
    Scope(String),
}

/// What the claims allow.
impl AccessClaims {
    /// Whether the user had the role when the session was opened, to the letter.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// The words of the claim `scope` (RFC 6749 3.3).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().flat_map(|scope| scope.split(' ')).filter(|word| !word.is_empty())
    }

    /// Whether the token was issued for the scope, to the letter.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|own| own == scope)
    }

    /// Whether a client got the token for itself: no user and no session stand behind it.
    pub fn is_machine(&self) -> bool {
        self.sid.is_none()
    }

    /// Lets people pass, and no machines.
    ///
    /// # Errors
    /// [`Forbidden::Machine`].
    pub fn require_person(&self) -> Result<(), Forbidden> {
        if self.is_machine() { Err(Forbidden::Machine) } else { Ok(()) }
    }

    /// Lets users with the role pass.
    ///
    /// # Errors
    /// [`Forbidden::Role`].
    pub fn require_role(&self, role: &str) -> Result<(), Forbidden> {
        if self.has_role(role) { Ok(()) } else { Err(Forbidden::Role(role.to_owned())) }
    }

    /// Lets tokens with the scope pass.
    ///
    /// # Errors
    /// [`Forbidden::Scope`].
    pub fn require_scope(&self, scope: &str) -> Result<(), Forbidden> {
        if self.has_scope(scope) { Ok(()) } else { Err(Forbidden::Scope(scope.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(roles: &[&str], scope: Option<&str>) -> AccessClaims {
        let mut claims = json!({
            "iss": "i", "aud": "a", "sub": "orders", "exp": 2, "iat": 1, "inc": 1, "client_id": "orders",
            "jti": "00000000-0000-4000-8000-000000000001", "roles": roles,
        });
        if let Some(scope) = scope {
            claims["scope"] = scope.into();
        }
        serde_json::from_value(claims).expect("claims")
    }

    #[test]
    fn a_role_is_there_to_the_letter_or_not_at_all() {
        let claims = claims(&["member", "ops"], None);
        assert_eq!(claims.require_role("ops"), Ok(()));
        for role in ["admin", "OPS", "op", "ops ", "", "member ops"] {
            assert_eq!(claims.require_role(role), Err(Forbidden::Role(role.to_owned())), "{role:?}");
        }
    }

    #[test]
    fn a_scope_is_a_whole_word_of_the_claim() {
        let both = claims(&[], Some("orders:read orders:write"));
        assert_eq!(both.require_scope("orders:read"), Ok(()));
        assert_eq!(both.require_scope("orders:write"), Ok(()));
        for scope in ["orders", "orders:", "rders:read", "Orders:Read", "orders:read orders:write", " ", ""] {
            assert_eq!(both.require_scope(scope), Err(Forbidden::Scope(scope.to_owned())), "{scope:?}");
        }
    }

    #[test]
    fn a_token_without_scopes_has_none() {
        for scope in [None, Some(""), Some(" "), Some("   ")] {
            let none = claims(&["admin"], scope);
            assert_eq!(none.scopes().count(), 0, "{scope:?}");
            assert!(!none.has_scope("") && !none.has_scope("admin"), "{scope:?}");
        }
    }

    #[test]
    fn a_token_without_a_session_is_a_machines() {
        assert!(claims(&[], None).is_machine());
        let user = AccessClaims { sid: Some(uuid::Uuid::from_u128(1)), ..claims(&[], None) };
        assert!(!user.is_machine());
        assert_eq!(user.require_person(), Ok(()));
        assert_eq!(claims(&["admin"], Some("orders:read")).require_person(), Err(Forbidden::Machine));
    }
}
