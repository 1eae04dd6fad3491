//! One partition: the journal in SQL, the token store with its mark, and the processes that vouch for it.
//!
//! Faults: the store fails over to its other copy (and back), is emptied, loses a process between any
//! two steps; SQL goes away, comes back, or comes back as an older backup. Every step of a process is an
//! action of its own, so a process may pause anywhere for as long as anything else takes.

use stateright::{Model, Property};

use crate::rules::Bug;

const POSITIONS: usize = 8;
const SESSIONS: usize = 2;

/// The number of an incarnation, and what tells two apart that got the same number from a database
/// that was restored in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation {
    number: u8,
    id: u8,
}

/// A row of the journal: its random id, that of the row before it, and the session that it ends (none:
/// SQL and the store go on together from here).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    id: u8,
    previous: u8,
    ends: Option<u8>,
}

/// What SQL keeps of the partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sql {
    head: u8,
    rows: [Option<Row>; POSITIONS],
    /// Up to this position SQL may have lost entries.
    hole: u8,
    incarnation: Incarnation,
    vouching: u8,
}

impl Sql {
    fn row(&self, position: u8) -> Option<Row> {
        if position == 0 { None } else { self.rows[usize::from(position) - 1] }
    }

    /// The id at a position; 0 at the very beginning.
    fn id(&self, position: u8) -> u8 {
        self.row(position).map_or(0, |row| row.id)
    }

    fn append(&mut self, position: u8, life: u8, ends: Option<u8>) -> Option<Row> {
        if usize::from(position) > POSITIONS {
            return None;
        }
        let row = Row { id: random(position, life), previous: self.id(self.head), ends };
        self.rows[usize::from(position) - 1] = Some(row);
        self.head = position;
        Some(row)
    }
}

/// What the token store keeps of the partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Data {
    incarnation: Incarnation,
    vouching: u8,
    mark: u8,
    entry: u8,
    /// The server that this data was vouched for on.
    seal: u8,
    /// Entries that were applied above the mark.
    applied: [Option<Row>; POSITIONS],
    /// For the properties alone: which sessions were ended by entries up to the mark.
    covered: u8,
    /// Bit by session.
    denied: u8,
    owed: u8,
}

impl Data {
    /// Notes that an entry was carried out, and moves the mark over what now follows it without a gap.
    fn note(&mut self, position: u8, row: Row, chained: bool) {
        if position <= self.mark {
            return;
        }
        self.applied[usize::from(position) - 1] = Some(row);
        while let Some(Some(next)) = self.applied.get(usize::from(self.mark)).copied()
            && (next.previous == self.entry || !chained)
        {
            self.move_to(self.mark + 1, next);
        }
    }

    fn move_to(&mut self, position: u8, row: Row) {
        self.mark = position;
        self.entry = row.id;
        self.covered |= row.ends.map_or(0, bit);
        for applied in &mut self.applied[..usize::from(position)] {
            *applied = None;
        }
    }

    fn end(&mut self, row: Row) {
        if let Some(session) = row.ends {
            self.denied |= bit(session);
            self.owed &= !bit(session);
        }
    }
}

/// What a process remembers. It outlives a lost connection and ends with the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The server that it vouches for; 0: none, every verdict is 503.
    server: u8,
    incarnation: Incarnation,
    vouching: u8,
    /// The highest mark that it ever read, and the entry there.
    high: u8,
    high_entry: u8,
    /// For the properties alone: which revocations the marks covered that it read.
    covered: u8,
}

impl Memory {
    fn high(&self) -> High {
        High {
            server: self.server,
            incarnation: self.incarnation,
            vouching: self.vouching,
            mark: self.high,
            entry: self.high_entry,
        }
    }
}

/// How far a look has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// None under way.
    Idle,
    /// Only with a seeded bug: the heads are known before the server is.
    HeadFirst { head: u8, life: u8 },
    /// Identity and state are read.
    Seen { server: u8, state: Option<View>, high: High },
    /// The heads are read as well.
    Compared { server: u8, state: Option<View>, high: High, head: u8, incarnation: Incarnation, life: u8 },
    /// A new incarnation is drawn and about to be written over what was seen.
    Empty { server: u8, state: Option<View>, drawn: Incarnation, vouching: u8, mark: u8, entry: u8 },
    /// What was seen counts no more, and is about to be removed.
    Condemned { server: u8, state: View },
    /// A new vouching is drawn and about to be written over what was seen.
    Seal { server: u8, state: View, vouching: u8 },
    /// A row that joins the two again is in SQL, and the mark is about to move to it.
    Join { server: u8, state: View, position: u8, row: Row, life: u8 },
    /// Only with a seeded bug: the mark has moved and the entry is still to be carried out.
    Behind { server: u8, row: Row },
}

/// The state as a look has read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    incarnation: Incarnation,
    vouching: u8,
    mark: u8,
    entry: u8,
    seal: u8,
}

/// The highest mark, with its entry, that a process knew when its look began, and what it vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct High {
    server: u8,
    incarnation: Incarnation,
    vouching: u8,
    mark: u8,
    entry: u8,
}

/// How far a revocation has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// None under way.
    None,
    /// The mark is read.
    Begun { session: u8, mark: u8, entry: u8 },
    /// In SQL.
    Appended { position: u8, row: Row },
}

/// A replica of the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    memory: Option<Memory>,
    look: Look,
    operation: Operation,
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Faults {
    /// In all.
    pub all: u8,
    /// The store's other copy takes over.
    pub failovers: u8,
    /// The store is emptied.
    pub flushes: u8,
    /// SQL goes away.
    pub outages: u8,
    /// SQL is replaced by its backup.
    pub restores: u8,
    /// A process dies and starts again.
    pub crashes: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    sql: Sql,
    sql_up: bool,
    /// Counts restores: a connection does not outlive one.
    life: u8,
    backup: Option<Box<Sql>>,
    server: u8,
    data: Option<Data>,
    other_copy: Option<Data>,
    processes: Vec<Process>,
    faults: Faults,
    revocations: u8,
    /// In which incarnation each session was opened; the tokens are out in the world.
    opened: [Option<Incarnation>; SESSIONS],
    /// By which entry its revocation was journaled when it was acknowledged.
    acknowledged: [Option<u8>; SESSIONS],
    mark_went_back: bool,
    flushed: bool,
    failed_over: bool,
    restored: bool,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process opens a session.
    Open(u8, u8),
    /// A process begins to revoke a session, or to journal what is owed.
    Begin(u8, u8),
    /// Somebody asks again for a revocation that the store shows as done.
    AskAgain(u8, u8),
    /// The next step of a revocation.
    Go(u8),
    /// The revocation answers 503.
    GiveUp(u8),
    /// The next step of a look.
    Look(u8),
    /// The store's other copy catches up.
    Replicate,
    /// The store's other copy takes over; the old one becomes the other.
    FailOver,
    /// The store is emptied.
    Flush,
    /// A backup of SQL is made.
    BackUp,
    /// SQL goes away.
    SqlDown,
    /// SQL is back.
    SqlUp,
    /// SQL is replaced by its backup.
    Restore,
    /// A process dies and starts again.
    Crash(u8),
}

/// The model; `bug` switches a rule off.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Which rule is off.
    pub bug: Option<Bug>,
    /// How many replicas of the service.
    pub processes: usize,
    /// How many revocations are begun.
    pub revocations: u8,
    /// What may go wrong.
    pub faults: Faults,
}

fn bit(number: u8) -> u8 {
    1 << number
}

/// What is drawn at random is never drawn twice: here a number that grows, and which life of the
/// database it was drawn in.
fn random(number: u8, life: u8) -> u8 {
    number + 16 * life
}

fn view(data: &Data) -> View {
    View {
        incarnation: data.incarnation,
        vouching: data.vouching,
        mark: data.mark,
        entry: data.entry,
        seal: data.seal,
    }
}

impl Journal {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn same(&self, one: Incarnation, other: Incarnation) -> bool {
        one.number == other.number && (one.id == other.id || self.has(Bug::IncarnationByNumber))
    }

    /// Whether the store would carry out a script for this process.
    fn is_serving(&self, state: &State, process: usize) -> bool {
        let Some(memory) = &state.processes[process].memory else { return false };
        memory.server == state.server
            && match &state.data {
                Some(data) => memory.vouching == data.vouching || self.has(Bug::VouchingNotPassed),
                None => self.has(Bug::VouchingNotPassed),
            }
    }

    /// Whether a process would take a session's tokens. The weakest judge counts: one that knows the
    /// denials, not the sessions.
    fn accepts(&self, state: &State, process: usize, session: u8) -> bool {
        let (Some(memory), Some(opened)) =
            (&state.processes[process].memory, state.opened[usize::from(session)])
        else {
            return false;
        };
        if !self.is_serving(state, process) {
            return false;
        }
        let current = state.data.as_ref().map_or(memory.incarnation, |data| data.incarnation);
        let denied = state.data.as_ref().map_or(0, |data| data.denied);
        (self.same(opened, current) || self.has(Bug::OlderIncarnationAccepted)) && denied & bit(session) == 0
    }

    /// Both stores have lost the revocation, and this process has never seen that it was there.
    fn may_not_know(state: &State, process: usize, session: u8, id: u8) -> bool {
        let journaled = state.sql.rows.iter().flatten().any(|row| row.id == id);
        let memory = state.processes[process].memory.as_ref();
        state.restored && !journaled && memory.is_none_or(|memory| memory.covered & bit(session) == 0)
    }

    fn remember(process: &mut Process, server: u8, data: &Data) {
        let covered = process.memory.as_ref().map_or(0, |memory| memory.covered) | data.covered;
        let known =
            process.memory.as_ref().map(|memory| (memory.high, memory.high_entry, memory.incarnation));
        let (high, high_entry) = match known {
            // A mark of another incarnation says nothing about this one.
            Some((high, entry, incarnation)) if incarnation == data.incarnation && high > data.mark => {
                (high, entry)
            }
            _ => (data.mark, data.entry),
        };
        process.memory = Some(Memory {
            server,
            incarnation: data.incarnation,
            vouching: data.vouching,
            high,
            high_entry,
            covered,
        });
    }

    fn look(&self, state: &mut State, index: usize) -> Option<()> {
        let server = state.server;
        let process = &mut state.processes[index];
        let look = std::mem::replace(&mut process.look, Look::Idle);
        match look {
            Look::Idle => {
                if self.has(Bug::HeadsBeforeIdentity) && state.sql_up {
                    process.look = Look::HeadFirst { head: state.sql.head, life: state.life };
                } else {
                    process.look = self.see(process.memory.as_mut(), server, state.data.as_ref());
                }
            }
            Look::HeadFirst { head, life } => {
                let Look::Seen { server, state: seen, high } =
                    self.see(process.memory.as_mut(), server, state.data.as_ref())
                else {
                    return None;
                };
                process.look = Look::Compared {
                    server,
                    state: seen,
                    high,
                    head,
                    incarnation: state.sql.incarnation,
                    life,
                };
            }
            Look::Seen { server, state: seen, high } => {
                if !state.sql_up {
                    return None;
                }
                process.look = Look::Compared {
                    server,
                    state: seen,
                    high,
                    head: state.sql.head,
                    incarnation: state.sql.incarnation,
                    life: state.life,
                };
            }
            Look::Compared { server, state: seen, high, head, incarnation, life } => {
                if !state.sql_up {
                    return None;
                }
                if server != state.server || life != state.life {
                    return Some(());
                }
                self.compare(state, index, server, seen, high, head, incarnation, life)?;
            }
            Look::Empty { server, state: seen, drawn, vouching, mark, entry } => {
                if server != state.server {
                    return Some(());
                }
                if state.data.as_ref().map(view) == seen || self.has(Bug::WritesWithoutComparing) {
                    let data = Data {
                        incarnation: drawn,
                        vouching,
                        mark,
                        entry,
                        seal: server,
                        applied: [None; POSITIONS],
                        denied: 0,
                        owed: 0,
                        covered: 0,
                    };
                    Self::remember(process, server, &data);
                    state.data = Some(data);
                }
            }
            Look::Condemned { server, state: seen } => {
                if server == state.server && state.data.as_ref().map(view) == Some(seen) {
                    state.data = None;
                }
            }
            Look::Seal { server, state: seen, vouching } => {
                if server != state.server {
                    return Some(());
                }
                match &mut state.data {
                    Some(data)
                        if data.vouching == seen.vouching
                            && data.seal == seen.seal
                            && data.incarnation == seen.incarnation
                            && data.mark >= seen.mark =>
                    {
                        data.vouching = vouching;
                        data.seal = server;
                        let data = data.clone();
                        Self::remember(process, server, &data);
                    }
                    None if self.has(Bug::WritesWithoutComparing) => {
                        let data = Data {
                            incarnation: seen.incarnation,
                            vouching,
                            mark: seen.mark,
                            entry: seen.entry,
                            seal: server,
                            applied: [None; POSITIONS],
                            denied: 0,
                            owed: 0,
                            covered: 0,
                        };
                        Self::remember(process, server, &data);
                        state.data = Some(data);
                    }
                    _ => {}
                }
            }
            Look::Join { server, state: seen, position, row, life } => {
                if !state.sql_up {
                    return None;
                }
                if server != state.server || life != state.life {
                    return Some(());
                }
                if let Some(data) = &mut state.data
                    && view(data) == seen
                {
                    if !self.has(Bug::JoinedWithoutCarryingOut) {
                        for row in state.sql.rows[..usize::from(position)].iter().flatten() {
                            data.end(*row);
                            data.covered |= row.ends.map_or(0, bit);
                        }
                    }
                    data.move_to(position, row);
                }
            }
            Look::Behind { server, row } => {
                if server == state.server
                    && let Some(data) = &mut state.data
                {
                    data.end(row);
                }
            }
        }
        Some(())
    }

    /// Step 1 and 2 of a look.
    fn see(&self, memory: Option<&mut Memory>, server: u8, data: Option<&Data>) -> Look {
        let seen = data.map(view);
        let nothing =
            High { server: 0, incarnation: Incarnation { number: 0, id: 0 }, vouching: 0, mark: 0, entry: 0 };
        let high = memory.as_ref().map_or(nothing, |memory| memory.high());
        if let Some(memory) = memory {
            let stands = match seen {
                Some(seen) => {
                    (memory.server == server && seen.seal == server || self.has(Bug::SealNotCompared))
                        && memory.vouching == seen.vouching
                        && memory.incarnation == seen.incarnation
                        && seen.mark >= memory.high
                }
                None => false,
            };
            match seen {
                Some(seen) if stands => {
                    memory.server = server;
                    memory.high = seen.mark;
                    memory.high_entry = seen.entry;
                    memory.covered |= data.map_or(0, |data| data.covered);
                }
                _ => memory.server = 0,
            }
        }
        Look::Seen { server, state: seen, high }
    }

    /// Step 3 of a look: one step of it, then the look is done or goes on.
    #[allow(clippy::too_many_arguments, reason = "what one look has read")]
    fn compare(
        &self,
        state: &mut State,
        index: usize,
        server: u8,
        seen: Option<View>,
        high: High,
        head: u8,
        incarnation: Incarnation,
        life: u8,
    ) -> Option<()> {
        let again = |seen| Look::Compared { server, state: seen, high, head, incarnation, life };
        let Some(seen) = seen else {
            return self.draw_incarnation(state, index, server, None, incarnation);
        };
        let adopts = self.has(Bug::OlderStateAdoptsTheNumber);
        if seen.incarnation.number < incarnation.number {
            if adopts {
                let (mark, entry) = (state.sql.head, state.sql.id(state.sql.head));
                state.processes[index].look =
                    Look::Empty { server, state: Some(seen), drawn: incarnation, vouching: 64, mark, entry };
                return Some(());
            }
            return self.condemn(state, index, server, seen, incarnation);
        }
        if seen.incarnation.number == incarnation.number && !self.same(seen.incarnation, incarnation) {
            return self.condemn(state, index, server, seen, incarnation);
        }
        if seen.incarnation.number > incarnation.number {
            // SQL went back and the store did not.
            state.sql.incarnation = seen.incarnation;
            return Some(());
        }
        if high.incarnation != seen.incarnation
            && high.incarnation.number >= seen.incarnation.number
            && !self.has(Bug::OlderIncarnationRevived)
        {
            // Both went back to before an incarnation that this process knows.
            return self.condemn(state, index, server, seen, incarnation);
        }
        // What was vouched for since this process last looked may be less than what it knew to be there.
        let lacks = seen.mark.max(head) < high.mark
            || (state.sql.id(high.mark) != high.entry && !self.has(Bug::HighMarkWithoutItsEntry));
        if high.incarnation == seen.incarnation
            && ((high.server, high.vouching) != (server, seen.vouching)
                || self.has(Bug::OwnVouchingNotTrusted))
            && (high.mark, high.entry) != (seen.mark, seen.entry)
            && lacks
            && !self.has(Bug::HighMarkForgotten)
        {
            return self.condemn(state, index, server, seen, incarnation);
        }
        let follows = seen.mark <= head && state.sql.id(seen.mark) == seen.entry;
        if !follows && !self.has(Bug::PositionsBelowTheMark) {
            // Under an unbroken seal the store has lost nothing since it was vouched for: it is SQL that
            // went back, and may have given positions anew that the store already has.
            let stands = seen.seal == server && !self.has(Bug::DivergenceAlwaysEmpties);
            if seen.mark <= head && !stands {
                return self.condemn(state, index, server, seen, incarnation);
            }
            let position = seen.mark.max(state.sql.head) + 1;
            let row = state.sql.append(position, state.life, None)?;
            if !self.has(Bug::HoleNotWrittenDown) {
                state.sql.hole = state.sql.hole.max(seen.mark);
            }
            state.processes[index].look = Look::Join { server, state: seen, position, row, life };
            return Some(());
        }
        let replays = seen.mark < head && (seen.seal == server || !self.has(Bug::VouchedBeforeReplayed));
        if replays {
            if state.sql.hole > seen.mark && !self.has(Bug::HoleCrossed) {
                return self.condemn(state, index, server, seen, incarnation);
            }
            // A position that SQL lost has no row: only a replay that crosses holes gets here.
            let position = seen.mark + 1;
            let row = state.sql.row(position).unwrap_or(Row { id: 0, previous: seen.entry, ends: None });
            let compares = !self.has(Bug::WritesWithoutComparing);
            let process = &mut state.processes[index];
            let Some(data) = &mut state.data else { return Some(()) };
            if compares
                && (data.mark != seen.mark || data.entry != seen.entry || data.vouching != seen.vouching)
            {
                return Some(());
            }
            state.mark_went_back |= data.mark > position;
            data.move_to(position, row);
            let seen = View { mark: position, entry: row.id, ..seen };
            if self.has(Bug::MarkMovedBeforeTheWrite)
                && row.ends.is_some_and(|ends| data.denied & bit(ends) == 0)
            {
                process.look = Look::Behind { server, row };
                return Some(());
            }
            data.end(row);
            process.look = again(Some(seen));
            return Some(());
        }
        if seen.seal != server {
            let vouching = Self::draw_vouching(state);
            state.processes[index].look = Look::Seal { server, state: seen, vouching };
            return Some(());
        }
        // Sealed here by somebody else, or nothing new.
        let process = &mut state.processes[index];
        if let Some(data) = &state.data
            && data.vouching == seen.vouching
        {
            Self::remember(process, server, data);
        }
        Some(())
    }

    fn draw_vouching(state: &mut State) -> u8 {
        state.sql.vouching += 1;
        random(state.sql.vouching, state.life)
    }

    /// Nothing is drawn on the strength of a look that was overtaken: the state is removed first, if it is
    /// still what was seen, and the next look begins anew with nothing.
    fn condemn(
        &self,
        state: &mut State,
        index: usize,
        server: u8,
        seen: View,
        known: Incarnation,
    ) -> Option<()> {
        if self.has(Bug::DrawnBeforeCondemned) {
            return self.draw_incarnation(state, index, server, Some(seen), known);
        }
        state.processes[index].look = Look::Condemned { server, state: seen };
        Some(())
    }

    fn draw_incarnation(
        &self,
        state: &mut State,
        index: usize,
        server: u8,
        seen: Option<View>,
        known: Incarnation,
    ) -> Option<()> {
        if state.sql.incarnation != known {
            // Somebody else has drawn: look again.
            return Some(());
        }
        let remembered = state.processes[index].memory.as_ref().map_or(0, |memory| memory.incarnation.number);
        let number = known.number.max(seen.map_or(0, |seen| seen.incarnation.number)).max(remembered) + 1;
        state.sql.incarnation = Incarnation { number, id: state.life };
        let vouching = Self::draw_vouching(state);
        state.processes[index].look = Look::Empty {
            server,
            state: seen,
            drawn: state.sql.incarnation,
            vouching,
            mark: state.sql.head,
            entry: state.sql.id(state.sql.head),
        };
        Some(())
    }

    fn go(&self, state: &mut State, index: usize) -> Option<()> {
        let serving = self.is_serving(state, index);
        let operation = std::mem::replace(&mut state.processes[index].operation, Operation::None);
        match operation {
            Operation::None => return None,
            Operation::Begun { session, mark, entry } => {
                if !state.sql_up {
                    // Carried out without a position, and answered 503.
                    if !serving {
                        return None;
                    }
                    let data = state.data.as_mut()?;
                    data.denied |= bit(session);
                    if !self.has(Bug::OwedForgotten) {
                        data.owed |= bit(session);
                    }
                    return Some(());
                }
                // SQL went back: nothing is appended before a look has mended that.
                if !self.has(Bug::PositionsBelowTheMark)
                    && (state.sql.head < mark || state.sql.id(mark) != entry)
                {
                    state.processes[index].operation = Operation::Begun { session, mark, entry };
                    return None;
                }
                let position = state.sql.head + 1;
                let row = state.sql.append(position, state.life, Some(session))?;
                state.processes[index].operation = Operation::Appended { position, row };
            }
            Operation::Appended { position, row } => {
                if !serving {
                    return None;
                }
                let server = state.server;
                let session = row.ends?;
                if let Some(data) = &mut state.data {
                    data.end(row);
                    if self.has(Bug::MarkPassesUnapplied) && position > data.mark {
                        data.move_to(position, row);
                    } else {
                        data.note(position, row, !self.has(Bug::MarkMovesOffTheChain));
                    }
                    let data = data.clone();
                    Self::remember(&mut state.processes[index], server, &data);
                }
                Self::acknowledge(state, session, row.id);
            }
        }
        Some(())
    }

    fn acknowledge(state: &mut State, session: u8, id: u8) {
        let acknowledged = &mut state.acknowledged[usize::from(session)];
        if acknowledged.is_none() {
            *acknowledged = Some(id);
        }
    }

    /// With everything up and nothing going wrong any more, the processes look in turn: they must end
    /// up vouched, with nothing pending.
    fn recovers(&self, state: &State) -> bool {
        let mut state = state.clone();
        state.sql_up = true;
        for process in &mut state.processes {
            process.operation = Operation::None;
            process.look = Look::Idle;
        }
        for round in 0..60 {
            let index = round % state.processes.len();
            // A whole look at a time: two that draw numbers against each other forever are no progress.
            for _ in 0..16 {
                if self.look(&mut state, index).is_none() || state.processes[index].look == Look::Idle {
                    break;
                }
            }
            let settled = state.data.as_ref().is_some_and(|data| {
                let pending = state.sql.rows.iter().flatten().filter_map(|row| row.ends).any(|session| {
                    state.opened[usize::from(session)] == Some(data.incarnation)
                        && data.denied & bit(session) == 0
                });
                data.mark >= state.sql.head && !pending
            });
            if settled && (0..state.processes.len()).all(|process| self.is_serving(&state, process)) {
                return true;
            }
        }
        false
    }
}

impl Model for Journal {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let incarnation = Incarnation { number: 1, id: 0 };
        let data = Data {
            incarnation,
            vouching: 1,
            mark: 0,
            entry: 0,
            seal: 1,
            applied: [None; POSITIONS],
            denied: 0,
            owed: 0,
            covered: 0,
        };
        let process = Process {
            memory: Some(Memory { server: 1, incarnation, vouching: 1, high: 0, high_entry: 0, covered: 0 }),
            look: Look::Idle,
            operation: Operation::None,
        };
        let mut opened = [None; SESSIONS];
        opened[0] = Some(incarnation);
        let sql = Sql { head: 0, rows: [None; POSITIONS], hole: 0, incarnation, vouching: 1 };
        vec![State {
            backup: Some(Box::new(sql.clone())),
            sql,
            sql_up: true,
            life: 0,
            server: 1,
            other_copy: Some(data.clone()),
            data: Some(data),
            processes: vec![process; self.processes],
            faults: self.faults,
            revocations: self.revocations,
            opened,
            acknowledged: [None; SESSIONS],
            mark_went_back: false,
            flushed: false,
            failed_over: false,
            restored: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let data = state.data.as_ref();
        for index in 0..state.processes.len() as u8 {
            let process = &state.processes[usize::from(index)];
            let serving = self.is_serving(state, usize::from(index));
            for session in 0..SESSIONS as u8 {
                let opened = state.opened[usize::from(session)].is_some();
                let owed = data.is_some_and(|data| data.owed & bit(session) != 0);
                let denied = data.is_some_and(|data| data.denied & bit(session) != 0);
                let acknowledged = state.acknowledged[usize::from(session)].is_some();
                if serving && !opened && data.is_some() {
                    actions.push(Action::Open(index, session));
                }
                if serving
                    && opened
                    && state.revocations > 0
                    && process.operation == Operation::None
                    && (owed && state.sql_up || !denied && !acknowledged)
                {
                    actions.push(Action::Begin(index, session));
                }
                if serving && denied && !owed && !acknowledged {
                    actions.push(Action::AskAgain(index, session));
                }
            }
            if process.operation != Operation::None {
                actions.push(Action::Go(index));
                actions.push(Action::GiveUp(index));
            }
            actions.push(Action::Look(index));
            if state.faults.crashes > 0 && state.faults.all > 0 {
                actions.push(Action::Crash(index));
            }
        }
        if state.faults.failovers > 0 && state.faults.all > 0 && state.other_copy != state.data {
            actions.push(Action::Replicate);
        }
        if !state.sql_up {
            actions.push(Action::SqlUp);
        }
        if state.faults.restores > 0 && state.backup.as_deref() != Some(&state.sql) {
            actions.push(Action::BackUp);
        }
        if state.faults.all == 0 {
            return;
        }
        if state.faults.failovers > 0 {
            actions.push(Action::FailOver);
        }
        if state.faults.flushes > 0 && data.is_some() {
            actions.push(Action::Flush);
        }
        if state.faults.outages > 0 && state.sql_up {
            actions.push(Action::SqlDown);
        }
        if state.faults.restores > 0 && state.backup.as_deref() != Some(&state.sql) {
            actions.push(Action::Restore);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Open(process, session) => {
                let _ = process;
                state.opened[usize::from(session)] = Some(state.data.as_ref()?.incarnation);
            }
            Action::Begin(process, session) => {
                let (mark, entry) = state.data.as_ref().map_or((0, 0), |data| (data.mark, data.entry));
                state.revocations -= 1;
                state.processes[usize::from(process)].operation = Operation::Begun { session, mark, entry };
            }
            Action::AskAgain(process, session) => {
                let server = state.server;
                let data = state.data.clone()?;
                Self::remember(&mut state.processes[usize::from(process)], server, &data);
                let row = state.sql.rows.iter().enumerate().find_map(|(index, row)| {
                    let row = row.filter(|row| row.ends == Some(session))?;
                    let applied = data.applied[index].is_some_and(|applied| applied.id == row.id);
                    (index < usize::from(data.mark) || applied).then_some(row.id)
                });
                Self::acknowledge(&mut state, session, row.unwrap_or(data.entry));
            }
            Action::Go(process) => self.go(&mut state, usize::from(process))?,
            Action::GiveUp(process) => state.processes[usize::from(process)].operation = Operation::None,
            Action::Look(process) => self.look(&mut state, usize::from(process))?,
            Action::Replicate => state.other_copy = state.data.clone(),
            Action::FailOver => {
                std::mem::swap(&mut state.data, &mut state.other_copy);
                state.server += 1;
                state.faults.failovers -= 1;
                state.faults.all -= 1;
                state.failed_over = true;
            }
            Action::Flush => {
                state.data = None;
                state.faults.flushes -= 1;
                state.faults.all -= 1;
                state.flushed = true;
            }
            Action::BackUp => state.backup = Some(Box::new(state.sql.clone())),
            Action::SqlDown => {
                state.sql_up = false;
                state.faults.outages -= 1;
                state.faults.all -= 1;
            }
            Action::SqlUp => state.sql_up = true,
            Action::Restore => {
                state.sql = *state.backup.clone()?;
                state.life += 1;
                state.faults.restores -= 1;
                state.faults.all -= 1;
                state.restored = true;
            }
            Action::Crash(process) => {
                let process = &mut state.processes[usize::from(process)];
                process.memory = None;
                process.look = Look::Idle;
                process.operation = Operation::None;
                state.faults.crashes -= 1;
                state.faults.all -= 1;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what was acknowledged as revoked stays revoked",
                |model: &Self, state: &State| {
                    (0..SESSIONS as u8).all(|session| match state.acknowledged[usize::from(session)] {
                        None => true,
                        Some(id) => (0..state.processes.len()).all(|process| {
                            !model.accepts(state, process, session)
                                || Self::may_not_know(state, process, session, id)
                        }),
                    })
                },
            ),
            Property::always(
                "a vouched store lacks nothing that was acknowledged",
                |model: &Self, state: &State| {
                    let serving =
                        (0..state.processes.len()).filter(|process| model.is_serving(state, *process));
                    serving.into_iter().all(|process| {
                        let Some(data) = &state.data else { return true };
                        (0..SESSIONS as u8).all(|session| {
                            let (Some(id), Some(opened)) = (
                                state.acknowledged[usize::from(session)],
                                state.opened[usize::from(session)],
                            ) else {
                                return true;
                            };
                            opened != data.incarnation
                                || data.denied & bit(session) != 0
                                || Self::may_not_know(state, process, session, id)
                        })
                    })
                },
            ),
            Property::always("the mark never goes back", |_, state: &State| !state.mark_went_back),
            Property::always("nobody is logged out unless data was lost", |_, state: &State| {
                let lost = state.flushed || (state.failed_over && state.restored);
                lost || state.data.as_ref().is_none_or(|data| data.incarnation.number == 1)
            }),
            Property::always("every partition is vouched for again", |model: &Self, state: &State| {
                model.recovers(state)
            }),
        ]
    }
}
