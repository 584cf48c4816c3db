//! One TCP connection to a target: every address of its name is tried before it counts as failed.
//! The deny list of `untrusted` targets is applied here, on the address that is really used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{Error, Resolver, Wait};

/// Connects to one of the host's addresses.
///
/// # Errors
/// [`Error::Blocked`], [`Error::Name`], [`Error::TimedOut`] or [`Error::Unreachable`].
pub(super) async fn connect(
    resolver: &Resolver,
    host: &str,
    port: u16,
    untrusted: bool,
    wait: Wait,
) -> Result<TcpStream, Error> {
    let deadline = Instant::now() + wait.after;
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
