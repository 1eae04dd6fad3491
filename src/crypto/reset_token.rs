//! `hp_pr_…`: a reset token names its user and carries 256 bits of chance; the store keeps its
//! SHA-256 only.

use aws_lc_rs::digest;

use super::opaque::{self, NotAuthentic};
use super::secret::DerivedKeys;
use crate::domain::ids::UserId;
use crate::domain::random::Random;
use crate::domain::tokens::{ResetClaims, ResetToken, ResetTokenHash};

const PREFIX: &str = "hp_pr_";
const FORMAT: u8 = 1;
/// Format 1, user 8, chance 32.
const PAYLOAD_BYTES: usize = 41;

/// Writes a new token for a user, and what to keep of it.
pub fn mint(keys: &DerivedKeys, user: UserId, random: &dyn Random) -> (ResetToken, ResetClaims) {
    let mut payload = [FORMAT; PAYLOAD_BYTES];
    payload[1..9].copy_from_slice(&user.get().to_be_bytes());
    random.fill(&mut payload[9..]);
    let token = ResetToken::new(opaque::seal(PREFIX, &keys.reset_token, &payload));
    let claims = ResetClaims { user, hash: hash(&token) };
    (token, claims)
}

/// A token that looks like any other and opens nothing: the answer for an address that has no
/// account must not be told apart from the answer for one that has.
pub fn mint_decoy(keys: &DerivedKeys, random: &dyn Random) -> ResetToken {
    let mut payload = [FORMAT; PAYLOAD_BYTES];
    random.fill(&mut payload[1..]);
    // User ids are positive: a negative one names nobody.
    payload[1] |= 0x80;
    ResetToken::new(opaque::seal(PREFIX, &keys.reset_token, &payload))
}

/// Reads what an authentic token names.
///
/// # Errors
/// [`NotAuthentic`] for anything that [`mint`] did not write under these keys, decoys included.
pub fn verify(keys: &DerivedKeys, token: &ResetToken) -> Result<ResetClaims, NotAuthentic> {
    let payload = opaque::open::<PAYLOAD_BYTES>(PREFIX, &keys.reset_token, token.expose())?;
    let mut rest = payload.as_slice();
    let [format] = opaque::take::<1>(&mut rest)?;
    if format != FORMAT {
        return Err(NotAuthentic);
    }
    let user = i64::from_be_bytes(opaque::take(&mut rest)?);
    let user = UserId::try_from(user).map_err(|_| NotAuthentic)?;
    Ok(ResetClaims { user, hash: hash(token) })
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
    fn a_decoy_looks_the_same_and_opens_nothing() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let random = Counting(0.into());
        let user = UserId::try_from(42).expect("positive");
        let decoy = mint_decoy(&keys, &random);
        assert_eq!(decoy.expose().len(), mint(&keys, user, &random).0.expose().len());
        assert_eq!(verify(&keys, &decoy), Err(NotAuthentic));
    }
}
