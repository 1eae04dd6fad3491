//! The server's secrets: what is under which, which replicas know them, and whether one is used no more.

use std::time::Duration;

use crate::app::database::Database;
use crate::app::finding::{Condition, Finding};
use crate::config::Settings;
use crate::crypto::secret::DerivedKeys;
use crate::domain::clock::Clock;
use crate::domain::secret_mark::{Presence, SecretMark};
use crate::service::secret_rotation::{self, AtRest, ignorant_of};
use crate::store::StoreResult;

pub(super) const SUBJECT: &str = "secret";

/// What is to be said of the secrets beyond that there is one. `present` is `None` where replicas cannot share
/// the token store, and there is one process.
pub(super) async fn check(
    settings: &Settings,
    secrets: &DerivedKeys,
    database: &Database,
    present: Option<StoreResult<Vec<Presence>>>,
    clock: &dyn Clock,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let looking = secret_rotation::look(&*database.signing_keys, &*database.sealed_values, secrets);
    let at_rest = match looking.await {
        Ok(at_rest) => Some(at_rest),
        Err(error) => {
            findings.push(Finding::bad(SUBJECT, &error));
            None
        }
    };
    let present = match present {
        None => Some(Vec::new()),
        Some(Ok(present)) => Some(present),
        Some(Err(_)) => {
            let text = "which replicas run, and which secrets they know, cannot be read";
            findings.push(Finding::new(SUBJECT, Condition::Unknown, text));
            None
        }
    };
    if let Some(at_rest) = &at_rest {
        findings.extend(judge_at_rest(at_rest));
    }
    let lifetime = settings.tokens.lifetimes.idle;
    if let Some(present) = &present {
        findings.extend(judge_minting(secrets.mark(), present));
        for accepted in secrets.accepted_marks() {
            findings.push(judge_accepted(accepted, present, at_rest.as_ref(), lifetime, clock));
        }
    }
    findings
}

/// What is not under the secret that mints. Signing keys that nobody can read are told of as such.
fn judge_at_rest(at_rest: &AtRest) -> Option<Finding> {
    if let Some(value) =
        at_rest.unreadable.iter().find(|kept| matches!(kept, secret_rotation::Kept::Value(_)))
    {
        let text = format!(
            "the {value} can be read by none of the secrets: set the one before as `secret_accepted`, or, where it \
             is lost, run `hallpass secret rotate --forget-limits`"
        );
        return Some(Finding::new(SUBJECT, Condition::Bad, text));
    }
    if at_rest.older.is_empty() {
        return None;
    }
    let older: Vec<String> = at_rest.older.iter().map(|(kept, mark)| format!("{kept} ({mark})")).collect();
    let text = format!("still under an accepted secret: {}; run `hallpass secret rotate`", older.join(", "));
    Some(Finding::new(SUBJECT, Condition::Warning, text))
}

/// Whether what is minted here is taken everywhere.
fn judge_minting(minting: SecretMark, present: &[Presence]) -> Option<Finding> {
    let unaware = ignorant_of(present, minting);
    if unaware.is_empty() {
        return None;
    }
    let text = format!(
        "{minting} mints here and is not accepted at {}, where its tokens are refused: set it as `secret_accepted` there",
        unaware.join(", ")
    );
    Some(Finding::new(SUBJECT, Condition::Bad, text))
}

/// What an accepted secret is still for, or already.
fn judge_accepted(
    accepted: SecretMark,
    present: &[Presence],
    at_rest: Option<&AtRest>,
    lifetime: Duration,
    clock: &dyn Clock,
) -> Finding {
    let unaware = ignorant_of(present, accepted);
    if !unaware.is_empty() {
        let text = format!("{accepted} may not mint yet: it is not accepted at {}", unaware.join(", "));
        return Finding::new(SUBJECT, Condition::Warning, text);
    }
    let minting: Vec<&str> = present
        .iter()
        .filter(|presence| presence.mints == accepted)
        .map(|presence| presence.replica.as_str())
        .collect();
    let where_known = match present.len() {
        0 => "here".to_owned(),
        1 => "at the one replica that runs".to_owned(),
        replicas => format!("at all {replicas} replicas that run"),
    };
    if !minting.is_empty() {
        let text = format!("{accepted} is accepted {where_known}, and mints at {}", minting.join(", "));
        return Finding::new(SUBJECT, Condition::Good, text);
    }
    let is_under = |at_rest: &AtRest| at_rest.older.iter().any(|(_, mark)| *mark == accepted);
    let rest = match at_rest {
        Some(at_rest) if is_under(at_rest) => "until the rotation it is needed".to_owned(),
        Some(AtRest { since: Some(since), .. }) => {
            // Longer than this no refresh token lives that nobody comes with.
            let end = since.after(lifetime);
            match end <= clock.now() {
                true => {
                    "nothing is under it: it may mint, or, if it is the one before, it is used no more: take \
                         it off `secret_accepted`"
                        .to_owned()
                }
                false => format!(
                    "nothing is under it: it may mint, or, if it is the one before, be taken off `secret_accepted` \
                     after {}",
                    humantime::format_rfc3339_seconds(end.to_system_time())
                ),
            }
        }
        _ => "it may mint".to_owned(),
    };
    Finding::new(SUBJECT, Condition::Good, format!("{accepted} is accepted {where_known}; {rest}"))
}
