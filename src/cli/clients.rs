//! `hallpass clients`: OAuth clients, the services that call hallpass in their own name.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::operator::{self, OPERATOR, OutputArgs};
use super::table::Table;
use super::{Failure, SettingsArgs, print_line};
use crate::domain::audiences::Audiences;
use crate::domain::client::{Audience, Client, ClientChange, ClientId, Scopes};
use crate::domain::metadata::Metadata;
use crate::domain::tokens::ClientSecret;
use crate::service;
use crate::service::clients::{ClientTerms, Clients};

/// The arguments of the command.
#[derive(Args)]
pub(super) struct ClientsArgs {
    #[command(subcommand)]
    command: ClientsCommand,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum ClientsCommand {
    /// Make a client; prints its secret, which is kept nowhere
    Create {
        /// Its id: a-z, 0-9, -, _ and ., beginning with a letter
        id: ClientId,
        /// What it may do, words with spaces between, like revocations:read or tokens:introspect
        #[arg(long, default_value = "")]
        scopes: Scopes,
        /// Whom its access tokens are for (claim aud); this service unless given
        #[arg(long)]
        audience: Option<Audience>,
        /// Whom else it may ask for a token for (resource); may come several times
        #[arg(long = "allow-audience", value_name = "AUDIENCE")]
        allow_audience: Vec<String>,
        /// Let it exchange the tokens that others come with
        #[arg(long)]
        exchange: bool,
        /// What is noted down about it, a JSON object
        #[arg(long, value_name = "JSON")]
        metadata: Option<Metadata>,
    },
    /// Change a client; what is not named stays as it is
    Update {
        /// Its id
        id: ClientId,
        /// Whom its access tokens are for (claim aud)
        #[arg(long)]
        audience: Option<Audience>,
        /// Let its access tokens be for this service
        #[arg(long, conflicts_with = "audience")]
        no_audience: bool,
        /// Whom else it may ask for a token for, in place of those of before; may come several times
        #[arg(long = "allow-audience", value_name = "AUDIENCE")]
        allow_audience: Vec<String>,
        /// Let it ask for nobody else
        #[arg(long, conflicts_with = "allow_audience")]
        allow_no_audience: bool,
        /// Let it exchange the tokens that others come with
        #[arg(long)]
        exchange: bool,
        /// Let it exchange none
        #[arg(long, conflicts_with = "exchange")]
        no_exchange: bool,
        /// What is noted down about it in place of all that was before, a JSON object; {} for nothing
        #[arg(long, value_name = "JSON")]
        metadata: Option<Metadata>,
    },
    /// List all clients
    List,
    /// Give a client another secret; the newest of those before goes on working beside it
    RotateSecret {
        /// Its id
        id: ClientId,
        /// Let none of those before go on working
        #[arg(long)]
        drop_others: bool,
    },
    /// Delete a client: its secrets and its tokens are refused from now on, and what it acts by
    Delete {
        /// Its id
        id: ClientId,
    },
}

/// Runs the command.
pub(super) fn run(args: ClientsArgs) -> Result<ExitCode, Failure> {
    let ClientsArgs { command, settings, output } = args;
    operator::run(settings, |beside| async move {
        run_command(&beside.services.clients, command, output).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn run_command(clients: &Clients, command: ClientsCommand, output: OutputArgs) -> Result<(), Failure> {
    match command {
        ClientsCommand::Create { id, scopes, audience, allow_audience, exchange, metadata } => {
            let audiences = allowed(allow_audience)?;
            let metadata = metadata.unwrap_or_default();
            let terms = ClientTerms { scopes, audience, audiences, exchange, metadata };
            let (client, secret) = clients.create(OPERATOR, id, terms).await?;
            answer("created", &client.id, "", Some(&secret), output);
        }
        ClientsCommand::Update {
            id,
            audience,
            no_audience,
            allow_audience,
            allow_no_audience,
            exchange,
            no_exchange,
            metadata,
        } => {
            let is_list_given = allow_no_audience || !allow_audience.is_empty();
            let change = ClientChange {
                audience: (no_audience || audience.is_some()).then(|| audience.map(Audience::into_string)),
                audiences: is_list_given.then(|| allowed(allow_audience)).transpose()?,
                exchange: (exchange || no_exchange).then_some(exchange),
                metadata,
            };
            clients.change(OPERATOR, &id, &change).await.map_err(|error| missing(&id, error))?;
            answer("changed", &id, "", None, output);
        }
        ClientsCommand::List => list(&clients.list(OPERATOR).await?, output),
        ClientsCommand::RotateSecret { id, drop_others } => {
            let secret = clients.rotate_secret(OPERATOR, &id, drop_others).await;
            let secret = secret.map_err(|error| missing(&id, error))?;
            answer("secret rotated", &id, "", Some(&secret), output);
        }
        ClientsCommand::Delete { id } => {
            let ending = match clients.delete(OPERATOR, &id).await {
                Err(error @ service::Error::NotFound) => return Err(missing(&id, error)),
                outcome => operator::ending(outcome)?,
            };
            answer("deleted", &id, ending.remark(), None, output);
        }
    }
    Ok(())
}

fn allowed(audiences: Vec<String>) -> Result<Audiences, Failure> {
    Audiences::listed(audiences).map_err(|error| format!("--allow-audience {error}").into())
}

fn missing(id: &ClientId, error: service::Error) -> Failure {
    match error {
        service::Error::NotFound => format!("there is no client {id}").into(),
        error => error.into(),
    }
}

fn list(clients: &[Client], output: OutputArgs) {
    if output.json {
        let clients: Vec<Value> = clients
            .iter()
            .map(|client| {
                json!({
                    "id": client.id.as_str(),
                    "scopes": client.scopes.to_string(),
                    "audience": client.audience,
                    "audiences": client.audiences.iter().collect::<Vec<_>>(),
                    "exchange": client.exchange,
                    "metadata": client.metadata.members(),
                    "secrets": client.secrets.len(),
                    "createdAt": client.created_at.as_secs(),
                })
            })
            .collect();
        print_line(&Value::Array(clients).to_string());
        return;
    }
    let row = |client: &Client| {
        let audience = client.audience.clone().unwrap_or_else(|| "-".to_owned());
        [client.id.to_string(), client.secrets.len().to_string(), audience, client.scopes.to_string()]
    };
    Table::of(["CLIENT", "SECRETS", "AUDIENCE", "SCOPES"], clients.iter().map(row)).print();
}

/// One line for what was done; the only place that prints a secret, which was just made.
fn answer(done: &str, id: &ClientId, remark: &str, secret: Option<&ClientSecret>, output: OutputArgs) {
    if output.json {
        let mut answer = json!({"done": done, "id": id.as_str()});
        if let Some(secret) = secret {
            answer["secret"] = secret.expose().into();
        }
        print_line(&answer.to_string());
        return;
    }
    print_line(&format!("{done}: {id}{remark}"));
    if let Some(secret) = secret {
        print_line(&format!("secret: {}", secret.expose()));
    }
}
