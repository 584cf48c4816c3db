//! The program. Everything is in the library; see `gripd::cli`.

#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    gripd::cli::run()
}
