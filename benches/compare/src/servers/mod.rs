//! The servers that are compared: how each is started, when it is ready, and how it ends.
//!
//! A server runs in a folder of its own that is removed afterwards, with its output in a file
//! there. It is ended by the process ids noted when it started, together with their start times,
//! so that nothing else is ever hit, also when the run is interrupted. Where `setpriv` exists,
//! servers also get a SIGTERM from the kernel should this program be killed.

use std::{
    fmt,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;

use crate::{
    backend::Backend,
    load::Part,
    procfs,
    publish::{self, Door},
    stop::Stop,
    wire::Hold,
};

mod certificate;
mod haproxy;
pub(crate) mod nchan;
mod nginx;
mod pushpin;

const READY_WITHIN: Duration = Duration::from_secs(15);
const END_WITHIN: Duration = Duration::from_secs(5);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The floor program.
    Floor,
    /// This project.
    Gripd,
    /// Debian's package, which only proxies.
    Haproxy,
    /// Debian's nginx with its package of nchan, which holds clients without a backend.
    Nchan,
    /// Debian's package, which only proxies.
    Nginx,
    /// Debian's package.
    Pushpin,
}

impl Kind {
    /// All, in the order of a pass.
    pub const ALL: [Self; 6] = [
        Self::Floor,
        Self::Gripd,
        Self::Pushpin,
        Self::Nchan,
        Self::Nginx,
        Self::Haproxy,
    ];

    /// As it is called in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Gripd => "gripd",
            Self::Haproxy => "haproxy",
            Self::Nchan => "nchan",
            Self::Nginx => "nginx",
            Self::Pushpin => "pushpin",
        }
    }

    /// Does it do what GRIP asks for, or at least what clients and publishers see of it?
    pub fn grips(self) -> bool {
        matches!(self, Self::Floor | Self::Gripd | Self::Pushpin)
    }

    /// Does it take many items in one request?
    pub fn bursts(self) -> bool {
        self.grips()
    }

    /// Does it compress messages for WebSockets that offer it? Debian's Pushpin has no setting for
    /// that.
    pub fn compresses(self) -> bool {
        matches!(self, Self::Floor | Self::Gripd)
    }
}

/// How gripd is set up for what is measured; of other servers only nchan for HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dress {
    /// Clients speak TLS.
    pub tls: bool,
    /// Clients speak HTTP/2, which gripd sees by itself.
    pub http2: bool,
    /// Each request gets a line in the log.
    pub logs: bool,
}

impl Dress {
    /// Plain HTTP, and the log as shipped.
    pub const SHIPPED: Self = Self {
        tls: false,
        http2: false,
        logs: true,
    };

    /// For this part.
    pub fn of(part: Part) -> Self {
        Self {
            tls: part.hold() == Some(Hold::Secure),
            http2: part.hold().is_some_and(|hold| hold.http2().is_some()),
            logs: part.logs(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Server {
    /// Where clients connect.
    pub clients: SocketAddr,
    /// Where items are published; where clients connect, if none are.
    pub control: SocketAddr,
    /// In which way.
    pub door: Door,
    /// What clients that speak TLS trust; none if they do not.
    pub certificate: Option<CertificateDer<'static>>,
    child: Child,
    /// Every process it had, by pid and start time.
    members: Vec<(u32, u64)>,
    dir: PathBuf,
    /// Behind the proxies; outlives the server.
    backend: Backend,
}

impl Server {
    /// Starts `program` as `kind`, set up like this, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started or is not ready in time (its last output is part of the error); the
    /// run is to stop.
    pub fn start(kind: Kind, program: &Path, dress: Dress, stop: &Stop) -> Result<Self> {
        let backend = Backend::start()?;
        let dir = std::env::temp_dir().join(format!("gripd-bench-{}-{kind}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let mut command = with_death_signal(program);
        let (mut known, mut certificate) = (None, None);
        if dress.tls {
            certificate = Some(certificate::write(&dir)?);
        }
        match kind {
            Kind::Floor => {}
            Kind::Gripd => {
                command.args(["--route", &format!("* {},over_http", backend.addr)]);
                command.args(["--port", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
                // Meant for this program: gripd would warn of a setting that it has not.
                command.env_remove("GRIPD_BIN");
                if certificate.is_some() {
                    command.env("GRIPD_LISTEN_HTTPS", "127.0.0.1:0");
                    command.env("GRIPD_TLS_CERT", dir.join(certificate::FILE));
                    command.env("GRIPD_TLS_KEY", dir.join(certificate::KEY_FILE));
                }
                if !dress.logs {
                    command.env("GRIPD_LOG_ACCESS", "false");
                }
            }
            Kind::Haproxy => {
                let clients = haproxy::configure(&dir, backend.addr)?;
                // In the foreground.
                command.args(["-db", "-f"]).arg(dir.join("haproxy.cfg"));
                known = Some((clients, clients));
            }
            Kind::Nchan => {
                known = Some(nchan::configure(&dir, dress.http2)?);
                nginx_at(&mut command, &dir);
            }
            Kind::Nginx => {
                let clients = nginx::configure(&dir, backend.addr)?;
                nginx_at(&mut command, &dir);
                known = Some((clients, clients));
            }
            Kind::Pushpin => {
                let ports = pushpin::configure(&dir, backend.addr)?;
                command.arg(format!("--config={}", dir.join("pushpin.conf").display()));
                known = Some(ports);
            }
        }
        let log = File::create(dir.join("log"))?;
        // A group of its own: Ctrl-C reaches this program, which ends the server in order.
        command
            .process_group(0)
            .current_dir(&dir)
            .stdin(Stdio::piped());
        command.stdout(log.try_clone()?).stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            clients: nowhere,
            control: nowhere,
            door: match kind {
                Kind::Floor => Door::Floor,
                Kind::Gripd => Door::HttpKeepAlive,
                Kind::Nchan => Door::Nchan,
                Kind::Haproxy | Kind::Nginx | Kind::Pushpin => Door::HttpClose,
            },
            certificate,
            child,
            members: Vec::new(),
            dir,
            backend,
        };
        (server.clients, server.control) = server
            .ready(known, dress.tls, stop)
            .with_context(|| format!("{kind} did not start; it said:\n{}", server.last_words()))?;
        server.note_members();
        if kind == Kind::Nchan {
            publish::open(server.control)?;
        }
        Ok(server)
    }

    /// The root of its process tree.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Requests that its backend has answered so far; none if it has no backend.
    pub fn answered(&self) -> Option<Arc<AtomicUsize>> {
        (!matches!(self.door, Door::Floor | Door::Nchan))
            .then(|| Arc::clone(&self.backend.answered))
    }

    /// The end of its output and of its log files, for error messages.
    pub fn last_words(&self) -> String {
        let logs = fs::read_dir(self.dir.join("logs"))
            .into_iter()
            .flatten()
            .flatten();
        let mut words = String::new();
        for path in std::iter::once(self.dir.join("log")).chain(logs.map(|entry| entry.path())) {
            let log = fs::read(path).unwrap_or_default();
            let tail = &log[log.len().saturating_sub(1000)..];
            words.push_str(String::from_utf8_lossy(tail).trim());
            words.push('\n');
        }
        words
    }

    /// Waits for both ports: `known` ones until they accept, others until the log names them.
    fn ready(
        &mut self,
        known: Option<(SocketAddr, SocketAddr)>,
        tls: bool,
        stop: &Stop,
    ) -> Result<(SocketAddr, SocketAddr)> {
        let end = Instant::now() + READY_WITHIN;
        while Instant::now() < end {
            stop.pause(Duration::from_millis(50))?;
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if let Some((clients, control)) = known {
                if accepts(clients) && accepts(control) {
                    return Ok((clients, control));
                }
            } else {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                let clients = address(&log, "clients", if tls { "https://" } else { "http://" });
                let control = address(&log, "control", "http://");
                if let (Some(clients), Some(control)) = (clients, control) {
                    return Ok((clients, control));
                }
            }
        }
        bail!("not ready after {} s", READY_WITHIN.as_secs())
    }

    fn note_members(&mut self) {
        for pid in procfs::tree(self.child.id()) {
            if let Some(started) = procfs::start_time(pid)
                && !self.members.contains(&(pid, started))
            {
                self.members.push((pid, started));
            }
        }
    }

    fn end(&mut self) {
        self.note_members();
        drop(self.child.stdin.take());
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), Signal::TERM);
        }
        let end = Instant::now() + END_WITHIN;
        loop {
            let running = matches!(self.child.try_wait(), Ok(None));
            let left: Vec<u32> = self
                .members
                .iter()
                .filter(|(pid, started)| procfs::alive(*pid, *started))
                .map(|(pid, _)| *pid)
                .collect();
            if !running && left.is_empty() {
                return;
            }
            if Instant::now() >= end {
                for pid in left {
                    signal(pid, Signal::KILL);
                }
                drop(self.child.wait());
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself in between.
        let _ = kill_process(pid, signal);
    }
}

/// `program`, to be told by the kernel when this program dies.
fn with_death_signal(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// Has nginx look for everything in `dir`.
fn nginx_at(command: &mut Command, dir: &Path) {
    command.args(["-e", "stderr", "-p"]).arg(dir);
    command.arg("-c").arg(dir.join("nginx.conf"));
}

/// An address that nobody has, for servers that take no port 0.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn accepts(addr: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&addr, Duration::from_millis(200)).is_ok()
}

/// The first address behind `scheme` in the line `WHAT: http://ADDRESS, …` of a log.
fn address(log: &str, what: &str, scheme: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(&format!("{what}: http"))?;
    let line = format!("http{}", rest.split_inclusive('\n').next()?);
    let (_, rest) = line.split_once(scheme)?;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)));
    // Without anything behind it, the line may not be complete yet.
    rest[..end?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_a_log() {
        let log = "INFO x\nINFO clients: http://127.0.0.1:81\u{1b}[0m\ncontrol: http://[::1]:9";
        let plain = |log: &str, what| address(log, what, "http://");
        assert_eq!(plain(log, "clients"), Some("127.0.0.1:81".parse().unwrap()));
        assert_eq!(plain(log, "control"), None);
        let log = format!("{log}\n");
        assert_eq!(plain(&log, "control"), Some("[::1]:9".parse().unwrap()));
        assert_eq!(address(&log, "clients", "https://"), None);
        let log = "clients: http://127.0.0.1:81, https://127.0.0.1:82\ncontrol: http://[::1]:9\n";
        let address = address(log, "clients", "https://");
        assert_eq!(address, Some("127.0.0.1:82".parse().unwrap()));
    }
}
