//! Whose the keys are. Deployments that share one Redis are kept apart by their marks; a key beside the
//! others says which deployment a mark is that of, so that two with the same mark find out.

use redis::Value;

use super::codec::Entry;
use super::connection::At;
use super::errors::store_error;
use super::keys;
use super::store::RedisTokenStore;
use crate::domain::deployment::{DeploymentMark, Owner};
use crate::domain::ids::DeploymentId;
use crate::store::error::StoreResult;

const OWNER: &str = "owner";

/// How many keys a look at the others goes through at a time.
const SCAN_COUNT: u32 = 1_000;

/// How many times it does: it is for an operator who waits, on a Redis that others use as well.
const SCANS_MAX: u32 = 1_000;

/// The other deployments in a Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Others {
    /// By their marks; `None` where what stands there means nothing to this version.
    pub owners: Vec<(DeploymentMark, Option<Owner>)>,
    /// Whether all keys were looked through.
    pub is_complete: bool,
}

impl RedisTokenStore {
    /// Makes `owner` that of the keys with this store's mark, unless they have one; answers whose they
    /// are. What stands there is never replaced.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError).
    pub async fn claim(&self, owner: &Owner) -> StoreResult<Owner> {
        // A full Redis refuses SET NX even where there is nothing to be written.
        if let Some(found) = self.find_owner().await? {
            return Ok(found);
        }
        let key = self.keys.everybody().owner();
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(format!("{} {}", owner.deployment, owner.public_url)).arg("NX");
        self.ask(&key, set).await?;
        let found = self.find_owner().await?;
        found.ok_or_else(|| Entry { place: OWNER, key: &key }.corrupt("is gone right after it was written"))
    }

    /// Whose the keys with this store's mark are.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError).
    pub async fn find_owner(&self) -> StoreResult<Option<Owner>> {
        let key = self.keys.everybody().owner();
        self.owner_at(&key).await
    }

    /// The key that says so, for an operator.
    pub fn owner_key(&self) -> String {
        self.keys.everybody().owner()
    }

    /// Who else keeps something in this Redis. It goes through all keys of the database, a limited
    /// number of them: a Redis that others fill is not read to the end.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError).
    pub async fn list_others(&self) -> StoreResult<Others> {
        // All of these keys have one hash tag: in a Cluster one node has them.
        let (own, pattern) = (self.keys.everybody().owner(), keys::owners());
        let (mut found, mut cursor) = (Vec::new(), 0_u64);
        for _ in 0..SCANS_MAX {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let answer = self.ask(&pattern, scan).await?;
            let (next, page): (u64, Vec<String>) = Entry { place: OWNER, key: &pattern }.convert(answer)?;
            found.extend(page.into_iter().filter(|key| *key != own));
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        // SCAN may name a key twice.
        found.sort();
        found.dedup();
        let mut owners = Vec::new();
        for key in found {
            if let Some(mark) = keys::mark_of_owner(&key) {
                // It is another's: that it cannot be read here is no mistake of theirs.
                owners.push((mark, self.owner_at(&key).await.ok().flatten()));
            }
        }
        Ok(Others { owners, is_complete: cursor == 0 })
    }

    async fn owner_at(&self, key: &str) -> StoreResult<Option<Owner>> {
        let mut get = redis::cmd("GET");
        get.arg(key);
        let answer = self.ask(key, get).await?;
        let entry = Entry { place: OWNER, key };
        let text: Option<String> = entry.convert(answer)?;
        text.map(|text| parse(entry, &text)).transpose()
    }

    async fn ask(&self, key: &str, command: redis::Cmd) -> StoreResult<Value> {
        self.connection
            .run(At::key(key), |mut redis| async move { command.query_async(&mut redis).await })
            .await
            .map_err(|error| store_error(Entry { place: OWNER, key }, error))
    }
}

fn parse(entry: Entry<'_>, text: &str) -> StoreResult<Owner> {
    let (id, public_url) =
        text.split_once(' ').ok_or_else(|| entry.corrupt("is no id and URL with a blank between"))?;
    let id: uuid::Uuid = entry.read("id", Some(id))?;
    Ok(Owner { deployment: DeploymentId::from(id), public_url: public_url.to_owned() })
}
