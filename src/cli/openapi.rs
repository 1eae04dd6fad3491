//! `hallpass openapi`: the OpenAPI document on standard output.

use std::process::ExitCode;

use super::Failure;

/// Runs the command.
pub(super) fn run() -> Result<ExitCode, Failure> {
    Err("the document is not part of this build".into())
}
