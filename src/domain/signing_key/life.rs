//! The life of a signing key, as rules about time.
//!
//! next → active → retiring → retired, then forgotten; from anywhere to revoked. No step harms a
//! validator that keeps the published keys for as long as it was told: a key is published long
//! before it signs, and for as long as a token lives after it has signed its last.

use std::time::Duration;

use super::{KeyState, RingKey, SigningAlgorithm};
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;

/// The least time that a key is published before it signs: validators keep keys for minutes to an
/// hour whatever they are told (jwx an hour, most ten minutes).
pub const PUBLISH_AHEAD_MIN: Duration = Duration::from_secs(3600);

/// How far replicas can lag behind the database. Each re-reads the ring every two seconds; the rest
/// is for one that the database did not answer at once.
const REPLICAS_LAG: Duration = Duration::from_secs(60);

/// How old a key is at the least when somebody forces it to sign: every replica has read it then, so
/// none takes its tokens for forged.
const REPLICAS_READ: Duration = Duration::from_secs(5);

/// How long the revocation of a key is told. Whoever has a leaked key signs tokens with any time of
/// expiry, so it is not a token's lifetime that counts but how long validators keep a key that they
/// once fetched: .NET, the slowest that asks again at all, twelve hours.
const REVOCATION_TOLD_FOR: Duration = Duration::from_secs(24 * 3600);

/// The rules by which keys come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLife {
    /// What new keys sign with. The ring moves over to it the way that it moves from key to key.
    pub algorithm: SigningAlgorithm,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
    /// How long a key signs before the next one takes over; never by itself where there is none.
    pub rotate_every: Option<Duration>,
    /// How long an access token is accepted: its lifetime, and how far clocks may differ.
    pub access_token: Duration,
    /// How long a session lives at the most. For that long somebody may bring an expired access
    /// token along.
    pub session: Duration,
}

/// What is to be done to the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// There is no key to sign with: one is made that signs at once.
    Begin,
    /// A next key is made, and published from then on.
    AddNext,
    /// A next key signs from now on.
    Promote {
        /// Which.
        next: KeyId,
        /// The one that signed until then, and is retiring from now on.
        instead_of: Option<KeyId>,
    },
    /// A key is no longer published.
    Retire(KeyId),
    /// A retired key is deleted.
    Forget(KeyId),
}

impl KeyStep {
    /// Whether the set of published keys is another one afterwards. It is after a promotion: another
    /// next key is made then.
    pub const fn changes_published(&self) -> bool {
        !matches!(self, Self::Forget(_))
    }
}

/// A step, and the moment when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// When.
    pub at: Timestamp,
    /// What.
    pub step: KeyStep,
}

/// Why a key is not moved on by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// Validators may not have it yet.
    #[error("the key {key} is not published for long enough: it may sign in {}; until then validators that do not know it yet would refuse its tokens (--force takes that)", rough(.left))]
    TooYoung {
        /// Which.
        key: KeyId,
        /// For how long that is so.
        left: Duration,
    },
    /// Not even all replicas have read it.
    #[error("the key {key} was made only just now: other replicas may not know it before {} from now", rough(.left))]
    NotRead {
        /// Which.
        key: KeyId,
        /// For how long that is so.
        left: Duration,
    },
    /// Tokens that it signed are still in use.
    #[error("tokens that the key {key} signed are in use for another {}; validators would refuse them (--force takes that)", rough(.left))]
    InUse {
        /// Which.
        key: KeyId,
        /// For how long that is so.
        left: Duration,
    },
    /// It signs: another one has to take over first.
    #[error("the key {0} signs; promote another one first, or revoke it if it has leaked")]
    Signs(KeyId),
    /// It does not stand where that could be done.
    #[error("the key {key} is {state}")]
    WrongState {
        /// Which.
        key: KeyId,
        /// Where it stands.
        state: &'static str,
    },
    /// There is no such key.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// There is nothing to promote.
    #[error("there is no next key")]
    NoNext,
    /// The very key is there already.
    #[error("the key {key} is in the ring already, and it is {state}")]
    Present {
        /// Which.
        key: KeyId,
        /// Where it stands.
        state: &'static str,
    },
}

/// Hours, minutes and seconds, the two largest that are not zero; rounded up to seconds.
fn rough(span: &Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).take(2).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

fn active(ring: &[RingKey]) -> Option<&RingKey> {
    ring.iter().find(|key| matches!(key.state, KeyState::Active { .. }))
}

/// The next key that has waited longest, of an algorithm or of any.
fn oldest_next(ring: &[RingKey], algorithm: Option<SigningAlgorithm>) -> Option<&RingKey> {
    ring.iter()
        .filter(|key| key.state == KeyState::Next)
        .filter(|key| algorithm.is_none_or(|algorithm| key.key.algorithm == algorithm))
        .min_by_key(|key| (key.key.created_at, &key.key.id))
}

impl KeyLife {
    /// How long a key stays published after it signed its last token.
    pub fn retiring(&self) -> Duration {
        self.access_token + REPLICAS_LAG
    }

    /// What has to be done at once because nothing signs: the first key, or what follows a revoked
    /// one, whether it was published for long or not.
    pub fn urgent(&self, ring: &[RingKey]) -> Option<KeyStep> {
        if active(ring).is_some() {
            return None;
        }
        let next = oldest_next(ring, Some(self.algorithm)).or_else(|| oldest_next(ring, None));
        Some(match next {
            Some(next) => KeyStep::Promote { next: next.key.id.clone(), instead_of: None },
            None => KeyStep::Begin,
        })
    }

    /// Everything that will have to be done to the ring as it is, the earliest first.
    pub fn plan(&self, ring: &[RingKey]) -> Vec<PlannedStep> {
        let mut plan = Vec::new();
        match (self.urgent(ring), active(ring)) {
            (Some(step), _) => plan.push(PlannedStep { at: Timestamp::from_millis(0), step }),
            (None, Some(active)) => plan.extend(self.succession(ring, active)),
            (None, None) => {}
        }
        for RingKey { key, state } in ring {
            let id = key.id.clone();
            match *state {
                KeyState::Retiring { since } => {
                    plan.push(PlannedStep { at: since.after(self.retiring()), step: KeyStep::Retire(id) });
                }
                KeyState::Retired { since } => {
                    plan.push(PlannedStep { at: since.after(self.session), step: KeyStep::Forget(id) });
                }
                KeyState::Next | KeyState::Active { .. } | KeyState::Revoked { .. } => {}
            }
        }
        plan.sort_by_key(|planned| planned.at);
        plan
    }

    /// What comes after the key that signs.
    fn succession(&self, ring: &[RingKey], active: &RingKey) -> Option<PlannedStep> {
        let Some(next) = oldest_next(ring, Some(self.algorithm)) else {
            return Some(PlannedStep { at: active.since(), step: KeyStep::AddNext });
        };
        let published = next.key.created_at.after(self.publish_ahead);
        let at = if active.key.algorithm != self.algorithm {
            published
        } else {
            published.max(active.since().after(self.rotate_every?))
        };
        let (next, instead_of) = (next.key.id.clone(), Some(active.key.id.clone()));
        Some(PlannedStep { at, step: KeyStep::Promote { next, instead_of } })
    }

    /// The step that is due at `now`, if any. One at a time: each changes what follows.
    pub fn due(&self, ring: &[RingKey], now: Timestamp) -> Option<KeyStep> {
        self.plan(ring).into_iter().find(|planned| planned.at <= now).map(|planned| planned.step)
    }

    /// When the set of published keys changes next.
    pub fn next_change(&self, ring: &[RingKey]) -> Option<Timestamp> {
        let plan = self.plan(ring);
        plan.into_iter().find(|planned| planned.step.changes_published()).map(|planned| planned.at)
    }

    /// Whether the revocation feed is to be told at `now` that a key is revoked. The feed forgets what is
    /// older than an access token, so it is told again in time.
    pub fn owes_announcement(&self, key: &RingKey, now: Timestamp) -> bool {
        match key.state {
            KeyState::Revoked { announced: None, .. } => true,
            KeyState::Revoked { since, announced: Some(last) } => {
                now >= last.after(self.access_token / 2) && now < since.after(REVOCATION_TOLD_FOR)
            }
            _ => false,
        }
    }

    /// The step by which a next key signs from now on: the one that is named, or the one that has
    /// waited longest. `force` does without the time that it must have been published.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn promote(
        &self,
        ring: &[RingKey],
        id: Option<&KeyId>,
        now: Timestamp,
        force: bool,
    ) -> Result<KeyStep, KeyRefusal> {
        let next = match id {
            Some(id) => find(ring, id)?,
            None => oldest_next(ring, Some(self.algorithm))
                .or_else(|| oldest_next(ring, None))
                .ok_or(KeyRefusal::NoNext)?,
        };
        let key = next.key.id.clone();
        if next.state != KeyState::Next {
            return Err(KeyRefusal::WrongState { key, state: next.state.as_str() });
        }
        let left = |wait: Duration| next.key.created_at.after(wait).since(now);
        if !force && !left(self.publish_ahead).is_zero() {
            return Err(KeyRefusal::TooYoung { key, left: left(self.publish_ahead) });
        }
        if !left(REPLICAS_READ).is_zero() {
            return Err(KeyRefusal::NotRead { key, left: left(REPLICAS_READ) });
        }
        Ok(KeyStep::Promote { next: key, instead_of: active(ring).map(|active| active.key.id.clone()) })
    }

    /// The step by which a key is no longer published. `force` does without the time for which tokens
    /// that it signed are in use.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn retire(
        &self,
        ring: &[RingKey],
        id: &KeyId,
        now: Timestamp,
        force: bool,
    ) -> Result<KeyStep, KeyRefusal> {
        let ring_key = find(ring, id)?;
        let key = id.clone();
        match ring_key.state {
            KeyState::Next => Ok(KeyStep::Retire(key)),
            KeyState::Active { .. } => Err(KeyRefusal::Signs(key)),
            KeyState::Retiring { since } => {
                let left = since.after(self.retiring()).since(now);
                match left.is_zero() || force {
                    true => Ok(KeyStep::Retire(key)),
                    false => Err(KeyRefusal::InUse { key, left }),
                }
            }
            KeyState::Retired { .. } | KeyState::Revoked { .. } => {
                Err(KeyRefusal::WrongState { key, state: ring_key.state.as_str() })
            }
        }
    }
}

fn find<'a>(ring: &'a [RingKey], id: &KeyId) -> Result<&'a RingKey, KeyRefusal> {
    ring.iter().find(|key| key.key.id == *id).ok_or_else(|| KeyRefusal::Unknown(id.clone()))
}

#[cfg(test)]
mod tests;
