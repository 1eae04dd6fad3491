//! Whether everything that the service stands on is fit for it. Looking changes nothing: no file is
//! made, no step of the schema is taken, no key is generated.

mod database;
mod keys;
mod mail;
mod secret;

use super::database::Database;
use super::environment::Environment;
use super::leftovers::{Leftovers, find_leftovers, nobody_administers};
use super::wiring::token_size;
use super::{folder, long_tokens, mailboxes, roles, secrets, token_stores};
use crate::config::{self, Profile, Settings};
use crate::domain::random::Random;

pub use super::finding::{Condition, Finding};

/// Looks at the database, the keys in it, the token store and the mail server that the settings name.
pub async fn checkup(settings: &Settings, environment: &Environment) -> Vec<Finding> {
    let mut findings = Vec::new();
    let secrets = match config::existing_secret(settings, &*environment.random) {
        Ok(secret) => match secrets::derive(settings, &secret) {
            Ok(secrets) => {
                let text = format!("there, and long enough: {} mints", secrets.mark());
                findings.push(Finding::new(secret::SUBJECT, Condition::Good, text));
                Some(secrets)
            }
            Err(error) => {
                findings.push(Finding::bad(secret::SUBJECT, &error));
                None
            }
        },
        Err(error) => {
            findings.push(Finding::bad(secret::SUBJECT, &error));
            None
        }
    };
    findings.push(check_folder(settings));
    let (about_database, database) = database::check(settings).await;
    findings.extend(about_database);
    if let (Some(secrets), Some(database)) = (&secrets, &database) {
        let present = token_stores::presences(settings, database).await;
        findings.extend(secret::check(settings, secrets, database, present, &*environment.clock).await);
    }
    findings.push(match &database {
        Some(database) => keys::check(settings, &*database.signing_keys, secrets.as_ref()).await,
        None => Finding::new("signing keys", Condition::Unknown, "the database cannot be asked"),
    });
    if let Some(database) = &database {
        findings.extend(check_leftovers(settings, database, &*environment.random).await);
        findings.push(check_administrators(settings, database).await);
        findings.push(check_roles(settings, database).await);
        findings.push(check_claims(settings, database).await);
        findings.extend(check_mailboxes(database).await);
    }
    findings.extend(token_stores::check(settings, database.as_ref(), environment.clock.clone()).await);
    findings.extend(mail::check(settings).await);
    findings
}

fn check_folder(settings: &Settings) -> Finding {
    const SUBJECT: &str = "data folder";
    match folder::find_openness(&settings.data_dir) {
        Ok(None) => Finding::new(SUBJECT, Condition::Good, "for its owner alone"),
        Ok(Some(openness)) => Finding::new(SUBJECT, Condition::Warning, openness),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

/// What `hallpass dev` has left in the database. In a service for development it belongs there.
async fn check_leftovers(settings: &Settings, database: &Database, random: &dyn Random) -> Vec<Finding> {
    const SUBJECT: &str = "samples";
    if settings.profile == Profile::Dev {
        return Vec::new();
    }
    match find_leftovers(settings, database, random).await {
        Ok(Leftovers(found)) if found.is_empty() => {
            let text = "nothing of `hallpass dev` is left in the database";
            vec![Finding::new(SUBJECT, Condition::Good, text)]
        }
        Ok(Leftovers(found)) => {
            found.iter().map(|left| Finding::new(SUBJECT, Condition::Bad, left.to_string())).collect()
        }
        Err(error) => vec![Finding::bad(SUBJECT, &error)],
    }
}

async fn check_administrators(settings: &Settings, database: &Database) -> Finding {
    const SUBJECT: &str = "administrators";
    match nobody_administers(settings, database).await {
        Ok(None) => Finding::new(SUBJECT, Condition::Good, "there is one who can log in"),
        Ok(Some(nobody)) => Finding::new(SUBJECT, Condition::Warning, nobody),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

async fn check_roles(settings: &Settings, database: &Database) -> Finding {
    const SUBJECT: &str = "roles";
    match roles::refuse_taken_out(&*database.users, &settings.roles).await {
        Ok(()) => Finding::new(SUBJECT, Condition::Good, "the settings name all that accounts have"),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

/// Whether tokens are short enough with all that they say.
async fn check_claims(settings: &Settings, database: &Database) -> Finding {
    const SUBJECT: &str = "claims";
    let size = token_size(settings, &settings.issuer(settings.listen));
    if let Err(error) = long_tokens::refuse_too_long(&size) {
        return Finding::bad(SUBJECT, &error);
    }
    match long_tokens::find(&*database.users, &size).await {
        Ok(None) => Finding::new(SUBJECT, Condition::Good, "all tokens have room for theirs"),
        Ok(Some(found)) => Finding::new(SUBJECT, Condition::Bad, found.to_string()),
        Err(error) => Finding::bad(SUBJECT, &error),
    }
}

/// Whether two accounts are one mailbox: mails for both go to one person.
async fn check_mailboxes(database: &Database) -> Vec<Finding> {
    const SUBJECT: &str = "mailboxes";
    let shared = match mailboxes::find_shared(&*database.users).await {
        Ok(shared) => shared,
        Err(error) => return vec![Finding::bad(SUBJECT, &error)],
    };
    if shared.is_empty() {
        return vec![Finding::new(SUBJECT, Condition::Good, "each account has its own")];
    }
    let told = |(one, other)| {
        let text = format!(
            "the accounts {one} and {other} have one, spelled in two ways: look at both (`hallpass users get`), and \
             delete one or change its address"
        );
        Finding::new(SUBJECT, Condition::Warning, text)
    };
    shared.into_iter().map(told).collect()
}
