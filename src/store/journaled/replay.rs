//! Carrying out again what a token store that went back has forgotten: several partitions side by side,
//! and what follows is read while the present is applied.

use std::collections::{HashMap, VecDeque};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::shared::{LEASE, Shared, Watch};
use crate::domain::journal::{EntryId, JournalEntry, Mark};
use crate::domain::partition::Partition;
use crate::store::error::StoreResult;
use crate::store::examination::{Examination, ReplayStep};

/// How many entries of a partition are carried out in one step.
const BATCH: u32 = 500;

/// How many partitions are replayed side by side. Together a round of these takes far less than the
/// lease.
const SIDE_BY_SIDE: usize = 8;

/// How many questions to the database are under way at once.
const ASKED_AT_ONCE: usize = 4;

/// A partition whose entries are to be carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    pub(super) partition: Partition,
    /// Behind which they begin.
    pub(super) from: Mark,
    /// Where its journal ends.
    pub(super) newest: Mark,
    /// Where its mark stays meanwhile; `None` where it stands at `from` and moves along.
    pub(super) mark: Option<Mark>,
}

impl Replay {
    /// Of a partition that lacks what is behind its mark.
    pub(super) fn behind(partition: Partition, mark: Mark, newest: Mark) -> Self {
        Self { partition, from: mark, newest, mark: None }
    }

    /// Of all entries that there are up to `newest`, while the mark stays where it is.
    pub(super) fn of_all(partition: Partition, mark: Mark, newest: Mark) -> Self {
        Self { partition, from: Mark::START, newest, mark: Some(mark) }
    }
}

/// What became of replays.
#[derive(Default)]
struct Replayed {
    /// Where the journal is of another chain than the mark.
    lost: Vec<Partition>,
    /// Where somebody else has moved a mark, and all that was left when another took over.
    left: Vec<Partition>,
}

/// What is carried out next of a replay.
struct Planned {
    step: ReplayStep,
    /// What is left then; `None` when that was all.
    rest: Option<Replay>,
}

/// What the journal has behind a mark.
enum Next {
    Planned(Planned),
    /// Entries of another chain.
    OfAnotherHistory(Partition),
}

impl Shared {
    /// Carries out what stands in the journal behind these marks. Answers the partitions where that is not all
    /// known any more (model: NoReplayAcrossAHole), or is of another chain (model: MarkFollowsTheChain).
    ///
    /// Where somebody else has moved a mark, or has the lease, what is left is seen at the next look.
    pub(super) async fn replay(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        replays: Vec<Replay>,
    ) -> StoreResult<Vec<Partition>> {
        let (waiting, mut lost) = self.without_holes(replays).await?;
        lost.extend(self.carry_out_side_by_side(watch, examination, waiting).await?.lost);
        Ok(lost)
    }

    /// Carries out all entries of these that still matter, in rounds of several partitions. To be called with
    /// the lease, which is kept from round to round.
    async fn carry_out_side_by_side(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        mut waiting: VecDeque<Replay>,
    ) -> StoreResult<Replayed> {
        let mut replayed = Replayed::default();
        let mut carried_out: HashMap<Partition, usize> = HashMap::new();
        let mut round = self.plan(&mut waiting, &mut replayed.lost).await?;
        while !round.is_empty() {
            let mut steps = Vec::with_capacity(round.len());
            for Planned { step, rest } in round {
                waiting.extend(rest);
                steps.push(step);
            }
            let (moved, next) = tokio::join!(
                examination.replay(&steps, self.spans.denial),
                self.plan(&mut waiting, &mut replayed.lost),
            );
            let (moved, mut next) = (moved?, next?);
            for (step, moved) in steps.iter().zip(moved) {
                let partition = step.partition;
                *carried_out.entry(partition).or_default() += step.entries.len();
                let has_more = waiting.iter().any(|replay| replay.partition == partition)
                    || next.iter().any(|planned| planned.step.partition == partition);
                if step.from == step.to {
                    // What was carried out is so, wherever the mark is now: who goes on from there compares it.
                    continue;
                }
                if !moved {
                    waiting.retain(|replay| replay.partition != partition);
                    next.retain(|planned| planned.step.partition != partition);
                    replayed.left.push(partition);
                } else if !has_more && !replayed.lost.contains(&partition) {
                    let entries = carried_out.get(&partition).copied().unwrap_or_default();
                    tracing::warn!(%partition, entries, "revocations that the token store lacked are carried out");
                }
            }
            if !examination.lease(watch.holder, LEASE).await? {
                let planned = next.iter().map(|planned| planned.step.partition);
                replayed.left.extend(waiting.iter().map(|replay| replay.partition).chain(planned));
                break;
            }
            round = next;
        }
        Ok(replayed)
    }

    /// Those whose entries are all known, and the partitions of the others.
    async fn without_holes(&self, replays: Vec<Replay>) -> StoreResult<(VecDeque<Replay>, Vec<Partition>)> {
        let asked = replays.into_iter().map(|replay| async move {
            let Replay { partition, from, newest, .. } = replay;
            let has_hole = self.journal.has_hole(partition, from.position, newest.position).await?;
            StoreResult::Ok((replay, has_hole))
        });
        let asked: Vec<_> = stream::iter(asked).buffered(ASKED_AT_ONCE).try_collect().await?;
        let (mut whole, mut lost) = (VecDeque::new(), Vec::new());
        for (replay, has_hole) in asked {
            if has_hole {
                let partition = replay.partition;
                tracing::warn!(%partition, "what the token store has forgotten is not known any more");
                lost.push(partition);
            } else {
                whole.push_back(replay);
            }
        }
        Ok((whole, lost))
    }

    /// Takes the next replays that wait, and reads what is to be carried out of them.
    async fn plan(
        &self,
        waiting: &mut VecDeque<Replay>,
        lost: &mut Vec<Partition>,
    ) -> StoreResult<Vec<Planned>> {
        let taken: Vec<_> =
            waiting.drain(..waiting.len().min(SIDE_BY_SIDE)).map(|replay| self.read(replay)).collect();
        let read: Vec<_> = stream::iter(taken).buffered(ASKED_AT_ONCE).try_collect().await?;
        let mut planned = Vec::with_capacity(read.len());
        for next in read {
            match next {
                Next::Planned(next) => planned.push(next),
                Next::OfAnotherHistory(partition) => {
                    tracing::warn!(%partition, "the journal has another history than the token store");
                    lost.push(partition);
                }
            }
        }
        Ok(planned)
    }

    async fn read(&self, replay: Replay) -> StoreResult<Next> {
        let Replay { partition, from, newest, mark } = replay;
        let entries = self.journal.list_entries(partition, from.position, newest.position, BATCH).await?;
        if mark.is_none() && !is_chain(from, &entries) {
            return Ok(Next::OfAnotherHistory(partition));
        }
        let to = match entries.last() {
            Some(last) if entries.len() == BATCH as usize => last.link.at,
            _ => newest,
        };
        let rest = (to.position < newest.position).then_some(Replay { from: to, ..replay });
        let entries = self.that_matter(entries);
        let step = ReplayStep { partition, from: mark.unwrap_or(from), entries, to: mark.unwrap_or(to) };
        Ok(Next::Planned(Planned { step, rest }))
    }

    /// The database was restored while the store went on: from here on they have one history again. What
    /// was written since the restore is carried out, since the store's marks were past its positions.
    /// Only then do the marks move to where both go on (model: JoinCarriesOut).
    pub(super) async fn join(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        partitions: &[(Partition, Mark)],
    ) -> StoreResult<()> {
        let mut joins = Vec::with_capacity(partitions.len());
        for (partition, mark) in partitions.iter().copied() {
            tracing::warn!(%partition, "the database was restored: its journal goes on behind what the token store has carried out");
            let join = EntryId::generate(&*self.random);
            let joined = self.journal.join_history(partition, mark.position, join).await?;
            joins.push(ReplayStep { partition, from: mark, entries: Vec::new(), to: joined });
        }
        let all = joins.iter().map(|join| Replay::of_all(join.partition, join.from, join.to)).collect();
        let left = self.carry_out_again(watch, examination, all).await?;
        joins.retain(|join| !left.contains(&join.partition));
        examination.replay(&joins, self.spans.denial).await.map(drop)
    }

    /// Carries out all entries that still matter; the marks stay where they are, unless others move them.
    /// Answers where that is not done: another replica has taken over.
    pub(super) async fn carry_out_again(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        replays: Vec<Replay>,
    ) -> StoreResult<Vec<Partition>> {
        Ok(self.carry_out_side_by_side(watch, examination, replays.into()).await?.left)
    }

    fn that_matter(&self, entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
        let now = self.now();
        entries.into_iter().filter(|entry| now < entry.until).collect()
    }
}

/// Whether entries follow on a mark and on one another. Where one was pruned the chain cannot be seen.
/// (model: MarkFollowsTheChain)
fn is_chain(mark: Mark, entries: &[JournalEntry]) -> bool {
    let mut at = mark;
    entries.iter().all(|entry| {
        let follows = entry.link.at.position > at.position + 1 || entry.link.previous == at.entry;
        at = entry.link.at;
        follows
    })
}
