//! `hallpass openapi`: the OpenAPI documents, one on standard output or a file each.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::api;
use crate::api::document::profiles::Profile;

/// The arguments of the command.
#[derive(Args, Clone, Debug)]
pub struct OpenapiArgs {
    /// The document to print: hallpass, nest or access-tokens
    #[arg(default_value = MAIN, conflicts_with = "dir")]
    document: String,
    /// The form for one generator, openapi-generator or progenitor
    #[arg(long = "for", value_name = "GENERATOR", value_parser = profile)]
    profile: Option<Profile>,
    /// Print nothing but write all documents to this folder, those for a generator into one of its name
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Write nothing; fail when a document in the folder is not what this version would write
    #[arg(long, requires = "dir")]
    check: bool,
}

/// The document of the main API.
const MAIN: &str = "hallpass";

fn profile(name: &str) -> Result<Profile, String> {
    let known = || format!("there is none for it, but for {}", Profile::ALL.map(Profile::name).join(" and "));
    Profile::named(name).ok_or_else(known)
}

/// Runs the command.
pub(super) fn run(args: &OpenapiArgs) -> Result<ExitCode, Failure> {
    match &args.dir {
        None => print(&args.document, args.profile),
        Some(folder) if args.check => check(folder, args.profile),
        Some(folder) => write(folder, args.profile),
    }
}

fn print(name: &str, profile: Option<Profile>) -> Result<ExitCode, Failure> {
    let documents = match profile {
        Some(profile) => api::documents_for(profile)?,
        None => api::documents()?,
    };
    let title = |file: &'static str| file.trim_end_matches(".json");
    let Some((_, document)) = documents.iter().find(|(file, _)| title(file) == name) else {
        let known: Vec<&str> = documents.iter().map(|(file, _)| title(file)).collect();
        return Err(format!("there is no document {name:?}, but {}", known.join(", ")).into());
    };
    // Unlike print!, this is no panic when the reader has gone (`| head`).
    std::io::stdout().write_all(document.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn check(folder: &Path, profile: Option<Profile>) -> Result<ExitCode, Failure> {
    let mut drifted = false;
    for (path, document) in files(folder, profile)? {
        if !is_current(&path, &document) {
            eprintln!("{} has drifted; the same command without --check rewrites it", path.display());
            drifted = true;
        }
    }
    Ok(if drifted { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(folder: &Path, profile: Option<Profile>) -> Result<ExitCode, Failure> {
    for (path, document) in files(folder, profile)? {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(&path, document)?;
        super::print_line(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of a folder and what is in them; those of one generator alone, where one is named.
fn files(folder: &Path, only: Option<Profile>) -> Result<Vec<(PathBuf, String)>, serde_json::Error> {
    let mut files = Vec::new();
    if only.is_none() {
        files.extend(api::documents()?.into_iter().map(|(name, document)| (folder.join(name), document)));
    }
    for profile in Profile::ALL.into_iter().filter(|profile| only.is_none_or(|only| only == *profile)) {
        let folder = folder.join(profile.name());
        let documents = api::documents_for(profile)?.into_iter();
        files.extend(documents.map(|(name, document)| (folder.join(name), document)));
    }
    Ok(files)
}

/// A file that cannot be read is not current either.
fn is_current(path: &Path, document: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text == document)
}
