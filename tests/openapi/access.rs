//! Who may call.

use std::collections::BTreeSet;

use crate::documents::for_each_main_operation;

/// Public operations that check credentials in the body, so answer 401 all the same.
const CHECKS_CREDENTIALS: &[&str] = &["login"];

#[test]
fn secured_operations_document_401_and_public_ones_say_that_they_are() {
    let (mut secured, mut public) = (0, 0);
    for_each_main_operation(|operation| {
        let id = operation.text("operationId");
        if operation.is_secured() {
            secured += 1;
            assert!(operation.documents_status("401"), "{}: no 401", operation.place);
        } else {
            public += 1;
            let checks = CHECKS_CREDENTIALS.contains(&id);
            assert_eq!(operation.documents_status("401"), checks, "{}: 401", operation.place);
        }
    });
    assert!(secured > 0 && public > 0);
}

#[test]
fn the_public_operations_are_these() {
    let mut public = BTreeSet::new();
    for_each_main_operation(|operation| {
        if !operation.is_secured() {
            public.insert(format!("{} {}", operation.text("operationId"), operation.path));
        }
    });
    let expected = [
        "getAuthorizationServerMetadata /.well-known/oauth-authorization-server",
        "getJwks /.well-known/jwks.json",
        "getOpenIdConfiguration /.well-known/openid-configuration",
        "getProtectedResourceMetadata /.well-known/oauth-protected-resource",
        "live /health/live",
        "login /auth/login",
        "register /auth/register",
        "requestEmailVerification /auth/verify-email-request",
        "requestPasswordReset /auth/reset-password-request",
        "resetPassword /auth/reset-password",
        "verifyEmail /auth/verify-email",
    ];
    assert_eq!(public, expected.into_iter().map(str::to_owned).collect());
}

#[test]
fn tokens_that_a_body_can_carry_are_optional_in_the_headers() {
    let mut optional = BTreeSet::new();
    for_each_main_operation(|operation| {
        if operation.is_secured() && !operation.demands_tokens() {
            optional.insert(operation.text("operationId").to_owned());
        }
    });
    let expected = ["createToken", "introspectToken", "logout", "refreshToken", "revokeToken"];
    assert_eq!(optional, expected.map(str::to_owned).into());
}
