//! Which replicas run, in Redis.

use async_trait::async_trait;

use super::codec::{Answer, Entry};
use super::scripts;
use super::store::RedisTokenStore;
use super::time::span;
use crate::domain::secret_mark::Presence;
use crate::store::error::{StoreError, StoreResult};
use crate::store::presence::{PRESENCE_TTL, PresenceStore};

const PRESENCES: &str = "replicas";

#[async_trait]
impl PresenceStore for RedisTokenStore {
    async fn announce_presence(&self, presence: &Presence) -> StoreResult<()> {
        self.note_presence(&presence.replica, &presence.to_string()).await
    }

    async fn withdraw_presence(&self, replica: &str) -> StoreResult<()> {
        self.note_presence(replica, "").await
    }

    async fn list_presences(&self) -> StoreResult<Vec<Presence>> {
        let key = self.keys.everybody().presences();
        let entry = Entry { place: PRESENCES, key: &key };
        let mut script = scripts::LIST_PRESENCES.prepare_invoke();
        script.key(&key).arg(self.time.argument_of_any_time());
        let answer = self.count(entry, script).await?;
        if answer.verdict != "listed" {
            return Err(unexpected(entry, &answer));
        }
        let said = answer.fields.iter().filter_map(|text| text.as_deref()?.parse().ok());
        let mut presences: Vec<Presence> = said.collect();
        presences.sort();
        Ok(presences)
    }
}

impl RedisTokenStore {
    async fn note_presence(&self, replica: &str, said: &str) -> StoreResult<()> {
        let key = self.keys.everybody().presences();
        let entry = Entry { place: PRESENCES, key: &key };
        let mut script = scripts::NOTE_PRESENCE.prepare_invoke();
        script.key(&key).arg(self.time.argument_of_any_time()).arg(replica).arg(said).arg(span(PRESENCE_TTL));
        let answer = self.count(entry, script).await?;
        if answer.verdict == "noted" { Ok(()) } else { Err(unexpected(entry, &answer)) }
    }
}

fn unexpected(entry: Entry<'_>, answer: &Answer) -> StoreError {
    entry.corrupt(format!("unexpected verdict `{}`", answer.verdict))
}
