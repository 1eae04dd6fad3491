//! Example people for whoever tries the service out: `hallpass dev --seed`.

use crate::domain::email::Email;
use crate::domain::metadata::Metadata;
use crate::domain::user::{AccountChange, Role};
use crate::service::administration::GivenAccount;
use crate::service::caller::Administrator;
use crate::service::{Error, Result, Services};

/// The password of them all, which everybody knows.
pub const EXAMPLE_PASSWORD: &str = "an engine weaves patterns";

/// Somebody to try things out with.
pub struct ExamplePerson {
    /// The address.
    pub email: &'static str,
    /// First and last name.
    pub name: [&'static str; 2],
    /// What the account may do.
    pub role: Role,
    /// Whether it is shut.
    pub disabled: bool,
}

/// Everybody that `--seed` makes.
pub const EXAMPLE_PEOPLE: [ExamplePerson; 3] = [
    ExamplePerson {
        email: "grace@example.com",
        name: ["Grace", "Hopper"],
        role: Role::Admin,
        disabled: false,
    },
    ExamplePerson {
        email: "alan@example.com",
        name: ["Alan", "Turing"],
        role: Role::Member,
        disabled: false,
    },
    ExamplePerson { email: "kurt@example.com", name: ["Kurt", "Gödel"], role: Role::Member, disabled: true },
];

/// Makes those whose address has no account yet; answers how many.
///
/// # Errors
/// [`Error::Store`], and [`Error::WeakPassword`] where the settings ask for more than theirs.
pub(super) async fn ensure(services: &Services) -> Result<usize> {
    let mut made = 0;
    for person in &EXAMPLE_PEOPLE {
        made += usize::from(ensure_person(services, person).await?);
    }
    Ok(made)
}

async fn ensure_person(services: &Services, person: &ExamplePerson) -> Result<bool> {
    const BY: Administrator = Administrator::Operator;
    let administration = &services.administration;
    let [first_name, last_name] = person.name.map(|name| Some(name.to_owned()));
    let account = administration.read(GivenAccount {
        email: person.email.to_owned(),
        password: Some(EXAMPLE_PASSWORD.to_owned()),
        first_name,
        last_name,
        role: person.role,
        metadata: Metadata::default(),
    })?;
    let created = match is_taken(services, &account.email).await? {
        true => return Ok(false),
        false => administration.create(BY, account).await?,
    };
    if person.disabled {
        let shut = AccountChange { disabled: Some(true), ..AccountChange::default() };
        administration.change(BY, created.user.id, &shut).await?;
    }
    Ok(true)
}

/// Asked before the password is hashed, which takes its time.
async fn is_taken(services: &Services, email: &Email) -> Result<bool> {
    match services.administration.find(Administrator::Operator, email).await {
        Ok(_) => Ok(true),
        Err(Error::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}
