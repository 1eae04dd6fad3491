//! Signing keys: making, reading, and encrypting them at rest.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey};

use super::private_key::{PrivateKeyError, to_pkcs8_pem};
use super::sealed;
use super::secret::DerivedKeys;
use super::signer::Signer;
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::random::Random;
use crate::domain::secret_mark::SecretMark;
use crate::domain::signing_key::{SealedKey, SigningAlgorithm, StoredSigningKey};

/// A signing key that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The cryptography library could not make a key.
    #[error("no {0} key could be generated")]
    Generation(SigningAlgorithm),
    /// The text is no PKCS#8 private key of that algorithm.
    #[error("not a PKCS#8 PEM private key for {0}")]
    Unreadable(SigningAlgorithm, #[source] jsonwebtoken::errors::Error),
    /// The file holds no private key.
    #[error(transparent)]
    File(#[from] PrivateKeyError),
    /// The stored key cannot be decrypted: another secret, or altered bytes.
    #[error(
        "the signing key {0} cannot be decrypted with this secret; was the secret changed? Then set the one before as `secret_accepted`"
    )]
    Sealed(KeyId),
    /// Signing failed.
    #[error("signing failed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// A private key, ready to sign, with its public half.
#[derive(Clone)]
pub struct SigningKey {
    id: KeyId,
    algorithm: SigningAlgorithm,
    pem: String,
    signer: Arc<Signer>,
    public: Jwk,
}

impl SigningKey {
    /// Makes a new key. The cryptography library draws the chance for it itself.
    ///
    /// # Errors
    /// [`SigningKeyError::Generation`].
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, SigningKeyError> {
        let pkcs8 = generate_pkcs8(algorithm).map_err(|_| SigningKeyError::Generation(algorithm))?;
        Self::from_pem(algorithm, pem::encode(&pem::Pem::new("PRIVATE KEY", pkcs8)))
    }

    /// Reads a PKCS#8 private key in PEM (RFC 7468 10), and shows that it signs.
    ///
    /// # Errors
    /// [`SigningKeyError::Unreadable`].
    pub fn from_pem(algorithm: SigningAlgorithm, pem: impl Into<String>) -> Result<Self, SigningKeyError> {
        let pem = pem.into();
        let unreadable = |error| SigningKeyError::Unreadable(algorithm, error);
        let encoding = match algorithm {
            SigningAlgorithm::Es256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            SigningAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            SigningAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem.as_bytes()),
        }
        .map_err(unreadable)?;
        let mut public = Jwk::from_encoding_key(&encoding, jwa(algorithm)).map_err(unreadable)?;
        let id = KeyId::new(public.thumbprint(ThumbprintHash::SHA256).map_err(unreadable)?);
        public.common.key_id = Some(id.as_str().to_owned());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_algorithm = Some(match algorithm {
            SigningAlgorithm::Es256 => KeyAlgorithm::ES256,
            SigningAlgorithm::Rs256 => KeyAlgorithm::RS256,
            SigningAlgorithm::EdDsa => KeyAlgorithm::EdDSA,
        });
        let signer = Signer::new(algorithm, &encoding).map_err(unreadable)?;
        signer.sign(b"self-test").map_err(unreadable)?;
        Ok(Self { id, algorithm, pem, signer: Arc::new(signer), public })
    }

    /// Reads a private key as other programs write it, in PEM or DER ([`to_pkcs8_pem`]).
    ///
    /// # Errors
    /// [`SigningKeyError::File`], or [`SigningKeyError::Unreadable`] for a key of another algorithm.
    pub fn from_file(algorithm: SigningAlgorithm, file: &[u8]) -> Result<Self, SigningKeyError> {
        Self::from_pem(algorithm, to_pkcs8_pem(file)?)
    }

    /// Encrypts the private half under the server's secret (AES-256-GCM, bound to the key's id).
    ///
    /// # Errors
    /// [`SigningKeyError::Sealed`] when the cryptography library refuses.
    pub fn seal(
        &self,
        keys: &DerivedKeys,
        random: &dyn Random,
        created_at: Timestamp,
    ) -> Result<StoredSigningKey, SigningKeyError> {
        let sealed = seal(keys, &self.id, self.pem.clone().into_bytes(), random)?;
        Ok(StoredSigningKey { id: self.id.clone(), algorithm: self.algorithm, sealed, created_at })
    }

    /// Decrypts a stored key.
    ///
    /// # Errors
    /// [`SigningKeyError::Sealed`] where it was sealed with none of the secrets.
    pub fn open(stored: &StoredSigningKey, keys: &DerivedKeys) -> Result<Self, SigningKeyError> {
        let refused = || SigningKeyError::Sealed(stored.id.clone());
        let (pem, _) = open(keys, stored)?;
        let pem = String::from_utf8(pem).map_err(|_| refused())?;
        let key = Self::from_pem(stored.algorithm, pem)?;
        if key.id == stored.id { Ok(key) } else { Err(refused()) }
    }

    /// Which secret a stored key is encrypted under.
    ///
    /// # Errors
    /// [`SigningKeyError::Sealed`] where it is under none of the secrets.
    pub fn sealed_under(
        stored: &StoredSigningKey,
        keys: &DerivedKeys,
    ) -> Result<SecretMark, SigningKeyError> {
        open(keys, stored).map(|(_, mark)| mark)
    }

    /// A stored key, encrypted anew under the secret that mints.
    ///
    /// # Errors
    /// [`SigningKeyError::Sealed`] where it is under none of the secrets.
    pub fn seal_anew(
        stored: &StoredSigningKey,
        keys: &DerivedKeys,
        random: &dyn Random,
    ) -> Result<SealedKey, SigningKeyError> {
        let (pem, _) = open(keys, stored)?;
        seal(keys, &stored.id, pem, random)
    }

    /// The RFC 7638 thumbprint.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What it signs with.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The public half: kty, its parameters, kid, alg, use (RFC 7517 4).
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// The private half.
    #[cfg(test)]
    pub(super) fn pkcs8_pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

fn seal(
    keys: &DerivedKeys,
    id: &KeyId,
    pem: Vec<u8>,
    random: &dyn Random,
) -> Result<SealedKey, SigningKeyError> {
    let sealed = sealed::seal(keys, |keys| &keys.key_encryption, id.as_str(), pem, random);
    sealed.map(SealedKey::new).ok_or_else(|| SigningKeyError::Sealed(id.clone()))
}

/// The private half in PEM, and which secret it was under.
fn open(keys: &DerivedKeys, stored: &StoredSigningKey) -> Result<(Vec<u8>, SecretMark), SigningKeyError> {
    let sealed = stored.sealed.as_bytes();
    let opened = sealed::open(keys, |keys| &keys.key_encryption, stored.id.as_str(), sealed);
    let (pem, keys) = opened.ok_or_else(|| SigningKeyError::Sealed(stored.id.clone()))?;
    Ok((pem, keys.mark()))
}

pub(super) fn jwa(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

fn generate_pkcs8(algorithm: SigningAlgorithm) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let random = SystemRandom::new();
    Ok(match algorithm {
        SigningAlgorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?.as_ref().to_vec()
        }
        SigningAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?.as_ref().to_vec(),
        SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8v1(&random)?.as_ref().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(5);
        }
    }

    const ALL: [SigningAlgorithm; 3] =
        [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa];

    #[test]
    fn every_algorithm_generates_seals_and_opens() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let other = DerivedKeys::derive(&[2; 32]).expect("long enough");
        for algorithm in ALL {
            let key = SigningKey::generate(algorithm).expect("generates");
            let stored = key.seal(&keys, &Fixed, Timestamp::from_millis(0)).expect("seals");
            let opened = SigningKey::open(&stored, &keys).expect("opens");
            assert_eq!(opened.public(), key.public(), "{algorithm}");
            assert!(SigningKey::open(&stored, &other).is_err(), "{algorithm}");
            assert!(!String::from_utf8_lossy(stored.sealed.as_bytes()).contains("PRIVATE"));
        }
    }

    #[test]
    fn a_key_is_sealed_anew_under_the_secret_that_mints() {
        let old = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let both = DerivedKeys::derive_all(&[2; 32], [&[1; 32][..]]).expect("long enough");
        let new = DerivedKeys::derive(&[2; 32]).expect("long enough");
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).expect("generates");
        let stored = key.seal(&old, &Fixed, Timestamp::from_millis(0)).expect("seals");
        assert_eq!(SigningKey::sealed_under(&stored, &both).expect("known"), old.mark());
        assert_eq!(SigningKey::open(&stored, &both).expect("opens").public(), key.public());

        let sealed = SigningKey::seal_anew(&stored, &both, &Fixed).expect("opens");
        let anew = StoredSigningKey { sealed, ..stored.clone() };
        assert_eq!(SigningKey::sealed_under(&anew, &both).expect("known"), new.mark());
        assert_eq!(SigningKey::open(&anew, &new).expect("opens").public(), key.public());
        assert!(SigningKey::open(&anew, &old).is_err());
        assert!(SigningKey::seal_anew(&stored, &new, &Fixed).is_err(), "under no secret that is known");
    }

    #[test]
    fn a_sealed_key_cannot_pass_for_another() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let key = SigningKey::generate(SigningAlgorithm::Es256).expect("generates");
        let mut stored = key.seal(&keys, &Fixed, Timestamp::from_millis(0)).expect("seals");
        stored.id = KeyId::new("another");
        assert!(matches!(SigningKey::open(&stored, &keys), Err(SigningKeyError::Sealed(_))));
    }

    #[test]
    fn a_key_of_another_algorithm_is_refused() {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).expect("generates");
        assert!(SigningKey::from_pem(SigningAlgorithm::Es256, key.pem.clone()).is_err());
        assert!(SigningKey::from_pem(SigningAlgorithm::Rs256, "no key").is_err());
    }

    #[test]
    fn no_altered_or_cut_byte_of_a_sealed_key_survives() {
        let keys = DerivedKeys::derive(&[1; 32]).expect("long enough");
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).expect("generates");
        let stored = key.seal(&keys, &Fixed, Timestamp::from_millis(0)).expect("seals");
        let sealed = stored.sealed.as_bytes();
        let refused = |bytes: Vec<u8>| {
            let altered = StoredSigningKey { sealed: SealedKey::new(bytes), ..stored.clone() };
            matches!(SigningKey::open(&altered, &keys), Err(SigningKeyError::Sealed(_)))
        };
        for at in 0..sealed.len() {
            let mut altered = sealed.to_vec();
            altered[at] ^= 1;
            assert!(refused(altered), "altered at {at}");
            assert!(refused(sealed[..at].to_vec()), "cut at {at}");
        }
    }

    #[test]
    fn a_text_that_is_no_private_key_is_an_error_that_quotes_nothing() {
        let pem = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der));
        for algorithm in ALL {
            let der = generate_pkcs8(algorithm).expect("generates");
            let mut texts = vec![String::new(), "marker".to_owned(), pem("PRIVATE KEY", b"")];
            texts.extend(["EC PRIVATE KEY", "marker"].map(|tag| pem(tag, &der)));
            texts.extend((0..der.len()).step_by(7).map(|cut| pem("PRIVATE KEY", &der[..cut])));
            for text in texts {
                let Err(error) = SigningKey::from_pem(algorithm, text.as_str()) else {
                    panic!("{algorithm} takes {} bytes", text.len())
                };
                let told = format!("{error} {error:?}");
                assert!(!told.contains("marker") && !told.contains("BEGIN"), "{told}");
            }
        }
    }

    /// The example of RFC 8037 A.3.
    #[test]
    fn the_key_id_is_the_rfc_7638_thumbprint() {
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        let key = SigningKey::from_pem(SigningAlgorithm::EdDsa, pem).expect("reads");
        assert_eq!(key.id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
