use super::refusal::Refusal;

/// The token of a request (RFC 6750 2.1), by the values of all its `Authorization` headers.
///
/// Another scheme's credentials are no token. Several headers are refused: whoever stands before
/// this service may have looked at another one of them.
///
/// # Errors
/// What to answer instead.
pub fn token<'a, V: AsRef<[u8]> + ?Sized + 'a>(
    authorization: impl IntoIterator<Item = &'a V>,
) -> Result<&'a str, Refusal> {
    let mut values = authorization.into_iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Refusal::no_token()),
        (Some(value), None) => value.as_ref(),
        (Some(_), Some(_)) => return Err(Refusal::unreadable_token()),
    };
    let value = str::from_utf8(value).map_err(|_| Refusal::unreadable_token())?.trim_ascii();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::no_token());
    }
    let token = token.trim_ascii_start();
    if is_b64token(token) { Ok(token) } else { Err(Refusal::unreadable_token()) }
}

/// The characters that a token may have (RFC 6750 2.1).
fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(values: &[&[u8]]) -> Result<String, &'static str> {
        token(values.iter().copied()).map(str::to_owned).map_err(|refusal| refusal.code())
    }

    #[test]
    fn a_token_stands_behind_the_scheme_in_any_case() {
        for value in
            ["Bearer a.b-c_d~+/==", "bearer a.b-c_d~+/==", "BEARER   a.b-c_d~+/==", " Bearer a.b-c_d~+/== "]
        {
            assert_eq!(code(&[value.as_bytes()]).as_deref(), Ok("a.b-c_d~+/=="), "{value:?}");
        }
    }

    #[test]
    fn no_header_and_another_scheme_are_no_token() {
        assert_eq!(code(&[]), Err("authentication_required"));
        for value in ["Basic YTpi", "Digest a", "BearerX a", "a.b.c", "", "DPoP a.b.c"] {
            assert_eq!(code(&[value.as_bytes()]), Err("authentication_required"), "{value:?}");
        }
    }

    #[test]
    fn what_cannot_be_one_token_is_refused() {
        let values: [&[u8]; 10] = [
            b"Bearer",
            b"Bearer ",
            b"Bearer =",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer a, Bearer b",
            b"Bearer a=b",
            b"Bearer \"a\"",
            b"Bearer \xff",
            b"Bearer \xc3\xa4",
        ];
        for value in values {
            assert_eq!(code(&[value]), Err("invalid_token"), "{value:?}");
        }
    }

    #[test]
    fn two_headers_are_refused_even_if_they_agree() {
        for pair in [[&b"Bearer a"[..], b"Bearer a"], [b"Bearer a", b"Basic b"], [b"Basic b", b"Bearer a"]] {
            assert_eq!(code(&pair), Err("invalid_token"), "{pair:?}");
        }
    }
}
