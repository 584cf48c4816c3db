//! Debian's pushpin with a configuration of its own: free ports, its sockets in the run's folder,
//! and its limits on messages lifted so that it can deliver to all streams. All else is as shipped.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use anyhow::{Context, Result};

/// Writes `pushpin.conf` and `routes` into `dir`; returns the clients' and the control address.
///
/// # Errors
/// The files cannot be written, no port is free.
pub(super) fn configure(dir: &Path, backend: SocketAddr) -> Result<(SocketAddr, SocketAddr)> {
    let run = dir.join("run");
    fs::create_dir_all(&run)?;
    fs::create_dir_all(dir.join("logs"))?;
    fs::write(dir.join("routes"), format!("* {backend},over_http\n")).context("writing routes")?;
    // Both are held while they are chosen, so that they differ. Pushpin takes no port 0.
    let sockets = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let (clients, control) = (sockets[0].local_addr()?, sockets[1].local_addr()?);
    let text = text(dir, clients, control);
    fs::write(dir.join("pushpin.conf"), text).context("writing pushpin.conf")?;
    Ok((clients, control))
}

fn text(dir: &Path, clients: SocketAddr, control: SocketAddr) -> String {
    let dir = dir.display();
    let (ip, port) = (control.ip(), control.port());
    format!(
        "[global]\n\
         include={{libdir}}/internal.conf\n\
         rundir={dir}/run\n\
         ipc_prefix=bench-\n\
         port_offset=0\n\
         stats_connection_ttl=120\n\n\
         [runner]\n\
         services=condure,zurl,pushpin-proxy,pushpin-handler\n\
         http_port={clients}\n\
         logdir={dir}/logs\n\
         log_level=2\n\
         client_buffer_size=8192\n\
         client_maxconn=50000\n\n\
         [proxy]\n\
         routesfile=routes\n\
         zurl_out_specs=ipc://{dir}/run/bench-zurl-in\n\
         zurl_out_stream_specs=ipc://{dir}/run/bench-zurl-in-stream\n\
         zurl_in_specs=ipc://{dir}/run/bench-zurl-out\n\
         set_x_forwarded_protocol=proto-only\n\
         sig_iss=pushpin\n\
         sig_key=changeme\n\
         updates_check=off\n\n\
         [handler]\n\
         push_in_spec=ipc://{dir}/run/push-in\n\
         push_in_sub_specs=ipc://{dir}/run/push-in-sub\n\
         push_in_http_addr={ip}\n\
         push_in_http_port={port}\n\
         push_in_http_max_headers_size=10000\n\
         push_in_http_max_body_size=1000000\n\
         stats_spec=ipc://{dir}/run/stats\n\
         command_spec=ipc://{dir}/run/command\n\
         message_rate=1000000000\n\
         message_hwm=1000000000\n\
         message_wait=5000\n\
         id_cache_ttl=60\n\
         connection_subscription_max=20\n\
         subscription_linger=60\n\
         stats_subscription_ttl=60\n\
         stats_report_interval=10\n\
         stats_format=tnetstring\n"
    )
}
