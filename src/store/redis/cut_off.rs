//! Cutting a user off: what a security event ends, a slice at a time where there is very much.

use std::time::Duration;

use redis::ScriptInvocation;

use super::codec::{CUTOFF, Entry, SESSIONS, unreadable};
use super::keys::UserKeys;
use super::standing::vouching_of;
use super::store::RedisTokenStore;
use super::time::{millis, span};
use super::{listing, scripts};
use crate::domain::causes::with_causes;
use crate::domain::clock::Timestamp;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::journal::EntryId;
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;
use crate::store::vouching::{BackendResult, Vouched};

/// How many sessions a cut-off ends by one call, as its script has it: Redis serves nobody meanwhile.
const CUT_OFF_SLICE: usize = 500;

impl RedisTokenStore {
    /// Ends everything of a user, by a version that nothing here is of.
    /// (model: AnnouncedBeforeTheBarrier)
    pub(super) async fn cut_off_now(
        &self,
        by: &Vouched,
        user: UserId,
        id: EntryId,
        until: Timestamp,
        denial: Duration,
    ) -> BackendResult<(SecurityVersion, Vec<SessionId>)> {
        let keys = self.keys.of_user(user);
        let key = keys.cutoff();
        let entry = Entry { place: CUTOFF, key: &key };
        // The script looks at some sessions alone.
        let greatest = listing::greatest_version(&self.lists(by), user).await?;
        let mut script = scripts::CUT_OFF_USER.prepare_invoke();
        add_cut_off_keys(&mut script, &keys);
        script
            .arg(self.time.argument())
            .arg(format!("behind {}", greatest.get()))
            .arg(span(denial))
            .arg(user.get())
            .arg(vouching_of(by, user))
            .arg(0)
            .arg(id.get())
            .arg(EntryId::NONE.get())
            .arg(millis(until));
        let answer = self.call(by, keys.partition().partition(), entry, script).await?;
        if answer.verdict != "ended" {
            return Err(unreadable(entry, &keys, &answer).into());
        }
        let version = SecurityVersion::new(entry.read("version", answer.field(1))?);
        let mut ended = session_ids(entry, answer.fields.get(2..).unwrap_or_default())?;
        self.end_rest(by, user, version, denial, &mut ended).await;
        self.pass_on(by).await?;
        Ok((version, ended))
    }

    /// Ends what a cut-off has left of an account with very many sessions, a slice at a time. They are dead
    /// already, by their version: a failure leaves them to their TTL, uncounted.
    pub(super) async fn end_rest(
        &self,
        by: &Vouched,
        user: UserId,
        below: SecurityVersion,
        denial: Duration,
        ended: &mut Vec<SessionId>,
    ) {
        let keys = self.keys.of_user(user);
        let mut slice = ended.clone();
        loop {
            self.remove_ended(by, &keys, &slice).await;
            if slice.len() < CUT_OFF_SLICE {
                return;
            }
            slice = match self.end_slice(by, &keys, user, below, denial).await {
                Ok(slice) => slice,
                Err(error) => {
                    tracing::warn!(%user, error = %with_causes(&error), "some ended sessions stay in Redis until their TTL removes them");
                    return;
                }
            };
            ended.extend(&slice);
        }
    }

    async fn end_slice(
        &self,
        by: &Vouched,
        keys: &UserKeys,
        user: UserId,
        below: SecurityVersion,
        denial: Duration,
    ) -> BackendResult<Vec<SessionId>> {
        let key = keys.cutoff();
        let entry = Entry { place: CUTOFF, key: &key };
        let mut script = scripts::CUT_OFF_USER.prepare_invoke();
        add_cut_off_keys(&mut script, keys);
        script
            .arg(self.time.argument())
            .arg(below.get())
            .arg(span(denial))
            .arg(user.get())
            .arg(vouching_of(by, user))
            .arg(-1)
            .arg(EntryId::NONE.get())
            .arg(EntryId::NONE.get())
            .arg(0);
        let answer = self.call(by, keys.partition().partition(), entry, script).await?;
        if answer.verdict != "ended" {
            return Err(unreadable(entry, keys, &answer).into());
        }
        Ok(session_ids(entry, answer.fields.get(2..).unwrap_or_default())?)
    }

    /// Frees the memory of sessions that a cut-off has ended. They are dead without that, so a
    /// failure changes nothing: their TTL removes them later.
    async fn remove_ended(&self, by: &Vouched, keys: &UserKeys, ended: &[SessionId]) {
        if ended.is_empty() {
            return;
        }
        let mut command = redis::cmd("UNLINK");
        for session in ended {
            command.arg(keys.session(*session));
        }
        let entry = Entry { place: SESSIONS, key: &keys.sessions() };
        if let Err(error) = self.ask_vouched(by, keys.partition().partition(), entry, command).await {
            tracing::debug!(error = %with_causes(&error), "ended sessions stay in Redis until their TTL removes them");
        }
    }
}

/// The keys of the script that cuts a user off.
pub(super) fn add_cut_off_keys(script: &mut ScriptInvocation<'static>, keys: &UserKeys) {
    script
        .key(keys.cutoff())
        .key(keys.sessions())
        .key(keys.denied())
        .key(keys.resets())
        .key(keys.revocations())
        .key(keys.partition().state())
        .key(keys.partition().applied())
        .key(keys.partition().owed());
}

/// The ids that a script has answered.
pub(super) fn session_ids(entry: Entry<'_>, fields: &[Option<String>]) -> StoreResult<Vec<SessionId>> {
    let id = |field: &Option<String>| entry.read("sid", field.as_deref()).map(uuid::Uuid::into);
    fields.iter().map(id).collect()
}
