//! Revocations: how they are carried out, and the feed that tells every replica of them, in the order in which
//! the token store has them.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreResult;
use super::unreachable::engine_trait;
use super::vouching::{BackendResult, Vouched};
use crate::domain::clock::Timestamp;
use crate::domain::ids::{KeyId, SessionId, UserId};
use crate::domain::journal::{EntryId, Journaled, Link, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::domain::revocation::Revocation;
use crate::domain::user::SecurityVersion;

/// Where revocations are read and announced. Whoever has read all of it knows every revocation that
/// still matters.
#[async_trait]
pub trait RevocationStore: Send + Sync + 'static {
    /// A reader that begins with all that still matters.
    fn reader(&self, role: ReaderRole) -> Box<dyn RevocationReader>;

    /// Announces that a signing key was revoked, which matters for as long as `remembered`. Other revocations
    /// are announced by the operations that make them.
    async fn announce_key(&self, key: &KeyId, remembered: Duration) -> StoreResult<()>;
}

/// What a reader's copy of the feed is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderRole {
    /// To look at: nobody waits for it.
    Observer,
    /// To answer in place of the store. No revocation is confirmed to whoever makes it before this
    /// copy has it, or can no longer be in use.
    Mirror {
        /// What others know it by; no two readers ever have the same.
        name: Uuid,
        /// How long after the beginning of a confirmed read the copy is used at most.
        max_staleness: Duration,
    },
}

/// Whether a copy may answer in place of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may, until its `max_staleness` after the moment at which the last read began.
    Mirror,
    /// Not on the strength of the last read: that was not all there is. What was confirmed before
    /// holds as long as it did.
    CatchingUp,
    /// It may not, not even on the strength of earlier reads: nobody waits for it.
    Observer,
}

/// Follows the feed.
#[async_trait]
pub trait RevocationReader: Send {
    /// What was announced since the last call; the first call answers all that still matters. Waits
    /// up to `wait` for something to come. After an error the same reader goes on where it was.
    async fn read(&mut self, wait: Duration) -> StoreResult<FeedBatch>;

    /// Says that all that was read has been taken in, and hears what the copy is good for.
    async fn confirm(&mut self) -> StoreResult<Standing>;

    /// Goes on as an observer: the copy is used in place of the store no more.
    async fn step_back(&mut self) -> StoreResult<()>;
}

/// Some of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedBatch {
    /// What was announced, in order.
    pub announced: Vec<Revocation>,
    /// Which vouching the entries are of. When this changes, the reader has begun anew, and what it
    /// was told before can be told again.
    pub vouching: VouchingId,
    /// The incarnation of each partition, in the order of [`Partition::all`](crate::domain::partition::Partition::all):
    /// every token of an earlier one is to be refused.
    pub incarnations: Vec<i64>,
    /// The token store's clock before anything of this was read: all that was announced until then is in
    /// what was read so far.
    pub as_of: Timestamp,
    /// Whether this was all there is. If not, the next call answers at once.
    pub is_complete: bool,
}

/// How a revocation that is carried out stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Here: the mark moves on over this position once all before it were carried out.
    At(Link),
    /// Nowhere yet: it is kept among those that are owed to the journal.
    Owed,
}

/// What a revocation that was carried out has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedOut {
    /// The sessions that ended; a single one that was no longer live is not among them.
    pub ended: Vec<SessionId>,
    /// What it was to the mark.
    pub placed: Placed,
}

impl CarriedOut {
    /// What an entry has done that was carried out before its writer heard of it: by a look, or by a try of the
    /// writer's own whose answer could not be vouched for. A session has ended by it and by nothing else.
    pub(crate) fn by_this_entry(self, revoked: &Journaled) -> Self {
        match revoked {
            Journaled::Session { session, .. } if self.ended.is_empty() => {
                Self { ended: vec![*session], ..self }
            }
            _ => self,
        }
    }
}

/// What a store knows of a revocation that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has not carried it out, or for less time than is asked for.
    Nothing,
    /// It is carried out, and its entry may be owed to the journal.
    CarriedOut,
    /// It is carried out, and its entry stands in the journal: nothing is owed to that.
    Journaled,
}

/// What a position in the journal was to the mark of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The mark has moved over it, or will when what lies between is carried out.
    Counted,
    /// This very entry was carried out before: the mark stands at it, or it is among those that the mark will move
    /// over.
    Again,
    /// The mark stood there already, or further on: somebody else has carried it out, or the database was
    /// restored and has given the position again.
    Passed,
    /// Another entry stands before it than the one at the mark: the database was restored.
    Diverged,
}

engine_trait! {
    /// Carries revocations out in one engine, and announces them. Each operation is atomic under any interleaving.
    pub trait RevocationBackend {
        /// Whether a session that is over, or a token, is revoked already, and denied until then at least; of a
        /// user that is never known. It may be announced and not have reached everybody yet.
        async fn known_revocation(
            &self,
            by: &Vouched,
            revoked: &Journaled,
            until: Timestamp,
        ) -> BackendResult<Known>;

        /// Carries a revocation out, or once more, and announces it; what it ends is denied for `denial`. Whether it
        /// has reached everybody is another question, [`passed_on`](Self::passed_on).
        async fn carry_out(
            &self,
            by: &Vouched,
            entry: &NewEntry,
            placement: Placement,
            denial: Duration,
        ) -> BackendResult<CarriedOut>;

        /// Ends everything of a user while the database is away: the cut-off takes the next version that
        /// the store knows of none for, and is owed to the journal under `entry`.
        /// (model: VersionsAreNew, OwedUntilJournaled)
        async fn cut_off_ahead(
            &self,
            by: &Vouched,
            user: UserId,
            entry: EntryId,
            until: Timestamp,
            denial: Duration,
        ) -> BackendResult<(SecurityVersion, Vec<SessionId>)>;

        /// Returns once every replica that answers from a copy of the feed knows all that was announced.
        async fn passed_on(&self, by: &Vouched) -> BackendResult<()>;

        /// Returns once as many replicas of the store itself as the settings ask for have all that was carried
        /// out before in a partition. A store that is one file has none.
        ///
        /// # Errors
        /// Too few have it so far, or it is not known: it is carried out all the same.
        async fn replicated(&self, by: &Vouched, partition: Partition) -> BackendResult<()>;

        /// Announces that a signing key was revoked; what is in the journal is announced as it is carried
        /// out.
        async fn announce_key(&self, by: &Vouched, key: &KeyId, remembered: Duration) -> BackendResult<()>;
    }
}

/// Follows what a backend announces.
#[async_trait]
pub trait BackendReader: Send {
    /// As [`RevocationReader::read`]. Begins anew where the data
    /// was vouched for by another vouching than at the last read.
    /// (model: NewVouchingReadsAnew, ReadsWhatIsVouchedFor)
    async fn read(&mut self, by: &Vouched, wait: Duration) -> BackendResult<FeedBatch>;

    /// As [`RevocationReader::confirm`].
    async fn confirm(&mut self, by: &Vouched) -> BackendResult<Standing>;

    /// As [`RevocationReader::step_back`].
    async fn step_back(&mut self) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_was_carried_out_by_a_look_has_ended_its_session_all_the_same() {
        let (user, session) = (UserId::try_from(7).expect("positive"), SessionId::from(Uuid::from_u128(1)));
        let passed = |ended| CarriedOut { ended, placed: Placed::Passed };
        let of_session = Journaled::Session { user, session };
        assert_eq!(passed(Vec::new()).by_this_entry(&of_session), passed(vec![session]));
        assert_eq!(passed(vec![session]).by_this_entry(&of_session), passed(vec![session]));
        let of_user = Journaled::User { user, below: SecurityVersion::new(1) };
        assert_eq!(passed(Vec::new()).by_this_entry(&of_user), passed(Vec::new()));
    }
}
