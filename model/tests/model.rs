//! The design holds in every state that the checker gets to, and each rule that is switched off is missed.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

use hallpass_model::accounts::Accounts;
use hallpass_model::clocks::Clocks;
use hallpass_model::journal::{Faults, Journal};
use hallpass_model::mirrors::Mirrors;
use hallpass_model::rotation::Rotation;
use hallpass_model::rules::{Bug, Rule};
use stateright::{Checker, HasDiscoveries, Model};

const THREADS: usize = 2;
const NOTHING: Faults = Faults { all: 0, failovers: 0, flushes: 0, outages: 0, restores: 0, crashes: 0 };

const REVOKED: &str = "what was acknowledged as revoked stays revoked";

/// How many states were seen, and which promises were found broken, each with the way there.
struct Outcome {
    states: usize,
    broken: Vec<(&'static str, String)>,
}

/// Explores breadth first, up to `most` steps in all, until `promise` is found broken, or any if none is named.
fn explore<M>(name: &str, model: M, promise: Option<&'static str>, most: usize) -> Outcome
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq,
{
    let enough = match promise {
        Some(promise) => HasDiscoveries::AnyOf(BTreeSet::from([promise])),
        None => HasDiscoveries::AnyFailures,
    };
    let checker =
        model.checker().threads(THREADS).finish_when(enough).target_state_count(most).spawn_bfs().join();
    let broken: Vec<_> = checker
        .discoveries()
        .into_iter()
        .map(|(promise, path)| (promise, format!("{:?}", path.into_actions())))
        .collect();
    let how_far = match broken.first() {
        Some(_) => {
            format!("broken: {}", broken.iter().map(|(promise, _)| *promise).collect::<Vec<_>>().join("; "))
        }
        None if checker.state_count() < most => "all there are".to_owned(),
        None => format!("to depth {}", checker.max_depth()),
    };
    let states = checker.unique_state_count();
    println!("{name}: {states} states, {how_far}");
    for (promise, path) in &broken {
        println!("    {promise}: {path}");
    }
    Outcome { states, broken }
}

fn journal(bug: Option<Bug>, processes: usize, revocations: u8, faults: Faults) -> Journal {
    Journal { bug, processes, revocations, faults }
}

fn mirrors(bug: Option<Bug>, failovers: u8, flushes: u8) -> Mirrors {
    Mirrors { bug, mirrors: 1, narrow: false, ticks: 5, failovers, flushes }
}

/// For what takes many steps.
fn short(bug: Option<Bug>, failovers: u8) -> Mirrors {
    Mirrors { narrow: true, ticks: 2, ..mirrors(bug, failovers, 0) }
}

fn rotation(bug: Option<Bug>) -> Rotation {
    Rotation { bug, ticks: 4, presented: 4, failovers: 1 }
}

fn accounts(bug: Option<Bug>) -> Accounts {
    Accounts { bug, restores: 1, outages: 1 }
}

fn clocks(bug: Option<Bug>) -> Clocks {
    Clocks { bug, ticks: 7 }
}

/// The design, each part with at most `most` steps; how many states were seen.
fn explore_the_design(most: usize) -> usize {
    let two = Faults { all: 2, ..NOTHING };
    let three = Faults { all: 3, ..NOTHING };
    let outcomes = [
        explore("rotation", rotation(None), None, most),
        explore("accounts", accounts(None), None, most),
        explore("mirrors", mirrors(None, 1, 1), None, most),
        explore("mirrors, two failovers", mirrors(None, 2, 0), None, most),
        explore("clocks", clocks(None), None, most),
        explore("journal, no fault", journal(None, 2, 2, NOTHING), None, most),
        explore(
            "journal, failover",
            journal(None, 2, 2, Faults { all: 1, failovers: 1, ..NOTHING }),
            None,
            most,
        ),
        explore(
            "journal, one process, everything fails",
            journal(
                None,
                1,
                2,
                Faults { failovers: 2, flushes: 2, outages: 1, restores: 1, crashes: 1, ..three },
            ),
            None,
            most,
        ),
        explore(
            "journal, SQL restored and the store fails over",
            journal(None, 2, 2, Faults { failovers: 1, restores: 1, ..two }),
            None,
            most,
        ),
        explore(
            "journal, two of everything",
            journal(
                None,
                2,
                2,
                Faults { failovers: 2, flushes: 1, outages: 1, restores: 1, crashes: 1, ..two },
            ),
            None,
            most,
        ),
    ];
    for outcome in &outcomes {
        assert!(outcome.broken.is_empty(), "{:#?}", outcome.broken);
    }
    outcomes.iter().map(|outcome| outcome.states).sum()
}

/// Which promise is to be found broken when a rule is switched off.
fn promise_that_breaks(bug: Bug) -> &'static str {
    match bug {
        Bug::WritesWithoutComparing => "the mark never goes back",
        Bug::DivergenceAlwaysEmpties | Bug::OwnVouchingNotTrusted | Bug::DrawnBeforeCondemned => {
            "nobody is logged out unless data was lost"
        }
        Bug::JoinedWithoutCarryingOut | Bug::MarkMovesOffTheChain => "every partition is vouched for again",
        Bug::GraceStaysOpen | Bug::AheadDoesNotMove => "a session has one live leaf",
        Bug::AheadIsReuse | Bug::GraceByTheReplicasClock => "two tabs and a lost answer end no session",
        Bug::ReuseIsOnlyRefused => "no session outlives reuse",
        Bug::CutOffGoesDown | Bug::VersionsGivenTwice => "no session outlives an acknowledged event",
        Bug::OpensBelowTheCutOff | Bug::NeverAdvances => "a right password lets in",
        Bug::StaleCopySaysYes => "a stale copy never says yes",
        _ => REVOKED,
    }
}

/// Explores with a rule switched off, where that can be noticed.
fn explore_with(bug: Bug, promise: &'static str, most: usize) -> Outcome {
    let name = format!("{bug:?}");
    let some = Some(bug);
    let fault = |all, failovers, flushes, outages, restores, crashes| Faults {
        all,
        failovers,
        flushes,
        outages,
        restores,
        crashes,
    };
    let journal = |processes, revocations, faults| {
        explore(&name, journal(some, processes, revocations, faults), Some(promise), most)
    };
    match bug {
        Bug::VouchingNotPassed | Bug::OlderIncarnationAccepted => journal(2, 2, fault(1, 0, 1, 0, 0, 0)),
        Bug::SealNotCompared
        | Bug::HeadsBeforeIdentity
        | Bug::VouchedBeforeReplayed
        | Bug::MarkPassesUnapplied
        | Bug::MarkMovedBeforeTheWrite
        | Bug::WritesWithoutComparing => journal(2, 2, fault(1, 1, 0, 0, 0, 0)),
        Bug::MarkMovesOffTheChain | Bug::JoinedWithoutCarryingOut => journal(2, 3, fault(1, 0, 0, 0, 1, 0)),
        Bug::PositionsBelowTheMark => journal(1, 2, fault(2, 1, 0, 0, 1, 0)),
        Bug::HighMarkForgotten | Bug::HoleNotWrittenDown | Bug::HoleCrossed => {
            journal(1, 1, fault(2, 1, 0, 0, 1, 0))
        }
        Bug::HighMarkWithoutItsEntry => journal(2, 2, fault(2, 1, 0, 0, 1, 0)),
        Bug::OwnVouchingNotTrusted | Bug::DivergenceAlwaysEmpties => journal(2, 2, fault(1, 0, 0, 0, 1, 0)),
        Bug::DrawnBeforeCondemned => journal(2, 1, fault(1, 0, 0, 0, 1, 0)),
        Bug::OlderIncarnationRevived => journal(1, 1, fault(3, 1, 1, 0, 1, 0)),
        Bug::OwedForgotten => journal(1, 1, fault(2, 1, 0, 1, 0, 0)),
        Bug::IncarnationByNumber => journal(1, 1, fault(4, 0, 2, 0, 1, 1)),
        Bug::OlderStateAdoptsTheNumber => journal(1, 1, fault(2, 1, 1, 0, 0, 0)),
        Bug::GraceStaysOpen
        | Bug::AheadIsReuse
        | Bug::AheadDoesNotMove
        | Bug::ReuseIsOnlyRefused
        | Bug::GraceByTheReplicasClock
        | Bug::ReplicaJudges
        | Bug::NotReplayed => explore(&name, rotation(some), Some(promise), most),
        Bug::OpensBelowTheCutOff | Bug::CutOffGoesDown | Bug::VersionsGivenTwice | Bug::NeverAdvances => {
            explore(&name, accounts(some), Some(promise), most)
        }
        Bug::NoWaitForASilentMirror
        | Bug::FreshFromTheEndOfTheRead
        | Bug::JoiningCountsAsReading
        | Bug::RemovedMirrorGoesOn
        | Bug::IncompleteReadCounts
        | Bug::BarrierBeforeTheAnnouncement
        | Bug::StaleCopySaysYes => explore(&name, mirrors(some, 0, 0), Some(promise), most),
        Bug::NoWaitAfterVouching | Bug::NotBeforeInsteadOfIncarnation => {
            explore(&name, mirrors(some, 0, 1), Some(promise), most)
        }
        Bug::ReadsWhatNobodyVouchedFor => explore(&name, mirrors(some, 1, 0), Some(promise), most),
        Bug::PositionKept => explore(&name, short(some, 1), Some(promise), most),
        Bug::VouchingCounted => explore(&name, short(some, 2), Some(promise), most),
        Bug::PrunesByTheReplicasClock
        | Bug::NotBeforeInsteadOfVersion
        | Bug::OddReplicaMints
        | Bug::OddReplicaJudges
        | Bug::DenialKeptForOneLeeway => explore(&name, clocks(some), Some(promise), most),
    }
}

#[test]
fn the_design_keeps_its_promises() {
    let states = explore_the_design(500_000);
    println!("{states} states in all");
    assert!(states >= 1_000_000, "only {states} states: the checker has looked at too little");
}

#[test]
#[ignore = "deeper: minutes, and gigabytes of memory"]
fn the_design_keeps_its_promises_further_out() {
    let states = explore_the_design(10_000_000);
    println!("{states} states in all");
}

#[test]
fn each_bug_breaks_a_promise() {
    for bug in Bug::ALL {
        let promise = promise_that_breaks(*bug);
        let outcome = explore_with(*bug, promise, 8_000_000);
        assert!(
            outcome.broken.iter().any(|(broken, _)| *broken == promise),
            "{bug:?} does not break: {promise}"
        );
    }
}

#[test]
fn the_readme_lists_the_rules() {
    let readme = include_str!("../README.md");
    for rule in Rule::ALL {
        let row = format!("| `{rule:?}` | {} |", rule.sentence());
        assert!(readme.contains(&row), "README.md lacks: {row}");
        for bug in Bug::ALL.iter().filter(|bug| bug.rule() == *rule) {
            assert!(readme.contains(&format!("`{bug:?}`")), "README.md lacks {bug:?}");
        }
    }
}

#[test]
fn each_rule_is_switched_off_by_a_bug() {
    let off: BTreeSet<Rule> = Bug::ALL.iter().map(|bug| bug.rule()).collect();
    let kept: Vec<_> = Rule::ALL.iter().filter(|rule| !off.contains(rule)).collect();
    assert!(kept.is_empty(), "no bug switches these off: {kept:?}");
}
