//! Supabase: the table `auth.users` as comma-separated values.

use serde_json::{Value, json};

use super::{Circumstances, Format, Members, first, members, names};
use crate::service::user_import::entries::Layout;
use crate::service::user_import::moment;
use crate::service::user_import::record::Given;

pub(super) const FORMAT: Format = Format {
    name: "supabase",
    about: "Supabase's table auth.users as CSV",
    needs_firebase_project: false,
    layout: Layout::Table("encrypted_password"),
    read: |entry, circumstances| Ok(read(&members(entry)?, circumstances)),
};

/// `None` for an account that was deleted there, of which a row is left.
fn read(row: &Members, circumstances: &Circumstances<'_>) -> Option<Given> {
    if row.contains_key("deleted_at") {
        return None;
    }
    let email = first(row, &["email"]);
    let about = row.get("raw_user_meta_data").and_then(Value::as_str);
    let about: Members = about.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let name = |names: &[&str]| first(&about, names).filter(Value::is_string);
    let [first_name, last_name] = names(
        name(&["first_name", "given_name"]),
        name(&["last_name", "family_name"]),
        name(&["full_name", "name"]),
        email.as_ref(),
    );
    Some(Given {
        email,
        password_hash: first(row, &["encrypted_password"]),
        first_name,
        last_name,
        email_verified: Some(json!(row.contains_key("email_confirmed_at"))),
        disabled: Some(json!(is_banned(row, circumstances))),
        created_at: first(row, &["created_at"]),
        external_id: first(row, &["id"]),
        ..Given::default()
    })
}

/// Whether a ban is on: one until a moment that is to come, or until no moment at all (`infinity`).
fn is_banned(row: &Members, circumstances: &Circumstances<'_>) -> bool {
    row.get("banned_until").is_some_and(|until| {
        // A moment that lies far ahead is refused as one in the future.
        moment::parse(until, circumstances.now).map_or(true, |until| until > circumstances.now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;

    fn given(row: Value) -> Option<Given> {
        let now = Timestamp::from_millis(1_800_000_000_000);
        read(row.as_object().expect("a row"), &Circumstances { now, firebase: None })
    }

    #[test]
    fn a_ban_holds_until_its_end() {
        for (until, disabled) in [
            ("2020-02-29 10:00:00+00", false),
            ("2027-01-15 08:00:00+00", false),
            ("2027-01-15 08:00:00.001+00", true),
            ("2099-01-01 00:00:00+00", true),
            ("infinity", true),
        ] {
            let given = given(json!({ "banned_until": until })).expect("a user");
            assert_eq!(given.disabled, Some(json!(disabled)), "{until}");
        }
        assert_eq!(given(json!({})).expect("a user").disabled, Some(json!(false)));
    }

    #[test]
    fn who_was_deleted_is_passed_over() {
        assert!(
            given(json!({ "email": "ada@example.com", "deleted_at": "2020-02-29 10:00:00+00" })).is_none()
        );
    }

    #[test]
    fn names_stand_in_what_the_app_keeps_about_a_person() {
        for (about, expected) in [
            (r#"{"first_name":"Ada","last_name":"Lovelace"}"#, [Some("Ada"), Some("Lovelace")]),
            (r#"{"given_name":"Ada"}"#, [Some("Ada"), None]),
            (r#"{"full_name":"Ada Lovelace"}"#, [Some("Ada Lovelace"), None]),
            (r#"{"first_name":7}"#, [None, None]),
            ("[]", [None, None]),
            ("no JSON", [None, None]),
        ] {
            let given = given(json!({ "raw_user_meta_data": about })).expect("a user");
            let found =
                [&given.first_name, &given.last_name].map(|name| name.as_ref().and_then(Value::as_str));
            assert_eq!(found, expected, "{about}");
        }
    }
}
