//! Whether the Sentinels can do what they are there for.

use crate::app::finding::{Condition, Finding};
use crate::store::redis::{RedisTokenStore, SentinelReport, SentinelView};

const SUBJECT: &str = "sentinels";

/// So many stay a majority when one is missing.
const SENTINELS_WANTED: u32 = 3;

/// What they say, where the address is theirs.
pub(super) async fn check(store: &RedisTokenStore) -> Option<Finding> {
    store.ask_sentinels().await.map(|view| judge(&view))
}

/// What a master does that they have left behind.
pub(super) fn judge_split_brain(refuses_alone: Option<bool>) -> Finding {
    const SUBJECT: &str = "split brain";
    match refuses_alone {
        Some(true) => Finding::new(
            SUBJECT,
            Condition::Good,
            "min-replicas-to-write: a master that was left behind takes no writes",
        ),
        Some(false) => Finding::new(
            SUBJECT,
            Condition::Warning,
            "min-replicas-to-write is 0: a master that is cut off goes on taking logins, which are lost when it is \
             back; set it to 1, and min-replicas-max-lag to 10, in each Redis that has two replicas or more",
        ),
        None => Finding::new(
            SUBJECT,
            Condition::Unknown,
            "Redis does not say whether it takes writes without replicas",
        ),
    }
}

fn judge(view: &SentinelView) -> Finding {
    let reports: Vec<(&str, &SentinelReport)> =
        view.told.iter().filter_map(|(name, told)| Some((name.as_str(), told.as_ref().ok()?))).collect();
    let mut complaints: Vec<String> = view
        .told
        .iter()
        .filter_map(|(name, told)| Some(format!("{name} {}", told.as_ref().err()?)))
        .collect();
    let silent = count(complaints.len());
    let Some((_, first)) = reports.first() else {
        let text = format!("none says where the master `{}` is: {}", view.master, complaints.join("; "));
        return Finding::new(SUBJECT, Condition::Bad, text);
    };
    if reports.iter().any(|(_, report)| report.master != first.master) {
        let named = reports.iter().map(|(name, report)| format!("{name} names {}", report.master));
        complaints.push(format!("they disagree: {}", named.collect::<Vec<_>>().join(", ")));
    }
    let down = reports.iter().filter(|(_, report)| !report.is_up).map(|(name, _)| *name);
    complaints.extend(down.map(|name| format!("{name} finds the master down")));
    let all = reports.iter().map(|(_, report)| report.others + 1).max().unwrap_or(1);
    let needed = first.quorum.max(all / 2 + 1);
    if all < SENTINELS_WANTED {
        complaints.push(format!("there are {all}: of {SENTINELS_WANTED} one can be missing"));
    }
    if all.saturating_sub(silent) < needed {
        complaints.push(format!("{needed} of {all} are needed for a failover"));
    }
    if reports.iter().all(|(_, report)| report.replicas == 0) {
        complaints.push("the master has no replica that could take its place".to_owned());
    }
    let condition = if complaints.is_empty() { Condition::Good } else { Condition::Warning };
    let text = format!(
        "{} of {} say that the master `{}` is {} (quorum {}, {})",
        reports.len(),
        view.told.len(),
        view.master,
        first.master,
        first.quorum,
        replicas(first.replicas)
    );
    Finding::new(SUBJECT, condition, [vec![text], complaints].concat().join("; "))
}

fn replicas(count: u32) -> String {
    format!("{count} {}", if count == 1 { "replica" } else { "replicas" })
}

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(master: u16, others: u32, replicas: u32) -> SentinelReport {
        SentinelReport { master: format!("10.0.0.1:{master}"), quorum: 2, others, replicas, is_up: true }
    }

    fn judged(told: Vec<Result<SentinelReport, String>>) -> (Condition, String) {
        let name = |index: usize| format!("s{index}:26379");
        let told = told.into_iter().enumerate().map(|(index, told)| (name(index), told)).collect();
        let found = judge(&SentinelView { master: "main".to_owned(), told });
        (found.condition, found.text)
    }

    #[test]
    fn three_that_agree_are_good() {
        let (condition, text) = judged(vec![Ok(report(1, 2, 1)), Ok(report(1, 2, 1)), Ok(report(1, 2, 1))]);
        assert_eq!(condition, Condition::Good, "{text}");
        assert_eq!(text, "3 of 3 say that the master `main` is 10.0.0.1:1 (quorum 2, 1 replica)");
    }

    #[test]
    fn what_a_failover_would_fail_for_is_named() {
        let silent = || Err("does not answer".to_owned());
        let fine = |others, replicas| Ok(report(1, others, replicas));
        for (told, said) in [
            (vec![fine(2, 1), fine(2, 1), silent()], "s2:26379 does not answer"),
            (vec![fine(2, 1), silent(), silent()], "2 of 3 are needed for a failover"),
            (vec![fine(1, 1), fine(1, 1)], "there are 2: of 3 one can be missing"),
            (vec![fine(2, 0), fine(2, 0)], "no replica"),
            (vec![fine(2, 1), Ok(report(2, 2, 1))], "s1:26379 names 10.0.0.1:2"),
            (
                vec![fine(2, 1), Ok(SentinelReport { is_up: false, ..report(1, 2, 1) })],
                "s1:26379 finds the master down",
            ),
        ] {
            let (condition, text) = judged(told);
            assert!(condition == Condition::Warning && text.contains(said), "{condition:?}: {text}");
        }
        let (condition, text) = judged(vec![silent(), silent()]);
        assert!(condition == Condition::Bad && text.contains("s1:26379 does not answer"), "{text}");
    }

    #[test]
    fn a_master_that_takes_writes_alone_deserves_a_second_thought() {
        let of = |refuses_alone| judge_split_brain(refuses_alone).condition;
        let expected = [Condition::Good, Condition::Warning, Condition::Unknown];
        assert_eq!([of(Some(true)), of(Some(false)), of(None)], expected);
    }
}
