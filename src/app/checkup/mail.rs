//! Whether the mail server lets us in; no mail is sent.

use std::time::Duration;

use crate::app::finding::{Condition, Finding};
use crate::app::mail;
use crate::config::Settings;
use crate::domain::causes::with_causes;

const SUBJECT: &str = "mail server";

/// How long the mail server may take for each step, of which there are at most six: somebody waits.
const PATIENCE_MAX: Duration = Duration::from_secs(5);

/// What is to be said of the mail server, if there is to be one.
pub(super) async fn check(settings: &Settings) -> Option<Finding> {
    let trial = match mail::probe(settings, settings.smtp.timeout.min(PATIENCE_MAX)).await {
        Ok(trial) => trial?,
        Err(error) => return Some(Finding::bad(SUBJECT, &error)),
    };
    Some(match trial.failed {
        None => {
            let names: Vec<&str> = trial.done.iter().map(|step| step.name()).collect();
            Finding::new(SUBJECT, Condition::Good, format!("lets us in ({})", names.join(", ")))
        }
        Some(error) => Finding::new(SUBJECT, Condition::Bad, with_causes(&error).to_string()),
    })
}
