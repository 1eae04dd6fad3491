//! Fields of an account as they come.

use crate::domain::name::Name;
use crate::service::error::{Field, FieldProblem};

/// A name as it came: absent stays absent, blank text means none.
pub(super) fn name(field: Field, text: Option<String>) -> Result<Option<Option<Name>>, (Field, String)> {
    text.map(|text| Name::parse(&text)).transpose().map_err(|error| (field, error.to_string()))
}

/// Keeps a parsed field, or notes what is wrong with it.
pub(super) fn keep<T>(parsed: Result<T, (Field, String)>, problems: &mut Vec<FieldProblem>) -> Option<T> {
    parsed.map_err(|(field, problem)| problems.push(FieldProblem { field, problem })).ok()
}
