//! Making good what a token store has forgotten, and carrying out what was left behind.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::decision::{Knowledge, Step};
use super::found::Scope;
use super::look::{end_lease, still_holds};
use super::passing_on::DRIFT_ALLOWANCE;
use super::replay::Replay;
use super::shared::{LEASE, NotVouched, Shared, Watch};
use crate::domain::causes::with_causes;
use crate::domain::client::ClientId;
use crate::domain::clock::Timestamp;
use crate::domain::ids::UserId;
use crate::domain::journal::{EntryId, JournalHead, Journaled, Mark, NewEntry, VouchingId};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, NewPartition, PartitionState, View};
use crate::store::revocations::Placed;
use crate::store::vouching::{BackendError, VouchedPartition};

/// How many entries that were left behind are carried out of a partition at one look.
const BATCH: u32 = 500;

/// How often one look begins again because something was done before it gives up; every round but the last
/// has changed something.
const ROUNDS_MAX: usize = 64;

impl Shared {
    /// Does what has to be done until every partition is whole, and vouches for each as soon as it is: others are
    /// revoked in meanwhile, so that hardly ever all of them are whole at one moment. `None` where another replica is
    /// at it.
    pub(super) async fn make_whole(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        view: View,
    ) -> StoreResult<Option<View>> {
        if self.vouch_for_what_is_whole(watch, &view).await?.is_empty() {
            return Ok(Some(view));
        }
        if !examination.lease(watch.holder, LEASE).await? {
            return Ok(None);
        }
        let whole = self.make_whole_alone(watch, examination, &view.servers).await;
        end_lease(watch, examination, whole).await
    }

    async fn make_whole_alone(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        servers: &[Option<Arc<str>>],
    ) -> StoreResult<Option<View>> {
        for _ in 0..ROUNDS_MAX {
            if !examination.lease(watch.holder, LEASE).await? {
                return Ok(None);
            }
            // Whoever had it before may have done all of it.
            let view = examination.view().await?;
            if view.servers != servers {
                // It has changed under our hands: from the beginning, at the next look.
                break;
            }
            let steps = self.vouch_for_what_is_whole(watch, &view).await?;
            if steps.is_empty() {
                return Ok(Some(view));
            }
            let is_another = |(head, _): &&(JournalHead, Step)| {
                let server = view.server(head.partition);
                server.is_some_and(|server| self.found.was_elsewhere(head.partition, server))
            };
            let partitions = steps.iter().filter(is_another).count();
            if partitions > 0 {
                tracing::warn!(partitions, "the token store has another history than before");
            }
            self.take_steps(watch, examination, &view, steps).await?;
        }
        Err(NotVouched.error())
    }

    /// Vouches for the partitions in doubt that are whole, and answers those that need a step, with what the database
    /// knows of them. That is read after the server's identity was (model: IdentityBeforeHeads).
    async fn vouch_for_what_is_whole(
        &self,
        watch: &Watch,
        view: &View,
    ) -> StoreResult<Vec<(JournalHead, Step)>> {
        let standing = self.found.whatever_stands();
        // Read after the server was: a revocation that this does not know was acknowledged by whoever has
        // carried it out on that very server.
        let mut heads = self.journal.journal_heads().await?;
        heads
            .retain(|head| !standing.as_ref().is_some_and(|by| still_holds(head.partition, by, view, watch)));
        let known_at = self.entries_at_marks(watch, view, &heads).await?;
        let (mut whole, mut steps) = (Vec::new(), Vec::new());
        for head in &heads {
            let partition = head.partition;
            let state = view.state(partition);
            let Some(server) = view.server(partition) else { continue };
            let seen = watch.seen(partition);
            let mark = state.map_or(Mark::START, |state| state.mark);
            let at = |position| known_at.get(&(partition, position)).copied();
            let known = Knowledge {
                state,
                head,
                seen,
                server,
                incarnation: self.found.known_incarnation(partition),
                vouching: self.found.known_vouching(partition),
                at_mark: at(mark.position),
                at_seen: at(seen.position),
            };
            match (known.next_step(), state) {
                (Step::None, Some(state)) => {
                    let by = VouchedPartition { incarnation: state.incarnation, vouching: state.vouching };
                    whole.push((partition, server.clone(), by));
                }
                (step, _) => steps.push((*head, step)),
            }
        }
        self.vouch(whole).await?;
        Ok(steps)
    }

    /// What the database has at the store's marks and at those that were seen, where these are below the
    /// newest entry: asked at once for all partitions.
    async fn entries_at_marks(
        &self,
        watch: &Watch,
        view: &View,
        heads: &[JournalHead],
    ) -> StoreResult<HashMap<(Partition, i64), EntryId>> {
        let mut positions = Vec::new();
        for head in heads {
            let mark = view.state(head.partition).map_or(Mark::START, |state| state.mark);
            let is_below = |position: &i64| (1..head.newest.position).contains(position);
            let marks = [mark.position, watch.seen(head.partition).position].into_iter().filter(is_below);
            positions.extend(marks.map(|position| (head.partition, position)));
        }
        if positions.is_empty() {
            return Ok(HashMap::new());
        }
        let entries = self.journal.find_entries(&positions).await?;
        Ok(positions.into_iter().zip(entries).filter_map(|(at, entry)| Some((at, entry?))).collect())
    }

    /// One step for each partition that needs one.
    /// What is lost is condemned in one round, and begun anew in a later one (model: CondemnedBeforeDrawn).
    async fn take_steps(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        view: &View,
        steps: Vec<(JournalHead, Step)>,
    ) -> StoreResult<()> {
        let (mut condemned, mut replays) = (Vec::new(), Vec::new());
        let (mut joins, mut anew, mut seal) = (Vec::new(), Vec::new(), Vec::new());
        for (head, step) in steps {
            let partition = head.partition;
            let state = view.states.get(partition.index()).and_then(Option::as_ref);
            match (step, state) {
                (Step::None, _) => {}
                (Step::BeginAnew, Some(state)) if state.vouching != VouchingId::NONE => {
                    condemned.push((partition, state.clone()));
                }
                (Step::BeginAnew, _) => anew.push(head),
                (Step::AdoptIncarnation, Some(state)) => {
                    tracing::warn!(%partition, "the database was restored: it takes over the token store's incarnation");
                    self.journal.adopt_incarnation(partition, state.incarnation).await?;
                }
                (Step::Join, Some(state)) => joins.push((partition, state.mark)),
                (Step::Replay, Some(state)) => {
                    replays.push(Replay::behind(partition, state.mark, head.newest));
                }
                (Step::Seal, Some(state)) => seal.push((partition, state.clone())),
                (Step::AdoptIncarnation | Step::Join | Step::Replay | Step::Seal, None) => {}
            }
        }
        self.join(watch, examination, &joins).await?;
        for partition in self.replay(watch, examination, replays).await? {
            let state = view.states.get(partition.index()).and_then(Option::as_ref);
            condemned.extend(state.map(|state| (partition, state.clone())));
        }
        if !condemned.is_empty() {
            // Before a number is drawn: a look that was overtaken draws none, and logs nobody out.
            examination.condemn(&condemned).await?;
        }
        // One vouching for all that are vouched for together.
        let vouching = VouchingId::generate(&*self.random);
        if !anew.is_empty() {
            let begun = self.begin_incarnation(watch, view, &anew, vouching).await?;
            examination.begin(&begun, self.spans.denial).await?;
        }
        if !seal.is_empty() {
            examination.seal(&seal, vouching).await?;
        }
        Ok(())
    }

    /// Begins another incarnation of partitions whose data is lost; answers what is to stand there, but
    /// for those that another replica has begun meanwhile.
    ///
    /// Its number is above all that are known, and not below the time (model: IncarnationsAreNew).
    /// Positions that only a mark tells of are written down as lost (model: HoleIsWrittenDown).
    async fn begin_incarnation(
        &self,
        watch: &Watch,
        view: &View,
        lost: &[JournalHead],
        vouching: VouchingId,
    ) -> StoreResult<Vec<NewPartition>> {
        let stored = view.states.iter().flatten().map(|state| state.incarnation);
        let known =
            lost.iter().map(|head| head.incarnation.max(self.found.known_incarnation(head.partition)));
        let greatest = known.chain(stored).max().unwrap_or_default();
        // Beside counting on, ahead of whatever a history that is lost may have counted to.
        let number = greatest.saturating_add(1).max(self.now().as_millis());
        if greatest > 0 {
            tracing::warn!(
                partitions = lost.len(),
                "the token store has lost data: everybody in it has to log in again"
            );
        }
        for head in lost {
            let seen = watch.seen(head.partition).position;
            if seen > head.newest.position {
                let join = EntryId::generate(&*self.random);
                self.journal.join_history(head.partition, seen, join).await?;
            }
        }
        let partitions: Vec<_> = lost.iter().map(|head| (head.partition, head.incarnation)).collect();
        let begun: HashSet<_> =
            self.journal.begin_incarnation(&partitions, number).await?.into_iter().collect();
        // Read after that: whatever is written behind these positions is carried out by its writer.
        let heads = self.journal.journal_heads().await?;
        let mut begun_anew = Vec::new();
        for head in heads.into_iter().filter(|head| begun.contains(&head.partition)) {
            let (mark, Some(server)) = (head.newest, view.server(head.partition)) else { continue };
            begun_anew.push(NewPartition {
                partition: head.partition,
                read: view.state(head.partition).map(|state| state.vouching),
                state: PartitionState { incarnation: number, vouching, mark, seal: server.to_string() },
                deleted_clients: self.deleted_clients(&head).await?,
            });
        }
        Ok(begun_anew)
    }

    /// The clients that a partition's journal says were deleted, where that still matters.
    async fn deleted_clients(&self, head: &JournalHead) -> StoreResult<Vec<(ClientId, Timestamp)>> {
        let (mut deleted, mut after) = (Vec::new(), 0);
        if head.partition != Partition::EVERYBODY {
            return Ok(deleted);
        }
        loop {
            let page = self.journal.list_entries(head.partition, after, head.newest.position, BATCH).await?;
            let Some(last) = page.last() else { return Ok(deleted) };
            after = last.link.at.position;
            let now = self.now();
            deleted.extend(page.into_iter().filter(|entry| now < entry.until).filter_map(|entry| {
                match entry.revoked {
                    Journaled::Client(client) => Some((client, entry.until)),
                    _ => None,
                }
            }));
        }
    }

    /// From now on this data counts. Until copies that nobody knows of are over, nothing is acknowledged
    /// (model: VouchingIsWaitedOut).
    async fn vouch(&self, whole: Vec<(Partition, Arc<str>, VouchedPartition)>) -> StoreResult<()> {
        if whole.is_empty() {
            return Ok(());
        }
        if whole.iter().all(|whole| self.found.was_found(whole)) {
            // It was in doubt, and has lost nothing since it was found whole.
            self.note_whole(&whole, None);
            return Ok(());
        }
        // A register of mirrors may be lost with the data: none of those that it named still answers
        // from its copy when this is over.
        let staleness = self.journal.mirror_staleness().await?;
        let quiet_until = (!staleness.is_zero()).then(|| Instant::now() + staleness + DRIFT_ALLOWANCE);
        self.note_whole(&whole, quiet_until);
        Ok(())
    }

    /// Carries out what stands in the journal since the last look and was not carried out by its
    /// writer, and writes down what is owed to it. Answers how many sessions of whom that ended.
    pub(super) async fn keep(self: &Arc<Self>) -> StoreResult<Vec<(UserId, usize)>> {
        let (mut watch, view) = self.looked().await?;
        let heads = self.journal.journal_heads().await?;
        if is_behind(&heads, &view) {
            // The database was restored while the store went on.
            self.found.doubt_all();
            drop(watch);
            drop(self.looked().await?);
            return Ok(Vec::new());
        }
        self.note_lag(|lag| {
            (lag.behind, lag.looked) = (left_behind(&watch, &heads, &view), Some(Instant::now()));
        });
        let ended = self.carry_out_left_behind(&mut watch, &view, &heads).await?;
        let owed = self.owed(&mut watch, view.owes).await;
        self.note_lag(|lag| lag.owed = owed.as_ref().map_or(0, Vec::len));
        // What follows may have to look.
        drop(watch);
        match owed {
            // What stays owed has been said, and is tried again.
            Ok(owed) => drop(self.settle(self.left_alone(owed)).await),
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "what is owed to the journal cannot be read just now");
            }
        }
        Ok(ended)
    }

    async fn carry_out_left_behind(
        self: &Arc<Self>,
        watch: &mut Watch,
        view: &View,
        heads: &[JournalHead],
    ) -> StoreResult<Vec<(UserId, usize)>> {
        let mut ended = Vec::new();
        for (head, state) in heads.iter().zip(&view.states) {
            let stood = watch.stood.get(head.partition.index()).copied().unwrap_or_default();
            let Some(mark) = state.as_ref().map(|state| state.mark) else { continue };
            if mark.position >= stood {
                continue;
            }
            let entries = self.journal.list_entries(head.partition, mark.position, stood, BATCH).await?;
            for entry in entries {
                let (id, until) = (entry.link.at.entry, entry.until);
                let new = NewEntry { id, revoked: entry.revoked, until };
                let by = self.found.standing(Scope::Of(head.partition)).ok_or_else(|| NotVouched.error())?;
                let carried_out = match self.carry_out_by(&by, &new, entry.link).await {
                    Ok(carried_out) if carried_out.placed != Placed::Diverged => carried_out,
                    Err(BackendError::Store(error)) => return Err(error),
                    Ok(_) | Err(BackendError::Unvouched) => {
                        // It is looked at next time.
                        self.found.doubt(&by, head.partition);
                        return Err(NotVouched.error());
                    }
                };
                if let Journaled::User { user, .. } = new.revoked {
                    ended.push((user, carried_out.ended.len()));
                }
            }
        }
        // Where nobody answered, what was left behind is so still.
        for head in heads.iter().filter(|head| view.server(head.partition).is_some()) {
            if let Some(stood) = watch.stood.get_mut(head.partition.index()) {
                *stood = head.newest.position;
            }
        }
        ended.retain(|(_, sessions)| *sessions > 0);
        Ok(ended)
    }
}

/// How many entries stood in the journal at the last look, and lie behind the marks of the token store still.
fn left_behind(watch: &Watch, heads: &[JournalHead], view: &View) -> u64 {
    let of_partition = |(head, state): (&JournalHead, &Option<PartitionState>)| {
        let stood = watch.stood.get(head.partition.index())?;
        let mark = state.as_ref()?.mark.position;
        u64::try_from(stood.saturating_sub(mark)).ok()
    };
    heads.iter().zip(&view.states).filter_map(of_partition).sum()
}

/// Whether the database knows less than the store has carried out, or something else.
fn is_behind(heads: &[JournalHead], view: &View) -> bool {
    heads.iter().zip(&view.states).any(|(head, state)| {
        state.as_ref().is_some_and(|state| {
            let (mark, newest) = (state.mark, head.newest);
            mark.position > newest.position || mark.position == newest.position && mark != newest
        })
    })
}
