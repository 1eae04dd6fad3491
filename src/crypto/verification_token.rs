//! `hp_ev_…`: a verification token names its user, its end and the address it was sent to, under an
//! HMAC. No store knows of it: it proves the same thing however often it is shown.

use aws_lc_rs::{constant_time, hmac};

use super::opaque::{self, NotAuthentic};
use super::secret::{DerivedKeys, Keys};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::tokens::{AddressDigest, VerificationClaims, VerificationToken};

const PREFIX: &str = "hp_ev_";
const FORMAT: u8 = 1;
const NUMBER_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;
/// Format 1, user 8, deadline 8, digest of the address 32.
const PAYLOAD_BYTES: usize = 1 + 2 * NUMBER_BYTES + DIGEST_BYTES;

/// Writes a token that proves `email` for `user` until `deadline`.
pub fn mint(keys: &DerivedKeys, user: UserId, email: &Email, deadline: Timestamp) -> VerificationToken {
    let mut payload = [FORMAT; PAYLOAD_BYTES];
    let (numbers, address) = payload[1..].split_at_mut(2 * NUMBER_BYTES);
    numbers[..NUMBER_BYTES].copy_from_slice(&user.get().to_be_bytes());
    numbers[NUMBER_BYTES..].copy_from_slice(&deadline.as_millis().to_be_bytes());
    address.copy_from_slice(digest(keys, email).as_bytes());
    VerificationToken::new(opaque::seal(PREFIX, &keys.verification_token, &payload))
}

/// Reads what an authentic token names. Its deadline is for the caller to compare.
///
/// # Errors
/// [`NotAuthentic`] for anything that [`mint`] did not write under one of the secrets.
pub fn verify(keys: &DerivedKeys, token: &VerificationToken) -> Result<VerificationClaims, NotAuthentic> {
    let (payload, _) =
        opaque::open::<PAYLOAD_BYTES>(PREFIX, keys, |keys| &keys.verification_token, token.expose())?;
    let mut rest = payload.as_slice();
    let [format] = opaque::take::<1>(&mut rest)?;
    if format != FORMAT {
        return Err(NotAuthentic);
    }
    let user = i64::from_be_bytes(opaque::take::<NUMBER_BYTES>(&mut rest)?);
    let deadline = i64::from_be_bytes(opaque::take::<NUMBER_BYTES>(&mut rest)?);
    let address = opaque::take::<DIGEST_BYTES>(&mut rest)?;
    Ok(VerificationClaims {
        user: UserId::try_from(user).map_err(|_| NotAuthentic)?,
        deadline: Timestamp::from_millis(deadline),
        address: AddressDigest::new(address),
    })
}

/// Whether the token was sent to this address.
pub fn is_for(keys: &DerivedKeys, claims: &VerificationClaims, email: &Email) -> bool {
    let is_under = |keys: &Keys| {
        let digest = digest(keys, email);
        constant_time::verify_slices_are_equal(digest.as_bytes(), claims.address.as_bytes()).is_ok()
    };
    keys.all().any(is_under)
}

/// Under a key of its own: whoever sees a token cannot try addresses on it.
fn digest(keys: &Keys, email: &Email) -> AddressDigest {
    let tag = hmac::sign(&keys.verified_address, email.as_str().as_bytes());
    let mut bytes = [0; DIGEST_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    AddressDigest::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::reset_token;
    use crate::domain::random::Random;
    use crate::domain::tokens::ResetToken;

    fn keys(byte: u8) -> DerivedKeys {
        DerivedKeys::derive(&[byte; 32]).expect("long enough")
    }

    fn ada() -> (UserId, Email, Timestamp) {
        let user = UserId::try_from(42).expect("positive");
        (
            user,
            Email::parse("ada@example.com").expect("an address"),
            Timestamp::from_millis(1_796_169_600_000),
        )
    }

    #[test]
    fn a_token_names_its_user_its_end_and_its_address() {
        let (keys, (user, email, deadline)) = (keys(1), ada());
        let claims = verify(&keys, &mint(&keys, user, &email, deadline)).expect("authentic");
        assert_eq!((claims.user, claims.deadline), (user, deadline));
        assert!(is_for(&keys, &claims, &email));
        for other in ["eve@example.com", "ada@example.org", "ad@example.com"] {
            assert!(!is_for(&keys, &claims, &Email::parse(other).expect("an address")), "{other}");
        }
    }

    #[test]
    fn a_token_of_an_accepted_secret_is_for_the_same_address() {
        let (user, email, deadline) = ada();
        let both = DerivedKeys::derive_all(&[2; 32], [&[1; 32][..]]).expect("long enough");
        let token = mint(&keys(1), user, &email, deadline);
        let claims = verify(&both, &token).expect("authentic");
        assert!(is_for(&both, &claims, &email));
        assert!(!is_for(&both, &claims, &Email::parse("eve@example.com").expect("an address")));
        assert_eq!(verify(&keys(2), &token), Err(NotAuthentic));
    }

    #[test]
    fn no_single_changed_character_survives() {
        let (keys, (user, email, deadline)) = (keys(1), ada());
        let token = mint(&keys, user, &email, deadline);
        let text = token.expose();
        for at in 0..text.len() {
            let mut mangled = text.as_bytes().to_vec();
            mangled[at] = if mangled[at] == b'A' { b'B' } else { b'A' };
            let mangled = String::from_utf8(mangled).expect("ASCII");
            assert_eq!(verify(&keys, &VerificationToken::new(mangled)), Err(NotAuthentic), "at {at}");
            assert_eq!(verify(&keys, &VerificationToken::new(&text[..at])), Err(NotAuthentic), "first {at}");
        }
    }

    #[test]
    fn tokens_of_another_secret_or_another_kind_are_refused() {
        struct Zeros;
        impl Random for Zeros {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let (keys, other, (user, email, deadline)) = (keys(1), keys(2), ada());
        let token = mint(&other, user, &email, deadline);
        assert_eq!(verify(&keys, &token), Err(NotAuthentic));
        let (reset, _) = reset_token::mint(&keys, user, &Zeros);
        let dressed_up = reset.expose().replace("hp_pr_", PREFIX);
        assert_eq!(verify(&keys, &VerificationToken::new(dressed_up)), Err(NotAuthentic));
        let dressed_up = mint(&keys, user, &email, deadline).expose().replace(PREFIX, "hp_pr_");
        assert_eq!(reset_token::verify(&keys, &ResetToken::new(dressed_up)), Err(NotAuthentic));
    }
}
