//! The machine: its name for the report, its limits, and how busy others keep it.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::procfs::{self, CpuReading};

/// Load (running programs, mean of the last minute) above which a warning is due.
pub const BUSY_LOAD: f64 = 0.5;

/// Raises the soft limit of open files to the hard one and checks that `streams` fit: this
/// program and a server it starts each need one file per stream.
///
/// # Errors
/// They do not fit.
pub fn raise_file_limit(streams: usize) -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    let files = limit.maximum.unwrap_or(u64::MAX);
    // Some for libraries, logs, connections to backends.
    if files < streams as u64 + 500 {
        bail!(
            "{streams} streams need {} open files, the hard limit is {files} (ulimit -Hn)",
            streams + 500
        );
    }
    Ok(files)
}

/// Mean number of running programs in the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0)
}

/// Cores that this program may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What a reader must know of the machine, the commit and the versions.
pub fn describe(root: &Path, versions: &[(String, String)]) -> Value {
    let cpu = field("/proc/cpuinfo", "model name", ':');
    let cores = cores();
    let memory = field("/proc/meminfo", "MemTotal", ':');
    let system = field("/etc/os-release", "PRETTY_NAME", '=');
    let kernel = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let commit = output(root, "git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = !output(root, "git", &["status", "--porcelain"]).is_empty();
    let mut out = json!({
        "date": output(root, "date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "cpu": cpu, "cores": cores, "memory": memory, "system": system, "kernel": kernel,
        "commit": format!("{commit}{}", if changed { " (with changes)" } else { "" }),
        "rustc": output(root, "rustc", &["--version"]),
        "load_before": load(),
    });
    for (name, version) in versions {
        out[name] = json!(version);
    }
    out
}

/// First line of what a command prints, empty when it fails.
pub fn output(dir: &Path, program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(args).current_dir(dir).output();
    let text = done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn field(path: &str, name: &str, separator: char) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .unwrap_or_default()
}

/// How much of the machine programs other than the server and this one use while it lives.
#[derive(Debug)]
pub struct Busy {
    server: u32,
    ours: [CpuReading; 2],
    all: (Duration, Duration),
}

impl Busy {
    /// Begins to count.
    pub fn start(server: u32) -> Self {
        Self {
            server,
            ours: ours(server),
            all: machine_time(),
        }
    }

    /// Percent of the machine's time (all cores); none when too short to tell.
    pub fn others(self) -> Option<f64> {
        let (busy, total) = machine_time();
        let total = total.saturating_sub(self.all.1);
        // The kernel counts in units of 10 ms.
        if total < Duration::from_millis(500) {
            return None;
        }
        let now = ours(self.server);
        let known: Duration = now
            .iter()
            .zip(&self.ours)
            .map(|(now, then)| now.since(then))
            .sum();
        let others = busy.saturating_sub(self.all.0).saturating_sub(known);
        Some(100.0 * others.as_secs_f64() / total.as_secs_f64())
    }
}

fn ours(server: u32) -> [CpuReading; 2] {
    let own = std::process::id();
    // The server's tree is part of ours, unless it was handed on to another parent.
    let mut readings = [procfs::cpu(own), procfs::cpu(server)];
    let [own, server] = &mut readings;
    own.leave_out(server);
    readings
}

/// Busy and total time of all cores since boot.
fn machine_time() -> (Duration, Duration) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let total: u64 = fields.iter().sum();
    // Fields 4 and 5 are idle and waiting for disks.
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    (
        Duration::from_millis((total - idle) * 10),
        Duration::from_millis(total * 10),
    )
}
