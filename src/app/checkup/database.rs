//! Whether the database answers, has the schema, and lets the service do what it has to.

use crate::app::database::{Database, connect, describe_lack, is_postgres};
use crate::app::finding::{Condition, Finding};
use crate::config::Settings;
use crate::store::sql::DatabaseError;
use crate::store::sql::postgres::PostgresStore;
use crate::store::sql::sqlite::{self, SqliteOptions, SqliteStore};

/// What is to be said of the database, and the database when it can be used.
pub(super) async fn check(settings: &Settings) -> (Vec<Finding>, Option<Database>) {
    let unknown = |subject| Finding::new(subject, Condition::Unknown, "the database cannot be asked");
    let there = || Finding::new("database", Condition::Good, "answers");
    match open(settings).await {
        Ok(Opened::There { database, pending, rights }) => {
            let mut findings = vec![there()];
            let is_current = pending.is_empty();
            findings.push(check_schema(settings, &pending));
            findings.extend(rights.filter(|_| is_current));
            (findings, is_current.then_some(database))
        }
        Ok(Opened::NotYet(text)) => {
            (vec![Finding::new("database", Condition::Warning, text), unknown("schema")], None)
        }
        Err(error @ (DatabaseError::Newer(_) | DatabaseError::MayNotLook { .. })) => {
            (vec![there(), Finding::bad("schema", &error)], None)
        }
        Err(error) => (vec![Finding::bad("database", &error), unknown("schema")], None),
    }
}

fn check_schema(settings: &Settings, pending: &[String]) -> Finding {
    const SUBJECT: &str = "schema";
    if pending.is_empty() {
        return Finding::new(SUBJECT, Condition::Good, "up to date");
    }
    let by = match settings.database.migrate_url {
        Some(_) => ", by the role of `database.migrate_url`",
        None => "",
    };
    let text = format!("steps that `hallpass migrate`, or the next start, takes{by}: {}", pending.join(", "));
    Finding::new(SUBJECT, Condition::Warning, text)
}

/// What became of opening the database.
enum Opened {
    /// It is there.
    There {
        database: Database,
        /// The steps that its schema lacks.
        pending: Vec<String>,
        /// What is to be said of the role, where there are such.
        rights: Option<Finding>,
    },
    /// It is made at the first start.
    NotYet(String),
}

async fn open(settings: &Settings) -> Result<Opened, DatabaseError> {
    let url = settings.database.url.expose();
    if is_postgres(url) {
        let store = connect(&settings.database, url).await?;
        let pending = store.pending_migrations().await?;
        let rights = Some(check_rights(&store).await?);
        return Ok(Opened::There { database: Database::of(store), pending, rights });
    }
    let file = sqlite::file_of(url)?;
    if !tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Ok(Opened::NotYet(format!("{} is not there yet: the first start makes it", file.display())));
    }
    let store = SqliteStore::connect(url, SqliteOptions::default()).await?;
    let pending = store.pending_migrations().await?;
    Ok(Opened::There { database: Database::of(store), pending, rights: None })
}

async fn check_rights(store: &PostgresStore) -> Result<Finding, DatabaseError> {
    const SUBJECT: &str = "rights";
    let role = store.current_role().await?;
    let lacking = store.lacking_rights().await?;
    Ok(match lacking.is_empty() {
        true => {
            Finding::new(SUBJECT, Condition::Good, format!("the role {role} may do what the service needs"))
        }
        false => Finding::new(SUBJECT, Condition::Bad, describe_lack(&role, &lacking)),
    })
}
