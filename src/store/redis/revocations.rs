//! Carrying revocations out in Redis.

use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::codec::{DENYLIST, Entry, Fields};
use super::connection::At;
use super::keys;
use super::orders::Order;
use super::standing::{STANDING_FIELDS, standing_incarnation};
use super::store::RedisTokenStore;
use super::time::reaches;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, NewEntry};
use crate::domain::partition::Partition;
use crate::domain::user::SecurityVersion;
use crate::store::revocations::{CarriedOut, Known, Placement, RevocationBackend};
use crate::store::vouching::{BackendResult, Vouched};

#[async_trait]
impl RevocationBackend for RedisTokenStore {
    /// Whether a session that is over, or a token, is denied until then, and its entry in the journal.
    ///
    /// The denial is read before what is owed: who denies owes in the same step, so that a denial that was seen
    /// and is not owed afterwards stands in the journal.
    /// (model: OwedUntilJournaled)
    async fn known_revocation(
        &self,
        by: &Vouched,
        revoked: &Journaled,
        until: Timestamp,
    ) -> BackendResult<Known> {
        let (key, member) = match *revoked {
            Journaled::Session { user, session } => {
                (self.keys.of_user(user).denied(), keys::denied_session(session))
            }
            Journaled::Token { user, token } => (self.keys.of_user(user).denied(), keys::denied_token(token)),
            Journaled::MachineToken(token) => (self.keys.everybody().denied(), keys::denied_token(token)),
            Journaled::User { .. } | Journaled::Client(_) => return Ok(Known::Nothing),
        };
        let entry = Entry { place: DENYLIST, key: &key };
        let partition = self.keys.partition(revoked.partition());
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("ZSCORE")
            .arg(&key)
            .arg(member)
            .cmd("EXISTS")
            .arg(partition.owed())
            .cmd("HMGET")
            .arg(partition.state())
            .arg(&STANDING_FIELDS);
        let answers = self.connection.read(At::vouched(by, revoked.partition()), entry, pipeline).await?;
        let (denied_until, owes, standing): (Option<f64>, bool, Fields) =
            entry.convert(Value::Array(answers))?;
        standing_incarnation(entry, by.of(revoked.partition()), &standing)?;
        let is_denied = denied_until.is_some_and(|denied| reaches(denied, until));
        Ok(match (is_denied, owes) {
            (false, _) => Known::Nothing,
            (true, true) => Known::CarriedOut,
            (true, false) => Known::Journaled,
        })
    }

    /// The script announces it.
    async fn carry_out(
        &self,
        by: &Vouched,
        new: &NewEntry,
        placement: Placement,
        denial: Duration,
    ) -> BackendResult<CarriedOut> {
        let vouching = by.of(new.revoked.partition()).vouching.get().to_string();
        let (position, previous) = match placement {
            Placement::At(link) => (link.at.position, link.previous),
            Placement::Owed => (0, EntryId::NONE),
        };
        let order = Order { new: new.clone(), vouching, position, previous };
        let (entry_key, script) = order.script(&self.keys, self.time.argument(), denial);
        let answer = self.call(by, new.revoked.partition(), entry_key.entry(), script).await?;
        let mut carried_out = order.carried_out(&entry_key, &self.keys, &answer)?;
        if let Journaled::User { user, below } = new.revoked {
            self.end_rest(by, user, below, denial, &mut carried_out.ended).await;
        }
        Ok(carried_out)
    }

    /// The script announces it, and the barrier comes behind that (model: AnnouncedBeforeTheBarrier).
    async fn cut_off_ahead(
        &self,
        by: &Vouched,
        user: UserId,
        id: EntryId,
        until: Timestamp,
        denial: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)> {
        self.cut_off_now(by, user, id, until, denial).await
    }

    async fn passed_on(&self, by: &Vouched) -> BackendResult<()> {
        self.pass_on(by).await
    }

    async fn replicated(&self, by: &Vouched, partition: Partition) -> BackendResult<()> {
        match &self.replicas {
            Some(replicas) => replicas.have_it(by, partition).await,
            None => Ok(()),
        }
    }

    /// Announced before the barrier (model: AnnouncedBeforeTheBarrier).
    async fn announce_key(&self, by: &Vouched, key: &KeyId, remembered: Duration) -> BackendResult<()> {
        self.announce_revoked_key(by, key, remembered).await?;
        self.pass_on(by).await
    }
}
