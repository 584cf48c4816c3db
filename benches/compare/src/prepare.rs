//! Finds, builds or installs the servers. One that cannot be had is left out, and said so.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    machine,
    servers::{Kind, nchan},
};

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
        Kind::Haproxy => {
            let path = debian("haproxy", "HAPROXY_BIN", "haproxy")?;
            let version = machine::output(root, &path.to_string_lossy(), &["-v"]);
            (path, version)
        }
        Kind::Nchan => {
            let path = debian("nginx", "NGINX_BIN", "nginx-light")?;
            if !Path::new(nchan::MODULE).exists() {
                install(nchan::PACKAGE)?;
            }
            let asked = ["-W", "-f=nchan ${Version}", nchan::PACKAGE];
            (path, machine::output(root, "dpkg-query", &asked))
        }
        Kind::Nginx => {
            let path = debian("nginx", "NGINX_BIN", "nginx-light")?;
            // It tells its version as an error.
            let script = ["-c", "\"$0\" -v 2>&1", &path.to_string_lossy()];
            let version = machine::output(root, "sh", &script);
            (path, version)
        }
        Kind::Pushpin => versioned(root, debian("pushpin", "PUSHPIN_BIN", "pushpin")?),
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

/// What the variable names, or the installed program, or, as root on Debian, `package` installed
/// now.
fn debian(name: &str, variable: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return std::path::absolute(path).with_context(|| variable.to_owned());
    }
    if let Some(path) = found(name) {
        return Ok(path);
    }
    install(package)?;
    found(name).with_context(|| format!("{package} was installed, but {name} is not found"))
}

fn install(package: &str) -> Result<()> {
    if found("apt-get").is_none() || !rustix::process::geteuid().is_root() {
        bail!("not installed; as root: apt-get install {package}");
    }
    eprintln!("installing {package} with apt-get");
    for arguments in [
        &["update", "-qq"][..],
        &["install", "-y", "-qq", "--no-install-recommends", package],
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
    Ok(())
}

fn found(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        // Servers lie there, and only root's PATH has it.
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
