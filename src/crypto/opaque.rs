//! Tokens that clients cannot read and that authenticate themselves to us: a prefix that says the
//! kind, then base64url of a payload and its HMAC-SHA-256.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::secret::{DerivedKeys, Keys};

const MAC_BYTES: usize = 32;

/// The text is no token of this kind and this server: mangled, forged, or from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this kind from this server")]
pub struct NotAuthentic;

/// Writes `payload` as a token.
pub(super) fn seal<const N: usize>(prefix: &str, key: &hmac::Key, payload: &[u8; N]) -> String {
    let mut bytes = Vec::with_capacity(N + MAC_BYTES);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(hmac::sign(key, payload).as_ref());
    let mut text = String::with_capacity(prefix.len() + bytes.len() * 4 / 3 + 2);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
    text
}

/// Reads the payload of a token that [`seal`] wrote under that key of one of the secrets, and says of which;
/// compares in constant time.
pub(super) fn open<'k, const N: usize>(
    prefix: &str,
    keys: &'k DerivedKeys,
    purpose: fn(&Keys) -> &hmac::Key,
    token: &str,
) -> Result<([u8; N], &'k Keys), NotAuthentic> {
    let encoded = token.strip_prefix(prefix).ok_or(NotAuthentic)?;
    if encoded.len() != (N + MAC_BYTES).saturating_mul(4).div_ceil(3) {
        return Err(NotAuthentic);
    }
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotAuthentic)?;
    let (payload, mac) = bytes.split_first_chunk::<N>().ok_or(NotAuthentic)?;
    let is_under = |keys: &&Keys| hmac::verify(purpose(keys), payload, mac).is_ok();
    let keys = keys.all().find(is_under).ok_or(NotAuthentic)?;
    Ok((*payload, keys))
}

/// Takes the next `N` bytes of a payload.
pub(super) fn take<const N: usize>(payload: &mut &[u8]) -> Result<[u8; N], NotAuthentic> {
    let (head, rest) = payload.split_first_chunk::<N>().ok_or(NotAuthentic)?;
    *payload = rest;
    Ok(*head)
}
