//! Taking the text of a stored hash apart. Strict where laxness would let one hash have two
//! spellings of its cost, lax where sources differ (padding of base64).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Salts beyond this are nobody's; bytes.
const SALT_MAX_BYTES: usize = 128;

/// A guess at fewer bytes than these could come out right.
const OUTPUT_MIN_BYTES: usize = 16;

/// The PHC string format's own limit; more output costs more time with PBKDF2, bytes.
const OUTPUT_MAX_BYTES: usize = 64;

/// PHC strings have no padding, Django's hashes have it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A whole number in decimal digits, without sign and without leading zeros.
pub(super) fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// `name=number` pairs with a comma between, of these names and no others, none of them twice. A
/// name that is not there answers `None`.
pub(super) fn parameters<const N: usize>(text: &str, names: [&str; N]) -> Option<[Option<u32>; N]> {
    let mut found = [None; N];
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let place = names.iter().position(|known| *known == name)?;
        let slot = found.get_mut(place)?;
        if slot.replace(number(value)?).is_some() {
            return None;
        }
    }
    Some(found)
}

/// A salt in base64.
pub(super) fn salt(text: &str) -> Option<Vec<u8>> {
    plain_salt(&base64(text, SALT_MAX_BYTES)?)
}

/// A salt that is used as it is written.
pub(super) fn plain_salt(bytes: &[u8]) -> Option<Vec<u8>> {
    (1..=SALT_MAX_BYTES).contains(&bytes.len()).then(|| bytes.to_vec())
}

/// What the function made of the password, in base64.
pub(super) fn output(text: &str) -> Option<Vec<u8>> {
    base64(text, OUTPUT_MAX_BYTES).and_then(plain_output)
}

/// The same as bytes.
pub(super) fn plain_output(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (OUTPUT_MIN_BYTES..=OUTPUT_MAX_BYTES).contains(&bytes.len()).then_some(bytes)
}

/// Base64 of bytes that hold a salt, an output and little more.
pub(super) fn any_base64(text: &str) -> Option<Vec<u8>> {
    base64(text, 2 * SALT_MAX_BYTES)
}

/// Two digits a byte, of as many bytes as a salt and an output have at most.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * (SALT_MAX_BYTES + OUTPUT_MAX_BYTES) || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// Base64; passlib writes `.` for `+` (its "ab64").
fn base64(text: &str, max_bytes: usize) -> Option<Vec<u8>> {
    if text.len() > max_bytes.div_ceil(3) * 4 {
        return None;
    }
    BASE64.decode(text.replace('.', "+")).ok().filter(|bytes| bytes.len() <= max_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("4294967295"), Some(u32::MAX));
        for bad in ["", "01", "+1", "-1", " 1", "1_0", "4294967296", "0x1", "١"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn parameters_come_in_any_order_and_once() {
        assert_eq!(parameters("m=64,t=1", ["t", "m"]), Some([Some(1), Some(64)]));
        assert_eq!(parameters("m=64", ["t", "m"]), Some([None, Some(64)]));
        for bad in ["", "m", "m=", "m=1,m=1", "m=1,", "x=1", "m=1,t=-1"] {
            assert_eq!(parameters(bad, ["t", "m"]), None, "{bad:?}");
        }
    }

    #[test]
    fn hexadecimal_has_two_digits_a_byte() {
        assert_eq!(hexadecimal("00fFa1"), Some(vec![0, 0xff, 0xa1]));
        for bad in ["0", "0x", "+1", "é", "0g"] {
            assert_eq!(hexadecimal(bad), None, "{bad:?}");
        }
        assert!(hexadecimal(&"0".repeat(384)).is_some());
        assert_eq!(hexadecimal(&"0".repeat(386)), None);
    }

    #[test]
    fn salts_and_outputs_are_bounded() {
        assert_eq!(salt("c2FsdA").as_deref(), Some(&b"salt"[..]));
        assert_eq!(salt("c2FsdA==").as_deref(), Some(&b"salt"[..]));
        assert_eq!(salt("...."), Some(vec![0xfb, 0xef, 0xbe]));
        assert_eq!(salt(""), None);
        assert_eq!(salt(&"A".repeat(172)), None);
        assert_eq!(plain_salt(&[b'x'; 129]), None);
        assert!(output(&"A".repeat(86)).is_some());
        assert_eq!(output(&"A".repeat(87)), None);
        assert_eq!(output("c2FsdA"), None, "anybody's guess");
    }
}
