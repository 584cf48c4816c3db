//! `gripd health`: asks a running gripd on this machine whether it serves clients. Made for health
//! checks of containers, which have no other program to ask with.
//!
//! It asks `/readyz`, not `/livez`: who waits for a healthy container is about to send it clients,
//! and one that drains shall get no more of them.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::{Duration, Instant},
};

use super::{CONFIGURATION, complain, environment};
use crate::config::{self, Flags};

/// Asks the control port that the settings name. Only faults of this very call end it: a file that
/// broke since gripd started says nothing about the gripd that runs.
pub(super) fn run(flags: &Flags) -> ExitCode {
    let examined = config::examine(flags, environment());
    let given = |name: &str| name.starts_with("--") || name.starts_with("GRIPD_CONTROL_");
    let fault = examined
        .faults
        .iter()
        .find(|fault| fault.is_error() && given(&fault.file));
    if let Some(fault) = fault {
        complain(fault);
        return ExitCode::from(CONFIGURATION);
    }
    match ask_any(&examined.settings.control.http) {
        Ok(url) => {
            // The exit code tells it, too.
            let _ = writeln!(io::stdout(), "ready: {url}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(&format_args!("not ready: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Asks the first address that takes a connection. Returns whom it asked, or why it is not ready.
fn ask_any(addresses: &[SocketAddr]) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut first = None;
    for address in addresses {
        let address = from_here(*address);
        let url = format!("http://{address}/readyz");
        match ask(address, deadline) {
            Ok(200) => return Ok(url),
            Ok(status) => return Err(format!("{url} answers {status}")),
            Err(error) => first = first.or_else(|| Some(format!("{url}: {}", told(&error)))),
        }
    }
    Err(first.unwrap_or_else(|| "there is no control port to ask (control.http)".into()))
}

/// Where to connect to reach a listener from its own machine.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The status of the answer.
fn ask(address: SocketAddr, deadline: Instant) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    // "HTTP/1.1 200": the status stands at the same place in every answer.
    let mut start = [0; 12];
    let mut filled = 0;
    while filled < start.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut start[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    str::from_utf8(&start)
        .ok()
        .filter(|start| start.starts_with("HTTP/1."))
        .and_then(|start| start.get(9..)?.parse().ok())
        .ok_or_else(|| io::Error::other("what listens there does not speak HTTP"))
}

/// What is left of the time; never zero, which sockets take for "for ever".
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// An error as a person says it; sockets tell a timeout in two ways.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("no answer within {PATIENCE:?}")
        }
        _ => error.to_string(),
    }
}

/// How long it may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);
