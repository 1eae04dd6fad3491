//! Auth0: the export of users (one JSON object a line), with the password hashes that its support adds
//! (`passwordHash`), or the array of a bulk import (`password_hash`, `custom_password_hash`;
//! auth0.com/docs "Bulk User Import Database Schema and Examples").

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};

use super::{Format, Members, first, members, names, object, text};
use crate::crypto::password::HashProblem;
use crate::service::user_import::entries::Layout;
use crate::service::user_import::problem::LineProblem;
use crate::service::user_import::record::Given;

pub(super) const FORMAT: Format = Format {
    name: "auth0",
    about: "Auth0's export of users, or the array of its bulk import",
    needs_firebase_project: false,
    layout: Layout::ArrayOrLines,
    read: |entry, _| read(&members(entry)?).map(Some),
};

fn read(user: &Members) -> Result<Given, LineProblem> {
    let email = first(user, &["email"]);
    let whole = first(user, &["name"]);
    let [first_name, last_name] =
        names(first(user, &["given_name"]), first(user, &["family_name"]), whole, email.as_ref());
    Ok(Given {
        email,
        password_hash: hash(user)?,
        first_name,
        last_name,
        email_verified: first(user, &["email_verified"]),
        disabled: first(user, &["blocked"]),
        created_at: first(user, &["created_at"]),
        external_id: external_id(user),
        ..Given::default()
    })
}

/// `user_id`, which an export may have as `Id`; what support adds the hashes to has its last part alone, as
/// MongoDB writes it.
fn external_id(user: &Members) -> Option<Value> {
    let id = first(user, &["user_id", "Id"]);
    id.or_else(|| object(user, "_id").and_then(|id| text(id, "$oid")).map(|id| json!(format!("auth0|{id}"))))
}

fn hash(user: &Members) -> Result<Option<Value>, LineProblem> {
    let Some(custom) = object(user, "custom_password_hash") else {
        return Ok(first(user, &["passwordHash", "password_hash"]));
    };
    let unknown = LineProblem::Hash(HashProblem::UnknownFormat);
    let hash = match text(custom, "algorithm") {
        Some("argon2" | "bcrypt" | "pbkdf2") => {
            object(custom, "hash").and_then(|hash| text(hash, "value")).map(str::to_owned)
        }
        Some("scrypt") => scrypt(custom),
        _ => None,
    };
    hash.map(|hash| Some(json!(hash))).ok_or(unknown)
}

/// The PHC string of scrypt's parameters, salt and hash, each in a member of its own.
fn scrypt(custom: &Members) -> Option<String> {
    let hash = object(custom, "hash")?;
    let salt = object(custom, "salt")?;
    // Where it is not said they are those of Node's crypto.scrypt.
    let number = |name, default| custom.get(name).map_or(Some(default), Value::as_u64);
    let cost = number("cost", 16384).filter(|cost| cost.is_power_of_two())?;
    let (block, lanes) = (number("blockSize", 8)?, number("parallelization", 1)?);
    let encoded = |part| Some(STANDARD_NO_PAD.encode(bytes(part)?));
    Some(format!("$scrypt$ln={},r={block},p={lanes}${}${}", cost.ilog2(), encoded(salt)?, encoded(hash)?))
}

/// What `value` is in the encoding that stands beside it.
fn bytes(part: &Members) -> Option<Vec<u8>> {
    let value = text(part, "value")?;
    match text(part, "encoding").unwrap_or("utf8") {
        "base64" => STANDARD.decode(value).or_else(|_| STANDARD_NO_PAD.decode(value)).ok(),
        "hex" => {
            let pairs = value.as_bytes().chunks(2);
            pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
        }
        "utf8" => Some(value.as_bytes().to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(user: Value) -> Result<Given, LineProblem> {
        read(user.as_object().expect("an object"))
    }

    fn custom(custom: Value) -> Option<Value> {
        given(json!({ "custom_password_hash": custom })).expect("a hash").password_hash
    }

    #[test]
    fn a_hash_may_stand_in_each_of_its_places() {
        for name in ["passwordHash", "password_hash"] {
            let hash = given(json!({ name: "$2b$10$x" })).expect("a user").password_hash;
            assert_eq!(hash, Some(json!("$2b$10$x")), "{name}");
        }
        for algorithm in ["argon2", "bcrypt", "pbkdf2"] {
            let hash = json!({ "algorithm": algorithm, "hash": { "value": "$x$" } });
            assert_eq!(custom(hash), Some(json!("$x$")), "{algorithm}");
        }
        assert_eq!(given(json!({ "email": "x" })).expect("a user").password_hash, None);
    }

    #[test]
    fn scrypt_is_put_together_of_its_parts() {
        let salt = json!({ "value": "salt" });
        let base64 = json!({ "algorithm": "scrypt", "cost": 1024, "blockSize": 4, "parallelization": 2,
            "hash": { "value": "aGFzaA==", "encoding": "base64" }, "salt": salt });
        assert_eq!(custom(base64), Some(json!("$scrypt$ln=10,r=4,p=2$c2FsdA$aGFzaA")));
        let hex = json!({ "algorithm": "scrypt", "hash": { "value": "68617368", "encoding": "hex" }, "salt": salt });
        assert_eq!(custom(hex), Some(json!("$scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA")));
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        for hash in [
            json!({ "algorithm": "md5", "hash": { "value": "x" } }),
            json!({ "algorithm": "bcrypt" }),
            json!({ "algorithm": "scrypt", "hash": { "value": "x" } }),
            json!({ "algorithm": "scrypt", "cost": 1000, "hash": { "value": "x" }, "salt": { "value": "x" } }),
            json!({ "algorithm": "scrypt", "hash": { "value": "x", "encoding": "hex" }, "salt": { "value": "x" } }),
            json!({}),
        ] {
            let refused = given(json!({ "custom_password_hash": hash })).err();
            assert_eq!(refused, Some(LineProblem::Hash(HashProblem::UnknownFormat)), "{hash}");
        }
    }

    #[test]
    fn the_id_is_that_of_the_tokens() {
        let id = |user| given(user).expect("a user").external_id;
        assert_eq!(id(json!({ "user_id": "auth0|5f7" })), Some(json!("auth0|5f7")));
        assert_eq!(id(json!({ "Id": "google-oauth2|1" })), Some(json!("google-oauth2|1")));
        assert_eq!(id(json!({ "_id": { "$oid": "5f7" } })), Some(json!("auth0|5f7")));
        assert_eq!(id(json!({})), None);
    }
}
