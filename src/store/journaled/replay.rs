//! Carrying out again what a token store that went back has forgotten: several partitions side by side,
//! and what follows is read while the present is applied.

use std::collections::{HashMap, VecDeque};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Shared;
use super::watch::{LEASE, Watch};
use crate::domain::journal::{EntryId, JournalEntry, Mark};
use crate::domain::partition::Partition;
use crate::store::StoreResult;
use crate::store::backend::{Examination, ReplayStep};

/// How many entries of a partition are carried out in one step.
const BATCH: u32 = 500;

/// How many partitions are replayed side by side. Together a round of these takes far less than the
/// lease.
const SIDE_BY_SIDE: usize = 8;

/// How many questions to the database are under way at once.
const ASKED_AT_ONCE: usize = 4;

/// A partition that lacks entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    pub(super) partition: Partition,
    /// Where its mark stands.
    pub(super) from: Mark,
    /// Where its journal ends.
    pub(super) newest: Mark,
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
        let (mut waiting, mut lost) = self.without_holes(replays).await?;
        let mut carried_out: HashMap<Partition, usize> = HashMap::new();
        let mut round = self.plan(&mut waiting, &mut lost).await?;
        while !round.is_empty() {
            let mut steps = Vec::with_capacity(round.len());
            for Planned { step, rest } in round {
                waiting.extend(rest);
                steps.push(step);
            }
            let (moved, next) = tokio::join!(
                examination.replay(&steps, self.spans.denial),
                self.plan(&mut waiting, &mut lost),
            );
            let (moved, mut next) = (moved?, next?);
            for (step, moved) in steps.iter().zip(moved) {
                let partition = step.partition;
                *carried_out.entry(partition).or_default() += step.entries.len();
                let has_more = waiting.iter().any(|replay| replay.partition == partition)
                    || next.iter().any(|planned| planned.step.partition == partition);
                if !moved {
                    waiting.retain(|replay| replay.partition != partition);
                    next.retain(|planned| planned.step.partition != partition);
                } else if !has_more && !lost.contains(&partition) {
                    let entries = carried_out.get(&partition).copied().unwrap_or_default();
                    tracing::warn!(%partition, entries, "revocations that the token store lacked are carried out");
                }
            }
            if !examination.lease(watch.holder, LEASE).await? {
                break;
            }
            round = next;
        }
        Ok(lost)
    }

    /// Those whose entries are all known, and the partitions of the others.
    async fn without_holes(&self, replays: Vec<Replay>) -> StoreResult<(VecDeque<Replay>, Vec<Partition>)> {
        let asked = replays.into_iter().map(|replay| async move {
            let Replay { partition, from, newest } = replay;
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
        let Replay { partition, from, newest } = replay;
        let entries = self.journal.list_entries(partition, from.position, newest.position, BATCH).await?;
        if !is_chain(from, &entries) {
            return Ok(Next::OfAnotherHistory(partition));
        }
        let to = match entries.last() {
            Some(last) if entries.len() == BATCH as usize => last.link.at,
            _ => newest,
        };
        let rest = (to.position < newest.position).then_some(Replay { from: to, ..replay });
        let step = ReplayStep { partition, from, entries: self.that_matter(entries), to };
        Ok(Next::Planned(Planned { step, rest }))
    }

    /// The database was restored while the store went on: from here on they have one history again. What
    /// was written since the restore is carried out, since the store's mark was past its positions.
    /// Only then does the mark move to where both go on (model: JoinCarriesOut).
    pub(super) async fn join(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        partition: Partition,
        mark: Mark,
    ) -> StoreResult<()> {
        tracing::warn!(%partition, "the database was restored: its journal goes on behind what the token store has carried out");
        let join = EntryId::generate(&*self.random);
        let joined = self.journal.join_history(partition, mark.position, join).await?;
        if self.carry_out_again(watch, examination, partition, mark, joined.position).await? {
            let step = ReplayStep { partition, from: mark, entries: Vec::new(), to: joined };
            examination.replay(&[step], self.spans.denial).await?;
        }
        Ok(())
    }

    /// Carries out all entries up to `last` that still matter; the mark stays where it is until all of them
    /// are done. Answers whether it did: not if the mark has moved, or another replica has taken over.
    pub(super) async fn carry_out_again(
        &self,
        watch: &Watch,
        examination: &mut dyn Examination,
        partition: Partition,
        mark: Mark,
        last: i64,
    ) -> StoreResult<bool> {
        let mut at = 0;
        loop {
            let entries = self.journal.list_entries(partition, at, last, BATCH).await?;
            let Some(end) = entries.last().map(|entry| entry.link.at.position) else { return Ok(true) };
            let step = ReplayStep { partition, from: mark, entries: self.that_matter(entries), to: mark };
            if !examination.lease(watch.holder, LEASE).await?
                || examination.replay(&[step], self.spans.denial).await? != [true]
            {
                return Ok(false);
            }
            at = end;
        }
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
