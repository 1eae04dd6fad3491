//! Every key in Redis is built here, and what stands behind each is written down here.
//!
//! All keys of one user carry the hash tag of the user's [`Partition`], so that every script
//! touches one slot of a Redis Cluster. Times are milliseconds since the epoch, by our clock.
//!
//! | key | type | holds | lives until |
//! | --- | --- | --- | --- |
//! | `session:<sid>` | hash | one session, see [`SESSION_FIELDS`] | its idle deadline |
//! | `sessions:<uid>` | sorted set | `<sid>:<security version>` → idle deadline | the last deadline |
//! | `denied:<uid>` | sorted set | `s:<sid>` or `j:<jti>` → when the denial ends | the last end |
//! | `cutoff:<uid>` | hash | `version`, `not_before` of the last security event | no older session can be left |
//! | `reset:<uid>` | hash | `hash`, `version`, `deadline` of the newest reset token | its deadline |
//! | `revocations` | stream | every revocation of the partition | one denial after the last one |
//! | `incarnation` | string | since when the partition has kept its data | the data is lost |
//! | `bucket:<mark>` | hash | `u` units in it as of `t`, see [`Fill`](crate::domain::rate_limit::Fill) | it is empty |
//! | `places:<mark>` | sorted set | mark of a place → until when it is remembered | the last end |
//!
//! The last two belong to no user but to keyed hashes ([`BucketId`], [`AccountMark`]), of which
//! nobody can tell whose they are. Their hash tags are `{rNN}`, one of as many, by the hash.
//!
//! Under the hash tag `{all}` stand a `revocations` of what is no user's, and an `incarnation`
//! that readers of the feed go by. Beside them is what [`mirrors`](super::mirrors) needs:
//!
//! | key | type | holds | lives until |
//! | --- | --- | --- | --- |
//! | `mirrors` | hash | `epoch`, the number of `barriers`, `m:<mirror>` → `<acknowledged>:<max_staleness>` | a day without a mirror |
//! | `barriers` | stream | `epoch`, `number` of each barrier | a minute after the last one |
//! | `acknowledgements` | stream | `epoch`, `mirror`, `number` of each acknowledgement | a minute after the last one |
//!
//! The entries of `revocations` have one of three shapes: `sub`, `sid`, `until` (a session); `sub`,
//! `jti`, `until` (an access token); `sub`, `nbf`, `sids`, `until` (a security event; `sids` joined
//! by commas). In the stream of everybody they are `jti`, `until` (a client's own token), `kid`, `until` (a
//! signing key) or `all`, `nbf`, `until`. Only a session that is known to be the user's is announced: nobody ends another's by
//! naming its id. Entry ids start with our `now`.

use std::fmt;

use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::rate_limit::{AccountMark, BucketId};

/// How many hash tags there are: enough to spread users over any cluster, few enough that one
/// reader can follow the `revocations` of all of them.
pub const PARTITIONS: u8 = 64;

/// The fields of a `session:<sid>` hash, short because there is one per login: user id, e-mail
/// address, role, security version, generation, created at, rotated at (`t`), newest
/// access token at (`n`), idle deadline, absolute deadline, then where it was opened: the client's
/// network address (`p`) and user agent (`w`), empty where there is none, and client (`k`). The
/// scripts know them by the same names.
pub const SESSION_FIELDS: [&str; 13] = ["u", "e", "r", "v", "g", "c", "t", "n", "i", "a", "p", "w", "k"];

/// The part of the key space that a user's keys share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition(u8);

impl Partition {
    /// The partition of a user.
    pub fn of(user: UserId) -> Self {
        let number = user.get().rem_euclid(i64::from(PARTITIONS));
        Self(u8::try_from(number).unwrap_or_default())
    }

    /// Every partition there is.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// Since when the partition has kept its data.
    pub fn incarnation(self) -> String {
        format!("{self}:incarnation")
    }

    /// The stream of the partition's revocations.
    pub fn revocations(self) -> String {
        format!("{self}:revocations")
    }
}

/// The keys that are about no single user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Everybody;

impl Everybody {
    /// Since when Redis has kept its data, for whoever reads the revocation feed.
    pub fn incarnation(self) -> String {
        "hallpass:{all}:incarnation".to_owned()
    }

    /// The stream of revocations that concern everybody.
    pub fn revocations(self) -> String {
        "hallpass:{all}:revocations".to_owned()
    }

    /// The replicas that answer from a copy of the feed.
    pub fn mirrors(self) -> String {
        "hallpass:{all}:mirrors".to_owned()
    }

    /// The stream of barriers that they pass.
    pub fn barriers(self) -> String {
        "hallpass:{all}:barriers".to_owned()
    }

    /// The stream of what they acknowledge.
    pub fn acknowledgements(self) -> String {
        "hallpass:{all}:acknowledgements".to_owned()
    }
}

/// The prefix of the partition's keys.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hallpass:{{p{:02}}}", self.0)
    }
}

/// The keys of one user.
#[derive(Clone, Copy, Debug)]
pub struct UserKeys {
    partition: Partition,
    user: UserId,
}

impl UserKeys {
    /// The keys of that user.
    pub fn of(user: UserId) -> Self {
        Self { partition: Partition::of(user), user }
    }

    /// One session.
    pub fn session(&self, session: SessionId) -> String {
        format!("{}:session:{session}", self.partition)
    }

    /// The user's sessions.
    pub fn sessions(&self) -> String {
        self.own("sessions")
    }

    /// What of the user's is denied.
    pub fn denied(&self) -> String {
        self.own("denied")
    }

    /// The user's last security event.
    pub fn cutoff(&self) -> String {
        self.own("cutoff")
    }

    /// The user's newest reset token.
    pub fn reset(&self) -> String {
        self.own("reset")
    }

    /// [`Partition::incarnation`] of the user's partition.
    pub fn incarnation(&self) -> String {
        self.partition.incarnation()
    }

    /// [`Partition::revocations`] of the user's partition.
    pub fn revocations(&self) -> String {
        self.partition.revocations()
    }

    fn own(&self, kind: &str) -> String {
        format!("{}:{kind}:{}", self.partition, self.user)
    }
}

/// A bucket of a rate limit.
pub fn bucket(id: BucketId) -> String {
    format!("hallpass:{{r{:02}}}:bucket:{id}", spread(id.as_bytes()))
}

/// The places that an account is known to log in from.
pub fn places(account: AccountMark) -> String {
    format!("hallpass:{{r{:02}}}:places:{account}", spread(account.as_bytes()))
}

/// One of as many numbers as there are partitions, by a hash.
fn spread(hash: &[u8; 16]) -> u8 {
    hash[0] % PARTITIONS
}

/// How a session stands in `denied:<uid>`.
pub fn denied_session(session: SessionId) -> String {
    format!("s:{session}")
}

/// How an access token stands in `denied:<uid>`.
pub fn denied_token(token: Jti) -> String {
    format!("j:{token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(user: i64) -> Vec<String> {
        let keys = UserKeys::of(UserId::try_from(user).expect("a user id"));
        let session = SessionId::from(uuid::Uuid::from_u128(0xabc));
        vec![
            keys.session(session),
            keys.sessions(),
            keys.denied(),
            keys.cutoff(),
            keys.reset(),
            keys.incarnation(),
            keys.revocations(),
        ]
    }

    #[test]
    fn keys_look_like_the_table_above() {
        assert_eq!(
            keys_of(7),
            [
                "hallpass:{p07}:session:00000000-0000-0000-0000-000000000abc",
                "hallpass:{p07}:sessions:7",
                "hallpass:{p07}:denied:7",
                "hallpass:{p07}:cutoff:7",
                "hallpass:{p07}:reset:7",
                "hallpass:{p07}:incarnation",
                "hallpass:{p07}:revocations",
            ]
        );
    }

    #[test]
    fn keys_of_rate_limits_are_spread_by_their_hash() {
        let hash = "ff000000000000000000000000000000";
        let mut bytes = [0; 16];
        bytes[0] = 0xff;
        assert_eq!(bucket(BucketId::new(bytes)), format!("hallpass:{{r63}}:bucket:{hash}"));
        assert_eq!(places(AccountMark::new(bytes)), format!("hallpass:{{r63}}:places:{hash}"));
    }

    #[test]
    fn all_keys_of_a_user_share_one_hash_tag() {
        for (user, tag) in [(1, "{p01}"), (63, "{p63}"), (64, "{p00}"), (9_007_199_254_740_991, "{p63}")] {
            for key in keys_of(user) {
                assert_eq!(key.split(':').nth(1), Some(tag), "{key}");
            }
        }
    }

    #[test]
    fn users_of_one_partition_share_no_key_of_their_own() {
        let (first, second) = (keys_of(1), keys_of(65));
        for key in &first[1..5] {
            assert!(!second.contains(key), "{key}");
        }
    }

    #[test]
    fn there_are_as_many_partitions_as_there_are_tags() {
        assert_eq!(Partition::all().count(), usize::from(PARTITIONS));
        assert_eq!(
            Partition::all().last().map(Partition::revocations).as_deref(),
            Some("hallpass:{p63}:revocations")
        );
    }
}
