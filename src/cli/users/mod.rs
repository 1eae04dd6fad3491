//! `hallpass users`: accounts, from the machine that the service runs on.
//!
//! A password never stands on the command line, which other processes can read: it comes by standard
//! input, or one is made up and printed once.

mod import;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::operator::{self, OPERATOR, OutputArgs};
use super::{Failure, SettingsArgs, print_line};
use crate::app;
use crate::domain::email::Email;
use crate::domain::external_id::ExternalId;
use crate::domain::ids::UserId;
use crate::domain::metadata::Metadata;
use crate::domain::name::Name;
use crate::domain::user::{AccountChange, Role, User};
use crate::service;
use crate::service::administration::{Administration, NewAccount};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct UsersArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Bring accounts along from another system, password hashes included
    Import(import::ImportArgs),
    /// Let e-mail addresses count as verified, for whom no mail gets through
    VerifyEmail(verify::VerifyArgs),
    #[command(flatten)]
    Accounts(UsersCommand),
}

#[derive(Subcommand)]
enum UsersCommand {
    /// Make an account; its e-mail address counts as verified
    Create {
        /// The e-mail address
        email: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = RoleName::Member)]
        role: RoleName,
        /// The first name
        #[arg(long)]
        first_name: Option<String>,
        /// The last name
        #[arg(long)]
        last_name: Option<String>,
        /// What is noted down about its owner, a JSON object
        #[arg(long, value_name = "JSON")]
        metadata: Option<Metadata>,
        /// Read the password from the first line of standard input; without this one is made up and printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show an account
    Get {
        /// Its id or e-mail address
        account: String,
    },
    /// List accounts in the order of their ids
    List {
        /// Begin behind this id
        #[arg(long)]
        after: Option<UserId>,
        /// The most accounts to list
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Set a password and end all sessions of the account
    SetPassword {
        /// Its id or e-mail address
        account: String,
        /// Read the password from the first line of standard input; without this one is made up and printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set the roles, in the place of those that there are, and end all sessions of the account
    SetRole {
        /// Its id or e-mail address
        account: String,
        /// admin, member and those that `roles` of the settings names
        #[arg(required = true)]
        roles: Vec<String>,
    },
    /// Set the e-mail address and end all sessions of the account
    SetEmail {
        /// Its id or e-mail address
        account: String,
        /// The new address; it is not verified
        email: String,
    },
    /// Set what other databases refer to the account by; no session ends
    SetExternalId {
        /// Its id or e-mail address
        account: String,
        /// The external id, at most 128 characters; empty text clears it
        external_id: String,
    },
    /// Set what is noted down about the owner, in the place of what there is
    SetMetadata {
        /// Its id or e-mail address
        account: String,
        /// A JSON object of at most 2048 bytes; {} empties it
        #[arg(value_name = "JSON")]
        metadata: Metadata,
    },
    /// Shut accounts: their sessions end, and nobody can log in to them
    Disable(ManyArgs),
    /// Open accounts again
    Enable(ManyArgs),
    /// Delete accounts; their ids are never given again
    Delete(ManyArgs),
}

/// Accounts that the same is done to.
#[derive(Args)]
struct ManyArgs {
    /// Their ids or e-mail addresses
    #[arg(required = true)]
    accounts: Vec<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// Everything, other people's accounts included
    Admin,
    /// The own account
    Member,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Admin => Self::Admin,
            RoleName::Member => Self::Member,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: UsersArgs) -> Result<ExitCode, Failure> {
    let UsersArgs { command, settings, output } = args;
    let command = match command {
        Command::Import(import) => return import::run(import, settings, output),
        Command::VerifyEmail(verify) => return verify::run(verify, settings, output),
        Command::Accounts(command) => command,
    };
    operator::run(settings, |beside| async move {
        let accounts = Accounts { administration: &beside.services.administration, output };
        accounts.run(command).await
    })
}

/// The accounts, and how to speak of them.
struct Accounts<'a> {
    administration: &'a Administration,
    output: OutputArgs,
}

impl Accounts<'_> {
    async fn run(&self, command: UsersCommand) -> Result<ExitCode, Failure> {
        match command {
            UsersCommand::Create { email, role, first_name, last_name, metadata, password_stdin } => {
                let name = |text: Option<String>| text.map_or(Ok(None), |text| Name::parse(&text));
                let (password, made_up) = password(password_stdin)?;
                let account = NewAccount {
                    email: Email::parse(&email)?,
                    password: Some(password),
                    first_name: name(first_name)?,
                    last_name: name(last_name)?,
                    role: role.into(),
                    metadata: metadata.unwrap_or_default(),
                };
                let user = self.administration.create(OPERATOR, account).await?.user;
                self.answer("created", &user, "", made_up.as_deref());
            }
            UsersCommand::Get { account } => {
                let user = operator::find(self.administration, &account).await?;
                if self.output.json {
                    print_line(&operator::account_json(&user).to_string());
                } else {
                    operator::account_table([&user]).print();
                }
            }
            UsersCommand::List { after, limit } => self.list(after, limit).await?,
            UsersCommand::SetPassword { account, password_stdin } => {
                let user = operator::find(self.administration, &account).await?;
                let (password, made_up) = password(password_stdin)?;
                let outcome = self.administration.set_password(OPERATOR, user.id, password).await;
                let remark = operator::ending(outcome)?.remark();
                self.answer("password set", &user, remark, made_up.as_deref());
            }
            UsersCommand::SetRole { account, roles } => {
                let roles = Some(self.administration.roles(&roles).map_err(refused_roles)?);
                let change = AccountChange { roles, ..AccountChange::default() };
                self.change("role set", &account, change).await?;
            }
            UsersCommand::SetEmail { account, email } => {
                let change = AccountChange { email: Some(Email::parse(&email)?), ..AccountChange::default() };
                self.change("e-mail address set", &account, change).await?;
            }
            UsersCommand::SetExternalId { account, external_id } => {
                let external_id = Some(ExternalId::parse(&external_id)?);
                let change = AccountChange { external_id, ..AccountChange::default() };
                let user = operator::find(self.administration, &account).await?;
                let user = self.administration.change(OPERATOR, user.id, &change).await?;
                if self.output.json {
                    print_line(&operator::account_json(&user).to_string());
                } else {
                    print_line(&format!("external id set: {} {}", user.id, user.email));
                }
            }
            UsersCommand::SetMetadata { account, metadata } => {
                let change = AccountChange { metadata: Some(metadata), ..AccountChange::default() };
                let user = operator::find(self.administration, &account).await?;
                let outcome = self.administration.change(OPERATOR, user.id, &change).await;
                let remark = operator::ending(outcome)?.remark();
                let user = self.administration.get(OPERATOR, user.id).await?;
                if self.output.json {
                    print_line(&operator::account_json(&user).to_string());
                } else {
                    print_line(&format!("metadata set: {} {}{remark}", user.id, user.email));
                }
            }
            UsersCommand::Disable(many) => self.shut(many, true).await?,
            UsersCommand::Enable(many) => self.shut(many, false).await?,
            UsersCommand::Delete(many) => self.delete(many).await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<(), Failure> {
        let users = self.administration.list(OPERATOR, after, limit).await?;
        if self.output.json {
            let users: Vec<Value> = users.iter().map(operator::account_json).collect();
            print_line(&Value::Array(users).to_string());
        } else {
            operator::account_table(&users).print();
            let rest = users.last().filter(|_| u32::try_from(users.len()) == Ok(limit));
            if let Some(last) = rest.filter(|_| std::io::stdout().is_terminal()) {
                eprintln!("There may be more: --after {}", last.id);
            }
        }
        Ok(())
    }

    async fn change(&self, done: &str, account: &str, change: AccountChange) -> Result<(), Failure> {
        let user = operator::find(self.administration, account).await?;
        let outcome = self.administration.change(OPERATOR, user.id, &change).await;
        let remark = operator::ending(outcome)?.remark();
        // As it is now.
        let user = self.administration.get(OPERATOR, user.id).await?;
        self.answer(done, &user, remark, None);
        Ok(())
    }

    async fn shut(&self, many: ManyArgs, disabled: bool) -> Result<(), Failure> {
        let done = if disabled { "disabled" } else { "enabled" };
        let change = AccountChange { disabled: Some(disabled), ..AccountChange::default() };
        let users = operator::find_all(self.administration, &many.accounts).await?;
        if many.dry_run {
            return self.would_be(done, &users);
        }
        let bar = operator::progress(users.len());
        for user in &users {
            let outcome = self.administration.change(OPERATOR, user.id, &change).await;
            let remark = operator::ending(outcome)?.remark();
            bar.suspend(|| self.answer(done, user, remark, None));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn delete(&self, many: ManyArgs) -> Result<(), Failure> {
        let users = operator::find_all(self.administration, &many.accounts).await?;
        if many.dry_run {
            return self.would_be("deleted", &users);
        }
        let bar = operator::progress(users.len());
        for user in &users {
            let outcome = self.administration.delete(OPERATOR, user.id).await;
            let remark = operator::ending(outcome)?.remark();
            bar.suspend(|| self.answer("deleted", user, remark, None));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn would_be(&self, done: &str, users: &[User]) -> Result<(), Failure> {
        for user in users {
            if self.output.json {
                print_line(&json!({"would": done, "id": user.id.get()}).to_string());
            } else {
                print_line(&format!("would be {done}: {} {}", user.id, user.email));
            }
        }
        Ok(())
    }

    /// One line for what was done to an account; the only place that prints a password, which was
    /// made up here and is kept nowhere.
    fn answer(&self, done: &str, user: &User, remark: &str, made_up: Option<&str>) {
        if self.output.json {
            let mut answer = json!({"done": done, "id": user.id.get(), "email": user.email.as_str()});
            answer["sessionsEnded"] = remark.is_empty().into();
            if let Some(password) = made_up {
                answer["password"] = password.into();
            }
            print_line(&answer.to_string());
        } else {
            print_line(&format!("{done}: {} {}{remark}", user.id, user.email));
            if let Some(password) = made_up {
                print_line(&format!("password: {password}"));
            }
        }
    }
}

/// Which roles there are is what somebody wants to know who has named another.
fn refused_roles(error: service::Error) -> Failure {
    match error {
        service::Error::Invalid(problems) => {
            let said: Vec<String> = problems.into_iter().map(|problem| problem.problem).collect();
            format!("the list of roles {}", said.join(", and ")).into()
        }
        error => error.into(),
    }
}

/// The password to set, and once more if it was made up.
fn password(from_stdin: bool) -> Result<(String, Option<String>), Failure> {
    if from_stdin {
        return Ok((operator::line_of_stdin()?, None));
    }
    let password = app::random_password();
    Ok((password.clone(), Some(password)))
}
