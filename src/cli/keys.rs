//! `hallpass keys`: the signing keys, from the machine that the service runs on.
//!
//! The running service follows: whatever is done here holds at every replica within seconds.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::operator::{self, OutputArgs, moment};
use super::table::Table;
use super::{Failure, SettingsArgs, print_line};
use crate::domain::clock::Timestamp;
use crate::domain::ids::KeyId;
use crate::domain::signing_key::{KeyState, KeyStep, PlannedStep, RingKey, SigningAlgorithm};
use crate::service::signing_keys::{Overview, SigningKeys};

/// More than any file with a private key, in bytes.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// The arguments of the command.
#[derive(Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// List all keys, oldest first, and what is planned for them
    List,
    /// Make another next key: published from now on, and not signing yet
    Create {
        /// ES256, RS256 or EdDSA; that of the settings unless given
        #[arg(long)]
        algorithm: Option<SigningAlgorithm>,
    },
    /// Take a private key from elsewhere as a next key
    Import {
        /// A private key: PKCS#8, SEC 1 or PKCS#1, in PEM or DER
        file: PathBuf,
    },
    /// Let a next key sign from now on
    Promote {
        /// Which; the one that has waited longest unless given
        #[arg(allow_hyphen_values = true)]
        kid: Option<String>,
        /// Also when validators may not know it yet and would refuse its tokens
        #[arg(long)]
        force: bool,
    },
    /// No longer publish a key that does not sign
    Retire {
        /// Which
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Also while tokens that it signed are in use, which validators would refuse then
        #[arg(long)]
        force: bool,
    },
    /// Take back a key that has leaked: nothing that it signed counts any more
    Revoke {
        /// Which
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

/// Runs the command.
pub(super) fn run(args: KeysArgs) -> Result<ExitCode, Failure> {
    let KeysArgs { command, settings, output } = args;
    operator::run(settings, |beside| async move {
        let keys = &beside.services.signing_keys;
        match command {
            KeysCommand::List => list(&keys.overview().await?, output),
            KeysCommand::Create { algorithm } => {
                let kid = keys.create(algorithm).await?;
                done(keys, &kid, "made, to sign next", output).await?;
                warn_of_other_algorithm(&keys.overview().await?.keys, &kid);
            }
            KeysCommand::Import { file } => {
                let kid = keys.import(&private_key(&file)?).await?;
                done(keys, &kid, "imported, to sign next", output).await?;
                warn_of_other_algorithm(&keys.overview().await?.keys, &kid);
            }
            KeysCommand::Promote { kid, force } => {
                let kid = kid.map(KeyId::new);
                let kid = keys.promote(kid.as_ref(), force).await?;
                done(keys, &kid, "signs from now on", output).await?;
            }
            KeysCommand::Retire { kid, force } => {
                let kid = keys.retire(&KeyId::new(kid), force).await?;
                done(keys, &kid, "retired", output).await?;
            }
            KeysCommand::Revoke { kid } => revoke(keys, &KeyId::new(kid), output).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A file that should be a key, as long as it could be one.
fn private_key(file: &Path) -> Result<Vec<u8>, Failure> {
    let name = file.display();
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| format!("{name} cannot be read: {error}"))?;
    Ok(bytes)
}

/// Says on standard error what a key of another algorithm than the signing one does to validators:
/// most are told which one they take (RFC 8725 3.1).
fn warn_of_other_algorithm(keys: &[RingKey], kid: &KeyId) {
    let signing = keys.iter().find(|key| matches!(key.state, KeyState::Active { .. }));
    let added = keys.iter().find(|key| key.key.id == *kid);
    if let (Some(signing), Some(added)) = (signing, added)
        && signing.key.algorithm != added.key.algorithm
    {
        let (now, then) = (signing.key.algorithm, added.key.algorithm);
        eprintln!(
            "warning: this key is for {then}, and {now} signs now. Validators that take {now} alone refuse its \
             tokens once it signs: let them take both first, or retire it"
        );
    }
}

fn list(Overview { keys, plan }: &Overview, output: OutputArgs) {
    if output.json {
        let keys: Vec<Value> = keys.iter().map(|key| key_json(key, plan)).collect();
        print_line(&Value::Array(keys).to_string());
    } else {
        let rows = keys.iter().map(|key| key_row(key, plan));
        Table::of(["KEY", "ALGORITHM", "STATE", "SINCE", "NEXT"], rows).print();
    }
}

/// Shows the key that something was done to.
async fn done(keys: &SigningKeys, kid: &KeyId, what: &str, output: OutputArgs) -> Result<(), Failure> {
    if !output.json {
        print_line(&format!("{kid} {what}"));
        return Ok(());
    }
    let Overview { keys, plan } = keys.overview().await?;
    if let Some(key) = keys.iter().find(|key| key.key.id == *kid) {
        print_line(&key_json(key, &plan).to_string());
    }
    Ok(())
}

async fn revoke(keys: &SigningKeys, kid: &KeyId, output: OutputArgs) -> Result<(), Failure> {
    let revoked = keys.revoke(kid).await?;
    if output.json {
        let answer = json!({
            "kid": kid.as_str(),
            "state": "revoked",
            "signing": revoked.signing.as_str(),
            "announced": revoked.announced,
        });
        print_line(&answer.to_string());
        return Ok(());
    }
    let remark = match revoked.announced {
        true => "",
        false => {
            " (the token store is out of reach from here: the running service announces it within seconds)"
        }
    };
    print_line(&format!("{kid} revoked; {} signs{remark}", revoked.signing));
    print_line(
        "validators that keep the published keys go on taking it for up to five minutes, or as long as they do",
    );
    Ok(())
}

/// What happens to a key by itself, and when.
fn planned(kid: &KeyId, plan: &[PlannedStep]) -> Option<(Timestamp, &'static str)> {
    plan.iter().find_map(|planned| {
        let what = match &planned.step {
            KeyStep::Promote { next, .. } if next == kid => "signs",
            KeyStep::Promote { instead_of: Some(key), .. } if key == kid => "signs no more",
            KeyStep::Retire(key) if key == kid => "retired",
            KeyStep::Forget(key) if key == kid => "deleted",
            _ => return None,
        };
        Some((planned.at, what))
    })
}

/// A key for programs.
fn key_json(key: &RingKey, plan: &[PlannedStep]) -> Value {
    let planned = planned(&key.key.id, plan).map(|(at, what)| json!({"at": at.as_secs(), "what": what}));
    json!({
        "kid": key.key.id.as_str(),
        "algorithm": key.key.algorithm.as_str(),
        "state": key.state.as_str(),
        "published": key.state.is_published(),
        "createdAt": key.key.created_at.as_secs(),
        "since": key.since().as_secs(),
        "planned": planned,
    })
}

/// A key for people.
fn key_row(key: &RingKey, plan: &[PlannedStep]) -> [String; 5] {
    let planned = planned(&key.key.id, plan).map(|(at, what)| format!("{what} {}", moment(at)));
    [
        key.key.id.to_string(),
        key.key.algorithm.to_string(),
        key.state.as_str().to_owned(),
        moment(key.since()),
        planned.unwrap_or_default(),
    ]
}
