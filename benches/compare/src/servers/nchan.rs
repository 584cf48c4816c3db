//! Debian's nginx with the module nchan, a push server of its own: it holds streams and WebSockets
//! without a backend and is published to over HTTP, one item in each request.
//!
//! It keeps the last item, which every client gets first: that stands for the backend's opening.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result};

use super::{free_address, nginx};
use crate::wire::CHANNEL;

/// Debian's package of the module.
pub(crate) const PACKAGE: &str = "libnginx-mod-nchan";

/// Where it puts the module.
pub(crate) const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Writes `nginx.conf` into `dir`; returns the addresses for clients and for publishers, which are
/// the same unless clients speak HTTP/2: without TLS a port speaks either.
///
/// # Errors
/// The file cannot be written, no port is free.
pub(super) fn configure(dir: &Path, http2: bool) -> Result<(SocketAddr, SocketAddr)> {
    let clients = free_address()?;
    let (control, listen) = if http2 {
        let control = free_address()?;
        (
            control,
            format!("listen {clients} http2; listen {control};"),
        )
    } else {
        (clients, format!("listen {clients};"))
    };
    let text = format!(
        "load_module {MODULE};\n{}",
        nginx::text(dir, CONNECTIONS, &server(&listen))
    );
    fs::write(dir.join("nginx.conf"), text).context("writing nginx.conf")?;
    Ok((clients, control))
}

fn server(listen: &str) -> String {
    format!(
        "\x20 server {{\n\
         \x20   {listen}\n\
         \x20   nchan_channel_id {CHANNEL};\n\
         \x20   nchan_message_buffer_length 1;\n\
         \x20   nchan_message_timeout 0;\n\
         \x20   location /events/ {{ nchan_subscriber eventsource; }}\n\
         \x20   location /http2/ {{ nchan_subscriber eventsource; }}\n\
         \x20   location /http2-shared/ {{ nchan_subscriber eventsource; }}\n\
         \x20   location /socket/ {{ nchan_subscriber websocket; }}\n\
         \x20   location /publish/ {{ nchan_publisher; }}\n\
         \x20   location /own/ {{\n\
         \x20     nchan_subscriber eventsource;\n\
         \x20     nchan_channel_id own-$arg_channel;\n\
         \x20   }}\n\
         \x20   location /publish-own/ {{\n\
         \x20     nchan_publisher;\n\
         \x20     nchan_channel_id own-$arg_channel;\n\
         \x20   }}\n\
         \x20 }}\n"
    )
}

/// Of one worker, should it accept all.
const CONNECTIONS: usize = 50_000;
