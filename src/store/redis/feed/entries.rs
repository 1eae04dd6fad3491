//! What an entry of the feed says.

use std::collections::HashMap;

use super::super::codec::Entry;
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{Jti, KeyId, SessionId, UserId};
use crate::domain::revocation::{Revocation, Revoked};
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;

/// What an entry of a stream says; [`keys`](super::super::keys) has the shapes.
pub(super) fn revocations(
    entry: Entry<'_>,
    fields: &HashMap<String, String>,
) -> StoreResult<Vec<Revocation>> {
    let text = |name: &str| fields.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let until = Timestamp::from_millis(entry.read("until", text("until"))?);
    let session = |text: &str| -> StoreResult<Revoked> {
        let id = uuid::Uuid::parse_str(text).map_err(|_| entry.corrupt("`sids` is malformed"))?;
        Ok(Revoked::Session(SessionId::from(id)))
    };
    let mut revoked = Vec::new();
    if let Some(jti) = text("jti") {
        revoked.push(Revoked::Token(Jti::from(entry.read::<uuid::Uuid>("jti", Some(jti))?)));
    } else if let Some(sid) = text("sid") {
        revoked.push(session(sid)?);
    } else if let Some(kid) = text("kid") {
        revoked.push(Revoked::Key(KeyId::new(kid)));
    } else {
        let below = SecurityVersion::new(entry.read("sv", text("sv"))?);
        // A client's id begins with a letter.
        if let Some(client) = text("sub").and_then(|sub| sub.parse::<ClientId>().ok()) {
            return Ok(vec![Revocation { revoked: Revoked::Client(client), until }]);
        }
        let user = entry.read::<UserId>("sub", text("sub"))?;
        for sid in text("sids").unwrap_or_default().split(',').filter(|sid| !sid.is_empty()) {
            revoked.push(session(sid)?);
        }
        revoked.push(Revoked::User { user, below });
    }
    Ok(revoked.into_iter().map(|revoked| Revocation { revoked, until }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::error::StoreError;

    fn read(fields: &[(&str, &str)]) -> Result<Vec<Revocation>, StoreError> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        revocations(Entry { place: "revocation feed", key: "stream 1-1" }, &fields)
    }

    #[test]
    fn a_security_event_names_its_user_and_each_session() {
        let (a, b) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        let sids = format!("{a},{b}");
        let revoked = read(&[("sub", "7"), ("sv", "5"), ("sids", &sids), ("until", "9000")]).unwrap();
        let user = UserId::try_from(7).unwrap();
        let below = SecurityVersion::new(5);
        let expected =
            [Revoked::Session(a.into()), Revoked::Session(b.into()), Revoked::User { user, below }];
        assert_eq!(revoked.iter().map(|r| r.revoked.clone()).collect::<Vec<_>>(), expected);
        assert!(revoked.iter().all(|r| r.until == Timestamp::from_millis(9_000)));
    }

    #[test]
    fn a_client_that_was_deleted_has_an_id_where_a_user_has_a_number() {
        let revoked = read(&[("sub", "orders"), ("sv", "1"), ("sids", ""), ("until", "9000")]).unwrap();
        let until = Timestamp::from_millis(9_000);
        assert_eq!(revoked, [Revocation { revoked: Revoked::Client("orders".parse().unwrap()), until }]);
    }

    #[test]
    fn what_means_nothing_is_an_error_that_names_the_entry() {
        for fields in [
            &[][..],
            &[("until", "9000")],
            &[("sub", "7"), ("until", "9000")],
            &[("sub", "orders"), ("until", "9000")],
            &[("sub", "orders"), ("sv", "1")],
            &[("sub", "Orders"), ("sv", "1"), ("until", "9000")],
            &[("sub", "-7"), ("sv", "1"), ("until", "9000")],
            &[("sub", "7"), ("sid", "x"), ("until", "9000")],
            &[("sub", "7"), ("jti", "x"), ("until", "9000")],
            &[("sub", "7"), ("sv", "x"), ("until", "9000")],
        ] {
            let error = read(fields).unwrap_err().to_string();
            assert!(error.contains("stream 1-1"), "{fields:?}: {error}");
        }
    }
}
