use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::denylist::{Denylist, Revocation};

/// All revocations that matter, and where in the feed to go on.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    /// For `Last-Event-ID`.
    pub(super) cursor: String,
    #[serde(deserialize_with = "straight_into_a_denylist")]
    pub(super) entries: Denylist,
    /// The issuer's clock, seconds since the Unix epoch.
    pub(super) server_time: i64,
    /// Up to when nothing is missing, by the same clock that the answer shows, milliseconds.
    pub(super) server_time_ms: i64,
}

/// One entry at a time: there may be very many.
fn straight_into_a_denylist<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Denylist, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = Denylist;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of revocations")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Denylist, A::Error> {
            let denylist = Denylist::new();
            while let Some(revocation) = entries.next_element::<Revocation>()? {
                denylist.insert(&revocation);
            }
            Ok(denylist)
        }
    }

    deserializer.deserialize_seq(Entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_whole_or_not_at_all() {
        let id = "00000000-0000-4000-8000-000000000001";
        let right = format!(
            r#"{{"cursor": "c", "server_time": 7, "server_time_ms": 6900, "entries": [{{"jti": "{id}", "exp": 9}}, {{"kid": "k", "exp": 9}}]}}"#
        );
        let snapshot: Snapshot = serde_json::from_str(&right).expect("a snapshot");
        assert_eq!((snapshot.cursor.as_str(), snapshot.entries.len()), ("c", 2));
        assert_eq!((snapshot.server_time, snapshot.server_time_ms), (7, 6_900));
        for (from, to) in [
            ("\"kid\"", "\"colour\""),
            ("\"cursor\"", "\"position\""),
            ("\"entries\"", "\"revocations\""),
            ("\"exp\": 9}]", "\"exp\": \"9\"}]"),
            ("\"server_time_ms\"", "\"server_time_us\""),
        ] {
            let wrong = right.replace(from, to);
            assert_ne!(right, wrong);
            assert!(serde_json::from_str::<Snapshot>(&wrong).is_err(), "{wrong}");
        }
    }
}
