//! The program. Everything is in the library; see `gripd::cli`.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    gripd::cli::run()
}
