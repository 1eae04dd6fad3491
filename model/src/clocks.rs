//! Clocks that differ: access tokens, their denials, and replicas that are within and beyond the leeway.
//!
//! The store's clock is the true one. Each replica's is off by a fixed number of ticks.

use stateright::{Model, Property};

use crate::rules::Bug;

const TOKENS: usize = 2;
/// In ticks.
const LIFETIME: i8 = 3;
const LEEWAY: i8 = 1;
/// How far each replica's clock is ahead of the store's.
const OFFSETS: [i8; 5] = [0, 1, -1, 5, -5];

/// An access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    issued_at: i8,
    expires_at: i8,
    version: u8,
    /// When it was minted in truth: how many events there had been.
    event: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: i8,
    tokens: [Option<Token>; TOKENS],
    /// Until when each token is denied, while the store remembers.
    denied: [Option<i8>; TOKENS],
    revoked: [bool; TOKENS],
    version: u8,
    not_before: i8,
}

/// One step, at a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A tick passes.
    Tick,
    /// A token is minted.
    Mint(u8, u8),
    /// A token is revoked, acknowledged.
    Revoke(u8, u8),
    /// A security event of the account, acknowledged.
    Event(u8),
    /// What has ended is dropped from the denylist.
    Prune(u8),
}

/// The model; `bug` switches a rule off.
#[derive(Clone, Debug)]
pub struct Clocks {
    /// Which rule is off.
    pub bug: Option<Bug>,
    /// How long it goes.
    pub ticks: i8,
}

impl Clocks {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn is_odd(replica: usize) -> bool {
        OFFSETS[replica].abs() > LEEWAY
    }

    fn accepts(&self, state: &State, replica: usize, index: usize) -> bool {
        let Some(token) = state.tokens[index] else { return false };
        if Self::is_odd(replica) && !self.has(Bug::OddReplicaJudges) {
            return false;
        }
        let counts = if self.has(Bug::NotBeforeInsteadOfVersion) {
            token.issued_at >= state.not_before
        } else {
            token.version >= state.version
        };
        counts && state.denied[index].is_none() && state.now + OFFSETS[replica] < token.expires_at + LEEWAY
    }
}

impl Model for Clocks {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            tokens: [None; TOKENS],
            denied: [None; TOKENS],
            revoked: [false; TOKENS],
            version: 0,
            not_before: i8::MIN,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < self.ticks {
            actions.push(Action::Tick);
        }
        for replica in 0..OFFSETS.len() as u8 {
            let odd = Self::is_odd(usize::from(replica));
            for token in 0..TOKENS as u8 {
                if state.tokens[usize::from(token)].is_none() {
                    if !odd || self.has(Bug::OddReplicaMints) {
                        actions.push(Action::Mint(replica, token));
                    }
                } else if !state.revoked[usize::from(token)] {
                    actions.push(Action::Revoke(replica, token));
                }
            }
            if state.version < 2 {
                actions.push(Action::Event(replica));
            }
            actions.push(Action::Prune(replica));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Mint(replica, token) => {
                let offset = OFFSETS[usize::from(replica)];
                let own = self.has(Bug::OddReplicaMints) || self.has(Bug::NotBeforeInsteadOfVersion);
                let issued_at = state.now + if own { offset } else { 0 };
                state.tokens[usize::from(token)] = Some(Token {
                    issued_at,
                    expires_at: issued_at + LIFETIME,
                    version: state.version,
                    event: state.version,
                });
            }
            Action::Revoke(_, token) => {
                let leeways = if self.has(Bug::DenialKeptForOneLeeway) { LEEWAY } else { 2 * LEEWAY };
                state.revoked[usize::from(token)] = true;
                state.denied[usize::from(token)] = Some(state.now + LIFETIME + leeways);
            }
            Action::Event(replica) => {
                state.version += 1;
                state.not_before = state.now + OFFSETS[usize::from(replica)];
            }
            Action::Prune(replica) => {
                let own = self.has(Bug::PrunesByTheReplicasClock);
                let now = state.now + if own { OFFSETS[usize::from(replica)] } else { 0 };
                for denied in &mut state.denied {
                    *denied = denied.filter(|until| now < *until);
                }
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what was acknowledged as revoked stays revoked",
                |model: &Self, state: &State| {
                    (0..TOKENS).all(|index| {
                        let ended = state.tokens[index].is_some_and(|token| token.event < state.version);
                        !(ended || state.revoked[index])
                            || (0..OFFSETS.len()).all(|replica| !model.accepts(state, replica, index))
                    })
                },
            ),
            Property::always("a live token is accepted", |model: &Self, state: &State| {
                (0..TOKENS).all(|index| {
                    let Some(token) = state.tokens[index] else { return true };
                    let live =
                        token.event == state.version && !state.revoked[index] && state.now < token.expires_at;
                    !live
                        || (0..OFFSETS.len())
                            .filter(|replica| !Self::is_odd(*replica))
                            .all(|replica| model.accepts(state, replica, index))
                })
            }),
        ]
    }
}
