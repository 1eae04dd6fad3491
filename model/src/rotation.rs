//! One session and the holders of its refresh tokens: two tabs, and a thief.
//!
//! Answers get lost, tokens are stolen, the store fails over to a copy that lacks the last rotations, while
//! the one of before goes on answering, and the replicas' clocks differ from the store's.

use std::cmp::Ordering;

use stateright::{Model, Property};

use crate::rules::Bug;

/// In ticks of the store's clock.
const GRACE: u8 = 2;
const GENERATIONS: usize = 10;
const TABS: usize = 2;
const THIEF: usize = 2;
/// How far the replicas' clocks are ahead of the store's.
const AHEAD: [u8; 2] = [0, 2];

/// What a token is to a session that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The one that can be used: its successor is the one from now on.
    Current,
    /// The store has gone back since it was handed out: it counts as the current one.
    Ahead,
    /// It was used a moment ago, and its successor was not: the same successor once more.
    Again,
    /// It was used before: the session ends.
    Reuse,
}

impl Verdict {
    /// By the generation that is presented and the one that the session is at.
    pub fn of(presented: u32, current: u32, in_grace: bool) -> Self {
        match presented.cmp(&current) {
            Ordering::Equal => Self::Current,
            Ordering::Greater => Self::Ahead,
            Ordering::Less if in_grace && presented + 1 == current => Self::Again,
            Ordering::Less => Self::Reuse,
        }
    }
}

/// The session as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    live: bool,
    generation: u8,
    rotated_at: u8,
    /// For the properties alone: the highest generation that was redeemed, as far as this copy goes.
    redeemed: Option<u8>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    store: Session,
    other_copy: Session,
    /// The newest token that each holder has.
    held: [Option<u8>; 3],
    /// When each generation was redeemed first.
    redeemed_at: [Option<u8>; GENERATIONS],
    journaled: bool,
    owed: bool,
    failovers: u8,
    presented: u8,
    forked: bool,
    innocent_ended: bool,
    outlived_reuse: bool,
    revoked_accepted: bool,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A tick passes.
    Tick,
    /// A holder presents its token to a replica; the answer arrives or is lost.
    Present { holder: u8, replica: u8, lost: bool },
    /// The thief copies a tab's token.
    Steal(u8),
    /// The session is logged out, acknowledged.
    LogOut,
    /// What the alarm owes is journaled.
    Settle,
    /// The other copy catches up.
    Replicate,
    /// The other copy takes over, and the journal is carried out there before anything else.
    FailOver,
    /// A replica whose connection to the master of before is still open asks there whether an access token of the
    /// session stands.
    AskTheDemoted,
}

/// The model; `bug` switches a rule off.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Which rule is off.
    pub bug: Option<Bug>,
    /// How long it goes.
    pub ticks: u8,
    /// How often a token is presented.
    pub presented: u8,
    /// How often the other copy may take over.
    pub failovers: u8,
}

impl Rotation {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn present(&self, state: &mut State, holder: usize, replica: usize, lost: bool) -> Option<()> {
        let presented = state.held[holder]?;
        if usize::from(presented) + 1 >= GENERATIONS {
            return None;
        }
        state.presented -= 1;
        let session = &mut state.store;
        if !session.live {
            return Some(());
        }
        let now = if self.has(Bug::GraceByTheReplicasClock) { state.now + AHEAD[replica] } else { state.now };
        let in_grace = now < session.rotated_at + GRACE;
        let verdict = match Verdict::of(presented.into(), session.generation.into(), in_grace) {
            Verdict::Ahead if self.has(Bug::AheadIsReuse) => Verdict::Reuse,
            Verdict::Ahead if self.has(Bug::AheadDoesNotMove) => Verdict::Again,
            Verdict::Reuse if in_grace && self.has(Bug::GraceStaysOpen) => Verdict::Again,
            verdict => verdict,
        };
        if matches!(verdict, Verdict::Current | Verdict::Ahead) {
            session.generation = presented + 1;
            session.rotated_at = now;
        }
        let answer = (verdict != Verdict::Reuse).then_some(presented + 1);
        let first = state.redeemed_at[usize::from(presented)];
        match answer {
            Some(answer) => {
                state.forked |= session.redeemed.is_some_and(|redeemed| presented < redeemed);
                state.revoked_accepted |= state.journaled;
                session.redeemed = session.redeemed.max(Some(presented));
                if first.is_none() {
                    state.redeemed_at[usize::from(presented)] = Some(state.now);
                }
                if !lost {
                    state.held[holder] = Some(answer);
                }
            }
            None => {
                // The successor is unused and the window is open: two tabs, or an answer that was lost.
                let window = first.is_none_or(|first| state.now < first + GRACE);
                let unused = state.redeemed_at[usize::from(presented) + 1].is_none();
                state.innocent_ended |= window && unused;
                if !self.has(Bug::ReuseIsOnlyRefused) {
                    session.live = false;
                    state.owed = true;
                }
                state.outlived_reuse |= session.live;
            }
        }
        Some(())
    }
}

impl Model for Rotation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let store = Session { live: true, generation: 0, rotated_at: 0, redeemed: None };
        vec![State {
            now: 0,
            other_copy: store.clone(),
            store,
            held: [Some(0), Some(0), None],
            redeemed_at: [None; GENERATIONS],
            journaled: false,
            owed: false,
            failovers: self.failovers,
            presented: self.presented,
            forked: false,
            innocent_ended: false,
            outlived_reuse: false,
            revoked_accepted: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.ticks {
            actions.push(Action::Tick);
        }
        if state.presented > 0 {
            for holder in 0..=THIEF as u8 {
                if state.held[usize::from(holder)].is_none() {
                    continue;
                }
                for replica in 0..AHEAD.len() as u8 {
                    for lost in [false, true] {
                        actions.push(Action::Present { holder, replica, lost });
                    }
                }
            }
        }
        for tab in 0..TABS as u8 {
            actions.push(Action::Steal(tab));
        }
        if !state.journaled {
            actions.push(Action::LogOut);
        }
        if state.owed {
            actions.push(Action::Settle);
        }
        if state.failovers > 0 {
            actions.push(Action::Replicate);
            actions.push(Action::FailOver);
        }
        if state.failovers < self.failovers {
            actions.push(Action::AskTheDemoted);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Present { holder, replica, lost } => {
                self.present(&mut state, usize::from(holder), usize::from(replica), lost)?;
            }
            Action::Steal(tab) => state.held[THIEF] = state.held[usize::from(tab)],
            Action::LogOut => {
                state.store.live = false;
                state.journaled = true;
            }
            Action::Settle => {
                state.store.live = false;
                state.journaled = true;
                state.owed = false;
            }
            Action::Replicate => state.other_copy = state.store.clone(),
            Action::FailOver => {
                std::mem::swap(&mut state.store, &mut state.other_copy);
                state.failovers -= 1;
                // What is owed was in the store alone, and is lost with it.
                state.owed = false;
                state.store.live &= !state.journaled || self.has(Bug::NotReplayed);
            }
            Action::AskTheDemoted => {
                let is_believed = self.has(Bug::ReplicaJudges);
                state.revoked_accepted |= is_believed && state.other_copy.live && state.journaled;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a session has one live leaf", |_, state: &State| !state.forked),
            Property::always("two tabs and a lost answer end no session", |_, state: &State| {
                !state.innocent_ended
            }),
            Property::always("no session outlives reuse", |_, state: &State| !state.outlived_reuse),
            Property::always("what was acknowledged as revoked stays revoked", |_, state: &State| {
                !state.revoked_accepted
            }),
        ]
    }
}
