//! What is unsafe about a service and stands in its database, where no setting shows it: what `hallpass
//! dev` has left there, and that there is no administrator who can log in.

use std::fmt;

use super::database::Database;
use super::people::{EXAMPLE_PASSWORD, EXAMPLE_PEOPLE};
use crate::config::{
    SAMPLE_ADMIN_EMAIL, SAMPLE_ADMIN_PASSWORD, SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, Settings,
};
use crate::crypto::client_secret;
use crate::crypto::password::{HashMemory, PasswordHashError, PasswordHasher};
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::random::Random;
use crate::domain::tokens::ClientSecret;
use crate::store::{StoreError, StoreResult};

/// What everybody knows the secret of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// An account has the sample administrator's address and its password.
    Admin,
    /// An account has the address of one of the example people, and their password.
    Person(&'static str),
    /// The sample client has the sample secret.
    Client,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => write!(
                f,
                "the account {SAMPLE_ADMIN_EMAIL} has the password `{SAMPLE_ADMIN_PASSWORD}` (run `hallpass users \
                 set-password {SAMPLE_ADMIN_EMAIL}`)"
            ),
            Self::Person(email) => write!(
                f,
                "the account {email} has the password `{EXAMPLE_PASSWORD}` (run `hallpass users set-password {email}`)"
            ),
            Self::Client => write!(
                f,
                "the client {SAMPLE_CLIENT_ID} has the secret `{SAMPLE_CLIENT_SECRET}` (run `hallpass clients \
                 rotate-secret {SAMPLE_CLIENT_ID} --drop-others`)"
            ),
        }
    }
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftovers(pub Vec<Leftover>);

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Leftover::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

/// Why a service does not start on the database.
#[derive(Debug, thiserror::Error)]
pub enum LeftoversError {
    /// It has what `hallpass dev` left there.
    #[error("the database has what `hallpass dev` left there, and everybody knows: {0}")]
    Found(Leftovers),
    /// It does not tell whether it has.
    #[error("it cannot be read from the database whether `hallpass dev` left something there")]
    Database(#[source] StoreError),
    /// A password hash cannot be computed.
    #[error(transparent)]
    PasswordHash(#[from] PasswordHashError),
}

/// Says that no administrator can log in, and what to do about it.
pub(super) const NOBODY_ADMINISTERS: &str = "nobody can log in as an administrator: no account that is enabled has \
    that role (run `hallpass users create you@example.com --role admin`)";

/// The same where addresses must be proven.
pub(super) const NOBODY_VERIFIED_ADMINISTERS: &str = "nobody can log in as an administrator: no account that is enabled \
    and has a verified address has that role (run `hallpass users create you@example.com --role admin`)";

/// Looks for what `hallpass dev` has left in the database.
///
/// # Errors
/// [`LeftoversError::Found`] for what there is; else when the database or a hash cannot be asked.
pub(super) async fn refuse_leftovers(
    settings: &Settings,
    database: &Database,
    random: &dyn Random,
) -> Result<(), LeftoversError> {
    let leftovers = find_leftovers(settings, database, random).await?;
    if leftovers.0.is_empty() { Ok(()) } else { Err(LeftoversError::Found(leftovers)) }
}

/// What `hallpass dev` has left in the database.
pub(super) async fn find_leftovers(
    settings: &Settings,
    database: &Database,
    random: &dyn Random,
) -> Result<Leftovers, LeftoversError> {
    let mut found = Vec::new();
    let admin = [(Leftover::Admin, SAMPLE_ADMIN_EMAIL, SAMPLE_ADMIN_PASSWORD)];
    let people =
        EXAMPLE_PEOPLE.map(|person| (Leftover::Person(person.email), person.email, EXAMPLE_PASSWORD));
    for (leftover, email, password) in admin.into_iter().chain(people) {
        if has_account(settings, database, random, email, password).await? {
            found.push(leftover);
        }
    }
    if has_sample_client(database).await.map_err(LeftoversError::Database)? {
        found.push(Leftover::Client);
    }
    Ok(Leftovers(found))
}

/// Disabled or not, and whatever its role: it may be enabled again.
async fn has_account(
    settings: &Settings,
    database: &Database,
    random: &dyn Random,
    email: &str,
    password: &str,
) -> Result<bool, LeftoversError> {
    let (Ok(email), Ok(password)) = (Email::parse(email), Password::parse(password)) else {
        return Ok(false);
    };
    let account = database.users.find_user_by_email(&email).await.map_err(LeftoversError::Database)?;
    let Some(account) = account else { return Ok(false) };
    let hasher = PasswordHasher::new(settings.passwords.argon2, random)?;
    let verify = move || hasher.verify(&password, Some(&account.password), &mut HashMemory::default());
    match tokio::task::spawn_blocking(verify).await {
        Ok(Ok(right)) => Ok(right),
        // No login reads it either.
        Ok(Err(PasswordHashError::Stored(_))) => Ok(false),
        Ok(Err(error)) => Err(error.into()),
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

async fn has_sample_client(database: &Database) -> StoreResult<bool> {
    let Ok(id) = SAMPLE_CLIENT_ID.parse() else { return Ok(false) };
    let client = database.clients.find_client(&id).await?;
    let sample = ClientSecret::new(SAMPLE_CLIENT_SECRET);
    Ok(client.is_some_and(|client| client_secret::is_one_of(&sample, &client.secrets)))
}

/// What is to be said when no administrator can log in. The administrator of the settings can,
/// as the next start makes it, unless the address is taken.
pub(super) async fn nobody_administers(
    settings: &Settings,
    database: &Database,
) -> StoreResult<Option<&'static str>> {
    let must_verify = settings.registration.verify_email;
    if database.users.has_administrator(must_verify).await? {
        return Ok(None);
    }
    if let Some((email, _)) = settings.admin.account()
        && database.users.find_user_by_email(email).await?.is_none()
    {
        return Ok(None);
    }
    Ok(Some(if must_verify { NOBODY_VERIFIED_ADMINISTERS } else { NOBODY_ADMINISTERS }))
}
