//! What was seen of one session of a running service, held against the rules of [`rotation`](crate::rotation).
//!
//! A reader that knows the answers alone does not know what became of a call that was not answered, nor what a store
//! still had after a fault. So it goes on with every session that there may be; an answer that fits none of them is a
//! divergence.

use std::collections::BTreeSet;

use crate::rotation::Verdict;

/// From when until when something happened, in milliseconds of the reader's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub began: u64,
    pub ended: u64,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A refresh, with a token of this generation.
    Present(u32),
    /// Whether its access token holds.
    Check,
    /// Its end.
    LogOut,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A token of this generation.
    Generation(u32),
    /// It holds; or the session has ended, as was asked for.
    Yes,
    /// It is good for nothing.
    No,
    /// Nothing that says what became of it.
    Nothing,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    pub span: Span,
    pub asked: Asked,
    pub answered: Answered,
}

/// What a store may have lost: whatever was written after that moment, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub since: u64,
}

/// A session as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Known {
    lives: bool,
    generation: u32,
    rotated: Option<Span>,
    /// Its end is written where no fault takes it back.
    is_settled: bool,
    /// A token that was presented without an answer, which may yet be carried out.
    late: Option<u32>,
    /// Its end was asked for without an answer, and may yet come.
    ends_late: bool,
}

impl Known {
    const OPENED: Self =
        Self { lives: true, generation: 0, rotated: None, is_settled: false, late: None, ends_late: false };

    fn ended(self) -> Self {
        Self { lives: false, is_settled: true, ends_late: false, ..self }
    }

    /// With what may have been carried out since it was asked for.
    fn by_now(self, span: Span) -> Vec<Self> {
        let mut all = vec![self];
        if self.lives && self.late == Some(self.generation) {
            all.push(Self { generation: self.generation + 1, rotated: Some(span), late: None, ..self });
        }
        if self.lives && self.ends_late {
            all.push(self.ended());
        }
        all
    }
}

/// An answer that the rules do not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Which of the observations it is.
    pub at: usize,
    pub observation: Observation,
}

/// Replays what was seen of a session, from its login on.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    /// The grace period of the rotation, in milliseconds.
    pub grace: u64,
    /// How far a clock that decides about it may be from the reader's, in milliseconds.
    pub doubt: u64,
    pub lost: Option<Lost>,
}

impl Replay {
    /// Goes through all of it. Calls that ran at once are taken in either order.
    ///
    /// # Errors
    /// The first answer that fits no session that there may be.
    pub fn run(&self, opened: Span, seen: &[Observation]) -> Result<(), Divergence> {
        let mut possible = BTreeSet::from([Known::OPENED]);
        // What a store may go back to, or forward again.
        let mut kept = possible.clone();
        let (mut at, mut rest) = (0, seen);
        while let Some(observation) = rest.first() {
            let may_have_lost = self.lost.is_some_and(|lost| observation.span.ended >= lost.since);
            if may_have_lost {
                possible.extend(self.after_a_loss(opened, &kept, &possible));
            }
            let together =
                1 + usize::from(rest.get(1).is_some_and(|next| next.span.began < observation.span.ended));
            possible = self.in_any_order(&possible, &rest[..together]);
            if possible.is_empty() {
                return Err(Divergence { at, observation: *observation });
            }
            if !may_have_lost {
                kept.clear();
            }
            kept.extend(&possible);
            (at, rest) = (at + together, &rest[together..]);
        }
        Ok(())
    }

    /// What was kept, or nothing of a session that was opened too late. What is settled stays so.
    fn after_a_loss(
        &self,
        opened: Span,
        kept: &BTreeSet<Known>,
        possible: &BTreeSet<Known>,
    ) -> BTreeSet<Known> {
        if possible.iter().all(|known| known.is_settled) {
            return BTreeSet::new();
        }
        let is_young = self.lost.is_some_and(|lost| opened.ended >= lost.since);
        let nothing = Known { lives: false, ..Known::OPENED };
        kept.iter().copied().chain(is_young.then_some(nothing)).collect()
    }

    fn in_any_order(&self, possible: &BTreeSet<Known>, calls: &[Observation]) -> BTreeSet<Known> {
        let through = |order: &[Observation]| {
            order.iter().fold(possible.clone(), |states, call| {
                states.iter().flat_map(|known| self.step(*known, *call)).collect()
            })
        };
        let mut after = through(calls);
        if let [first, second] = calls {
            after.extend(through(&[*second, *first]));
        }
        after
    }

    /// All that the session may be after a call with that answer.
    fn step(&self, known: Known, call: Observation) -> Vec<Known> {
        known.by_now(call.span).into_iter().flat_map(|known| self.answered(known, call)).collect()
    }

    fn answered(&self, known: Known, call: Observation) -> Vec<Known> {
        let carried_out = match call.asked {
            Asked::Present(presented) => self.presented(known, presented, call),
            Asked::Check => vec![(known, if known.lives { Answered::Yes } else { Answered::No })],
            Asked::LogOut if known.lives => vec![(known.ended(), Answered::Yes)],
            Asked::LogOut => vec![(known, Answered::No)],
        };
        let unanswered = call.answered == Answered::Nothing;
        let mut after: Vec<_> = carried_out
            .into_iter()
            .filter(|(_, answer)| unanswered || *answer == call.answered)
            .map(|(known, _)| known)
            .collect();
        if unanswered {
            after.push(match call.asked {
                Asked::Present(presented) => Known { late: Some(presented), ..known },
                Asked::Check => known,
                Asked::LogOut => Known { ends_late: true, ..known },
            });
        }
        after
    }

    fn presented(&self, known: Known, presented: u32, call: Observation) -> Vec<(Known, Answered)> {
        if !known.lives {
            return vec![(known, Answered::No)];
        }
        let verdict = |in_grace| match Verdict::of(presented, known.generation, in_grace) {
            Verdict::Current | Verdict::Ahead => {
                let moved = Known { generation: presented + 1, rotated: Some(call.span), ..known };
                (moved, Answered::Generation(presented + 1))
            }
            Verdict::Again => (known, Answered::Generation(presented + 1)),
            Verdict::Reuse => (Known { lives: false, ..known }, Answered::No),
        };
        self.graces(known, call.span).iter().map(|in_grace| verdict(*in_grace)).collect()
    }

    /// Whether a call was within the grace period: yes, no, or either.
    fn graces(&self, known: Known, call: Span) -> &'static [bool] {
        let Some(rotated) = known.rotated else { return &[false] };
        if call.ended + self.doubt < rotated.began + self.grace {
            &[true]
        } else if call.began > rotated.ended + self.grace + self.doubt {
            &[false]
        } else {
            &[true, false]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: u64 = 1_000;

    type Call = (u64, Asked, Answered);

    /// Calls one after the other, each as long as the moment between two.
    fn seen(calls: &[Call]) -> Vec<Observation> {
        let span = |began| Span { began, ended: began + 1 };
        calls
            .iter()
            .map(|(at, asked, answered)| Observation { span: span(*at), asked: *asked, answered: *answered })
            .collect()
    }

    fn replayed(lost: Option<u64>, calls: &[Call]) -> Result<(), usize> {
        let replay = Replay { grace: GRACE, doubt: 10, lost: lost.map(|since| Lost { since }) };
        let opened = Span { began: 0, ended: 1 };
        replay.run(opened, &seen(calls)).map_err(|divergence| divergence.at)
    }

    use Answered::{Generation, No, Nothing, Yes};
    use Asked::{Check, LogOut, Present};

    #[test]
    fn a_life_as_it_should_be() {
        let calls = [
            (10, Check, Yes),
            (20, Present(0), Generation(1)),
            (30, Present(0), Generation(1)),
            (40, Present(1), Generation(2)),
            (50, Present(0), No),
            (60, Check, No),
            (70, LogOut, No),
        ];
        assert_eq!(replayed(None, &calls), Ok(()));
    }

    #[test]
    fn each_broken_rule_is_a_divergence() {
        let broken: [(&str, &[Call]); 8] = [
            ("a refresh that skips one", &[(10, Present(0), Generation(2))]),
            (
                "two live leaves",
                &[
                    (10, Present(0), Generation(1)),
                    (20, Present(1), Generation(2)),
                    (30, Present(0), Generation(1)),
                ],
            ),
            ("an innocent that is refused", &[(10, Present(0), Generation(1)), (20, Present(0), No)]),
            (
                "reuse without an alarm",
                &[(10, Present(0), Generation(1)), (5_000, Present(0), No), (5_010, Check, Yes)],
            ),
            ("grace without an end", &[(10, Present(0), Generation(1)), (5_000, Present(0), Generation(1))]),
            ("an undone logout", &[(10, LogOut, Yes), (20, Check, Yes)]),
            ("a refresh after a logout", &[(10, LogOut, Yes), (20, Present(0), Generation(1))]),
            ("a session that is gone", &[(10, Check, No)]),
        ];
        for (what, calls) in broken {
            assert_eq!(replayed(None, calls), Err(calls.len() - 1), "{what}");
        }
    }

    #[test]
    fn a_call_without_an_answer_may_have_been_carried_out_then_later_or_never() {
        for (presented, answer) in [(0, Generation(1)), (1, Generation(2))] {
            let calls = [
                (10, Present(0), Nothing),
                (20, Present(0), Generation(1)),
                (30, Present(presented), answer),
            ];
            assert_eq!(replayed(None, &calls), Ok(()));
        }
        for later in [Yes, No] {
            assert_eq!(
                replayed(None, &[(10, LogOut, Nothing), (20, Check, Yes), (30, Check, later)]),
                Ok(())
            );
        }
        let undone = [(10, LogOut, Nothing), (20, Check, No), (30, Check, Yes)];
        assert_eq!(replayed(None, &undone), Err(2));
    }

    #[test]
    fn a_store_that_lost_its_last_moments_may_have_gone_back_so_far_and_no_further() {
        let calls = [
            (10, Present(0), Generation(1)),
            (20, Present(1), Generation(2)),
            (30, Present(2), Generation(3)),
        ];
        let ahead = [&calls[..], &[(5_000, Present(1), Generation(2))]].concat();
        assert_eq!(replayed(None, &ahead), Err(3));
        assert_eq!(replayed(Some(15), &ahead), Ok(()), "it had the first refresh alone");
        assert_eq!(replayed(Some(25), &ahead), Err(3), "it had the second one as well");
        let gone = [&calls[..], &[(40, Check, No)]].concat();
        assert_eq!(replayed(Some(5), &gone), Err(3), "it was opened before");
        assert_eq!(replayed(Some(0), &gone), Ok(()));
        let undone = [(10, LogOut, Yes), (20, Check, Yes)];
        assert_eq!(replayed(Some(0), &undone), Err(1), "an end that was acknowledged stays");
    }

    #[test]
    fn two_at_once_are_taken_in_either_order() {
        let at_once = |asked, answered| Observation { span: Span { began: 10, ended: 20 }, asked, answered };
        let replay = Replay { grace: GRACE, doubt: 10, lost: None };
        let opened = Span { began: 0, ended: 1 };
        let pair = [at_once(Check, No), at_once(LogOut, Yes)];
        assert_eq!(replay.run(opened, &pair), Ok(()));
        let twice = [at_once(LogOut, Yes), at_once(LogOut, Yes)];
        assert!(replay.run(opened, &twice).is_err());
    }
}
