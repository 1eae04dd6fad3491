//! Keycloak keeps a hash as two JSON texts, `credentialData` (how) and `secretData` (salt and hash). Both
//! fit into a PHC string, and that is what is kept of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{HashKind, HashProblem};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CredentialData {
    algorithm: String,
    hash_iterations: u32,
    #[serde(default)]
    additional_parameters: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct SecretData {
    value: String,
    salt: String,
}

/// The PHC string of a credential of type `password`.
pub(in super::super) fn phc_of_keycloak(credential: &str, secret: &str) -> Result<String, HashProblem> {
    let credential: CredentialData =
        serde_json::from_str(credential).map_err(|_| HashProblem::UnknownFormat)?;
    let kind = match credential.algorithm.as_str() {
        "pbkdf2" => HashKind::Pbkdf2Sha1,
        "pbkdf2-sha256" => HashKind::Pbkdf2Sha256,
        "pbkdf2-sha512" => HashKind::Pbkdf2Sha512,
        "argon2" => match credential.parameter("type") {
            Some("i") => HashKind::Argon2i,
            Some("d") => HashKind::Argon2d,
            _ => HashKind::Argon2id,
        },
        _ => return Err(HashProblem::UnknownFormat),
    };
    let secret: SecretData = serde_json::from_str(secret).map_err(|_| HashProblem::Malformed(kind))?;
    let costs = credential.costs(kind).ok_or(HashProblem::Malformed(kind))?;
    let [salt, value] = [&secret.salt, &secret.value].map(|text| text.trim_end_matches('='));
    Ok(format!("${kind}${costs}${salt}${value}"))
}

impl CredentialData {
    /// What stands between the name and the salt.
    fn costs(&self, kind: HashKind) -> Option<String> {
        let iterations = self.hash_iterations;
        if !matches!(kind, HashKind::Argon2id | HashKind::Argon2i | HashKind::Argon2d) {
            return Some(format!("i={iterations}"));
        }
        let version = match self.parameter("version")? {
            "1.3" => 19,
            "1.0" => 16,
            _ => return None,
        };
        let (memory, lanes) = (self.parameter("memory")?, self.parameter("parallelism")?);
        Some(format!("v={version}$m={memory},t={iterations},p={lanes}"))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.additional_parameters.get(name)?.first().map(String::as_str)
    }
}
