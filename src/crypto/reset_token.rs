//! `hp_pr_…`: a reset token names its user and carries 256 bits of chance; the store keeps its
//! SHA-256 only.
//!
//! The user is masked: whoever holds a token cannot read it, nor tell a decoy, which is nobody's,
//! from a real one.

use aws_lc_rs::{digest, hmac};

use super::opaque::{self, NotAuthentic};
use super::secret::{DerivedKeys, Keys};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::random::Random;
use crate::domain::tokens::{ResetClaims, ResetToken, ResetTokenHash};

const PREFIX: &str = "hp_pr_";
const FORMAT: u8 = 1;
/// Format 1, masked user 8, chance 32.
const PAYLOAD_BYTES: usize = 1 + USER_BYTES + CHANCE_BYTES;
const USER_BYTES: usize = 8;
const CHANCE_BYTES: usize = 32;

/// Writes a new token for a user, and what to keep of it.
pub fn mint(keys: &DerivedKeys, user: UserId, random: &dyn Random) -> (ResetToken, ResetClaims) {
    let mut chance = [0; CHANCE_BYTES];
    random.fill(&mut chance);
    let mut payload = [FORMAT; PAYLOAD_BYTES];
    payload[1..=USER_BYTES].copy_from_slice(&mask(keys, user.get().to_be_bytes(), &chance));
    payload[1 + USER_BYTES..].copy_from_slice(&chance);
    let token = ResetToken::new(opaque::seal(PREFIX, &keys.reset_token, &payload));
    let claims = ResetClaims { user, hash: hash(&token) };
    (token, claims)
}

/// Whom the token is for that an address without an account gets: nobody, always the same one for
/// an address. What is kept of such tokens is bounded by the number of nobodies.
pub fn nobody(keys: &DerivedKeys, email: &Email) -> UserId {
    let tag = hmac::sign(&keys.reset_token_mask, email.as_str().as_bytes());
    let number = tag.as_ref().first_chunk::<2>().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    UserId::nobody(number)
}

/// Reads what an authentic token names.
///
/// # Errors
/// [`NotAuthentic`] for anything that [`mint`] did not write under one of the secrets.
pub fn verify(keys: &DerivedKeys, token: &ResetToken) -> Result<ResetClaims, NotAuthentic> {
    let (payload, keys) =
        opaque::open::<PAYLOAD_BYTES>(PREFIX, keys, |keys| &keys.reset_token, token.expose())?;
    let mut rest = payload.as_slice();
    let [format] = opaque::take::<1>(&mut rest)?;
    if format != FORMAT {
        return Err(NotAuthentic);
    }
    let masked = opaque::take::<USER_BYTES>(&mut rest)?;
    let chance = opaque::take::<CHANCE_BYTES>(&mut rest)?;
    let user = i64::from_be_bytes(mask(keys, masked, &chance));
    let user = UserId::try_from(user).map_err(|_| NotAuthentic)?;
    Ok(ResetClaims { user, hash: hash(token) })
}

/// Hides the user, or shows it again: a pad out of this token's own chance, which never comes
/// twice.
fn mask(keys: &Keys, mut user: [u8; USER_BYTES], chance: &[u8; CHANCE_BYTES]) -> [u8; USER_BYTES] {
    let pad = hmac::sign(&keys.reset_token_mask, chance);
    for (byte, pad) in user.iter_mut().zip(pad.as_ref()) {
        *byte ^= pad;
    }
    user
}

fn hash(token: &ResetToken) -> ResetTokenHash {
    let digest = digest::digest(&digest::SHA256, token.expose().as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    ResetTokenHash::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    #[test]
    fn a_token_names_its_user_and_each_is_another() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let random = Counting(0.into());
        let user = UserId::try_from(42).expect("positive");
        let (token, claims) = mint(&keys, user, &random);
        let (other, _) = mint(&keys, user, &random);
        assert_eq!(verify(&keys, &token), Ok(claims));
        assert_ne!(token, other);
    }

    #[test]
    fn addresses_without_an_account_share_a_bounded_number_of_nobodies() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let nobody = |number: u32| {
            nobody(&keys, &Email::parse(&format!("eve{number}@example.com")).expect("an address"))
        };
        let all: std::collections::BTreeSet<UserId> = (0..20_000).map(nobody).collect();
        assert_eq!(nobody(7), nobody(7));
        assert!(all.len() > 3_900 && all.len() <= usize::from(UserId::NOBODIES), "{}", all.len());
        assert!(all.iter().all(|user| user.get() > (1 << 53) - 1 - i64::from(UserId::NOBODIES)));
    }

    /// Neither the user's number nor that it is nobody may be seen: what follows the format is another
    /// pad in each token, with no byte that real tokens or decoys have in common.
    #[test]
    fn the_bytes_of_a_token_do_not_tell_whom_it_is_for() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let random = Counting(0.into());
        let user = UserId::try_from(42).expect("positive");
        let masked = |token: &ResetToken| {
            let (payload, _) =
                opaque::open::<PAYLOAD_BYTES>(PREFIX, &keys, |keys| &keys.reset_token, token.expose())
                    .expect("authentic");
            payload[1..=USER_BYTES].to_vec()
        };
        let real: Vec<_> = (0..20).map(|_| masked(&mint(&keys, user, &random).0)).collect();
        let decoys: Vec<_> = (0..20).map(|_| masked(&mint(&keys, UserId::nobody(7), &random).0)).collect();
        for tokens in [real, decoys] {
            for at in 0..USER_BYTES {
                assert!(tokens.iter().any(|token| token[at] != tokens[0][at]), "byte {at}");
                // The top bit as well: the sign gave decoys away once.
                assert!(tokens.iter().any(|token| token[at] & 0x80 != tokens[0][at] & 0x80), "byte {at}");
            }
        }
    }

    #[test]
    fn a_token_of_an_accepted_secret_names_the_same_user() {
        let old = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let both = DerivedKeys::derive_all(&[2; 32], [&[1; 32][..]]).expect("long enough");
        let new = DerivedKeys::derive(&[2; 32]).expect("long enough");
        let (token, claims) = mint(&old, UserId::try_from(42).expect("positive"), &Counting(0.into()));
        assert_eq!(verify(&both, &token), Ok(claims));
        assert_eq!(verify(&new, &token), Err(NotAuthentic));
    }

    #[test]
    fn no_single_changed_character_survives() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let user = UserId::try_from(42).expect("positive");
        let (token, _) = mint(&keys, user, &Counting(0.into()));
        let text = token.expose();
        for at in 0..text.len() {
            let mut mangled = text.as_bytes().to_vec();
            mangled[at] = if mangled[at] == b'A' { b'B' } else { b'A' };
            let mangled = String::from_utf8(mangled).expect("ASCII");
            assert_eq!(verify(&keys, &ResetToken::new(mangled)), Err(NotAuthentic), "at {at}");
            assert_eq!(verify(&keys, &ResetToken::new(&text[..at])), Err(NotAuthentic), "first {at}");
        }
    }
}
