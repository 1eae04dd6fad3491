//! Private keys as other programs write them, brought to one form: PKCS#8 in PEM (RFC 5958, RFC 7468 10).

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use pem::Pem;

const PKCS8: &str = "PRIVATE KEY";

/// How a block of PEM begins (RFC 7468 2). What has none may be DER.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";

/// Why a file holds no private key to sign with. No text of it is ever quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// A passphrase protects it.
    #[error("this private key is encrypted; decrypt a copy of it: openssl pkey -in KEY -out DECRYPTED")]
    Encrypted,
    /// OpenSSH's own form.
    #[error(
        "this is a key of OpenSSH, for logins and not for tokens; make one: openssl genpkey -algorithm ed25519"
    )]
    OpenSsh,
    /// The public half, or a certificate.
    #[error("this is the public half of a key; a private key is needed, which signs")]
    Public,
    /// Nothing that could sign.
    #[error(
        "this is no private key (PKCS#8, SEC 1 or PKCS#1, in PEM or DER) for ES256 (P-256), RS256 (2048 bits \
         or more) or EdDSA (Ed25519)"
    )]
    Unreadable,
}

/// Reads a private key in PEM or DER, as PKCS#8, SEC 1 (RFC 5915) or PKCS#1 (RFC 8017 A.1.2), and
/// writes it as PKCS#8 in PEM. What stands beside it in PEM, such as `EC PARAMETERS`, is left out.
///
/// # Errors
/// [`PrivateKeyError`].
pub fn to_pkcs8_pem(file: &[u8]) -> Result<String, PrivateKeyError> {
    let der = if file.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN) {
        from_pem(&pem::parse_many(file).map_err(|_| PrivateKeyError::Unreadable)?)?
    } else {
        from_der(file).ok_or(PrivateKeyError::Unreadable)?
    };
    Ok(pem::encode(&Pem::new(PKCS8, der)))
}

fn from_pem(blocks: &[Pem]) -> Result<Vec<u8>, PrivateKeyError> {
    let mut problem = PrivateKeyError::Unreadable;
    for block in blocks {
        // Keys of PKCS#1 and SEC 1 tell so in a header (RFC 1421 4.6.1.1).
        let is_encrypted = block.headers().get("Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED"));
        problem = match block.tag() {
            _ if is_encrypted => PrivateKeyError::Encrypted,
            "ENCRYPTED PRIVATE KEY" => PrivateKeyError::Encrypted,
            PKCS8 => return Ok(block.contents().to_vec()),
            "EC PRIVATE KEY" => return from_sec1(block.contents()).ok_or(PrivateKeyError::Unreadable),
            "RSA PRIVATE KEY" => return from_pkcs1(block.contents()).ok_or(PrivateKeyError::Unreadable),
            "OPENSSH PRIVATE KEY" => PrivateKeyError::OpenSsh,
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => PrivateKeyError::Public,
            _ => continue,
        };
    }
    Err(problem)
}

fn from_der(der: &[u8]) -> Option<Vec<u8>> {
    let is_pkcs8 = Ed25519KeyPair::from_pkcs8(der).is_ok()
        || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok()
        || RsaKeyPair::from_pkcs8(der).is_ok();
    if is_pkcs8 { Some(der.to_vec()) } else { from_sec1(der).or_else(|| from_pkcs1(der)) }
}

fn from_sec1(der: &[u8]) -> Option<Vec<u8>> {
    let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
    Some(key.to_pkcs8v1().ok()?.as_ref().to_vec())
}

fn from_pkcs1(der: &[u8]) -> Option<Vec<u8>> {
    let key = RsaKeyPair::from_der(der).ok()?;
    Some(key.as_der().ok()?.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::crypto::keys::SigningKey;
    use crate::domain::signing_key::SigningAlgorithm::{self, EdDsa, Es256, Rs256};

    /// `openssl ecparam -name prime256v1 -genkey`, as OpenSSL 3.0 writes it.
    const SEC1: &str = include_str!("private_key/sec1.pem");
    /// `openssl genrsa -traditional 2048`.
    const PKCS1: &str = include_str!("private_key/pkcs1.pem");
    /// `openssl ec -aes128` of [`SEC1`].
    const SEC1_ENCRYPTED: &str = include_str!("private_key/sec1-encrypted.pem");

    fn der(pem: &str) -> Vec<u8> {
        let blocks = pem::parse_many(pem).expect("PEM");
        blocks.last().expect("a block").contents().to_vec()
    }

    fn id(algorithm: SigningAlgorithm, file: &[u8]) -> String {
        let key =
            SigningKey::from_file(algorithm, file).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        key.id().as_str().to_owned()
    }

    #[test]
    fn a_key_is_the_same_in_every_form() {
        for (algorithm, other) in [(Es256, Some(SEC1)), (Rs256, Some(PKCS1)), (EdDsa, None)] {
            let pkcs8 = match other {
                Some(other) => to_pkcs8_pem(other.as_bytes()).expect("reads"),
                None => SigningKey::generate(algorithm).expect("generates").pkcs8_pem().to_owned(),
            };
            let wanted = id(algorithm, pkcs8.as_bytes());
            let bom = format!("\u{feff}{pkcs8}");
            let crlf = pkcs8.replace('\n', "\r\n");
            let mut forms = vec![der(&pkcs8), bom.into_bytes(), crlf.into_bytes()];
            forms.extend(other.into_iter().flat_map(|other| [other.as_bytes().to_vec(), der(other)]));
            for form in forms {
                assert_eq!(id(algorithm, &form), wanted, "{algorithm}");
            }
        }
    }

    #[test]
    fn what_does_not_sign_is_told_apart_and_never_quoted() {
        let block = |tag: &str| pem::encode(&Pem::new(tag, b"marker".to_vec()));
        for (file, error) in [
            (SEC1_ENCRYPTED.to_owned(), PrivateKeyError::Encrypted),
            (block("ENCRYPTED PRIVATE KEY"), PrivateKeyError::Encrypted),
            (block("OPENSSH PRIVATE KEY"), PrivateKeyError::OpenSsh),
            (block("PUBLIC KEY"), PrivateKeyError::Public),
            (block("CERTIFICATE"), PrivateKeyError::Public),
            (block("EC PRIVATE KEY"), PrivateKeyError::Unreadable),
            (block("RSA PRIVATE KEY"), PrivateKeyError::Unreadable),
            (block("EC PARAMETERS"), PrivateKeyError::Unreadable),
            ("-----BEGIN marker".to_owned(), PrivateKeyError::Unreadable),
            (STANDARD.encode("marker"), PrivateKeyError::Unreadable),
            (String::new(), PrivateKeyError::Unreadable),
        ] {
            assert_eq!(to_pkcs8_pem(file.as_bytes()), Err(error), "{file}");
            assert!(!error.to_string().contains("marker"));
        }
    }

    #[test]
    fn no_cut_key_is_taken() {
        for der in [der(SEC1), der(PKCS1)] {
            for cut in (0..der.len()).step_by(7) {
                assert_eq!(to_pkcs8_pem(&der[..cut]), Err(PrivateKeyError::Unreadable), "{cut}");
            }
        }
    }
}
