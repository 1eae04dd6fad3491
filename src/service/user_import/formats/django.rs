//! Django: `manage.py dumpdata auth.user` (JSON or JSONL), or the same of a user model of one's own.

use serde_json::Value;

use super::{Format, Members, first, members, not, object};
use crate::service::user_import::entries::Layout;
use crate::service::user_import::record::Given;

pub(super) const FORMAT: Format = Format {
    name: "django",
    about: "Django's dumpdata auth.user, or that of another user model",
    needs_firebase_project: false,
    layout: Layout::ArrayOrLines,
    read: |entry, _| Ok(read(&members(entry)?)),
};

/// `None` for what is no user: one has a password and a last login, whatever the model is called.
fn read(entry: &Members) -> Option<Given> {
    let fields = object(entry, "fields")?;
    if !(fields.contains_key("password") && fields.contains_key("last_login")) {
        return None;
    }
    Some(Given {
        email: first(fields, &["email"]).or_else(|| address(fields)),
        password_hash: first(fields, &["password"]),
        first_name: first(fields, &["first_name"]),
        last_name: first(fields, &["last_name"]),
        disabled: not(first(fields, &["is_active"])),
        created_at: first(fields, &["date_joined"]),
        external_id: first(entry, &["pk"]),
        ..Given::default()
    })
}

/// Where a name is what people log in by, it may be their address.
fn address(fields: &Members) -> Option<Value> {
    first(fields, &["username"]).filter(|name| name.as_str().is_some_and(|name| name.contains('@')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(entry: Value) -> Option<Given> {
        read(entry.as_object().expect("an object"))
    }

    #[test]
    fn a_user_is_told_by_its_fields() {
        let fields =
            json!({ "password": "!x", "last_login": null, "email": "ada@example.com", "is_active": false });
        for model in ["auth.user", "accounts.member"] {
            let given = given(json!({ "model": model, "pk": 7, "fields": fields })).expect("a user");
            assert_eq!((given.external_id, given.disabled), (Some(json!(7)), Some(json!(true))), "{model}");
            assert_eq!((given.role, given.email_verified), (None, None), "nothing says so");
        }
        for other in [
            json!({ "model": "auth.group", "pk": 1, "fields": { "name": "x" } }),
            json!({ "model": "app.vault", "pk": 1, "fields": { "password": "x" } }),
            json!({ "email": "ada@example.com" }),
        ] {
            assert!(given(other).is_none());
        }
    }

    #[test]
    fn an_address_may_stand_in_place_of_a_name() {
        let fields =
            json!({ "password": "x", "last_login": null, "username": "ada@example.com", "email": "" });
        assert_eq!(given(json!({ "fields": fields })).expect("a user").email, Some(json!("ada@example.com")));
    }
}
