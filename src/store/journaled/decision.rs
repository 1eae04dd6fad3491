//! What has to be done before a partition of the token store can be vouched for. Decided here, without
//! asking anybody.

use crate::domain::journal::{EntryId, JournalHead, Mark, VouchingId};
use crate::store::examination::PartitionState;

/// What is to be done next to make a partition whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it is whole, and vouched for on this server.
    None,
    /// The store has nothing, or what nobody can make good: another incarnation.
    BeginAnew,
    /// The database went back behind the store's incarnation, and takes it over.
    AdoptIncarnation,
    /// The database went back and the store did not: their histories are joined.
    Join,
    /// The store went back, or never carried out what is written: everything behind its mark is to be
    /// carried out, if the history that it is of is still known.
    Replay,
    /// All of the journal is carried out: it is only to be vouched for on this server.
    Seal,
}

/// What is known of a partition before the next step is decided.
pub(super) struct Knowledge<'a> {
    /// What the store says of itself.
    pub(super) state: Option<&'a PartitionState>,
    /// What the database knows.
    pub(super) head: &'a JournalHead,
    /// The furthest mark that this process has seen before it began to look.
    pub(super) seen: Mark,
    /// The incarnation that this process has last found; 0 where it has found none.
    pub(super) incarnation: i64,
    /// The vouching by which this process has last found it whole.
    pub(super) vouching: VouchingId,
    /// The server that answers.
    pub(super) server: &'a str,
    /// The entry that the database has at the store's mark; `None` where it was pruned or none was
    /// written.
    pub(super) at_mark: Option<EntryId>,
    /// The same at the furthest mark that was seen.
    pub(super) at_seen: Option<EntryId>,
}

impl Knowledge<'_> {
    /// The next step.
    ///
    /// - Data is vouched for on this server alone (model: SealIsTheServer), once its mark has reached the
    ///   head (model: ReplayBeforeVouching).
    /// - Where it was vouched for on this server, it is the database that went back
    ///   (model: SealTellsWhoWentBack, OwnVouchingIsTrusted).
    /// - It is of no earlier incarnation than this process knows (model: IncarnationNeverGoesBack), and lacks
    ///   nothing that it has seen (model: HighMarkIsCompared).
    pub(super) fn next_step(&self) -> Step {
        let Some(state) = self.state else { return Step::BeginAnew };
        let (mark, head) = (state.mark, self.head);
        if state.vouching == VouchingId::NONE {
            // Somebody has condemned it.
            return Step::BeginAnew;
        }
        // Data that was vouched for on this very server has not gone back: where the two differ, it is
        // the database that has.
        let is_sealed = state.seal == self.server;
        let database_went_back = if is_sealed { Step::Join } else { Step::BeginAnew };
        if state.incarnation < head.incarnation.max(self.incarnation) {
            // Not the one that the database knows, or that this process knows better: tokens of that one may have been revoked in what the
            // store has lost.
            Step::BeginAnew
        } else if state.incarnation > head.incarnation {
            if is_sealed { Step::AdoptIncarnation } else { Step::BeginAnew }
        } else if self.has_lost_what_was_seen(state, is_sealed) {
            Step::BeginAnew
        } else if mark.position > head.newest.position || self.differs(mark, self.at_mark) {
            database_went_back
        } else if mark.position < head.newest.position {
            Step::Replay
        } else if is_sealed {
            Step::None
        } else {
            Step::Seal
        }
    }

    /// Whether neither store can reach any more what this process has seen of this incarnation: both went
    /// back, or somebody else has vouched for data that had. While its own vouching stands the store has
    /// lost nothing, whatever became of the database. (model: HighMarkIsCompared, OwnVouchingIsTrusted)
    fn has_lost_what_was_seen(&self, state: &PartitionState, is_sealed: bool) -> bool {
        let (seen, newest) = (self.seen.position, self.head.newest.position);
        if seen == 0 || state.incarnation != self.incarnation || state.mark == self.seen {
            return false;
        }
        let is_own_vouching = is_sealed && state.vouching == self.vouching;
        state.mark.position.max(newest) < seen
            || !is_own_vouching && seen <= newest && self.differs(self.seen, self.at_seen)
    }

    /// Whether the database has another entry there than the store or this process.
    /// (model: MarkFollowsTheChain)
    fn differs(&self, mark: Mark, known: Option<EntryId>) -> bool {
        let newest = self.head.newest;
        let known = if mark.position == newest.position { Some(newest.entry) } else { known };
        known.is_some_and(|known| known != mark.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::partition::Partition;

    fn mark(position: i64) -> Mark {
        Mark { position, entry: EntryId::new(position * 10) }
    }

    fn state(incarnation: i64, position: i64, seal: &str) -> PartitionState {
        let (vouching, seal) = (VouchingId::new(1), seal.to_owned());
        PartitionState { incarnation, vouching, mark: mark(position), seal }
    }

    fn head(incarnation: i64, position: i64) -> JournalHead {
        JournalHead { partition: Partition::EVERYBODY, newest: mark(position), incarnation }
    }

    /// With a database that has the entries that are expected there.
    fn step(state: &PartitionState, head: &JournalHead, seen: i64) -> Step {
        let (at_mark, at_seen) = (Some(state.mark.entry), Some(mark(seen).entry));
        let (incarnation, vouching) = (state.incarnation, VouchingId::new(2));
        let (seen, server) = (mark(seen), "here");
        let known =
            Knowledge { state: Some(state), head, seen, incarnation, vouching, server, at_mark, at_seen };
        known.next_step()
    }

    #[test]
    fn what_is_whole_and_of_this_server_needs_nothing() {
        assert_eq!(step(&state(3, 7, "here"), &head(3, 7), 7), Step::None);
    }

    #[test]
    fn a_store_without_data_begins_anew() {
        let head = head(3, 7);
        let known = Knowledge {
            state: None,
            head: &head,
            seen: Mark::START,
            incarnation: 3,
            vouching: VouchingId::new(2),
            server: "here",
            at_mark: None,
            at_seen: None,
        };
        assert_eq!(known.next_step(), Step::BeginAnew);
    }

    #[test]
    fn what_somebody_has_condemned_begins_anew() {
        let condemned = PartitionState { vouching: VouchingId::NONE, ..state(3, 7, "here") };
        assert_eq!(step(&condemned, &head(3, 7), 7), Step::BeginAnew);
    }

    #[test]
    fn an_incarnation_never_goes_back() {
        let (state, head) = (state(3, 7, "elsewhere"), head(3, 7));
        for (incarnation, expected) in [(4, Step::BeginAnew), (3, Step::Seal)] {
            let known = Knowledge {
                state: Some(&state),
                head: &head,
                seen: mark(7),
                incarnation,
                vouching: VouchingId::new(2),
                server: "here",
                at_mark: None,
                at_seen: None,
            };
            assert_eq!(known.next_step(), expected, "this process knows {incarnation}");
        }
    }

    #[test]
    fn restored_data_does_not_vouch_for_itself() {
        assert_eq!(step(&state(3, 7, "elsewhere"), &head(3, 7), 7), Step::Seal);
        assert_eq!(step(&state(3, 5, "elsewhere"), &head(3, 7), 7), Step::Replay);
        assert_eq!(step(&state(3, 5, "here"), &head(3, 7), 7), Step::Replay);
    }

    #[test]
    fn a_database_that_went_back_behind_a_store_that_did_not_is_joined_to_it() {
        assert_eq!(step(&state(3, 7, "here"), &head(3, 5), 7), Step::Join);
        assert_eq!(step(&state(4, 7, "here"), &head(3, 5), 7), Step::AdoptIncarnation);
    }

    #[test]
    fn where_both_may_have_gone_back_nothing_is_guessed() {
        assert_eq!(step(&state(3, 7, "elsewhere"), &head(3, 5), 7), Step::BeginAnew);
        assert_eq!(step(&state(4, 7, "elsewhere"), &head(3, 7), 7), Step::BeginAnew);
        assert_eq!(step(&state(3, 5, "here"), &head(3, 6), 7), Step::BeginAnew);
        assert_eq!(step(&state(3, 5, "elsewhere"), &head(3, 6), 7), Step::BeginAnew);
    }

    #[test]
    fn another_entry_at_the_mark_is_another_history() {
        for (seal, expected) in [("here", Step::Join), ("elsewhere", Step::BeginAnew)] {
            let state = state(3, 7, seal);
            let mut head = head(3, 7);
            head.newest.entry = EntryId::new(1);
            assert_eq!(step(&state, &head, 7), expected, "at the newest entry");
            head.newest.position = 9;
            let (seen, at_mark) = (mark(5), Some(EntryId::new(1)));
            let at_seen = Some(seen.entry);
            let known = Knowledge {
                state: Some(&state),
                head: &head,
                seen,
                incarnation: 3,
                vouching: VouchingId::new(2),
                server: "here",
                at_mark,
                at_seen,
            };
            assert_eq!(known.next_step(), expected, "before it");
        }
    }

    #[test]
    fn another_entry_where_a_mark_was_seen_is_another_history() {
        let (state, head) = (state(3, 5, "elsewhere"), head(3, 9));
        let (seen, at_mark) = (mark(7), Some(state.mark.entry));
        for (at_seen, expected) in
            [(Some(EntryId::new(1)), Step::BeginAnew), (Some(seen.entry), Step::Replay), (None, Step::Replay)]
        {
            let known = Knowledge {
                state: Some(&state),
                head: &head,
                seen,
                incarnation: 3,
                vouching: VouchingId::new(2),
                server: "here",
                at_mark,
                at_seen,
            };
            assert_eq!(known.next_step(), expected, "{at_seen:?}");
        }
    }

    #[test]
    fn what_was_seen_is_not_compared_while_the_own_vouching_stands() {
        let (state, head, seen) = (state(3, 9, "here"), head(3, 9), mark(7));
        for (vouching, expected) in [(1, Step::None), (2, Step::BeginAnew)] {
            let known = Knowledge {
                state: Some(&state),
                head: &head,
                seen,
                incarnation: 3,
                vouching: VouchingId::new(vouching),
                server: "here",
                at_mark: None,
                at_seen: Some(EntryId::new(1)),
            };
            assert_eq!(known.next_step(), expected, "vouching {vouching}");
        }
    }

    #[test]
    fn an_incarnation_that_only_the_database_knows_is_not_taken_over() {
        assert_eq!(step(&state(3, 5, "here"), &head(4, 5), 5), Step::BeginAnew);
    }
}
