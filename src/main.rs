//! The program. Everything is in the library; see `gripd::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gripd::cli::run()
}
