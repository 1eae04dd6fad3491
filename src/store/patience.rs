//! How long a store is waited for.
//!
//! A limit is there for a store that is away. It is counted in the time that this process had, not by
//! the clock alone: a process that the machine gave no time for a second finds its timer over and the
//! answer not yet looked at, and would take its own standstill for the store's. So a limit is waited
//! out in short turns, and a turn that took much longer than it should counts as one turn.
//!
//! These timers are a task's own and decide nothing about tokens, hence tokio's clock.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

/// How many turns a limit is waited out in. More would be more exact, and have a long line of callers
/// look up more often for nothing.
const TURNS: u32 = 8;

/// No answer came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(super) struct TooSlow(pub(super) Duration);

/// Waits for a call, for `limit` at most.
///
/// # Errors
/// [`TooSlow`]; the call is given up then.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, TooSlow> {
    let mut call = pin!(call);
    for _ in 0..TURNS {
        if let Ok(answer) = timeout(limit / TURNS, call.as_mut()).await {
            return Ok(answer);
        }
    }
    Err(TooSlow(limit))
}

/// How a line of calls gets on: how many of them were answered so far.
#[derive(Debug, Default)]
pub(super) struct Line(AtomicU64);

impl Line {
    /// A line that nobody has been served in.
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A call of this line was answered.
    pub(super) fn moves(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn answered(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits for a call that stands in `line` for as long as the line moves: until nothing was answered
/// for `quiet`, and for `limit` at most. For a store in this process, where a long line says that the
/// machine is busy, and only a line that stands still says that the store is stuck.
///
/// # Errors
/// [`TooSlow`]; the call is given up then.
pub(super) async fn while_it_moves<T>(
    line: &Line,
    quiet: Duration,
    limit: Duration,
    call: impl Future<Output = T>,
) -> Result<T, TooSlow> {
    let mut call = pin!(call);
    let turn = quiet / TURNS;
    let (mut quiet_turns, mut waited, mut answered) = (0, Duration::ZERO, line.answered());
    while waited < limit {
        if let Ok(answer) = timeout(turn, call.as_mut()).await {
            return Ok(answer);
        }
        waited += turn;
        let now_answered = line.answered();
        quiet_turns = if now_answered == answered { quiet_turns + 1 } else { 0 };
        answered = now_answered;
        if quiet_turns >= TURNS {
            return Err(TooSlow(quiet));
        }
    }
    Err(TooSlow(limit))
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use tokio::sync::oneshot;
    use tokio::time::{Instant, advance, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);
    const QUIET: Duration = Duration::from_millis(800);
    const LONGEST: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_waited_for_no_longer_than_the_limit() {
        let began = Instant::now();
        assert_eq!(within(LIMIT, pending::<()>()).await, Err(TooSlow(LIMIT)));
        // tokio's timers have a grain of a millisecond, once a turn.
        assert!(began.elapsed() <= LIMIT + Duration::from_millis(2) * TURNS, "{:?}", began.elapsed());
    }

    /// The whole process stands still for ten seconds while the answer is on its way through a task
    /// that could not run either.
    #[tokio::test(start_paused = true)]
    async fn a_standstill_of_this_process_is_not_the_stores() {
        for moving in [false, true] {
            let (answer, answered) = oneshot::channel();
            let waiting = tokio::spawn(async move {
                let answered = async { answered.await.expect("an answer") };
                match moving {
                    false => within(LIMIT, answered).await,
                    true => while_it_moves(&Line::default(), QUIET, LONGEST, answered).await,
                }
            });
            tokio::task::yield_now().await;
            advance(Duration::from_secs(10)).await;
            tokio::task::yield_now().await;
            answer.send("late").expect("somebody who still waits");
            assert_eq!(waiting.await.expect("no panic"), Ok("late"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_moves_is_waited_in_and_one_that_stands_still_is_left() {
        let line = Arc::new(Line::default());
        let mover = tokio::spawn({
            let line = line.clone();
            async move {
                for _ in 0..4 {
                    sleep(QUIET / 2).await;
                    line.moves();
                }
            }
        });
        let answered = while_it_moves(&line, QUIET, LONGEST, sleep(QUIET * 2)).await;
        assert_eq!(answered, Ok(()), "twice as long as the line may stand still");
        mover.await.expect("no panic");
        let began = Instant::now();
        assert_eq!(while_it_moves(&line, QUIET, LONGEST, pending::<()>()).await, Err(TooSlow(QUIET)));
        assert!(began.elapsed() < QUIET * 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_in_a_line_for_ever() {
        let line = Arc::new(Line::default());
        let mover = tokio::spawn({
            let line = line.clone();
            async move {
                loop {
                    sleep(QUIET / 4).await;
                    line.moves();
                }
            }
        });
        assert_eq!(while_it_moves(&line, QUIET, LONGEST, pending::<()>()).await, Err(TooSlow(LONGEST)));
        mover.abort();
    }
}
