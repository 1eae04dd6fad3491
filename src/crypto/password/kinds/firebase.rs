//! Firebase's scrypt (github.com/firebase/scrypt): what scrypt makes of the password, under its salt and
//! the project's separator, is the key by which the project's signer key is encrypted (AES-256-CTR from
//! zero), and that is the hash. The project's parameters stand in each hash, in the forms in which other
//! systems keep them: `$firescrypt$ln=14,r=8,p=1$salt$hash$separator$key` (Kratos) and
//! `$fbscrypt$v=1,n=14,r=8,p=1,ss=separator,sk=key$salt$hash` (Supabase).

use aws_lc_rs::cipher::{AES_256, AES_256_KEY_LEN, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::super::fields;
use super::scrypt::ScryptHash;
use super::{Bounds, HashKind, HashProblem, same};

const MALFORMED: HashProblem = HashProblem::Malformed(HashKind::FirebaseScrypt);

/// A hash by Firebase.
pub(in super::super) struct FirebaseHash {
    scrypt: ScryptHash,
    signer_key: Vec<u8>,
}

impl FirebaseHash {
    /// Reads what follows Kratos' `$firescrypt$`.
    pub(super) fn parse_kratos(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let parts: Vec<&str> = text.split('$').collect();
        let &[costs, salt, output, separator, key] = parts.as_slice() else { return Err(MALFORMED) };
        let costs = fields::parameters(costs, ["ln", "r", "p"]).ok_or(MALFORMED)?;
        Self::checked(costs, [salt, separator, key, output], bounds)
    }

    /// Reads what follows Supabase's `$fbscrypt$`.
    pub(super) fn parse_supabase(text: &str, bounds: &Bounds) -> Result<Self, HashProblem> {
        let parts: Vec<&str> = text.split('$').collect();
        let &[parameters, salt, output] = parts.as_slice() else { return Err(MALFORMED) };
        let parameters = parameters.strip_prefix("v=1,").ok_or(MALFORMED)?;
        let (costs, project) = parameters.split_once(",ss=").ok_or(MALFORMED)?;
        let (separator, key) = project.split_once(",sk=").ok_or(MALFORMED)?;
        let costs = fields::parameters(costs, ["n", "r", "p"]).ok_or(MALFORMED)?;
        Self::checked(costs, [salt, separator, key, output], bounds)
    }

    fn checked(
        costs: [Option<u32>; 3],
        [salt, separator, key, output]: [&str; 4],
        bounds: &Bounds,
    ) -> Result<Self, HashProblem> {
        let [Some(log_n), Some(block), Some(lanes)] = costs else { return Err(MALFORMED) };
        let (Some(mut salt), Some(separator), Some(signer_key), Some(output)) =
            (fields::salt(salt), fields::any_base64(separator), fields::output(key), fields::output(output))
        else {
            return Err(MALFORMED);
        };
        if signer_key.len() != output.len() {
            return Err(MALFORMED);
        }
        salt.extend(separator);
        let salt = fields::plain_salt(&salt).ok_or(MALFORMED)?;
        let scrypt = ScryptHash::checked(log_n, block, lanes, salt, output, bounds).map_err(of_firebase)?;
        Ok(Self { scrypt, signer_key })
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.scrypt.memory_kib()
    }

    pub(super) fn verify(&self, password: &[u8]) -> Option<bool> {
        let mut key = [0; AES_256_KEY_LEN];
        self.scrypt.derive(password, &mut key)?;
        let key = UnboundCipherKey::new(&AES_256, &key).and_then(EncryptingKey::ctr).ok()?;
        let mut computed = self.signer_key.clone();
        let from_zero = EncryptionContext::Iv128(FixedLength::from([0; 16]));
        key.less_safe_encrypt(&mut computed, from_zero).ok()?;
        Some(same(&computed, self.scrypt.output()))
    }
}

/// The same problem, named as that of Firebase's function.
fn of_firebase(problem: HashProblem) -> HashProblem {
    const KIND: HashKind = HashKind::FirebaseScrypt;
    match problem {
        HashProblem::TooDear { limit, .. } => HashProblem::TooDear { kind: KIND, limit },
        HashProblem::BadCost(_) => HashProblem::BadCost(KIND),
        HashProblem::Malformed(_) => MALFORMED,
        HashProblem::UnknownFormat => HashProblem::UnknownFormat,
    }
}
