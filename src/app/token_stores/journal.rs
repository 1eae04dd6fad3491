//! Whether a token store has carried out what the revocation journal has.

use crate::app::database::Database;
use crate::app::finding::{Condition, Finding};
use crate::domain::journal::JournalHead;
use crate::store::StoreResult;
use crate::store::backend::TokenBackend;
use crate::store::examination::View;

/// Compares the two; `None` where the database cannot be asked.
pub(super) async fn check(database: Option<&Database>, store: &dyn TokenBackend) -> Option<Finding> {
    let journal = &database?.journal;
    let looked = async {
        let view = store.examine().await?.view().await?;
        Ok((view, journal.journal_heads().await?))
    };
    Some(judge(looked.await))
}

fn judge(looked: StoreResult<(View, Vec<JournalHead>)>) -> Finding {
    const SUBJECT: &str = "revocation journal";
    let (view, heads) = match looked {
        Ok(looked) => looked,
        Err(error) => return Finding::bad(SUBJECT, &error),
    };
    let behind: i64 = heads
        .iter()
        .zip(&view.states)
        .filter_map(|(head, state)| Some(head.newest.position - state.as_ref()?.mark.position))
        .filter(|behind| *behind > 0)
        .sum();
    if behind > 0 {
        let text = format!(
            "{behind} revocations stand in it that the token store has not carried out: a running service sees to \
             that within seconds, so either none runs or it does not reach the token store"
        );
        return Finding::new(SUBJECT, Condition::Warning, text);
    }
    if view.owes {
        let text = "the token store has carried out revocations that are not written into it yet: a running \
                    service sees to that within seconds";
        return Finding::new(SUBJECT, Condition::Warning, text);
    }
    Finding::new(SUBJECT, Condition::Good, "the token store has carried out all of it")
}
