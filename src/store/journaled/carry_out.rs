//! Carrying an entry out where it stands in the journal.

use std::sync::Arc;

use super::found::Scope;
use super::shared::{NotVouched, Shared, TRIES};
use crate::domain::journal::{EntryId, Link, NewEntry};
use crate::store::error::StoreResult;
use crate::store::revocations::{CarriedOut, Placed, Placement};
use crate::store::vouching::{BackendError, BackendResult, Vouched};

/// How often an entry is written once more before the operation is given up.
const REWRITES_MAX: usize = 3;

impl Shared {
    /// Carries out an entry where it stands. Should the store be past that already, somebody else has
    /// carried it out; or it is of another history, since the database was restored and has given the
    /// position again. A look makes one history of the two. Should the entry not stand in that, it is
    /// written once more.
    ///
    /// A position at or below the mark, or off its chain, is not acknowledged before a look has joined the
    /// two histories (model: PositionsAboveTheMark).
    pub(super) async fn carry_out_at(
        self: &Arc<Self>,
        entry: &NewEntry,
        link: Link,
    ) -> StoreResult<CarriedOut> {
        let carried_out = self.carry_out_once(entry, link).await?;
        let (mut placed, mut at) = (carried_out.placed, link.at);
        for _ in 0..REWRITES_MAX {
            match placed {
                Placed::Counted => return Ok(carried_out),
                // Nothing is in doubt: the store has it where the journal has.
                Placed::Again => return Ok(carried_out.by_this_entry(&entry.revoked)),
                Placed::Passed | Placed::Diverged => {}
            }
            let partition = entry.revoked.partition();
            self.found.doubt_whatever_stands(partition);
            self.vouched(Scope::Of(partition)).await?;
            if self.journal.find_entry(partition, at.position).await? == Some(at.entry) {
                return Ok(carried_out.by_this_entry(&entry.revoked));
            }
            let again = NewEntry { id: EntryId::generate(&*self.random), ..entry.clone() };
            let link = self.journal.append_entry(&again).await?;
            placed = self.carry_out_once(&again, link).await?.placed;
            at = link.at;
        }
        Err(NotVouched.error())
    }

    pub(super) async fn carry_out_once(
        self: &Arc<Self>,
        entry: &NewEntry,
        link: Link,
    ) -> StoreResult<CarriedOut> {
        let partition = entry.revoked.partition();
        for _ in 0..TRIES {
            let by = self.vouched(Scope::Of(partition)).await?;
            match self.carry_out_by(&by, entry, link).await {
                Ok(carried_out) => return Ok(carried_out),
                Err(BackendError::Store(error)) => return Err(error),
                Err(BackendError::Unvouched) => self.found.doubt(&by, partition),
            }
        }
        Err(NotVouched.error())
    }

    /// The barrier comes behind what is announced (model: AnnouncedBeforeTheBarrier).
    pub(super) async fn carry_out_by(
        self: &Arc<Self>,
        by: &Arc<Vouched>,
        entry: &NewEntry,
        link: Link,
    ) -> BackendResult<CarriedOut> {
        let carried_out = self.backend.carry_out(by, entry, Placement::At(link), self.spans.denial).await?;
        self.pass_on(by, entry.revoked.partition()).await?;
        Ok(carried_out)
    }
}
