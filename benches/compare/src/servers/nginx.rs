//! Debian's nginx as a reverse proxy before the backend, and nothing else: as many workers as
//! cores, connections kept on both sides, no access log. Buffering is as nginx ships it.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result};

use super::free_address;
use crate::machine;

/// Writes `nginx.conf` into `dir`; returns the clients' address.
///
/// # Errors
/// The file cannot be written, no port is free.
pub(super) fn configure(dir: &Path, backend: SocketAddr) -> Result<SocketAddr> {
    let clients = free_address()?;
    let text = text(dir, CONNECTIONS, &server(clients, backend));
    fs::write(dir.join("nginx.conf"), text).context("writing nginx.conf")?;
    Ok(clients)
}

/// A configuration with these connections for each worker, and this in its `http`.
pub(super) fn text(dir: &Path, connections: usize, http: &str) -> String {
    let dir = dir.display();
    let workers = machine::cores();
    // Otherwise root's workers become somebody who may not look into the run's folder.
    let user = if rustix::process::geteuid().is_root() {
        "user root;\n"
    } else {
        ""
    };
    format!(
        "{user}daemon off;\n\
         worker_processes {workers};\n\
         pid {dir}/nginx.pid;\n\
         error_log stderr warn;\n\
         events {{ worker_connections {connections}; }}\n\
         http {{\n\
         \x20 sendfile on;\n\
         \x20 tcp_nopush on;\n\
         \x20 access_log off;\n\
         \x20 client_max_body_size 0;\n\
         \x20 client_body_temp_path {dir}/body;\n\
         \x20 proxy_temp_path {dir}/proxy;\n\
         \x20 fastcgi_temp_path {dir}/fastcgi;\n\
         \x20 uwsgi_temp_path {dir}/uwsgi;\n\
         \x20 scgi_temp_path {dir}/scgi;\n\
         \x20 keepalive_requests {REQUESTS};\n\
         {http}\
         }}\n"
    )
}

fn server(clients: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "\x20 upstream app {{\n\
         \x20   server {backend};\n\
         \x20   keepalive 64;\n\
         \x20   keepalive_requests {REQUESTS};\n\
         \x20 }}\n\
         \x20 server {{\n\
         \x20   listen {clients};\n\
         \x20   location / {{\n\
         \x20     proxy_pass http://app;\n\
         \x20     proxy_http_version 1.1;\n\
         \x20     proxy_set_header Connection \"\";\n\
         \x20   }}\n\
         \x20 }}\n"
    )
}

/// As Debian ships it.
const CONNECTIONS: usize = 768;

/// As shipped, a connection would end after 1,000 requests.
const REQUESTS: u32 = 1_000_000_000;
