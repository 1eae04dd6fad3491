//! Fields of an account as they come.

use super::error::{Error, Field, FieldProblem, Result};
use super::passwords::Passwords;
use crate::domain::email::Email;
use crate::domain::name::Name;

/// Whom a new account is for.
pub(super) struct Person {
    pub(super) email: Email,
    pub(super) first_name: Option<Name>,
    pub(super) last_name: Option<Name>,
}

impl Person {
    /// Reads address and names. Where one of them cannot be taken, the password that came with them is looked
    /// at as well: nobody is to come back for what could have been said at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that cannot be taken.
    pub(super) fn read(
        email: &str,
        first_name: Option<String>,
        last_name: Option<String>,
        password: Option<&str>,
        passwords: &Passwords,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        let parsed = Email::parse(email).map_err(|error| (Field::Email, error.to_string()));
        let parsed = keep(parsed, &mut problems);
        let first_name = keep(name(Field::FirstName, first_name), &mut problems);
        let last_name = keep(name(Field::LastName, last_name), &mut problems);
        let (Some(parsed), Some(first_name), Some(last_name)) = (parsed, first_name, last_name) else {
            let chosen = password.map(|password| passwords.choose(password, email, Field::Password));
            if let Some(Err(Error::WeakPassword { field, reason })) = chosen {
                problems.push(FieldProblem { field, problem: reason.to_string() });
            }
            return Err(Error::Invalid(problems));
        };
        Ok(Self { email: parsed, first_name: first_name.flatten(), last_name: last_name.flatten() })
    }
}

/// A name as it came: absent stays absent, blank text means none.
pub(super) fn name(
    field: Field,
    text: Option<String>,
) -> std::result::Result<Option<Option<Name>>, (Field, String)> {
    text.map(|text| Name::parse(&text)).transpose().map_err(|error| (field, error.to_string()))
}

/// Keeps a parsed field, or notes what is wrong with it.
pub(super) fn keep<T>(
    parsed: std::result::Result<T, (Field, String)>,
    problems: &mut Vec<FieldProblem>,
) -> Option<T> {
    parsed.map_err(|(field, problem)| problems.push(FieldProblem { field, problem })).ok()
}
