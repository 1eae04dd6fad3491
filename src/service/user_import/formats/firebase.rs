//! Firebase: `firebase auth:export users.json`. Hashes are of the project's own scrypt, whose parameters the
//! console shows ("Password hash parameters"); they are written into each hash.

use std::fmt;

use serde_json::{Value, json};

use super::{Circumstances, Format, Members, first, members, names, text};
use crate::crypto::password::{ForeignHash, HashProblem};
use crate::service::user_import::entries::Layout;
use crate::service::user_import::record::Given;

pub(super) const FORMAT: Format = Format {
    name: "firebase",
    about: "the JSON file of firebase auth:export",
    needs_firebase_project: true,
    layout: Layout::Document("users"),
    read: |entry, circumstances| Ok(Some(read(&members(entry)?, circumstances))),
};

/// What a project hashes passwords with.
#[derive(Clone)]
pub struct FirebaseProject {
    /// The part of each hash that is the same for all.
    parameters: String,
}

impl FirebaseProject {
    /// With the signer key and the salt separator in base64, the rounds, and the cost of memory.
    ///
    /// # Errors
    /// [`HashProblem`] when no hash can be checked with these.
    pub fn new(
        signer_key: &str,
        salt_separator: &str,
        rounds: u32,
        memory_cost: u32,
    ) -> Result<Self, HashProblem> {
        let [key, separator] = [signer_key, salt_separator].map(|text| standard_base64(text.trim()));
        let project =
            Self { parameters: format!("v=1,n={memory_cost},r={rounds},p=1,ss={separator},sk={key}") };
        // A hash is as long as the key.
        ForeignHash::parse(&project.hash("AAAA", &key))?;
        Ok(project)
    }

    fn hash(&self, salt: &str, hash: &str) -> String {
        format!("$fbscrypt${}${}${}", self.parameters, standard_base64(salt), standard_base64(hash))
    }
}

impl fmt::Debug for FirebaseProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirebaseProject(…)")
    }
}

/// Firebase's APIs answer the URL-safe alphabet, its tool the other one.
fn standard_base64(text: &str) -> String {
    text.replace('-', "+").replace('_', "/")
}

fn read(user: &Members, circumstances: &Circumstances<'_>) -> Given {
    let email = first(user, &["email"]);
    let [first_name, last_name] = names(None, None, first(user, &["displayName"]), email.as_ref());
    let hash = text(user, "passwordHash").map(|hash| {
        let salt = text(user, "salt").unwrap_or_default();
        circumstances.firebase.map_or_else(|| hash.to_owned(), |project| project.hash(salt, hash))
    });
    Given {
        email,
        password_hash: hash.map(|hash| json!(hash)),
        first_name,
        last_name,
        email_verified: first(user, &["emailVerified"]),
        disabled: first(user, &["disabled"]),
        created_at: first(user, &["createdAt"]).map(number),
        external_id: first(user, &["localId"]),
        ..Given::default()
    }
}

/// Milliseconds, which are written as text.
fn number(value: Value) -> Value {
    let number = value.as_str().and_then(|text| text.parse::<i64>().ok());
    number.map_or(value, |number| json!(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Timestamp;

    const KEY: &str =
        "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";

    #[test]
    fn a_hash_bears_the_parameters_of_its_project() {
        let project = FirebaseProject::new(&format!(" {KEY}\n"), "Bw==", 8, 14).expect("a project");
        let circumstances = Circumstances { now: Timestamp::from_millis(0), firebase: Some(&project) };
        let user = json!({ "passwordHash": "a-_b", "salt": "c_-d", "createdAt": "1582970400123" });
        let given = read(user.as_object().expect("a user"), &circumstances);
        let expected = format!("$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk={KEY}$c/+d$a+/b");
        assert_eq!(given.password_hash, Some(json!(expected)));
        assert_eq!(given.created_at, Some(json!(1_582_970_400_123_i64)));
        assert_eq!(format!("{project:?}"), "FirebaseProject(…)");
    }

    #[test]
    fn parameters_that_no_hash_can_have_are_refused_at_once() {
        for (key, separator, rounds, memory) in [
            ("", "Bw==", 8, 14),
            ("no base64", "Bw==", 8, 14),
            (KEY, "?", 8, 14),
            (KEY, "Bw==", 0, 14),
            (KEY, "Bw==", 8, 30),
        ] {
            assert!(
                FirebaseProject::new(key, separator, rounds, memory).is_err(),
                "{separator} {rounds} {memory}"
            );
        }
        let url_safe = KEY.replace('+', "-").replace('/', "_");
        assert!(FirebaseProject::new(&url_safe, "Bw==", 8, 14).is_ok());
    }
}
