//! How a database is called: for how long at most, and not at all while it is away.

use std::time::Duration;

use super::failure::{Failure, text_of, text_of_driver, unavailable};
use crate::metrics;
use crate::store::breaker::Breaker;
use crate::store::error::{StoreError, StoreResult};
use crate::store::patience::{self, Line};

/// How long an engine may take over a statement, its waiting for locks included. Every statement
/// touches one row or one page of rows by key, so this is some hundred times the usual.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_millis(400);

/// What a call waits on top of the limits of the pool and of the engine. The engine gives up first,
/// so that the answer is known: cut off by us, a write may still happen.
pub(super) const CALL_MARGIN: Duration = Duration::from_millis(150);

/// After this many failures of one kind of work in a row nobody asks for it for [`PAUSE`].
const THRESHOLD: u32 = 5;

/// How long calls fail at once before one may try again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a call is about. Each kind has a line and a breaker of its own: a table that is locked stops
/// those who need it and nobody else, and a server that only reads goes on reading.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Probe,
    AccountReads,
    AccountWrites,
    KeyReads,
    KeyWrites,
    ClientReads,
    ClientWrites,
    AuditReads,
    AuditWrites,
    JournalReads,
    JournalWrites,
}

const KINDS: usize = Work::JournalWrites as usize + 1;

/// How long a call is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// For that long: the database is another process, and may be gone.
    Fixed(Duration),
    /// For as long as the line of that kind moves: the database is in this process. A busy machine makes
    /// long lines, and only a line that stands still has something that holds it up.
    WhileItMoves {
        /// How long the line may stand still.
        quiet: Duration,
        /// How long one waits in it in all.
        longest: Duration,
    },
}

/// What a driver's error says about the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is there and has answered, if only with a refusal.
    Answer,
    /// It did not answer, or cannot serve.
    Nothing,
}

/// All calls to one database.
#[derive(Debug)]
pub(super) struct Calls {
    kinds: [(Breaker, Line); KINDS],
}

impl Calls {
    pub(super) fn new() -> Self {
        Self {
            kinds: std::array::from_fn(|_| {
                (Breaker::new(metrics::Store::Database, THRESHOLD, PAUSE), Line::default())
            }),
        }
    }

    /// Makes a call, within `limit`. `judge` is told what the driver says, and that it says nothing.
    pub(super) async fn make<T, E: Into<Failure>>(
        &self,
        work: Work,
        limit: Limit,
        judge: impl Fn(Option<&sqlx::Error>) -> Heard,
        call: impl Future<Output = Result<T, E>>,
    ) -> StoreResult<T> {
        let (breaker, line) = &self.kinds[work as usize];
        let permit = breaker.acquire().map_err(|open| unavailable(&open))?;
        let answer = match limit {
            Limit::Fixed(limit) => patience::within(limit, call).await,
            Limit::WhileItMoves { quiet, longest } => {
                patience::while_it_moves(line, quiet, longest, call).await
            }
        };
        let (heard, answer) = match answer {
            Ok(Ok(answer)) => (Heard::Answer, Ok(answer)),
            Ok(Err(failure)) => match failure.into() {
                Failure::Driver(error) => {
                    let source = text_of_driver(&error);
                    (judge(Some(&error)), Err(StoreError::Unavailable { store: "database", source }))
                }
                Failure::Store(error) => (Heard::Answer, Err(error)),
            },
            Err(too_slow) => {
                judge(None);
                (
                    Heard::Nothing,
                    Err(StoreError::Unavailable { store: "database", source: text_of(&too_slow) }),
                )
            }
        };
        match heard {
            Heard::Answer => {
                line.moves();
                permit.succeeded();
            }
            Heard::Nothing => permit.failed(),
        }
        answer
    }
}
