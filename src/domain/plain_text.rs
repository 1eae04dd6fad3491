//! Text as editors and shells save it.

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlainTextError {
    /// Two bytes a character, as `>` of Windows PowerShell writes it.
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    /// Anything else.
    #[error("it is not UTF-8")]
    NotUtf8,
}

/// The text of some bytes, without the byte order mark that some editors put before it (RFC 3629 6):
/// no part of a secret, and not to be seen.
///
/// # Errors
/// [`PlainTextError`].
pub fn plain_text(bytes: Vec<u8>) -> Result<String, PlainTextError> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(PlainTextError::Utf16);
    }
    let text = String::from_utf8(bytes).map_err(|_| PlainTextError::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        for (bytes, text) in [
            (b"\xEF\xBB\xBFsecret\r\n".as_slice(), Ok("secret\r\n")),
            (b"secret", Ok("secret")),
            (b"", Ok("")),
            (b"a\xEF\xBB\xBFb", Ok("a\u{feff}b")),
            (b"\xFF\xFEs\0", Err(PlainTextError::Utf16)),
            (b"\xFE\xFF\0s", Err(PlainTextError::Utf16)),
            (b"s\xFF", Err(PlainTextError::NotUtf8)),
        ] {
            assert_eq!(plain_text(bytes.to_vec()), text.map(str::to_owned), "{bytes:?}");
        }
    }
}
