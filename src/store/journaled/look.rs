//! Looking whether the token store has gone back in time: by one task at a time, under a lock that nobody
//! holds while another replica is waited for.

use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::shared::{NotVouched, Shared, Watch};
use crate::domain::clock::Clock as _;
use crate::domain::journal::Mark;
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, View};
use crate::store::vouching::Vouched;

/// How long to wait for the replica that has the lease before looking again.
const LEASE_PAUSE: Duration = Duration::from_millis(20);

/// How often is looked before a replica that has the lease is waited for no longer: somewhat longer than its
/// lease, since it may be dead.
const LOOKS_MAX: usize = 128;

/// A look failed so lately that the next one would as well.
const FAILURE_HOLDS: Duration = Duration::from_millis(50);

impl Shared {
    /// Looks, unless what was found whole has been found so since, or a look has just failed.
    pub(super) async fn look_if_needed(&self) -> StoreResult<()> {
        for _ in 0..LOOKS_MAX {
            let mut watch = self.watch.lock().await;
            if self.vouched.load().is_some() {
                return Ok(());
            }
            if watch.failed.is_some_and(|failed| failed.elapsed() < FAILURE_HOLDS) {
                return Err(NotVouched.error());
            }
            // What is in doubt is looked at over a connection that is new: to whatever answers now. While
            // another replica is waited for it is so already.
            if !watch.waits() {
                watch.examination = None;
            }
            if self.look(&mut watch).await?.is_some() {
                return Ok(());
            }
            drop(watch);
            tokio::time::sleep(LEASE_PAUSE).await;
        }
        Err(NotVouched.error())
    }

    /// Looks, and waits for a replica that makes the store whole: others may look meanwhile. Answers what was
    /// found with the lock that it was found under.
    pub(super) async fn looked(&self) -> StoreResult<(MutexGuard<'_, Watch>, View)> {
        for _ in 0..LOOKS_MAX {
            let mut watch = self.watch.lock().await;
            if let Some(view) = self.look(&mut watch).await? {
                return Ok((watch, view));
            }
            drop(watch);
            tokio::time::sleep(LEASE_PAUSE).await;
        }
        Err(NotVouched.error())
    }

    /// Looks at the store: whether it is still the one, with the data, that was found whole. If not,
    /// nothing is vouched for until it is made whole. `None` while another replica does that.
    async fn look(&self, watch: &mut Watch) -> StoreResult<Option<View>> {
        if watch.taken.is_some_and(|taken| taken.elapsed() < LEASE_PAUSE) {
            // Somebody else has just asked.
            return Ok(None);
        }
        let looked = self.look_once(watch).await;
        (watch.failed, watch.taken) = match &looked {
            Ok(Some(_)) => (None, None),
            Ok(None) => (None, Some(Instant::now())),
            Err(_) => (Some(Instant::now()), None),
        };
        looked
    }

    async fn look_once(&self, watch: &mut Watch) -> StoreResult<Option<View>> {
        let mut examination = match watch.examination.take() {
            Some(open) => open,
            None => self.backend.examine().await?,
        };
        let found = self.find_whole(watch, &mut *examination).await?;
        if let Some(view) = &found {
            watch.note(view);
        }
        watch.examination = Some(examination);
        Ok(found)
    }

    async fn find_whole(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
    ) -> StoreResult<Option<View>> {
        let asked_at = self.keeper.monotonic();
        let mut view = examination.view().await?;
        let reading = self.keeper.reading(asked_at, view.time);
        if !self.keeper.is_plausible(view.time) || self.keeper.has_store_jumped() {
            self.vouched.store(None);
            if !self.revoke_again(watch, examination, &view).await? {
                return Ok(None);
            }
            view = examination.view().await?;
        }
        self.keeper.observe_token_store(reading);
        let standing = self.vouched.load_full();
        if standing.as_deref().is_some_and(|standing| still_holds(standing, &view, &watch.seen)) {
            return Ok(Some(view));
        }
        self.vouched.store(None);
        self.make_whole(watch, examination, view).await
    }
}

/// Ends the lease, whatever came of what it was for.
pub(super) async fn end_lease<T>(
    watch: &Watch,
    examination: &mut dyn Examination,
    done: StoreResult<T>,
) -> StoreResult<T> {
    let ended = examination.end_lease(watch.holder).await;
    let done = done?;
    ended?;
    Ok(done)
}

/// Whether what was vouched for is what stands there: the same server, the same vouching, and no mark
/// behind one that was seen. Then the database is not asked (model: SealIsTheServer, OwnVouchingIsTrusted).
fn still_holds(standing: &Vouched, view: &View, seen: &[Mark]) -> bool {
    standing.server == view.server
        && Partition::all().zip(&view.states).zip(seen).all(|((partition, state), seen)| {
            let vouched = standing.of(partition);
            state.as_ref().is_some_and(|state| {
                state.seal == view.server
                    && state.vouching == vouched.vouching
                    && state.incarnation == vouched.incarnation
                    && state.mark.position >= seen.position
            })
        })
}
