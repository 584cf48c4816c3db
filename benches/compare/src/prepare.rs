//! Finds, builds or installs the servers. One that cannot be had is left out, and said so.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{machine, servers::Kind};

/// A server's program and the version it tells.
#[derive(Clone, Debug)]
pub struct Program {
    /// Which server it is.
    pub kind: Kind,
    /// Where it lies.
    pub path: PathBuf,
    /// First line of `--version`.
    pub version: String,
}

/// The program of `kind`; `root` is the folder of gripd's package.
///
/// # Errors
/// It is not there and cannot be built or installed.
pub fn program(kind: Kind, root: &Path) -> Result<Program> {
    let (path, version) = match kind {
        Kind::Floor => {
            let path = env::current_exe()?.with_file_name("floor");
            (path, env!("CARGO_PKG_VERSION").to_owned())
        }
        Kind::Gripd => versioned(root, gripd(root)?),
        Kind::Pushpin => versioned(root, pushpin()?),
    };
    if !path.exists() {
        bail!("{} does not exist", path.display());
    }
    Ok(Program {
        kind,
        path,
        version,
    })
}

fn versioned(root: &Path, path: PathBuf) -> (PathBuf, String) {
    let version = machine::output(root, &path.to_string_lossy(), &["--version"]);
    (path, version)
}

/// `GRIPD_BIN`, or a release build of this package.
fn gripd(root: &Path) -> Result<PathBuf> {
    if let Some(path) = env::var_os("GRIPD_BIN") {
        // Servers run in folders of their own, so the path must not depend on ours.
        return std::path::absolute(path).context("GRIPD_BIN");
    }
    eprintln!("building gripd (release); GRIPD_BIN=PATH takes another one");
    let target = root.join("target");
    let done = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--bin",
            "gripd",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(root)
        .status()
        .context("running cargo")?;
    if !done.success() {
        bail!("gripd cannot be built");
    }
    Ok(target.join("release/gripd"))
}

/// `PUSHPIN_BIN`, or the installed one, or, as root on Debian, installed now.
fn pushpin() -> Result<PathBuf> {
    if let Some(path) = env::var_os("PUSHPIN_BIN") {
        return std::path::absolute(path).context("PUSHPIN_BIN");
    }
    if let Some(path) = found("pushpin") {
        return Ok(path);
    }
    if found("apt-get").is_none() || !rustix::process::geteuid().is_root() {
        bail!("pushpin is not installed; as root: apt-get install pushpin");
    }
    eprintln!("installing pushpin with apt-get");
    for arguments in [
        &["update", "-qq"][..],
        &["install", "-y", "-qq", "--no-install-recommends", "pushpin"],
    ] {
        // With runlevel 1 Debian's scripts do not start the service that comes with the package.
        let done = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
            .stdout(std::process::Stdio::null())
            .status()?;
        if !done.success() {
            bail!("apt-get {} failed", arguments.join(" "));
        }
    }
    found("pushpin").context("pushpin was installed but is not in PATH")
}

fn found(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
