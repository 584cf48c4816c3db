//! A client's connection, with TLS or without.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName},
};

/// A connection of a [client](super::Client).
#[derive(Debug)]
pub(super) enum Socket {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Secure(Box<Session>),
}

/// TLS over a connection.
#[derive(Debug)]
pub(super) struct Session {
    socket: TcpStream,
    tls: ClientConnection,
}

/// How clients speak TLS: each does a whole handshake, as many browsers would, not one browser many
/// times.
///
/// # Errors
/// The certificate is not one.
pub(super) fn trusting(certificate: &CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

impl Socket {
    /// Speaks TLS over `socket` if there is something to trust.
    ///
    /// # Errors
    /// TLS cannot begin.
    pub(super) fn new(socket: TcpStream, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let Some(config) = tls else {
            return Ok(Self::Plain(socket));
        };
        let name = ServerName::try_from("localhost")?;
        let tls = ClientConnection::new(Arc::clone(config), name).context("beginning TLS")?;
        Ok(Self::Secure(Box::new(Session { socket, tls })))
    }

    /// Does a read that did not fill the buffer tell that there is nothing more now?
    pub(super) fn tells_its_end(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// An error of connecting.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Plain(socket) => socket.take_error(),
            Self::Secure(session) => session.socket.take_error(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Secure(session) => session.read(buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Secure(session) => {
                let taken = session.tls.writer().write(buf)?;
                session.send()?;
                Ok(taken)
            }
        }
    }

    /// Sends what TLS has to say, as far as the socket takes it.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Secure(session) => session.send(),
        }
    }
}

impl Session {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            if self.tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            self.tls.process_new_packets().map_err(io::Error::other)?;
            self.send()?;
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                // The next event tells that there is room.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
