//! One connection to a target, with TLS when it asks for that. Every address of its name is tried
//! before it counts as failed. The deny list of `untrusted` targets is applied here, on the address
//! that is really used.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use tokio::{
    net::{TcpStream, UnixStream},
    time::{Instant, timeout_at},
};

use super::{Call, Error, Resolver, Wait, stream::Stream};
use crate::routes::grammar::Address;

/// Connects to a call's target. The connect time is for all of it.
///
/// # Errors
/// [`Error::Blocked`], [`Error::Name`], [`Error::TimedOut`], [`Error::Tls`] or
/// [`Error::Unreachable`].
pub(super) async fn connect(call: &Call<'_>) -> Result<Stream, Error> {
    let wait = call.waits.connect;
    let deadline = Instant::now() + wait.after;
    let stream = plain(call, deadline).await?;
    let Some(options) = &call.way.tls else {
        return Ok(stream);
    };
    let secured = timeout_at(deadline, call.tls.wrap(stream, options)).await;
    secured.unwrap_or(Err(Error::TimedOut(wait)))
}

/// The connection without TLS.
pub(super) async fn plain(call: &Call<'_>, deadline: Instant) -> Result<Stream, Error> {
    let (way, wait) = (&call.way, call.waits.connect);
    match &way.address {
        Address::Host(host, port) => {
            let stream = tcp(call.resolver, host, *port, way.untrusted, wait, deadline).await?;
            Ok(Box::new(stream))
        }
        // Nothing is nearer to this machine than such a socket.
        Address::Unix(_) if way.untrusted => Err(Error::Blocked),
        Address::Unix(path) => Ok(Box::new(unix(path, wait, deadline).await?)),
        Address::Test | Address::Welcome | Address::Zhttp(_) | Address::ZhttpReq(_) => {
            Err(Error::Unreachable("it has no address to connect to".into()))
        }
    }
}

/// A full queue of the listener makes connecting wait.
async fn unix(path: &Path, wait: Wait, deadline: Instant) -> Result<UnixStream, Error> {
    match timeout_at(deadline, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Error::Unreachable(error.to_string())),
        Err(_) => Err(Error::TimedOut(wait)),
    }
}

/// Connects to one of the host's addresses.
async fn tcp(
    resolver: &Resolver,
    host: &str,
    port: u16,
    untrusted: bool,
    wait: Wait,
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let addresses = timeout_at(deadline, resolver.addresses(host))
        .await
        .map_err(|_| Error::TimedOut(wait))??;
    let allowed: Vec<IpAddr> = addresses
        .iter()
        .copied()
        .filter(|ip| !untrusted || !is_denied(*ip))
        .collect();
    if allowed.is_empty() {
        return Err(Error::Blocked);
    }
    let mut last = Error::TimedOut(wait);
    for (index, ip) in allowed.iter().enumerate() {
        // An address that swallows packets must leave time for the next one.
        let left = u32::try_from(allowed.len() - index).unwrap_or(u32::MAX);
        let until = Instant::now() + deadline.saturating_duration_since(Instant::now()) / left;
        match timeout_at(until, TcpStream::connect((*ip, port))).await {
            Ok(Ok(stream)) => {
                // Fails only on a socket that is already dead, which the first write tells better.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Error::Unreachable(error.to_string()),
            Err(_) => last = Error::TimedOut(wait),
        }
    }
    Err(last)
}

/// Is this an address that `untrusted` targets must not reach? Loopback, private and link-local
/// networks, and what leads to them under another name.
fn is_denied(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_denied_v4(v4),
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or_else(|| is_denied_v6(v6), is_denied_v4),
    }
}

fn is_denied_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.octets()[0] == 0
}

fn is_denied_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_targets_reach_only_public_addresses() {
        for denied in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_denied(denied.parse().unwrap()), "{denied}");
        }
        for allowed in [
            "8.8.8.8",
            "172.32.0.1",
            "192.169.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_denied(allowed.parse().unwrap()), "{allowed}");
        }
    }
}
