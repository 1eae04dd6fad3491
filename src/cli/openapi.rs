//! `hallpass openapi`: the OpenAPI documents, one file each.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use crate::api;

/// Flags of the command.
#[derive(Args, Clone, Debug)]
pub struct OpenapiArgs {
    /// The folder that the documents are written to
    #[arg(long, value_name = "FOLDER", default_value = "openapi")]
    dir: PathBuf,
    /// Write nothing; fail when a document there is not what this version would write
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(super) fn run(args: &OpenapiArgs) -> Result<ExitCode, Failure> {
    let mut drifted = false;
    for (name, document) in api::documents()? {
        let path = args.dir.join(name);
        if args.check {
            if !is_current(&path, &document) {
                eprintln!("{} has drifted; `hallpass openapi` rewrites it", path.display());
                drifted = true;
            }
        } else {
            std::fs::create_dir_all(&args.dir)?;
            std::fs::write(&path, document)?;
            println!("{}", path.display());
        }
    }
    Ok(if drifted { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A file that cannot be read is not current either.
fn is_current(path: &Path, document: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text == document)
}
