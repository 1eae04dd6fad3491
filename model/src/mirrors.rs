//! Copies of the feed that answer in place of the store, and the revocation that waits for them.
//!
//! A mirror joins the register, checks what it is about to read from, reads, and confirms; each is a step
//! of its own, so it may be paused anywhere, or for good. The store fails over to a copy that lacks the
//! end of the stream and of the register, or is emptied. Time passes in ticks at any moment.

use stateright::{Model, Property};

use crate::rules::Bug;

const SESSIONS: usize = 2;
/// In ticks.
const STALENESS: u8 = 2;

/// What was announced: under which id of the stream, and which session it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announcement {
    id: u8,
    session: u8,
}

/// The register of mirrors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Register {
    /// How many barriers were raised.
    barriers: u8,
    /// What each member acknowledged last.
    members: Vec<Option<u8>>,
}

/// What the token store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The server that the data was vouched for on; 0: none.
    seal: u8,
    vouching: u8,
    incarnation: u8,
    stream: Vec<Announcement>,
    register: Register,
}

/// How far a mirror's read has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// None under way.
    Idle,
    /// It is in the register.
    Joined { began: u8, server: u8 },
    /// It knows what it reads from.
    Checked { began: u8, server: u8, incarnation: u8, complete: bool, barrier: u8 },
}

/// A mirror.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mirror {
    reading: Reading,
    vouching: u8,
    position: u8,
    /// Bit by session.
    denied: u8,
    incarnation: u8,
    /// What was issued before is refused; only with a seeded bug.
    not_before: u8,
    /// Until when the copy may answer.
    fresh_until: Option<u8>,
}

/// How far a revocation has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// None under way.
    None,
    /// Only with a seeded bug: the barrier is raised and nothing is announced.
    Early { session: u8, since: u8, server: u8, number: u8, members: u8 },
    /// In the journal and in the stream.
    Announced { session: u8 },
    /// Waits for the mirrors that were members when the barrier was raised.
    Raised { session: u8, since: u8, server: u8, number: u8, members: u8 },
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    server: u8,
    store: Store,
    other_copy: Store,
    vouched_at: u8,
    /// Of the vouchings; never repeated.
    vouchings: u8,
    /// In SQL: which sessions are revoked.
    journal: u8,
    mirrors: Vec<Mirror>,
    revocation: Revocation,
    /// In which incarnation and when each session's token was minted.
    minted: [Option<(u8, u8)>; SESSIONS],
    acknowledged: u8,
    failovers: u8,
    flushes: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A tick passes.
    Tick,
    /// A session is opened, its access token minted.
    Open(u8),
    /// A session is revoked; the announcement comes from a replica whose clock is right, or ahead.
    Revoke(u8, bool),
    /// The barrier is raised.
    Raise,
    /// The revocation is acknowledged.
    Acknowledge,
    /// A mirror's next step.
    Read(u8),
    /// The other copy catches up.
    Replicate,
    /// The other copy takes over.
    FailOver,
    /// The store is emptied.
    Flush,
    /// A process vouches for the store: replays what it lacks, or begins a new incarnation.
    Vouch(bool),
}

/// The model; `bug` switches a rule off.
#[derive(Clone, Debug)]
pub struct Mirrors {
    /// Which rule is off.
    pub bug: Option<Bug>,
    /// How many mirrors.
    pub mirrors: usize,
    /// Both sessions are there from the start, and the other copy never catches up: for what takes many
    /// steps.
    pub narrow: bool,
    /// How long it goes.
    pub ticks: u8,
    /// How often the other copy may take over.
    pub failovers: u8,
    /// How often the store may be emptied.
    pub flushes: u8,
}

fn bit(number: u8) -> u8 {
    1 << number
}

/// Tokens carry whole seconds: two ticks.
fn second(tick: u8) -> u8 {
    tick / 2
}

impl Mirrors {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn accepts(&self, state: &State, mirror: &Mirror, session: u8) -> bool {
        let Some((incarnation, minted)) = state.minted[usize::from(session)] else { return false };
        let fresh = match mirror.fresh_until {
            Some(until) => state.now < until || self.has(Bug::StaleCopySaysYes),
            None => false,
        };
        let current = if self.has(Bug::NotBeforeInsteadOfIncarnation) {
            second(minted) >= second(mirror.not_before)
        } else {
            incarnation == mirror.incarnation
        };
        fresh && current && mirror.denied & bit(session) == 0
    }

    fn is_vouched(state: &State) -> bool {
        state.store.seal == state.server
    }

    /// A replica whose clock is ahead takes an id that the others reach later.
    fn announce(store: &mut Store, session: u8, ahead: bool) {
        let last = store.stream.last().map_or(0, |last| last.id);
        store.stream.push(Announcement { id: last + if ahead { 3 } else { 1 }, session });
    }

    fn raise(state: &mut State, session: u8) -> (u8, u8, u8, u8, u8) {
        let register = &mut state.store.register;
        let members = register.members.iter().enumerate().filter(|(_, member)| member.is_some());
        let members = members.fold(0, |members, (index, _)| members | bit(index as u8));
        register.barriers += 1;
        (session, state.now, state.server, register.barriers, members)
    }

    /// Whether everybody whom a barrier waits for has read it, or uses its copy no more.
    fn is_through(&self, state: &State, since: u8, server: u8, number: u8, members: u8) -> bool {
        let wait_of_vouching = state.now >= state.vouched_at + STALENESS;
        if !wait_of_vouching && !self.has(Bug::NoWaitAfterVouching) {
            return false;
        }
        let acknowledged = |index: usize| {
            server == state.server
                && state.store.register.members[index].is_some_and(|acknowledged| acknowledged >= number)
        };
        let silent = self.has(Bug::NoWaitForASilentMirror) || state.now >= since + STALENESS;
        silent || (0..state.mirrors.len()).all(|index| members & bit(index as u8) == 0 || acknowledged(index))
    }

    fn read(&self, state: &mut State, index: usize) -> Option<()> {
        let State { now, server, store, mirrors, .. } = state;
        let (now, server) = (*now, *server);
        let mirror = &mut mirrors[index];
        match mirror.reading.clone() {
            Reading::Idle => {
                if store.seal == 0 {
                    return None;
                }
                let register = &mut store.register;
                if register.members[index].is_none() {
                    register.members[index] = Some(register.barriers);
                    if self.has(Bug::JoiningCountsAsReading) {
                        mirror.fresh_until = Some(now + STALENESS);
                    }
                }
                mirror.reading = Reading::Joined { began: now, server };
            }
            Reading::Joined { server: of, .. } | Reading::Checked { server: of, .. } if of != server => {
                mirror.reading = Reading::Idle;
            }
            Reading::Joined { began, .. } => {
                if store.seal != server && !self.has(Bug::ReadsWhatNobodyVouchedFor) {
                    mirror.reading = Reading::Idle;
                    return Some(());
                }
                if mirror.vouching != store.vouching && !self.has(Bug::PositionKept) {
                    mirror.position = 0;
                }
                mirror.vouching = store.vouching;
                mirror.reading = Reading::Checked {
                    began,
                    server,
                    incarnation: store.incarnation,
                    complete: false,
                    barrier: 0,
                };
            }
            Reading::Checked { began, server, incarnation, complete: false, .. } => {
                let mut waiting =
                    store.stream.iter().filter(|announcement| announcement.id > mirror.position).copied();
                // One at a time: a read that was not all there is goes on.
                let next = waiting.next();
                let complete = waiting.next().is_none() || self.has(Bug::IncompleteReadCounts);
                if let Some(next) = next {
                    mirror.position = next.id;
                    mirror.denied |= bit(next.session);
                }
                let barrier = store.register.barriers;
                mirror.reading = Reading::Checked { began, server, incarnation, complete, barrier };
            }
            Reading::Checked { began, incarnation, barrier, complete: true, .. } => {
                mirror.reading = Reading::Idle;
                let member = &mut store.register.members[index];
                if member.is_none() && !self.has(Bug::RemovedMirrorGoesOn) {
                    mirror.fresh_until = None;
                    return Some(());
                }
                if member.is_some_and(|acknowledged| acknowledged < barrier) {
                    *member = Some(barrier);
                }
                if mirror.incarnation != incarnation {
                    mirror.incarnation = incarnation;
                    mirror.not_before = state.vouched_at;
                }
                let from = if self.has(Bug::FreshFromTheEndOfTheRead) { now } else { began };
                mirror.fresh_until = Some(from + STALENESS);
            }
        }
        Some(())
    }
}

impl Model for Mirrors {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let store = Store {
            seal: 1,
            vouching: 1,
            incarnation: 1,
            stream: Vec::new(),
            register: Register { barriers: 0, members: vec![None; self.mirrors] },
        };
        let mirror = Mirror {
            reading: Reading::Idle,
            vouching: 0,
            position: 0,
            denied: 0,
            incarnation: 1,
            not_before: 0,
            fresh_until: None,
        };
        let mut minted = [None; SESSIONS];
        minted[0] = Some((1, 0));
        if self.narrow {
            minted[1] = Some((1, 0));
        }
        vec![State {
            now: 2,
            server: 1,
            other_copy: store.clone(),
            store,
            vouched_at: 0,
            vouchings: 1,
            journal: 0,
            mirrors: vec![mirror; self.mirrors],
            revocation: Revocation::None,
            minted,
            acknowledged: 0,
            failovers: self.failovers,
            flushes: self.flushes,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.now < 2 + self.ticks {
            actions.push(Action::Tick);
        }
        let vouched = Self::is_vouched(state);
        if vouched {
            for session in 0..SESSIONS as u8 {
                if state.minted[usize::from(session)].is_none() {
                    actions.push(Action::Open(session));
                } else if state.revocation == Revocation::None && state.acknowledged & bit(session) == 0 {
                    actions.push(Action::Revoke(session, false));
                    actions.push(Action::Revoke(session, true));
                }
            }
            match state.revocation {
                Revocation::Announced { .. } | Revocation::Early { .. } => actions.push(Action::Raise),
                Revocation::Raised { since, server, number, members, .. } => {
                    if self.is_through(state, since, server, number, members) {
                        actions.push(Action::Acknowledge);
                    }
                }
                Revocation::None => {}
            }
        } else {
            actions.push(Action::Vouch(false));
            actions.push(Action::Vouch(true));
        }
        for index in 0..state.mirrors.len() as u8 {
            actions.push(Action::Read(index));
        }
        if state.failovers > 0 {
            if state.other_copy != state.store && !self.narrow {
                actions.push(Action::Replicate);
            }
            actions.push(Action::FailOver);
        }
        if state.flushes > 0 {
            actions.push(Action::Flush);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => state.now += 1,
            Action::Open(session) => {
                state.minted[usize::from(session)] = Some((state.store.incarnation, state.now));
            }
            Action::Revoke(session, ahead) => {
                state.journal |= bit(session);
                let known = state.minted[usize::from(session)]
                    .is_some_and(|(incarnation, _)| incarnation == state.store.incarnation);
                if self.has(Bug::BarrierBeforeTheAnnouncement) {
                    let (session, since, server, number, members) = Self::raise(&mut state, session);
                    state.revocation = Revocation::Early { session, since, server, number, members };
                } else {
                    // Nothing is known of a session of another incarnation: its tokens are dead by that.
                    if known {
                        Self::announce(&mut state.store, session, ahead);
                    }
                    state.revocation = Revocation::Announced { session };
                }
            }
            Action::Raise => {
                state.revocation = match state.revocation {
                    Revocation::Announced { session } => {
                        let (session, since, server, number, members) = Self::raise(&mut state, session);
                        Revocation::Raised { session, since, server, number, members }
                    }
                    Revocation::Early { session, since, server, number, members } => {
                        Self::announce(&mut state.store, session, false);
                        Revocation::Raised { session, since, server, number, members }
                    }
                    _ => return None,
                };
            }
            Action::Acknowledge => {
                let Revocation::Raised { session, server, number, members, .. } = state.revocation else {
                    return None;
                };
                if server == state.server {
                    for (index, member) in state.store.register.members.iter_mut().enumerate() {
                        let waited = members & bit(index as u8) != 0;
                        if waited && member.is_some_and(|acknowledged| acknowledged < number) {
                            *member = None;
                        }
                    }
                }
                state.acknowledged |= bit(session);
                state.revocation = Revocation::None;
            }
            Action::Read(index) => self.read(&mut state, usize::from(index))?,
            Action::Replicate => state.other_copy = state.store.clone(),
            Action::FailOver => {
                std::mem::swap(&mut state.store, &mut state.other_copy);
                state.server += 1;
                state.failovers -= 1;
            }
            Action::Flush => {
                let register = Register { barriers: 0, members: vec![None; self.mirrors] };
                let incarnation = state.store.incarnation;
                state.store = Store { seal: 0, vouching: 0, incarnation, stream: Vec::new(), register };
                state.flushes -= 1;
            }
            Action::Vouch(ahead) => {
                state.vouchings += 1;
                let missing = state.store.vouching == 0;
                if missing {
                    state.store.incarnation += 1;
                } else {
                    for session in 0..SESSIONS as u8 {
                        let there = state.store.stream.iter().any(|known| known.session == session);
                        if state.journal & bit(session) != 0 && !there {
                            Self::announce(&mut state.store, session, ahead);
                        }
                    }
                }
                let counted = state.store.vouching + 1;
                state.store.vouching = if self.has(Bug::VouchingCounted) { counted } else { state.vouchings };
                state.store.seal = state.server;
                state.vouched_at = state.now;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what was acknowledged as revoked stays revoked",
                |model: &Self, state: &State| {
                    (0..SESSIONS as u8).all(|session| {
                        state.acknowledged & bit(session) == 0
                            || state.mirrors.iter().all(|mirror| !model.accepts(state, mirror, session))
                    })
                },
            ),
            Property::always("a stale copy never says yes", |model: &Self, state: &State| {
                state.mirrors.iter().all(|mirror| {
                    mirror.fresh_until.is_some_and(|until| state.now < until)
                        || (0..SESSIONS as u8).all(|session| !model.accepts(state, mirror, session))
                })
            }),
            Property::always("a revocation is acknowledged in the end", |model: &Self, state: &State| {
                let Revocation::Raised { since, server, number, members, .. } = state.revocation else {
                    return true;
                };
                let mut later = state.clone();
                later.now = since.max(state.vouched_at) + STALENESS;
                model.is_through(&later, since, server, number, members)
            }),
        ]
    }
}
