//! Looking whether the token store has gone back in time: by one task at a time, under a lock that nobody
//! holds while another replica is waited for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::found::Scope;
use super::shared::{NotVouched, Shared, TRIES, Watch};
use crate::domain::clock::Clock as _;
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, View};
use crate::store::vouching::{BackendError, Vouched};

/// How long to wait for the replica that has the lease before looking again.
const LEASE_PAUSE: Duration = Duration::from_millis(20);

/// How often is looked before a replica that has the lease is waited for no longer: somewhat longer than its
/// lease, since it may be dead.
const LOOKS_MAX: usize = 128;

/// A look failed so lately that the next one would as well: whoever asks meanwhile waits that long.
const FAILURE_HOLDS: Duration = Duration::from_millis(50);

impl Shared {
    /// Looks, unless that was found whole since. Of those who ask together one looks, and the others are told
    /// what came of it; by a look that had failed before they asked nobody is refused.
    pub(super) async fn look_if_needed(&self, scope: Scope) -> StoreResult<()> {
        let asked = Instant::now();
        for _ in 0..LOOKS_MAX {
            let mut watch = self.watch.lock().await;
            if self.found.standing(scope).is_some() {
                return Ok(());
            }
            if let Some(failed) = watch.failed.filter(|failed| failed.elapsed() < FAILURE_HOLDS) {
                if failed >= asked {
                    return Err(NotVouched.error());
                }
                drop(watch);
                tokio::time::sleep_until(failed + FAILURE_HOLDS).await;
                continue;
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

    /// Whether something of what was found whole is what stands there: of several servers on one. What is not is
    /// looked at, within the bound of any operation.
    pub(super) async fn stands_anywhere(self: &Arc<Self>) -> StoreResult<()> {
        for _ in 0..TRIES {
            let by = self.vouched(Scope::Any).await?;
            let asked = join_all(of_each_server(&by).map(|partition| {
                let by = &by;
                async move { (partition, self.backend.stands(by, partition).await) }
            }));
            let (mut stands, mut failed) = (false, None);
            for (partition, answer) in asked.await {
                match answer {
                    Ok(()) => stands = true,
                    Err(BackendError::Store(error)) => failed = Some(error),
                    Err(BackendError::Unvouched) => self.doubt_all_of(&by, by.server(partition)),
                }
            }
            match failed {
                _ if stands => return Ok(()),
                Some(error) => return Err(error),
                None => {}
            }
        }
        Err(NotVouched.error())
    }

    /// Doubts what was found whole on a server.
    fn doubt_all_of(&self, by: &Vouched, server: &str) {
        let there =
            Partition::all().filter(|partition| by.has(*partition) && by.server(*partition) == server);
        there.for_each(|partition| self.found.doubt(by, partition));
    }

    /// Looks at all of it, since something of what was found whole is not what stands there: unless somebody has
    /// looked since.
    pub(super) async fn look_again(&self, by: &Arc<Vouched>) -> StoreResult<()> {
        let is_same =
            || self.found.whatever_stands().as_ref().is_some_and(|standing| Arc::ptr_eq(standing, by));
        for _ in 0..LOOKS_MAX {
            let mut watch = self.watch.lock().await;
            if !is_same() {
                return Ok(());
            }
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
            // Who asks for what nobody answers for would find the same.
            Ok(Some(view)) => ((!view.is_complete()).then(Instant::now), None),
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
            self.found.doubt_all();
            if !self.revoke_again(watch, examination, &view).await? {
                return Ok(None);
            }
            view = examination.view().await?;
        }
        self.keeper.observe_token_store(reading);
        if self.keep_what_holds(watch, &view) {
            return Ok(Some(view));
        }
        self.make_whole(watch, examination, view).await
    }

    /// Doubts what was vouched for and is not what stands there; answers whether every partition stands that a server
    /// answers for. Where none does, what was found whole on one is so until another answers.
    fn keep_what_holds(&self, watch: &Watch, view: &View) -> bool {
        let standing = self.found.whatever_stands().unwrap_or_else(|| Arc::new(Vouched::none()));
        let mut all_hold = true;
        for partition in Partition::all() {
            if view.server(partition).is_some() && !still_holds(partition, &standing, view, watch) {
                all_hold = false;
                self.found.doubt(&standing, partition);
            }
        }
        all_hold
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

/// A partition of each server that some were found whole on.
fn of_each_server(by: &Vouched) -> impl Iterator<Item = Partition> {
    let is_first = |partition: &Partition| {
        by.has(*partition)
            && Partition::all().find(|other| by.server(*other) == by.server(*partition)) == Some(*partition)
    };
    Partition::all().filter(is_first)
}

/// Whether what a partition was vouched for by is what stands there: the same server, the same vouching, and no mark
/// behind one that was seen. Then the database is not asked (model: SealIsTheServer, OwnVouchingIsTrusted).
pub(super) fn still_holds(partition: Partition, standing: &Vouched, view: &View, watch: &Watch) -> bool {
    let (vouched, Some(server)) = (standing.of(partition), view.server(partition)) else { return false };
    standing.server(partition) == &**server
        && view.state(partition).is_some_and(|state| {
            state.seal == **server
                && state.vouching == vouched.vouching
                && state.incarnation == vouched.incarnation
                && state.mark.position >= watch.seen(partition).position
        })
}
