//! The `hallpass` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where that cannot be, the program is the same and takes more memory.
    hallpass_heap::keep_little();
    hallpass::cli::run()
}
