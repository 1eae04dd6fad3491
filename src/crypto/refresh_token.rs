//! `hp_rt_…`: a refresh token names its user, its session and its generation, so that the store
//! keeps no token and a forged one is refused without asking it.

use uuid::Uuid;

use super::opaque::{self, NotAuthentic};
use super::secret::DerivedKeys;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::tokens::{Generation, RefreshClaims, RefreshToken};

/// What every refresh token begins with.
pub const PREFIX: &str = "hp_rt_";
const FORMAT: u8 = 1;
/// Format 1, user 8, session 16, generation 4.
const PAYLOAD_BYTES: usize = 29;

/// Writes the token of these claims: always the same bytes for the same claims, with the same secret. With
/// another secret it is the same token in another dress: the generation is what can be used once.
pub fn mint(keys: &DerivedKeys, claims: &RefreshClaims) -> RefreshToken {
    let mut payload = [FORMAT; PAYLOAD_BYTES];
    payload[1..9].copy_from_slice(&claims.user.get().to_be_bytes());
    payload[9..25].copy_from_slice(claims.session.as_uuid().as_bytes());
    payload[25..].copy_from_slice(&claims.generation.get().to_be_bytes());
    RefreshToken::new(opaque::seal(PREFIX, &keys.refresh_token, &payload))
}

/// Reads the claims of an authentic token.
///
/// # Errors
/// [`NotAuthentic`] for anything that [`mint`] did not write under one of the secrets.
pub fn verify(keys: &DerivedKeys, token: &RefreshToken) -> Result<RefreshClaims, NotAuthentic> {
    let (payload, _) =
        opaque::open::<PAYLOAD_BYTES>(PREFIX, keys, |keys| &keys.refresh_token, token.expose())?;
    let mut rest = payload.as_slice();
    let [format] = opaque::take::<1>(&mut rest)?;
    if format != FORMAT {
        return Err(NotAuthentic);
    }
    let user = i64::from_be_bytes(opaque::take(&mut rest)?);
    let session = Uuid::from_bytes(opaque::take(&mut rest)?);
    let generation = u32::from_be_bytes(opaque::take(&mut rest)?);
    Ok(RefreshClaims {
        user: UserId::try_from(user).map_err(|_| NotAuthentic)?,
        session: SessionId::from(session),
        generation: Generation::new(generation),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(fill: u8) -> DerivedKeys {
        DerivedKeys::derive(&[fill; 32]).expect("long enough")
    }

    fn claims(generation: u32) -> RefreshClaims {
        RefreshClaims {
            user: UserId::try_from(42).expect("positive"),
            session: SessionId::from(Uuid::from_bytes([7; 16])),
            generation: Generation::new(generation),
        }
    }

    #[test]
    fn a_token_says_what_was_put_in_and_is_the_same_every_time() {
        let token = mint(&keys(1), &claims(3));
        assert_eq!(verify(&keys(1), &token), Ok(claims(3)));
        assert_eq!(token, mint(&keys(1), &claims(3)));
        assert_ne!(token, mint(&keys(1), &claims(4)));
        assert_eq!(token.expose().len(), 88);
    }

    #[test]
    fn another_secret_does_not_read_it() {
        assert_eq!(verify(&keys(2), &mint(&keys(1), &claims(3))), Err(NotAuthentic));
    }

    #[test]
    fn a_token_of_an_accepted_secret_says_the_same() {
        let both = |minting: u8, accepted: u8| {
            DerivedKeys::derive_all(&[minting; 32], [&[accepted; 32][..]]).expect("long enough")
        };
        let (old, new) = (mint(&keys(1), &claims(3)), mint(&both(2, 1), &claims(3)));
        assert_eq!(new, mint(&keys(2), &claims(3)), "the first one mints");
        for token in [&old, &new] {
            assert_eq!(verify(&both(2, 1), token), Ok(claims(3)));
            assert_eq!(verify(&both(1, 2), token), Ok(claims(3)));
        }
        assert_eq!(verify(&keys(2), &old), Err(NotAuthentic));
    }

    #[test]
    fn no_single_changed_character_survives() {
        let token = mint(&keys(1), &claims(3));
        let text = token.expose();
        for at in 0..text.len() {
            let mut mangled = text.as_bytes().to_vec();
            mangled[at] = if mangled[at] == b'A' { b'B' } else { b'A' };
            let mangled = String::from_utf8(mangled).expect("ASCII");
            assert_eq!(verify(&keys(1), &RefreshToken::new(mangled)), Err(NotAuthentic), "at {at}");
        }
        for cut in 0..text.len() {
            assert_eq!(verify(&keys(1), &RefreshToken::new(&text[..cut])), Err(NotAuthentic));
        }
        assert_eq!(verify(&keys(1), &RefreshToken::new(format!("{text}="))), Err(NotAuthentic));
        assert_eq!(verify(&keys(1), &RefreshToken::new(format!(" {text}"))), Err(NotAuthentic));
    }
}
