//! What stands before a client's first request on some listeners: the header in which a proxy tells
//! whose connection it is (PROXY protocol, versions 1 and 2), then TLS's handshake.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use ppp::{HeaderResult, v1, v2};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    front::Arrived,
    socket::{ClientSocket, Proxied, Remote, Tls},
};

/// How connections of a listener begin.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// With a header of the PROXY protocol. Whoever can connect is believed.
    pub proxied: bool,
    /// With TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Manner {
    /// With the first request.
    pub fn is_plain(&self) -> bool {
        !self.proxied && self.tls.is_none()
    }

    /// Does what comes first, within `limit`; `None` when nothing good comes of it, which the log
    /// tells at debug.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection.
    pub async fn greet(
        &self,
        socket: ClientSocket,
        remote: Remote,
        limit: Duration,
    ) -> Option<Arrived> {
        match timeout(limit, self.begin(Arrived::plain(socket, remote))).await {
            Ok(Ok(arrived)) => return Some(arrived),
            Ok(Err(error)) => tracing::debug!(client.addr = %remote, %error, "no beginning"),
            Err(_) => tracing::debug!(client.addr = %remote, "the beginning took too long"),
        }
        None
    }

    async fn begin(&self, mut arrived: Arrived) -> io::Result<Arrived> {
        if self.proxied {
            arrived = unwrap(arrived).await?;
        }
        match &self.tls {
            Some(config) => encrypt(arrived, Arc::clone(config)).await,
            None => Ok(arrived),
        }
    }
}

/// What a proxy tells.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    length: usize,
    /// None: the proxy asks for itself, or does not know.
    client: Option<SocketAddr>,
    /// The client came to the proxy over TLS.
    secure: bool,
}

/// Takes the header off.
async fn unwrap(mut arrived: Arrived) -> io::Result<Arrived> {
    let header = loop {
        if let Some(header) = header(&arrived.early)? {
            break header;
        }
        arrived.early.reserve(READ);
        if arrived.socket.read_buf(&mut arrived.early).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    arrived.early.advance(header.length);
    if let Some(client) = header.client {
        arrived.remote = Remote::Tcp(client);
        let socket = arrived.socket;
        arrived.socket = ClientSocket::Proxied(Box::new(Proxied { socket, client }));
    }
    arrived.secure = header.secure;
    Ok(arrived)
}

/// Reads a header; `None` while it is not whole.
fn header(bytes: &[u8]) -> io::Result<Option<Header>> {
    let begins = |prefix: &[u8]| {
        let common = bytes.len().min(prefix.len());
        bytes[..common] == prefix[..common]
    };
    if !begins(V1) && !begins(V2) {
        return Err(wrong("there is no PROXY protocol header".into()));
    }
    let is_whole = if begins(V2) {
        let length = bytes.get(V2.len() + 2..V2.len() + 4);
        length.is_some_and(|length| {
            let length = usize::from(length[0]) << 8 | usize::from(length[1]);
            bytes.len() >= V2.len() + 4 + length
        })
    } else {
        bytes.contains(&b'\n')
    };
    if !is_whole {
        if bytes.len() > LONGEST {
            return Err(wrong("the PROXY protocol header is too long".into()));
        }
        return Ok(None);
    }
    match HeaderResult::parse(bytes) {
        HeaderResult::V1(Ok(header)) => Ok(Some(Header {
            length: header.header.len(),
            client: match header.addresses {
                v1::Addresses::Tcp4(all) => Some((all.source_address, all.source_port).into()),
                v1::Addresses::Tcp6(all) => Some((all.source_address, all.source_port).into()),
                v1::Addresses::Unknown => None,
            },
            secure: false,
        })),
        HeaderResult::V2(Ok(header)) => Ok(Some(Header {
            length: header.len(),
            client: match header.addresses {
                _ if header.command == v2::Command::Local => None,
                v2::Addresses::IPv4(all) => Some((all.source_address, all.source_port).into()),
                v2::Addresses::IPv6(all) => Some((all.source_address, all.source_port).into()),
                v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
            },
            secure: header.command == v2::Command::Proxy
                && header.tlvs().flatten().any(|one| {
                    let flags = one.value.first().copied().unwrap_or_default();
                    one.kind == v2::Type::SSL as u8 && flags & CLIENT_SSL > 0
                }),
        })),
        HeaderResult::V1(Err(error)) => Err(wrong(error.to_string())),
        HeaderResult::V2(Err(error)) => Err(wrong(error.to_string())),
    }
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Shakes hands. Whoever speaks plain HTTP here is told so in plain HTTP.
async fn encrypt(mut arrived: Arrived, config: Arc<ServerConfig>) -> io::Result<Arrived> {
    if arrived.early.is_empty() {
        arrived.early.reserve(READ);
        arrived.socket.read_buf(&mut arrived.early).await?;
    }
    // TLS begins with a byte below all letters.
    if arrived.early.first().is_some_and(u8::is_ascii_uppercase) {
        arrived.socket.write_all(PLAIN).await?;
        arrived.socket.shutdown().await?;
        // Closing over unread bytes would destroy the answer before it is read.
        let mut rest = arrived.socket.take(DISCARD);
        while rest.read(&mut [0; 512]).await? > 0 {}
        return Err(wrong("plain HTTP on a port for TLS".into()));
    }
    let tls = Tls::accept(arrived.socket, &arrived.early, config).await?;
    Ok(Arrived {
        socket: ClientSocket::Tls(Box::new(tls)),
        early: BytesMut::new(),
        remote: arrived.remote,
        secure: true,
    })
}

const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Of the flags in the first byte about TLS: the client spoke it (`PP2_CLIENT_SSL`).
const CLIENT_SSL: u8 = 1;

/// Most bytes of a header; common ones have some hundred.
const LONGEST: usize = 4096;

/// A client's first message fits, as a rule.
const READ: usize = 2048;

/// Most bytes that are read of somebody who is refused.
const DISCARD: u64 = 64 << 10;

const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 45\r\nConnection: close\r\n\r\nThis port speaks TLS: ask for it by https://\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Header> {
        for end in 0..bytes.len() {
            assert_eq!(header(&bytes[..end]).unwrap(), None, "{end}");
        }
        let longer = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        let found = header(&longer).unwrap();
        assert_eq!(found.as_ref().map(|one| one.length), Some(bytes.len()));
        found
    }

    #[test]
    fn both_versions_tell_who_the_client_is() {
        let text = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n";
        let client = Some("192.0.2.1:5000".parse().unwrap());
        assert_eq!(read(text).unwrap().client, client);
        let text = b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 80\r\n";
        let client = Some("[2001:db8::1]:5000".parse().unwrap());
        assert_eq!(read(text).unwrap().client, client);
        assert_eq!(read(b"PROXY UNKNOWN\r\n").unwrap().client, None);

        // Version 2, a TCP connection over IPv4, with word of TLS behind the addresses.
        let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0, 80];
        let tls = [0x20, 0, 5, 1, 0, 0, 0, 0];
        let binary = [V2, &[0x21, 0x11, 0, 20], &addresses, &tls].concat();
        let found = read(&binary).unwrap();
        assert_eq!(found.client, Some("192.0.2.1:5000".parse().unwrap()));
        assert!(found.secure);
        // The proxy asks for itself.
        let local = [V2, &[0x20, 0, 0, 0]].concat();
        let found = read(&local).unwrap();
        assert_eq!((found.client, found.secure), (None, false));
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        for bytes in [
            &b"G"[..],
            b"PROXX",
            b"\x16\x03\x01",
            b"PROXY TCP4 x y 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80 more\r\n",
        ] {
            assert!(header(bytes).is_err(), "{bytes:?}");
        }
        let endless = [b"PROXY TCP4 ", [b'1'; LONGEST].as_slice()].concat();
        assert!(header(&endless).is_err());
    }

    #[test]
    fn whoever_speaks_plain_http_is_told_a_whole_answer() {
        let text = String::from_utf8_lossy(PLAIN);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = format!("Content-Length: {}", body.len());
        assert!(head.contains(&length), "{length}");
    }
}
