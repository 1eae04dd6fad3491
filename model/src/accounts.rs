//! One account: its security version in SQL, its cut-off and its sessions in the store.
//!
//! Logins and security events pause anywhere; SQL goes away, or is restored from a backup.

use stateright::{Model, Property};

use crate::rules::Bug;

const SESSIONS: usize = 3;
const EVENTS: usize = 3;

/// How far a login has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// Not begun.
    None,
    /// The password was right, at this version; `event` counts what had happened by then.
    Checked { version: u8, event: u8 },
    /// The store knows a later cut-off.
    Superseded { version: u8, event: u8 },
    /// The session is there.
    Open { version: u8, event: u8 },
    /// 401.
    Refused,
}

/// How far a security event has come; `number` counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// None under way.
    None,
    /// In SQL.
    Committed { version: u8, number: u8 },
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    version: u8,
    backup: u8,
    sql_up: bool,
    /// Journaled cut-offs that the store may lack, by position.
    journal: Vec<u8>,
    cut_off: u8,
    owed: Option<u8>,
    logins: [Login; SESSIONS],
    events: [Event; 2],
    /// The number of the last event.
    happened: u8,
    /// The highest that was acknowledged.
    acknowledged: u8,
    /// The highest version that was ever given.
    highest: u8,
    restores: u8,
    outages: u8,
    restored: bool,
    innocent_ended: bool,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The password is right: the version is read from SQL.
    Check(u8),
    /// The login's next step.
    Go(u8),
    /// A security event is committed to SQL.
    Commit(u8),
    /// It is applied and acknowledged.
    Apply(u8),
    /// Its process dies; whoever finds the entry carries it out.
    Die(u8),
    /// An entry of the journal is carried out.
    CarryOut(u8),
    /// A kick while SQL is away.
    KickAway,
    /// What is owed is settled.
    Settle,
    /// SQL goes away.
    SqlDown,
    /// SQL is back.
    SqlUp,
    /// A backup is made.
    BackUp,
    /// SQL is restored.
    Restore,
}

/// The model; `bug` switches a rule off.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Which rule is off.
    pub bug: Option<Bug>,
    /// How often SQL may be restored.
    pub restores: u8,
    /// How often SQL may be away.
    pub outages: u8,
}

impl Accounts {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The next version: above the last one, and above any that a lost history gave.
    fn draw(&self, state: &mut State) -> u8 {
        let below = if self.has(Bug::VersionsGivenTwice) { state.version } else { state.highest };
        state.version = below.max(state.version) + 1;
        state.highest = state.highest.max(state.version);
        state.version
    }

    fn cut_off(&self, state: &mut State, version: u8) {
        if version > state.cut_off || self.has(Bug::CutOffGoesDown) {
            state.cut_off = version;
        }
    }

    /// A session lives as long as its version counts.
    fn lives(state: &State, login: Login) -> bool {
        matches!(login, Login::Open { version, .. } if version >= state.cut_off)
    }

    fn go(&self, state: &mut State, index: usize) -> Option<()> {
        match state.logins[index] {
            Login::Checked { version, event } => {
                let refused = version < state.cut_off && !self.has(Bug::OpensBelowTheCutOff);
                state.logins[index] = if refused {
                    Login::Superseded { version, event }
                } else {
                    Login::Open { version, event }
                };
            }
            Login::Superseded { version, .. } => {
                if !state.sql_up {
                    return None;
                }
                if state.owed.is_some() {
                    // What is owed explains it: settled before the account is judged.
                    Self::settle(state);
                } else if state.version != version || self.has(Bug::NeverAdvances) {
                    // An event came in between, or another state of SQL: the password is to be checked again.
                    state.logins[index] = Login::Refused;
                } else {
                    // SQL went back. It is advanced past the cut-off, with an entry of its own.
                    let version = self.draw(state).max(state.cut_off + 1);
                    state.version = version;
                    state.highest = state.highest.max(version);
                    state.journal.push(version);
                    self.cut_off(state, version);
                    // What SQL says now is what was checked: as good as a login that begins now.
                    state.logins[index] = Login::Open { version, event: state.happened };
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn settle(state: &mut State) {
        if let Some(owed) = state.owed.take() {
            state.version = state.version.max(owed);
            state.journal.push(owed);
        }
    }

    /// With everything up, whoever has the right password gets in: after two attempts at most, since an
    /// event may have come in between.
    fn lets_in(&self, state: &State) -> bool {
        let mut state = state.clone();
        state.sql_up = true;
        for version in state.journal.clone() {
            self.cut_off(&mut state, version);
        }
        for _ in 0..2 {
            state.logins[0] = Login::Checked { version: state.version, event: state.happened };
            for _ in 0..4 {
                self.go(&mut state, 0);
            }
            if Self::lives(&state, state.logins[0]) {
                return true;
            }
        }
        false
    }
}

impl Model for Accounts {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            version: 1,
            backup: 1,
            sql_up: true,
            journal: Vec::new(),
            cut_off: 0,
            owed: None,
            logins: [Login::None; SESSIONS],
            events: [Event::None; 2],
            happened: 0,
            acknowledged: 0,
            highest: 1,
            restores: self.restores,
            outages: self.outages,
            restored: false,
            innocent_ended: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for login in 0..SESSIONS as u8 {
            if state.logins[usize::from(login)] == Login::None && state.sql_up {
                actions.push(Action::Check(login));
            }
            actions.push(Action::Go(login));
        }
        for event in 0..state.events.len() as u8 {
            if state.events[usize::from(event)] == Event::None {
                if state.sql_up && usize::from(state.happened) < EVENTS {
                    actions.push(Action::Commit(event));
                }
            } else {
                actions.push(Action::Apply(event));
                actions.push(Action::Die(event));
            }
        }
        for entry in 0..state.journal.len() as u8 {
            actions.push(Action::CarryOut(entry));
        }
        if state.sql_up {
            if state.owed.is_some() {
                actions.push(Action::Settle);
            }
            if state.outages > 0 {
                actions.push(Action::SqlDown);
            }
        } else {
            actions.push(Action::SqlUp);
            if usize::from(state.happened) < EVENTS {
                actions.push(Action::KickAway);
            }
        }
        if state.restores > 0 {
            actions.push(Action::BackUp);
            actions.push(Action::Restore);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Check(login) => {
                state.logins[usize::from(login)] =
                    Login::Checked { version: state.version, event: state.happened };
            }
            Action::Go(login) => self.go(&mut state, usize::from(login))?,
            Action::Commit(event) => {
                let version = self.draw(&mut state);
                state.happened += 1;
                state.journal.push(version);
                state.events[usize::from(event)] = Event::Committed { version, number: state.happened };
            }
            Action::Apply(event) => {
                let Event::Committed { version, number } = state.events[usize::from(event)] else {
                    return None;
                };
                self.cut_off(&mut state, version);
                state.acknowledged = state.acknowledged.max(number);
                state.events[usize::from(event)] = Event::None;
            }
            Action::Die(event) => state.events[usize::from(event)] = Event::None,
            Action::CarryOut(entry) => {
                let version = state.journal[usize::from(entry)];
                self.cut_off(&mut state, version);
            }
            Action::KickAway => {
                let sessions = state.logins.iter().filter_map(|login| match login {
                    Login::Open { version, .. } => Some(*version),
                    _ => None,
                });
                let known = sessions.max().unwrap_or(0).max(state.cut_off);
                let version =
                    if self.has(Bug::VersionsGivenTwice) { known } else { known.max(state.highest) } + 1;
                state.highest = state.highest.max(version);
                state.happened += 1;
                state.cut_off = version;
                state.owed = Some(version);
            }
            Action::Settle => Self::settle(&mut state),
            Action::SqlDown => {
                state.sql_up = false;
                state.outages -= 1;
            }
            Action::SqlUp => state.sql_up = true,
            Action::BackUp => state.backup = state.version,
            Action::Restore => {
                state.version = state.backup;
                state.journal.clear();
                state.restores -= 1;
                state.restored = true;
            }
        }
        // Whoever logged in after all that happened is not logged out, unless SQL went back.
        state.innocent_ended |= !state.restored
            && state.logins.iter().zip(&last.logins).any(|(login, before)| {
                matches!(login, Login::Open { event, .. } if *event == state.happened)
                    && Self::lives(last, *before)
                    && !Self::lives(&state, *login)
            });
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no session outlives an acknowledged event", |_, state: &State| {
                state.logins.iter().all(|login| match login {
                    Login::Open { event, .. } => *event >= state.acknowledged || !Self::lives(state, *login),
                    _ => true,
                })
            }),
            Property::always("a right password lets in", |model: &Self, state: &State| model.lets_in(state)),
            Property::always("an event ends no later session", |_, state: &State| !state.innocent_ended),
        ]
    }
}
