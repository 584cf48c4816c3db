//! TLS with rustls and the one crypto provider of gripd (aws-lc-rs): a certificate with its key,
//! read from files and read again when they change, and what a listener needs to speak with it.
//!
//! Clients get one by the name they ask for (SNI, [`Folder`]), publishers all the same one.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

mod anybody;
mod folder;
pub mod probe;
#[cfg(test)]
mod tests;

pub use anybody::Anybody;
pub use folder::Folder;

/// Why a certificate cannot be used. Never tells anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate in the file for them.
    #[error("{path} has no certificate: it must be PEM, with -----BEGIN CERTIFICATE-----")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in the file for it.
    #[error("{path} has no private key: it must be PEM, unencrypted")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is not that of the first certificate.
    #[error("{key} is not the key of the first certificate of {cert}")]
    Foreign {
        /// The file of the certificates.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The library refuses them, or knows no key of this kind.
    #[error("{cert} and {key} cannot be used: {source}")]
    Unusable {
        /// The file of the certificates.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// A certificate chain and its key, as the files have them. When a handshake finds the files
/// changed they are read again; files that cannot be used leave the old ones in force, with one
/// warning.
#[derive(Debug)]
pub struct Identity {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Seen>,
}

/// When the files were looked at, and what they looked like.
#[derive(Debug)]
struct Seen {
    at: Instant,
    stamps: [Stamp; 2],
}

/// What changes with a file's content: device, inode, length, time of change. `None`: not there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Identity {
    /// Reads both files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        // Before they are read: a change in between is then seen as one.
        let stamps = [cert, key].map(stamp);
        Ok(Self {
            current: ArcSwap::new(read(cert, key)?),
            seen: Mutex::new(Seen {
                at: Instant::now(),
                stamps,
            }),
            cert: cert.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Reads the files again if they have changed since they were looked at, at most once in
    /// [`GLANCE`]. Small files, seldom: worth no thread of their own.
    fn follow(&self) {
        // Who finds it locked need not wait for what another is doing already.
        let Some(mut seen) = self
            .seen
            .try_lock()
            .filter(|seen| seen.at.elapsed() >= GLANCE)
        else {
            return;
        };
        seen.at = Instant::now();
        let stamps = [&self.cert, &self.key].map(|file| stamp(file));
        if stamps == seen.stamps {
            return;
        }
        seen.stamps = stamps;
        match read(&self.cert, &self.key) {
            Ok(identity) => {
                self.current.store(identity);
                tracing::info!("TLS: {} has changed and is in force", self.cert.display());
            }
            Err(error) => tracing::warn!("TLS: the certificate in force stays: {error}"),
        }
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.follow();
        Some(self.current.load_full())
    }
}

/// What a listener with these certificates needs: TLS 1.2 and 1.3, sessions that may be resumed (by
/// tickets, so that nothing is kept for them). `http2`: it is offered, beside HTTP/1.1.
///
/// # Errors
/// The library lacks something, which is a fault of how gripd was built.
pub fn server(
    certs: impl ResolvesServerCert + 'static,
    http2: bool,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certs));
    let protocols: &[&[u8]] = if http2 {
        &[b"h2", b"http/1.1"]
    } else {
        &[b"http/1.1"]
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// The crypto provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Reads certificates, the own one first, and its key; both PEM.
///
/// # Errors
/// What is wrong with them.
pub fn read(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let (certs, private) = (read_file(cert)?, read_file(key)?);
    let certs = CertificateDer::pem_slice_iter(&certs).collect::<Result<Vec<_>, _>>();
    let certs = certs.ok().filter(|certs| !certs.is_empty());
    let certs = certs.ok_or_else(|| TlsError::NoCertificate { path: cert.into() })?;
    let private = PrivateKeyDer::from_pem_slice(&private);
    let private = private.map_err(|_| TlsError::NoKey { path: key.into() })?;
    let (cert, key) = (cert.to_owned(), key.to_owned());
    match CertifiedKey::from_der(certs, private, &provider()) {
        Ok(identity) => Ok(Arc::new(identity)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Foreign { cert, key }),
        Err(source) => Err(TlsError::Unusable { cert, key, source }),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(source) => Err(TlsError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((
        about.dev(),
        about.ino(),
        about.len(),
        about.mtime(),
        about.mtime_nsec(),
    ))
}

/// How long what was seen of the files counts.
const GLANCE: Duration = Duration::from_secs(1);

/// Most bytes that are read of a file: a chain has a few thousand.
const MOST: u64 = 1 << 20;
