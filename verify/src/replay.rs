//! The parts of the client by themselves, for the vectors in `verify/vectors`. No part of the interface.

use crate::guard::Refusal;

/// The token of a request, by the values of all its `Authorization` headers.
///
/// # Errors
/// What to answer instead.
pub fn bearer_token<'a, V: AsRef<[u8]> + 'a>(
    authorization: impl IntoIterator<Item = &'a V>,
) -> Result<&'a str, Refusal> {
    crate::guard::bearer_token(authorization)
}
