//! The `hallpass` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    hallpass::cli::run()
}
