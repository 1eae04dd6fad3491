//! Keycloak: a realm's export (`kc.sh export`), in one file or with the users in files of their own.

use serde_json::Value;

use super::{Format, Members, first, members, not, text};
use crate::service::user_import::entries::Layout;
use crate::service::user_import::record::Given;

pub(super) const FORMAT: Format = Format {
    name: "keycloak",
    about: "Keycloak's export of a realm, or its files of users",
    needs_firebase_project: false,
    layout: Layout::Document("users"),
    read: |entry, _| Ok(read(&members(entry)?)),
};

/// `None` for the account of a client, which is no person's.
fn read(user: &Members) -> Option<Given> {
    if text(user, "serviceAccountClientId").is_some() {
        return None;
    }
    Some(Given {
        email: first(user, &["email"]),
        password_hash: password(user).cloned(),
        first_name: first(user, &["firstName"]),
        last_name: first(user, &["lastName"]),
        email_verified: first(user, &["emailVerified"]),
        disabled: not(first(user, &["enabled"])),
        created_at: first(user, &["createdTimestamp"]),
        external_id: first(user, &["id"]),
        ..Given::default()
    })
}

/// The credential that is a password; one-time codes and keys are others.
fn password(user: &Members) -> Option<&Value> {
    let credentials = user.get("credentials")?.as_array()?;
    credentials.iter().find(|credential| credential.get("type").is_some_and(|kind| kind == "password"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(user: Value) -> Option<Given> {
        read(user.as_object().expect("a user"))
    }

    #[test]
    fn the_password_is_found_among_the_credentials() {
        let (otp, password) = (json!({ "type": "otp" }), json!({ "type": "password", "secretData": "x" }));
        let of =
            |credentials: Value| given(json!({ "credentials": credentials })).expect("a user").password_hash;
        assert_eq!(of(json!([otp, password])), Some(password));
        assert_eq!(of(json!([otp])), None);
        assert_eq!(
            given(json!({})).expect("a user").password_hash,
            None,
            "whose account is another provider's"
        );
    }

    #[test]
    fn who_is_not_enabled_is_disabled() {
        assert_eq!(given(json!({ "enabled": false })).expect("a user").disabled, Some(json!(true)));
        assert_eq!(given(json!({ "enabled": true })).expect("a user").disabled, Some(json!(false)));
    }

    #[test]
    fn the_account_of_a_client_is_passed_over() {
        assert!(given(json!({ "username": "service-account-x", "serviceAccountClientId": "x" })).is_none());
    }
}
