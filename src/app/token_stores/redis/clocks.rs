//! Whose clock is wrong: this machine's, the token store's or the database's.

use std::sync::Arc;
use std::time::Duration;

use crate::app::finding::{Condition, Finding};
use crate::domain::clock::Clock;
use crate::domain::timekeeper::{Odd, Timekeeper};
use crate::store::UserStore;
use crate::store::redis::RedisTokenStore;

const SUBJECT: &str = "clock";

/// Compares this machine's clock with that of Redis and, where it has one and answers, the database's.
pub(super) async fn check(
    own: Arc<dyn Clock>,
    leeway: Duration,
    store: &RedisTokenStore,
    database: Option<&dyn UserStore>,
) -> Finding {
    let keeper = Timekeeper::new(own, leeway);
    let asked_at = keeper.monotonic();
    match store.time().await {
        Ok(time) => keeper.observe_token_store(keeper.reading(asked_at, time)),
        Err(error) => return Finding::bad(SUBJECT, &error),
    }
    let asked_at = keeper.monotonic();
    if let Some(database) = database
        && let Ok(Some(time)) = database.time().await
    {
        keeper.observe_database(keeper.reading(asked_at, time));
    }
    judge(keeper.odd())
}

fn judge(odd: Odd) -> Finding {
    let whose = [
        ("this machine's clock", odd.own, ": nothing is issued here (503 `clock_skew`)"),
        ("the clock of Redis", odd.token_store, ""),
        ("the database's clock", odd.database, ""),
    ];
    let of = |(whose, ahead, so): (&str, Option<i64>, &str)| {
        let ahead = ahead?;
        let span = humantime::format_duration(Duration::from_millis(ahead.unsigned_abs()));
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        Some(format!("{whose} is {span} {side} the others{so}"))
    };
    let wrong: Vec<String> = whose.into_iter().filter_map(of).collect();
    match wrong.is_empty() {
        true => Finding::new(SUBJECT, Condition::Good, "those of this machine and the stores agree"),
        false => Finding::new(SUBJECT, Condition::Bad, wrong.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_clock_is_wrong_is_named_with_by_how_much() {
        let good = judge(Odd::default());
        assert_eq!(good.condition, Condition::Good);
        for (odd, text) in [
            (
                Odd { own: Some(3_600_000), ..Odd::default() },
                "this machine's clock is 1h ahead of the others",
            ),
            (
                Odd { token_store: Some(-61_000), ..Odd::default() },
                "the clock of Redis is 1m 1s behind the others",
            ),
            (
                Odd { database: Some(6_000), ..Odd::default() },
                "the database's clock is 6s ahead of the others",
            ),
        ] {
            let finding = judge(odd);
            assert_eq!(finding.condition, Condition::Bad);
            assert!(finding.text.starts_with(text), "{}", finding.text);
        }
    }
}
