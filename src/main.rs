//! The program. Everything is in the library; see `gripd::cli`.

use std::process::ExitCode;

/// docs/performance.md says why, and what else was measured.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    gripd::cli::run()
}
