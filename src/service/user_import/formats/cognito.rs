//! Amazon Cognito gives no hashes away, so all must reset. Either a table (CSV) whose columns are the user
//! pool's attributes, as its own imports have them, or what `aws cognito-idp list-users` answers.

use serde_json::{Value, json};

use super::{Format, Members, first, flag_of_text, members, names, not, text};
use crate::service::user_import::entries::{Entry, Layout};
use crate::service::user_import::problem::LineProblem;
use crate::service::user_import::record::Given;

pub(super) const FORMAT: Format = Format {
    name: "cognito",
    about: "Cognito's users as CSV, or the answer of list-users",
    needs_firebase_project: false,
    layout: Layout::TableOrDocument("email", "Users"),
    read: |entry, _| match entry {
        Entry::Row(row) => Ok(Some(of_row(row))),
        _ => of_answer(&members(entry)?).map(Some),
    },
};

/// The names of columns are in small letters here.
fn of_row(row: &Members) -> Given {
    of_attributes(
        row,
        Given {
            disabled: not(flag_of_text(first(row, &["enabled"]))),
            created_at: first(row, &["usercreatedate", "created_at"]),
            external_id: first(row, &["sub", "cognito:username", "username"]),
            ..Given::default()
        },
    )
}

fn of_answer(user: &Members) -> Result<Given, LineProblem> {
    let attributes = user.get("Attributes").and_then(Value::as_array);
    let attributes = attributes.ok_or(LineProblem::Missing("Attributes"))?;
    let pair = |attribute: &Value| {
        let attribute = attribute.as_object()?;
        Some((text(attribute, "Name")?.to_owned(), first(attribute, &["Value"])?))
    };
    let attributes: Members = attributes.iter().filter_map(pair).collect();
    let rest = Given {
        disabled: not(first(user, &["Enabled"])),
        created_at: first(user, &["UserCreateDate"]).map(whole_millis),
        external_id: first(&attributes, &["sub"]).or_else(|| first(user, &["Username"])),
        ..Given::default()
    };
    Ok(of_attributes(&attributes, rest))
}

/// OpenID Connect's names, and values that all are text.
fn of_attributes(attributes: &Members, rest: Given) -> Given {
    let email = first(attributes, &["email"]);
    let [first_name, last_name] = names(
        first(attributes, &["given_name"]),
        first(attributes, &["family_name"]),
        first(attributes, &["name"]),
        email.as_ref(),
    );
    let email_verified = flag_of_text(first(attributes, &["email_verified"]));
    Given { email, first_name, last_name, email_verified, ..rest }
}

/// Seconds with a fraction, as version 1 of the tool prints them.
fn whole_millis(value: Value) -> Value {
    match value.as_f64() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float that is too large becomes the largest number"
        )]
        Some(seconds) if value.as_i64().is_none() => json!((seconds * 1000.0).round() as i64),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_attributes_in_a_list() {
        let user = json!({
            "Username": "ada", "Enabled": false, "UserCreateDate": 1_582_970_400.123, "UserStatus": "CONFIRMED",
            "Attributes": [
                { "Name": "sub", "Value": "5f7" }, { "Name": "email", "Value": "ada@example.com" },
                { "Name": "email_verified", "Value": "true" }, { "Name": "family_name", "Value": "Lovelace" }
            ],
        });
        let given = of_answer(user.as_object().expect("a user")).expect("attributes");
        let expected = Given {
            email: Some(json!("ada@example.com")),
            last_name: Some(json!("Lovelace")),
            email_verified: Some(json!(true)),
            disabled: Some(json!(true)),
            created_at: Some(json!(1_582_970_400_123_i64)),
            external_id: Some(json!("5f7")),
            ..Given::default()
        };
        assert_eq!(given, expected);
        assert_eq!(of_answer(&Members::new()).err(), Some(LineProblem::Missing("Attributes")));
    }

    #[test]
    fn moments_are_text_or_a_number_with_a_fraction() {
        for (value, expected) in [
            (json!("2020-02-29T10:00:00.123000+00:00"), json!("2020-02-29T10:00:00.123000+00:00")),
            (json!(1_582_970_400), json!(1_582_970_400)),
            (json!(1_582_970_400.5), json!(1_582_970_400_500_i64)),
        ] {
            assert_eq!(whole_millis(value), expected);
        }
    }
}
