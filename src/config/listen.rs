//! Where clients connect, and by which certificates.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{UnixSocket, both_families};

/// Where clients connect.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Addresses. Default `0.0.0.0:7999` and `[::]:7999`.
    pub http: Vec<SocketAddr>,
    /// Connections the kernel queues before gripd accepts them. Default 4,096.
    pub backlog: u32,
    /// Speak HTTP/2 with clients that do. Default true.
    pub http2: bool,
    /// True while nobody named an address (a bare port names none): then a machine without IPv6
    /// is no error.
    pub http_is_default: bool,
    /// Addresses that speak TLS. Default: none.
    pub https: Vec<SocketAddr>,
    /// As [`Listen::http_is_default`], of `https`.
    pub https_is_default: bool,
    /// Sockets in the file system. Default: none.
    pub unix: Vec<UnixSocket>,
    /// Those of them all whose connections begin with a header of the PROXY protocol. Default: none.
    pub proxy_protocol: Proxied,
}

/// Where proxies in front tell by the PROXY protocol whose connection it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// Addresses of `listen.http` and `listen.https`.
    pub addresses: Vec<SocketAddr>,
    /// Only ports were named.
    pub only_ports: bool,
    /// Paths of `listen.unix`.
    pub unix: Vec<PathBuf>,
}

/// Certificates for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates (PEM, the own first) for every name without one in `certs`. Set together with
    /// `key`; both are read again when they change.
    pub cert: Option<PathBuf>,
    /// The private key (PEM) of the first certificate.
    pub key: Option<PathBuf>,
    /// A folder of `NAME.crt` and `NAME.key`, as Pushpin's `runner/certs`.
    pub certs: Option<PathBuf>,
}

impl Tls {
    /// Certificates and key, if they are named.
    pub fn pair(&self) -> Option<(&Path, &Path)> {
        self.cert.as_deref().zip(self.key.as_deref())
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: both_families(false, 7999),
            backlog: 4096,
            http2: true,
            http_is_default: true,
            https: Vec::new(),
            https_is_default: false,
            unix: Vec::new(),
            proxy_protocol: Proxied::default(),
        }
    }
}
