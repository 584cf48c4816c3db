//! Listening TCP sockets, one set per core.
//!
//! The kernel spreads connections over sockets that share an address by `SO_REUSEPORT`. That flag
//! alone would also let a second gripd, started by mistake, take half of the connections in
//! silence; so the first socket of an address is bound without it, which fails if anything else
//! has the port, and only then gets the flag and the rest beside it.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Binds and listens on every address, `copies` times each (at least once).
///
/// The outer list has one set per copy, the inner one listener per address, in the order given;
/// all are non-blocking. With port 0 all copies of an address share the port the first one got.
/// IPv6 addresses take IPv6 only, so that `0.0.0.0` and `[::]` stand side by side on one port.
///
/// `backlog`: connections the kernel queues before they are accepted. `family_may_lack`: an address
/// of a family this machine does not have is left out rather than an error, as long as any is left.
/// `flag` names the flag and the key that set the addresses, for the error.
///
/// # Errors
/// The first address that cannot be listened on; no socket stays open then.
pub fn bind(
    addresses: &[SocketAddr],
    copies: usize,
    backlog: u32,
    family_may_lack: bool,
    flag: &'static str,
) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut sets: Vec<Vec<TcpListener>> = (0..copies.max(1)).map(|_| Vec::new()).collect();
    let mut lacking = None;
    for address in addresses {
        let error = |cause: io::Error| BindError::new(*address, &cause, flag);
        match bind_copies(*address, sets.len(), backlog) {
            Ok(listeners) => {
                for (set, listener) in sets.iter_mut().zip(listeners) {
                    set.push(listener);
                }
            }
            Err(cause) if family_may_lack && lacks_family(*address, &cause) => {
                lacking = Some(error(cause));
            }
            Err(cause) => return Err(error(cause)),
        }
    }
    match lacking {
        Some(error) if sets.iter().all(Vec::is_empty) => Err(error),
        _ => Ok(sets),
    }
}

/// An address, or a socket in the file system, that cannot be listened on. `Display` is one line: address, cause, and what to
/// change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; set another with {flag}")]
pub struct BindError {
    /// The address asked for, as it was written.
    pub address: String,
    /// Why not.
    pub cause: String,
    /// Flag and key that set the address.
    pub flag: &'static str,
}

impl BindError {
    fn new(address: SocketAddr, cause: &io::Error, flag: &'static str) -> Self {
        let cause = match cause.kind() {
            io::ErrorKind::AddrInUse => "another process uses this port".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            io::ErrorKind::PermissionDenied => {
                format!(
                    "port {} is reserved for privileged processes",
                    address.port()
                )
            }
            _ => cause.to_string(),
        };
        Self {
            address: address.to_string(),
            cause,
            flag,
        }
    }
}

fn bind_copies(address: SocketAddr, copies: usize, backlog: u32) -> io::Result<Vec<TcpListener>> {
    let first = open(address)?;
    first.bind(&address.into())?;
    // Before `listen`: sockets join the group that shares connections when they begin to listen.
    first.set_reuse_port(true)?;
    let first = listen(first, backlog)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..copies {
        let socket = open(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        listeners.push(listen(socket, backlog)?);
    }
    Ok(listeners)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the old process's connections to leave TIME_WAIT. On Linux this
    // lets nobody share a port that is listened on.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn listen(socket: Socket, backlog: u32) -> io::Result<TcpListener> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// No IPv6 in the kernel, or in it but switched off, which shows at `bind`.
fn lacks_family(address: SocketAddr, cause: &io::Error) -> bool {
    address.is_ipv6()
        && (cause.kind() == io::ErrorKind::AddrNotAvailable
            || cause.raw_os_error() == Some(EAFNOSUPPORT))
}

/// Linux's number; the standard library has no kind for it.
const EAFNOSUPPORT: i32 = 97;

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        net::{Ipv4Addr, Ipv6Addr, TcpStream},
    };

    use super::*;

    const FLAG: &str = "--port / listen.http";

    fn local4(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    fn local6(port: u16) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, port).into()
    }

    fn has_ipv6() -> bool {
        TcpListener::bind(local6(0)).is_ok()
    }

    #[test]
    fn copies_share_one_port_and_all_accept() {
        let sets = bind(&[local4(0)], 3, 16, false, FLAG).unwrap();
        let address = sets[0][0].local_addr().unwrap();
        for set in &sets {
            assert_eq!(set[0].local_addr().unwrap(), address);
        }
        // The kernel deals by a hash of the client's port: far more clients than it takes for each
        // copy to get one.
        let mut clients = Vec::new();
        let mut got = HashSet::new();
        while got.len() < sets.len() && clients.len() < 2_000 {
            clients.push(TcpStream::connect(address).unwrap());
            for (copy, set) in sets.iter().enumerate() {
                while set[0].accept().is_ok() {
                    got.insert(copy);
                }
            }
        }
        assert_eq!(got.len(), 3, "after {} connections", clients.len());
    }

    #[test]
    fn a_taken_port_is_told_with_the_flag_to_change() {
        for copies in [1, 2] {
            let taken = bind(&[local4(0)], copies, 16, false, FLAG).unwrap();
            let address = taken[0][0].local_addr().unwrap();
            let error = bind(&[address], 2, 16, true, FLAG).unwrap_err();
            let want = format!(
                "cannot listen on {address}: another process uses this port; \
                 set another with --port / listen.http"
            );
            assert_eq!(error.to_string(), want);
        }
    }

    #[test]
    fn a_port_taken_by_a_plain_listener_is_an_error_too() {
        let taken = TcpListener::bind(local4(0)).unwrap();
        let address = taken.local_addr().unwrap();
        assert!(bind(&[address], 1, 16, false, FLAG).is_err());
    }

    #[test]
    fn a_port_is_free_again_after_its_connections() {
        let sets = bind(&[local4(0)], 1, 16, false, FLAG).unwrap();
        let address = sets[0][0].local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        sets[0][0].set_nonblocking(false).unwrap();
        let (served, _) = sets[0][0].accept().unwrap();
        // Closing first leaves the listener's side in TIME_WAIT.
        drop(served);
        drop(client);
        drop(sets);
        bind(&[address], 2, 16, false, FLAG).unwrap();
    }

    #[test]
    fn both_families_stand_on_one_port() {
        if !has_ipv6() {
            return;
        }
        let any4 = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let any6 = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let first = bind(&[any4(0)], 1, 16, false, FLAG).unwrap();
        let port = first[0][0].local_addr().unwrap().port();
        drop(first);
        let sets = bind(&[any4(port), any6(port)], 2, 16, false, FLAG).unwrap();
        assert_eq!(sets.len(), 2);
        for set in &sets {
            let families: Vec<bool> = set
                .iter()
                .map(|listener| listener.local_addr().unwrap().is_ipv6())
                .collect();
            assert_eq!(families, [false, true]);
        }
        for address in [local4(port), local6(port)] {
            TcpStream::connect(address).unwrap();
        }
    }

    #[test]
    fn only_a_lacking_ipv6_may_be_left_out() {
        // A documentation address is one that no machine has.
        let lacking: SocketAddr = "[2001:db8::1]:0".parse().unwrap();
        let sets = bind(&[local4(0), lacking], 1, 16, true, FLAG).unwrap();
        assert_eq!(sets[0].len(), 1);
        assert!(bind(&[local4(0), lacking], 1, 16, false, FLAG).is_err());
        assert!(
            bind(&[lacking], 1, 16, true, FLAG).is_err(),
            "nothing is left"
        );
        let foreign: SocketAddr = "192.0.2.1:0".parse().unwrap();
        let error = bind(&[local4(0), foreign], 1, 16, true, FLAG).unwrap_err();
        assert_eq!(error.address, foreign.to_string());
        assert_eq!(error.cause, "this machine does not have that address");
    }

    #[test]
    fn a_failed_start_leaves_no_socket() {
        let sets = bind(&[local4(0)], 1, 16, false, FLAG).unwrap();
        let taken = sets[0][0].local_addr().unwrap();
        let free = bind(&[local4(0)], 1, 16, false, FLAG).unwrap();
        let free = free
            .into_iter()
            .flatten()
            .next()
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(bind(&[free, taken], 2, 16, false, FLAG).is_err());
        bind(&[free], 1, 16, false, FLAG).unwrap();
    }
}
