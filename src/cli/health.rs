//! `gripd health`: asks a running gripd on this machine whether it is alive, or with `--ready`
//! whether it serves clients. Made for health checks of containers, which have no other program to
//! ask with; it needs no credentials, as `/livez` and `/readyz` need none.
//!
//! The two are not the same: one that drains is alive, and shall neither be killed nor get more
//! clients.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    runtime,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{CONFIGURATION, complain, environment};
use crate::{
    config::{self, Control, Flags},
    tls::probe,
};

/// Asks the control port that the settings name. Only faults of this very call end it: a file that
/// broke since gripd started says nothing about the gripd that runs, and secrets are not for who
/// only asks.
pub(super) fn run(mut flags: Flags, ready: bool) -> ExitCode {
    // Who asks opens nothing.
    flags.control_insecure = true;
    let examined = config::examine(&flags, environment());
    let given = |name: &str| name.starts_with("--") || name == "GRIPD_CONTROL_HTTP";
    let fault = examined
        .faults
        .iter()
        .find(|fault| fault.is_error() && given(&fault.file));
    if let Some(fault) = fault {
        complain(fault);
        return ExitCode::from(CONFIGURATION);
    }
    let (path, yes, no) = if ready {
        ("/readyz", "ready", "not ready")
    } else {
        ("/livez", "alive", "not alive")
    };
    match ask_any(&examined.settings.control, path) {
        Ok(url) => {
            // The exit code tells it, too.
            let _ = writeln!(io::stdout(), "{yes}: {url}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(&format_args!("{no}: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Asks one after the other until one answers. Returns whom it asked, or why that is not well.
fn ask_any(control: &Control, path: &str) -> Result<String, String> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        let mut first = None;
        for door in doors(control) {
            let url = door.url(path);
            let why = match timeout_at(deadline, door.ask(path)).await {
                Ok(Ok(200)) => return Ok(url),
                Ok(Ok(status)) => return Err(format!("{url} answers {status}")),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {PATIENCE:?}"),
            };
            first = first.or_else(|| Some(format!("{url}: {why}")));
        }
        Err(first.unwrap_or_else(|| "there is no control port to ask (control.http)".into()))
    })
}

/// A way to the control port.
enum Door<'a> {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(&'a Path),
}

fn doors(control: &Control) -> impl Iterator<Item = Door<'_>> {
    let by_address = control.http.iter().map(|address| match control.tls() {
        Some(_) => Door::Tls(from_here(*address)),
        None => Door::Tcp(from_here(*address)),
    });
    let by_file = control.unix.iter().map(|socket| Door::Unix(&socket.path));
    by_address.chain(by_file)
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

impl Door<'_> {
    fn url(&self, path: &str) -> String {
        match self {
            Self::Tcp(address) => format!("http://{address}{path}"),
            Self::Tls(address) => format!("https://{address}{path}"),
            Self::Unix(file) => format!("{path} of unix:{}", file.display()),
        }
    }

    /// The status of the answer.
    async fn ask(&self, path: &str) -> io::Result<u16> {
        match self {
            Self::Tcp(address) => exchange(TcpStream::connect(address).await?, path).await,
            Self::Unix(file) => exchange(UnixStream::connect(file).await?, path).await,
            Self::Tls(address) => {
                let config = probe::client().map_err(io::Error::other)?;
                let stream = TcpStream::connect(address).await?;
                let tls = TlsConnector::from(Arc::new(config));
                exchange(tls.connect(address.ip().into(), stream).await?, path).await
            }
        }
    }
}

/// Sends the request, and reads the status of what comes back.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    // "HTTP/1.1 200": the status stands at the same place in every answer.
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    str::from_utf8(&start)
        .ok()
        .filter(|start| start.starts_with("HTTP/1."))
        .and_then(|start| start.get(9..)?.parse().ok())
        .ok_or_else(|| io::Error::other("what listens there does not speak HTTP"))
}

/// How long it may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);
