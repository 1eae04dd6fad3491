//! Private keys, set up once: reading one takes longer than signing with it, since it is looked whether its halves
//! belong together.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use jsonwebtoken::EncodingKey;
use jsonwebtoken::errors::{Error, ErrorKind};

use crate::domain::signing_key::SigningAlgorithm;

/// What signs tokens (RFC 7518 3.3, 3.4; RFC 8037 3.1).
pub(super) enum Signer {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    /// Sets a key up.
    ///
    /// # Errors
    /// It is none of that algorithm.
    pub(super) fn new(algorithm: SigningAlgorithm, key: &EncodingKey) -> Result<Self, Error> {
        let der = key.as_bytes();
        Ok(match algorithm {
            SigningAlgorithm::Es256 => Self::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(|_| ErrorKind::InvalidEcdsaKey)?,
            ),
            SigningAlgorithm::Rs256 => Self::Rs256(
                RsaKeyPair::from_der(der).map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()))?,
            ),
            SigningAlgorithm::EdDsa => {
                Self::EdDsa(Ed25519KeyPair::from_pkcs8(der).map_err(|_| ErrorKind::InvalidEddsaKey)?)
            }
        })
    }

    /// The signature of a message, as JWS has it (RFC 7515 5.1). The cryptography library draws the chance that it
    /// takes itself.
    ///
    /// # Errors
    /// The library refuses.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::from(ErrorKind::RsaFailedSigning);
        match self {
            Self::Es256(key) => {
                let signature = key.sign(&SystemRandom::new(), message);
                Ok(signature.map_err(|error| ErrorKind::Signing(error.to_string()))?.as_ref().to_vec())
            }
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::EdDsa(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}
