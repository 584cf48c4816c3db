//! Debian's HAProxy as a reverse proxy before the backend, and nothing else: as many threads as
//! cores, connections kept on both sides and shared, no log.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result};

use super::free_address;
use crate::machine;

/// Writes `haproxy.cfg` into `dir`; returns the clients' address.
///
/// # Errors
/// The file cannot be written, no port is free.
pub(super) fn configure(dir: &Path, backend: SocketAddr) -> Result<SocketAddr> {
    let clients = free_address()?;
    fs::write(dir.join("haproxy.cfg"), text(clients, backend)).context("writing haproxy.cfg")?;
    Ok(clients)
}

fn text(clients: SocketAddr, backend: SocketAddr) -> String {
    let threads = machine::cores();
    format!(
        "global\n\
         \x20 nbthread {threads}\n\
         \x20 maxconn 4096\n\
         defaults\n\
         \x20 mode http\n\
         \x20 timeout connect 5s\n\
         \x20 timeout client 60s\n\
         \x20 timeout server 60s\n\
         \x20 timeout http-keep-alive 60s\n\
         \x20 http-reuse always\n\
         frontend clients\n\
         \x20 bind {clients}\n\
         \x20 default_backend app\n\
         backend app\n\
         \x20 server app {backend}\n"
    )
}
