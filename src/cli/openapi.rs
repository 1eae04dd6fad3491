//! `hallpass openapi`: the OpenAPI documents, one file each.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::api;
use crate::api::document::profiles::Profile;

/// Flags of the command.
#[derive(Args, Clone, Debug)]
pub struct OpenapiArgs {
    /// The folder that the documents are written to
    #[arg(long, value_name = "FOLDER", default_value = "openapi")]
    dir: PathBuf,
    /// Write nothing; fail when a document there is not what this version would write
    #[arg(long)]
    check: bool,
    /// Only the form for one generator, openapi-generator or progenitor; all of them are written otherwise, those for
    /// a generator into a folder of its name
    #[arg(long = "for", value_name = "GENERATOR", value_parser = profile)]
    profile: Option<Profile>,
}

fn profile(name: &str) -> Result<Profile, String> {
    let known = || format!("there is none for it, but for {}", Profile::ALL.map(Profile::name).join(" and "));
    Profile::named(name).ok_or_else(known)
}

/// Runs the command.
pub(super) fn run(args: &OpenapiArgs) -> Result<ExitCode, Failure> {
    let mut drifted = false;
    for (path, document) in files(args)? {
        if args.check {
            if !is_current(&path, &document) {
                eprintln!("{} has drifted; `hallpass openapi` rewrites it", path.display());
                drifted = true;
            }
        } else {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(&path, document)?;
            println!("{}", path.display());
        }
    }
    Ok(if drifted { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The files and what is in them.
fn files(args: &OpenapiArgs) -> Result<Vec<(PathBuf, String)>, serde_json::Error> {
    let mut files = Vec::new();
    if args.profile.is_none() {
        files.extend(api::documents()?.into_iter().map(|(name, document)| (args.dir.join(name), document)));
    }
    for profile in
        Profile::ALL.into_iter().filter(|profile| args.profile.is_none_or(|asked| asked == *profile))
    {
        let folder = args.dir.join(profile.name());
        let documents = api::documents_for(profile)?.into_iter();
        files.extend(documents.map(|(name, document)| (folder.join(name), document)));
    }
    Ok(files)
}

/// A file that cannot be read is not current either.
fn is_current(path: &Path, document: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text == document)
}
