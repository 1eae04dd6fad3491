//! Bringing the schema up to date.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::migrate::{Migration, Migrator};

use super::error::DatabaseError;

/// How long bringing the schema up to date may take, waiting for another replica that is at it
/// included. Rewriting a large table takes its time.
pub(super) const MIGRATION_TIMEOUT: Duration = Duration::from_secs(300);

/// Where the steps that a database has had are noted (sqlx's own name).
pub(super) const TABLE: &str = "_sqlx_migrations";

/// Looks at the steps that a database has had and that are not known here: those of a later hallpass.
///
/// A step whose name ends in `_for_0012` leaves alone what programs use that know the steps up to that one: they go
/// on, and start again while others are brought up to date.
///
/// # Errors
/// [`DatabaseError::Newer`] names the first step that does not say so of a program like this one.
pub(super) fn check_later(migrator: &Migrator, applied: &[(i64, String)]) -> Result<(), DatabaseError> {
    let known: HashSet<i64> = migrator.iter().map(|step| step.version).collect();
    let newest = known.iter().copied().max().unwrap_or_default();
    let later = || applied.iter().filter(|(version, _)| !known.contains(version));
    let serves = |description: &str| {
        let oldest = description.rsplit_once(" for ").and_then(|(_, step)| step.parse::<i64>().ok());
        oldest.is_some_and(|oldest| oldest <= newest)
    };
    if let Some((version, _)) = later().find(|(_, description)| !serves(description)) {
        return Err(DatabaseError::Newer(*version));
    }
    for (step, description) in later() {
        tracing::warn!(
            step,
            description,
            "the database has had a step of a later hallpass, which leaves this one alone"
        );
    }
    Ok(())
}

/// The names of all steps: what is pending on a database that notes none yet.
pub(super) fn all(migrator: &Migrator) -> Vec<String> {
    migrator.iter().map(name).collect()
}

/// The name of a step's file, less the ending.
pub(super) fn name(step: &Migration) -> String {
    format!("{:04}_{}", step.version, step.description.replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use sqlx::SqlStr;

    use super::*;

    fn knows(steps: &[i64]) -> Migrator {
        let step = |version: &i64| {
            let (kind, sql) = (sqlx::migrate::MigrationType::Simple, SqlStr::from_static(""));
            Migration::new(*version, Cow::Borrowed("step"), kind, sql, false)
        };
        Migrator { migrations: steps.iter().map(step).collect(), ..Migrator::DEFAULT }
    }

    fn judged(steps: &[i64], later: &[(i64, &str)]) -> Option<i64> {
        let applied: Vec<_> = later.iter().map(|(version, text)| (*version, (*text).to_owned())).collect();
        match check_later(&knows(steps), &applied) {
            Ok(()) => None,
            Err(DatabaseError::Newer(step)) => Some(step),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_later_step_is_refused_unless_it_leaves_this_program_alone() {
        assert_eq!(judged(&[1, 2], &[(1, "one"), (2, "two")]), None);
        assert_eq!(judged(&[1, 2], &[(3, "more words")]), Some(3));
        assert_eq!(judged(&[1, 2], &[(3, "more words for 0002"), (4, "and more for 0001")]), None);
        assert_eq!(judged(&[1, 2], &[(3, "more words for 0002"), (4, "and more for 0003")]), Some(4));
        assert_eq!(judged(&[1, 2], &[(3, "more words for two")]), Some(3));
        assert_eq!(judged(&[1, 2], &[(3, "for")]), Some(3));
    }
}
