//! Reset tokens: one for each place that a user asked for one at.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use redis::ScriptInvocation;

use super::codec::{Answer, Entry, unreadable};
use super::scripts;
use super::standing::vouching_of;
use super::store::RedisTokenStore;
use super::time::{millis, span};
use crate::domain::clock::Timestamp;
use crate::domain::rate_limit::PlaceMark;
use crate::domain::tokens::{ResetClaims, ResetTokenHash};
use crate::domain::user::SecurityVersion;
use crate::store::error::StoreResult;
use crate::store::reset_tokens::{ResetGrant, ResetInsertion, ResetPlace, ResetTokenBackend};
use crate::store::vouching::{BackendResult, Vouched};

const RESETS: &str = "reset tokens";

#[async_trait]
impl ResetTokenBackend for RedisTokenStore {
    async fn insert_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        place: ResetPlace,
        version: SecurityVersion,
        ttl: Duration,
    ) -> BackendResult<ResetInsertion> {
        let mut script = scripts::INSERT_RESET_TOKEN.prepare_invoke();
        self.add_reset(&mut script, by, token, place.mark, version, span(ttl));
        script.arg(place.room);
        let keys = self.keys.of_user(token.user);
        let key = keys.resets();
        let entry = Entry { place: RESETS, key: &key };
        let answer = self.call(by, keys.partition().partition(), entry, script).await?;
        match answer.verdict.as_str() {
            // One that a security event has voided meanwhile is not written, and so simply never found.
            "kept" | "superseded" => Ok(ResetInsertion::Kept),
            "full" => Ok(ResetInsertion::Full),
            _ => Err(unreadable(entry, &keys, &answer).into()),
        }
    }

    async fn find_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        let keys = self.keys.of_user(token.user);
        let key = keys.resets();
        let entry = Entry { place: RESETS, key: &key };
        let mut command = redis::cmd("HGETALL");
        command.arg(&key);
        let (stored, now) = self.ask_standing(by, entry, keys.partition(), command).await?;
        let (hash, vouching) = (hex(&token.hash), vouching_of(by, token.user));
        let mut unreadable = None;
        for (place, kept) in entry.convert::<HashMap<String, String>>(stored)? {
            match Kept::read(entry, &place, &kept) {
                Ok(kept) if kept.hash == hash && kept.vouching == vouching && now < kept.grant.deadline => {
                    return Ok(Some(kept.grant));
                }
                Ok(_) => {}
                Err(error) => unreadable = Some(error),
            }
        }
        match unreadable {
            Some(error) => Err(error.into()),
            None => Ok(None),
        }
    }

    async fn take_reset_token(&self, by: &Vouched, token: &ResetClaims) -> BackendResult<Option<ResetGrant>> {
        let keys = self.keys.of_user(token.user);
        let key = keys.resets();
        let entry = Entry { place: RESETS, key: &key };
        let mut script = scripts::TAKE_RESET_TOKEN.prepare_invoke();
        script
            .key(&key)
            .key(keys.partition().state())
            .arg(self.time.argument())
            .arg(hex(&token.hash))
            .arg(vouching_of(by, token.user));
        let answer = self.call(by, keys.partition().partition(), entry, script).await?;
        match answer.verdict.as_str() {
            "taken" => Ok(Some(taken(entry, &answer)?)),
            "unknown" => Ok(None),
            _ => Err(unreadable(entry, &keys, &answer).into()),
        }
    }

    async fn restore_reset_token(
        &self,
        by: &Vouched,
        token: &ResetClaims,
        grant: ResetGrant,
    ) -> BackendResult<()> {
        let mut script = scripts::RESTORE_RESET_TOKEN.prepare_invoke();
        self.add_reset(&mut script, by, token, grant.place, grant.version, millis(grant.deadline));
        let keys = self.keys.of_user(token.user);
        let key = keys.resets();
        let entry = Entry { place: RESETS, key: &key };
        let answer = self.call(by, keys.partition().partition(), entry, script).await?;
        match answer.verdict.as_str() {
            "kept" | "superseded" => Ok(()),
            _ => Err(unreadable(entry, &keys, &answer).into()),
        }
    }
}

impl RedisTokenStore {
    /// What the two scripts that write a reset token have in common.
    fn add_reset(
        &self,
        script: &mut ScriptInvocation<'static>,
        by: &Vouched,
        token: &ResetClaims,
        place: PlaceMark,
        version: SecurityVersion,
        end: i64,
    ) {
        let keys = self.keys.of_user(token.user);
        script
            .key(keys.resets())
            .key(keys.cutoff())
            .key(keys.partition().state())
            .arg(self.time.argument())
            .arg(hex(&token.hash))
            .arg(version.get())
            .arg(end)
            .arg(vouching_of(by, token.user))
            .arg(place.to_string());
    }
}

/// A reset token as it is kept for a place: `<hash>:<security version>:<deadline>:<vouching>`.
struct Kept<'a> {
    hash: &'a str,
    vouching: &'a str,
    grant: ResetGrant,
}

impl<'a> Kept<'a> {
    fn read(entry: Entry<'_>, place: &str, text: &'a str) -> StoreResult<Self> {
        let mut words = text.split(':');
        let (hash, version, deadline) = (words.next(), words.next(), words.next());
        match (hash, words.next(), words.next()) {
            (Some(hash), Some(vouching), None) => {
                Ok(Self { hash, vouching, grant: grant(entry, version, deadline, Some(place))? })
            }
            _ => Err(entry.corrupt(format!("`{place}` is malformed"))),
        }
    }
}

fn taken(entry: Entry<'_>, answer: &Answer) -> StoreResult<ResetGrant> {
    grant(entry, answer.field(0), answer.field(1), answer.field(2))
}

fn grant(
    entry: Entry<'_>,
    version: Option<&str>,
    deadline: Option<&str>,
    place: Option<&str>,
) -> StoreResult<ResetGrant> {
    Ok(ResetGrant {
        version: SecurityVersion::new(entry.read("version", version)?),
        deadline: Timestamp::from_millis(entry.read("deadline", deadline)?),
        place: entry.read("place", place)?,
    })
}

fn hex(hash: &ResetTokenHash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
