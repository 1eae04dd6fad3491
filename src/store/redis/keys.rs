//! Every key in Redis is built here, and what stands behind each is written down here.
//!
//! Each begins with the [`DeploymentMark`] of the deployment that it belongs to: two that share one
//! Redis know the same user ids, and must not meet. All keys of one user carry the hash tag of the
//! user's [`Partition`], so that every script touches one slot of a Redis Cluster:
//! `<mark>:{pNN}:<what the table says>`. Times are milliseconds since the epoch, by our clock.
//!
//! | key | type | holds | lives until |
//! | --- | --- | --- | --- |
//! | `opened:<sid>` | hash | one session, see below | its idle deadline |
//! | `sessions:<uid>` | sorted set | `<sid>:<security version>` → idle deadline | the last deadline |
//! | `denied:<uid>` | sorted set | `s:<sid>` or `j:<jti>` → when the denial ends | the last end |
//! | `cut_off:<uid>` | string | the version of the last security event | no older session can be left |
//! | `resets:<uid>` | hash | mark of a place → `<hash>:<security version>:<deadline>:<vouching>` of its newest reset token | the last deadline |
//! | `evicted:<uid>` | sorted set | `<sid>` of a session that was ended for want of room → when its end matters no more; the latest alone | the last end |
//! | `revocations` | stream | every revocation of the partition | one denial after the last one |
//! | `state` | hash | `incarnation`, `vouching`, `mark`, `entry`, `seal`: see [`PartitionState`](crate::store::examination::PartitionState) | the data is lost |
//! | `applied` | sorted set | id of an entry of the journal → its position behind the mark | the mark has passed it |
//! | `owed` | hash | id of an entry → `<kind> <uid> <subject> <until>` (`-` for what is no user's), to be written into the journal | it is written |
//! | `lease` | string | which replica makes the store whole: in the first partition that a server answers for, from everybody's on | its term is over |
//! | `probe` | string | nothing; it is written to see whether writes are taken, in a partition of each server | a minute after it was written |
//! | `fence` | string | nothing; it is written behind a revocation, to wait until replicas have it | a minute after it was written |
//! | `bucket:<mark>` | hash | `u` units in it as of `t`, see [`Fill`](crate::domain::rate_limit::Fill) | it is empty |
//! | `places:<mark>` | sorted set | mark of a place → until when it is remembered | the last end |
//!
//! The fields of an `opened:<sid>` hash have short names because there is one per login. What is judged has one each: user id
//! (`u`), security version (`v`), generation (`g`), created at (`c`), rotated at (`t`), newest access token at (`n`),
//! idle deadline (`i`), absolute deadline (`a`), incarnation (`b`). What the session carries, the text of
//! [`Carried::encode`](crate::domain::session_carried::Carried::encode), is cut into fields `0`, `1` and so on of at most 64
//! bytes: one that is longer makes Redis keep the whole hash in three times the room (`hash-max-listpack-value`). `d`
//! marks it: the format, and the beginning of its SHA-1, by which the scripts know that it is as it was written.
//! Builds before had a field for each part of it, `e`, `r`, `p`, `w`, `k` and `m`; those sessions are read until they end.
//!
//! Builds before had `session:<sid>`, `cutoff:<uid>` and `reset:<uid>` of another shape. They may stand beside these, where
//! `redis.prefix` was kept, and are not read.
//!
//! The last two belong to no user but to keyed hashes ([`BucketId`], [`AccountMark`]), of which
//! nobody can tell whose they are. Their hash tags are `{rNN}`, one of as many, by the hash.
//!
//! Under the hash tag `{all}` stands the partition of everybody, with `denied` for machines' tokens
//! (`j:<jti>`), and without an end the `owner`: the
//! deployment's id and its public URL with a blank between, see [`owner`](super::owner). Beside them is
//! what [`mirrors`](super::mirrors) needs, and which [`replicas`](super::presence) run:
//!
//! | key | type | holds | lives until |
//! | --- | --- | --- | --- |
//! | `mirrors` | hash | `epoch`, the number of `barriers`, `m:<mirror>` → `<acknowledged>:<max_staleness>` | a day without a mirror |
//! | `barriers` | stream | `epoch`, `number` of each barrier | a minute after the last one |
//! | `acknowledgements` | stream | `epoch`, `mirror`, `number` of each acknowledgement | a minute after the last one |
//! | `replicas` | sorted set | what a replica says of itself: its name, the mark of the secret that mints and those of others that it accepts → until when that holds | the last end |
//!
//! The entries of `revocations` have one of three shapes: `sub`, `sid`, `until` (a session); `sub`,
//! `jti`, `until` (an access token); `sub`, `sv`, `sids`, `until` (a security event: everything of the
//! user from below the version `sv`; `sids` joined by commas). In the stream of everybody they are
//! `jti`, `until` (a machine's token), `kid`, `until` (a signing key) or `sub`, `sv`, `sids`, `until` (a client that was
//! deleted, by its id; `sv` is 1 and `sids` empty).

use std::sync::Arc;

use crate::domain::deployment::DeploymentMark;
use crate::domain::ids::{Jti, SessionId, UserId};
use crate::domain::partition::Partition;
use crate::domain::rate_limit::{AccountMark, BucketId};

const OWNER: &str = "owner";

/// The hash tag of a partition's keys.
pub fn tag(partition: Partition) -> String {
    match partition {
        Partition::EVERYBODY => "all".to_owned(),
        users => format!("p{:02}", users.number()),
    }
}

/// The keys of one deployment.
#[derive(Clone, Debug)]
pub struct Keys {
    mark: Arc<str>,
}

impl Keys {
    /// The keys of the deployment with that mark.
    pub fn new(mark: &DeploymentMark) -> Self {
        Self { mark: mark.as_str().into() }
    }

    /// The keys of a user.
    pub fn of_user(&self, user: UserId) -> UserKeys {
        UserKeys { partition: self.partition(Partition::of(user)), user }
    }

    /// The keys of a partition.
    pub fn partition(&self, partition: Partition) -> PartitionKeys {
        PartitionKeys { mark: self.mark.clone(), partition }
    }

    /// The keys that are about no single user.
    pub fn everybody(&self) -> Everybody {
        Everybody(self.partition(Partition::EVERYBODY))
    }

    /// A bucket of a rate limit.
    pub fn bucket(&self, id: BucketId) -> String {
        format!("{}:{{r{:02}}}:bucket:{id}", self.mark, spread(id.as_bytes()))
    }

    /// The places that an account is known to log in from.
    pub fn places(&self, account: AccountMark) -> String {
        format!("{}:{{r{:02}}}:places:{account}", self.mark, spread(account.as_bytes()))
    }
}

/// The keys of one partition.
#[derive(Clone, Debug)]
pub struct PartitionKeys {
    mark: Arc<str>,
    partition: Partition,
}

impl PartitionKeys {
    /// Which one.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// What the partition says of itself.
    pub fn state(&self) -> String {
        self.key("state")
    }

    /// What of the journal was carried out behind the mark.
    pub fn applied(&self) -> String {
        self.key("applied")
    }

    /// What is to be written into the journal.
    pub fn owed(&self) -> String {
        self.key("owed")
    }

    /// The stream of the partition's revocations.
    pub fn revocations(&self) -> String {
        self.key("revocations")
    }

    /// Which replica makes the store whole.
    pub fn lease(&self) -> String {
        self.key("lease")
    }

    /// What is written to see whether writes are taken.
    pub fn probe(&self) -> String {
        self.key("probe")
    }

    /// What is written behind a revocation, to wait until replicas have it.
    pub fn fence(&self) -> String {
        self.key("fence")
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{{{}}}:{name}", self.mark, tag(self.partition))
    }
}

/// The keys that are about no single user.
#[derive(Clone, Debug)]
pub struct Everybody(PartitionKeys);

impl Everybody {
    /// Those of the partition.
    pub fn partition(&self) -> &PartitionKeys {
        &self.0
    }

    /// Which of machines' tokens are denied.
    pub fn denied(&self) -> String {
        self.0.key("denied")
    }

    /// The replicas that answer from a copy of the feed.
    pub fn mirrors(&self) -> String {
        self.0.key("mirrors")
    }

    /// The replicas that run, and what each says of itself.
    pub fn presences(&self) -> String {
        self.0.key("replicas")
    }

    /// The stream of barriers that they pass.
    pub fn barriers(&self) -> String {
        self.0.key("barriers")
    }

    /// The stream of what they acknowledge.
    pub fn acknowledgements(&self) -> String {
        self.0.key("acknowledgements")
    }

    /// Whose all keys with this mark are.
    pub fn owner(&self) -> String {
        self.0.key(OWNER)
    }
}

/// The keys of one user.
#[derive(Clone, Debug)]
pub struct UserKeys {
    partition: PartitionKeys,
    user: UserId,
}

impl UserKeys {
    /// Whose they are.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// One session.
    pub fn session(&self, session: SessionId) -> String {
        self.partition.key(&format!("opened:{session}"))
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
        self.own("cut_off")
    }

    /// The user's reset tokens, one for each place.
    pub fn resets(&self) -> String {
        self.own("resets")
    }

    /// The user's sessions that were ended since there were too many.
    pub fn evictions(&self) -> String {
        self.own("evicted")
    }

    /// The keys of the user's partition.
    pub fn partition(&self) -> &PartitionKeys {
        &self.partition
    }

    /// [`PartitionKeys::revocations`] of the user's partition.
    pub fn revocations(&self) -> String {
        self.partition.revocations()
    }

    fn own(&self, kind: &str) -> String {
        self.partition.key(&format!("{kind}:{}", self.user))
    }
}

/// One of as many numbers as there are partitions, by a hash.
fn spread(hash: &[u8; 16]) -> u8 {
    hash[0] % Partition::USERS
}

/// What matches every deployment's [`Everybody::owner`]. Braces mean nothing in a pattern of Redis.
pub fn owners() -> String {
    format!("*:{{all}}:{OWNER}")
}

/// The mark that a key of [`owners`] begins with.
pub fn mark_of_owner(key: &str) -> Option<DeploymentMark> {
    let mark = key.strip_suffix(OWNER)?.strip_suffix(":{all}:")?;
    DeploymentMark::parse(mark).ok()
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

    fn keys() -> Keys {
        Keys::new(&DeploymentMark::parse("prod").expect("a mark"))
    }

    fn keys_of(user: i64) -> Vec<String> {
        let keys = keys().of_user(UserId::try_from(user).expect("a user id"));
        let session = SessionId::from(uuid::Uuid::from_u128(0xabc));
        vec![
            keys.session(session),
            keys.sessions(),
            keys.denied(),
            keys.cutoff(),
            keys.resets(),
            keys.evictions(),
            keys.partition().state(),
            keys.partition().applied(),
            keys.partition().owed(),
            keys.revocations(),
        ]
    }

    #[test]
    fn keys_look_like_the_table_above() {
        assert_eq!(
            keys_of(7),
            [
                "prod:{p07}:opened:00000000-0000-0000-0000-000000000abc",
                "prod:{p07}:sessions:7",
                "prod:{p07}:denied:7",
                "prod:{p07}:cut_off:7",
                "prod:{p07}:resets:7",
                "prod:{p07}:evicted:7",
                "prod:{p07}:state",
                "prod:{p07}:applied",
                "prod:{p07}:owed",
                "prod:{p07}:revocations",
            ]
        );
    }

    #[test]
    fn keys_of_rate_limits_are_spread_by_their_hash() {
        let hash = "ff000000000000000000000000000000";
        let mut bytes = [0; 16];
        bytes[0] = 0xff;
        assert_eq!(keys().bucket(BucketId::new(bytes)), format!("prod:{{r63}}:bucket:{hash}"));
        assert_eq!(keys().places(AccountMark::new(bytes)), format!("prod:{{r63}}:places:{hash}"));
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
        for key in &first[1..6] {
            assert!(!second.contains(key), "{key}");
        }
    }

    #[test]
    fn every_key_begins_with_the_mark_of_its_deployment() {
        let (keys, everybody) = (keys(), keys().everybody());
        let mut all = keys_of(7);
        all.extend([
            everybody.denied(),
            everybody.partition().lease(),
            everybody.mirrors(),
            everybody.presences(),
        ]);
        all.extend([everybody.partition().state(), everybody.partition().revocations()]);
        all.extend([everybody.barriers(), everybody.acknowledgements(), everybody.owner()]);
        all.extend([keys.bucket(BucketId::new([7; 16])), keys.places(AccountMark::new([7; 16]))]);
        assert!(all.iter().all(|key| key.starts_with("prod:{")), "{all:?}");
    }

    #[test]
    fn an_owner_is_found_by_its_mark() {
        let owner = keys().everybody().owner();
        assert_eq!(mark_of_owner(&owner), DeploymentMark::parse("prod").ok());
        for other in ["prod:{all}:mirrors", "prod:{p01}:owner", "owner", ":{all}:owner", "a:b:{all}:owner"] {
            assert_eq!(mark_of_owner(other), None, "{other}");
        }
    }

    #[test]
    fn each_partition_has_a_hash_tag_of_its_own() {
        let state = |partition| keys().partition(partition).state();
        let all: std::collections::BTreeSet<_> = Partition::all().map(state).collect();
        assert_eq!(all.len(), Partition::COUNT);
        assert_eq!(state(Partition::EVERYBODY), "prod:{all}:state");
    }
}
