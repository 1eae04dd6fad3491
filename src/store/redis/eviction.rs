//! Ending sessions of accounts that have too many.

use std::time::Duration;

use super::codec::{Entry, SESSION, unreadable};
use super::scripts;
use super::standing::vouching_of;
use super::store::RedisTokenStore;
use super::time::span;
use crate::domain::clock::Timestamp;
use crate::domain::journal::EntryId;
use crate::store::sessions::{EVICTIONS_REMEMBERED, Eviction};
use crate::store::vouching::{BackendResult, Vouched};

impl RedisTokenStore {
    /// The script announces it; nobody is told that it has ended before its entry stands in the journal.
    pub(super) async fn evict(
        &self,
        by: &Vouched,
        eviction: &Eviction,
        id: EntryId,
        denial: Duration,
    ) -> BackendResult<Option<Timestamp>> {
        let Eviction { user, session, max } = *eviction;
        let keys = self.keys.of_user(user);
        let key = keys.session(session);
        let entry = Entry { place: SESSION, key: &key };
        let mut script = scripts::EVICT_SESSION.prepare_invoke();
        self.add_session(&mut script, user, session);
        script.arg(max).arg(span(denial)).arg(vouching_of(by, user)).arg(id.get()).arg(EVICTIONS_REMEMBERED);
        let answer = self.call(by, keys.partition().partition(), entry, script).await?;
        match answer.verdict.as_str() {
            "evicted" => {
                let until = entry.read("until", answer.field(0))?;
                Ok(Some(Timestamp::from_millis(until)))
            }
            "kept" => Ok(None),
            _ => Err(unreadable(entry, &keys, &answer).into()),
        }
    }
}
