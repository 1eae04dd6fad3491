//! What this process has found whole, and what of it is in doubt since.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::domain::journal::VouchingId;
use crate::domain::partition::Partition;
use crate::store::vouching::{Vouched, VouchedPartition};

/// Which partitions have to be found whole for what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// That one.
    Of(Partition),
    /// One at least.
    Any,
    /// Each of them.
    All,
}

impl Scope {
    fn is_in(self, vouched: &Vouched) -> bool {
        match self {
            Self::Of(partition) => vouched.has(partition),
            Self::Any => Partition::all().any(|partition| vouched.has(partition)),
            Self::All => Partition::all().all(|partition| vouched.has(partition)),
        }
    }
}

/// A partition that was found whole: on which server, and by what.
pub(super) type Whole = (Partition, Arc<str>, VouchedPartition);

/// By whom it is told at any moment, and changed while others look.
#[derive(Default)]
pub(super) struct Found {
    /// What stands; `None` until something was found.
    standing: ArcSwapOption<Vouched>,
    /// What was found whole last, also when it is in doubt now.
    last: ArcSwapOption<Vouched>,
}

impl Found {
    /// What stands, where that is enough.
    pub(super) fn standing(&self, scope: Scope) -> Option<Arc<Vouched>> {
        self.whatever_stands().filter(|standing| scope.is_in(standing))
    }

    /// What stands, if anything was ever found.
    pub(super) fn whatever_stands(&self) -> Option<Arc<Vouched>> {
        self.standing.load_full()
    }

    /// Notes which partitions were found whole. What was put into doubt of others meanwhile stays so.
    pub(super) fn note_whole(&self, whole: &[Whole]) {
        for known in [&self.last, &self.standing] {
            known.rcu(|known| {
                let known = known.as_ref().map_or_else(Vouched::none, |known| Vouched::clone(known));
                let with = |known: Vouched, (partition, server, by): &Whole| {
                    known.with(*partition, Some((server.clone(), *by)))
                };
                Some(Arc::new(whole.iter().fold(known, with)))
            });
        }
    }

    /// What a partition was found whole by is not what stands there: unless somebody has looked since. The others
    /// stay what they are.
    pub(super) fn doubt(&self, by: &Vouched, partition: Partition) {
        self.standing.rcu(|standing| {
            let standing = standing.as_ref()?;
            let is_same = standing.of(partition) == by.of(partition)
                && standing.server(partition) == by.server(partition);
            Some(if is_same {
                Arc::new(Vouched::clone(standing).with(partition, None))
            } else {
                standing.clone()
            })
        });
    }

    /// A partition is looked at before anything more is answered by it.
    pub(super) fn doubt_whatever_stands(&self, partition: Partition) {
        self.standing
            .rcu(|standing| Some(Arc::new(Vouched::clone(standing.as_ref()?).with(partition, None))));
    }

    /// All of it is.
    pub(super) fn doubt_all(&self) {
        self.standing.store(None);
    }

    /// The incarnation that this process has last found; `None` where it has found none.
    pub(super) fn last_incarnation(&self, partition: Partition) -> Option<i64> {
        self.last
            .load()
            .as_ref()
            .filter(|last| last.has(partition))
            .map(|last| last.of(partition).incarnation)
    }

    /// The same, 0 where it has found none.
    /// (model: IncarnationNeverGoesBack)
    pub(super) fn known_incarnation(&self, partition: Partition) -> i64 {
        self.last_incarnation(partition).unwrap_or_default()
    }

    /// The vouching by which this process has last found it whole.
    pub(super) fn known_vouching(&self, partition: Partition) -> VouchingId {
        self.last.load().as_ref().map_or(VouchingId::NONE, |last| last.of(partition).vouching)
    }

    /// Whether this process has last found it so.
    pub(super) fn was_found(&self, (partition, server, by): &Whole) -> bool {
        let last = self.last.load();
        last.as_ref().is_some_and(|last| last.server(*partition) == &**server && last.of(*partition) == *by)
    }

    /// Whether this process has last found it whole on another server.
    pub(super) fn was_elsewhere(&self, partition: Partition, server: &str) -> bool {
        self.last.load().as_ref().is_some_and(|last| last.has(partition) && last.server(partition) != server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(partition: Partition, vouching: i64) -> Whole {
        let by = VouchedPartition { incarnation: 1, vouching: VouchingId::new(vouching) };
        (partition, "a server".into(), by)
    }

    fn two() -> [Partition; 2] {
        let mut all = Partition::all();
        [all.next().unwrap(), all.next().unwrap()]
    }

    /// Whoever carries something out may find meanwhile that the one which stood does not.
    #[test]
    fn what_comes_into_doubt_while_others_are_looked_at_stays_so() {
        let [first, second] = two();
        let found = Found::default();
        found.note_whole(&[whole(first, 1), whole(second, 1)]);
        found.doubt_whatever_stands(second);
        // A look at the second one begins.
        found.doubt_whatever_stands(first);
        found.note_whole(&[whole(second, 2)]);
        assert!(found.standing(Scope::Of(first)).is_none(), "it was not looked at");
        assert!(found.standing(Scope::Of(second)).is_some());
        assert!(found.was_found(&whole(first, 1)), "it is what was found last all the same");
    }

    #[test]
    fn a_doubt_about_what_was_found_before_is_none_about_what_was_found_since() {
        let [first, second] = two();
        let found = Found::default();
        found.note_whole(&[whole(first, 1), whole(second, 1)]);
        let before = found.whatever_stands().unwrap();
        found.note_whole(&[whole(first, 2)]);
        found.doubt(&before, first);
        found.doubt(&before, second);
        assert!(found.standing(Scope::Of(first)).is_some());
        assert!(found.standing(Scope::Of(second)).is_none());
        assert!(found.standing(Scope::Any).is_some() && found.standing(Scope::All).is_none());
    }
}
