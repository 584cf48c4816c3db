//! TLS to backends: who may speak for a name, how gripd shows who it is, and what is said when the
//! two sides do not understand each other. One for all cores, since reading the system's
//! authorities takes a while; connections and their keys stay on their core.

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use rustls::{
    CertificateError, ClientConfig, Error as TlsError, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    sign::SingleCertAndKey,
};
use tokio_rustls::TlsConnector;

use super::{Error, stream::Stream};
use crate::{
    routes::grammar::{Address, Target},
    tls::{self, Anybody},
};

/// How TLS is spoken with a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// Whose certificate is wanted, and the name that is asked for (SNI); without port.
    name: String,
    manner: Manner,
}

/// What configurations differ in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Manner {
    /// Is any certificate taken?
    insecure: bool,
    /// The files of our own certificate and its key.
    identity: Option<(PathBuf, PathBuf)>,
}

impl TlsOptions {
    /// A target's, for requests with this `Host`; `None`: it is spoken to without TLS.
    pub(super) fn of(target: &Target, host: &str) -> Option<Self> {
        if !target.ssl {
            return None;
        }
        let name = match &target.address {
            Address::Host(connected, _) if target.trust_connect_host => connected,
            _ => without_port(host),
        };
        Some(Self {
            name: name.to_ascii_lowercase(),
            manner: Manner {
                insecure: target.insecure,
                identity: target.client_cert.clone().zip(target.client_key.clone()),
            },
        })
    }

    /// Whose certificate is wanted.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A host without its port and without the brackets of an IPv6 address.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

/// gripd as a client of TLS. Shared by all cores.
#[derive(Debug)]
pub struct TlsClient {
    provider: Arc<CryptoProvider>,
    /// Authorities beside the system's (PEM).
    ca_file: Option<PathBuf>,
    authorities: OnceLock<Arc<RootCertStore>>,
    known: Mutex<HashMap<Manner, Known>>,
    /// What targets without `ssl` were found to speak, and when.
    tried: Mutex<HashMap<Address, (Instant, bool)>>,
}

/// A configuration, and the files of its certificate as they were when it was made.
#[derive(Debug)]
struct Known {
    files: Option<Stamp>,
    config: Arc<ClientConfig>,
}

/// What changes when one of two files does.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl TlsClient {
    /// A client that also trusts the authorities of a file. Nothing is read before it is needed.
    pub fn new(ca_file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            provider: tls::provider(),
            ca_file,
            authorities: OnceLock::new(),
            known: Mutex::default(),
            tried: Mutex::default(),
        })
    }

    /// Speaks TLS on a connection.
    ///
    /// # Errors
    /// [`Error::Tls`]: the certificate is not trusted, or no TLS is spoken.
    pub(super) async fn wrap(
        self: &Arc<Self>,
        stream: Stream,
        options: &TlsOptions,
    ) -> Result<Stream, Error> {
        let name = ServerName::try_from(options.name.clone()).map_err(|_| {
            Error::Tls(format!(
                "no certificate can be for `{}`, which is the request's Host; the target options \
                 host=NAME and trust_connect_host choose another name",
                options.name
            ))
        })?;
        let config = self.config(&options.manner).await?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(Error::Tls(sentence(&error, &options.name))),
        }
    }

    /// Does a target that was spoken to in plain text speak TLS? Asked once in a while, by a
    /// handshake on the connection that `open` makes.
    pub(super) async fn is_spoken(
        self: &Arc<Self>,
        address: &Address,
        open: impl Future<Output = Result<Stream, Error>>,
    ) -> bool {
        let found = self.tried.lock().get(address).copied();
        if let Some((at, spoken)) = found
            && at.elapsed() < REMEMBERED
        {
            return spoken;
        }
        let options = TlsOptions {
            name: "localhost".into(),
            manner: Manner {
                insecure: true,
                identity: None,
            },
        };
        let hello = async { self.wrap(open.await?, &options).await };
        let answer = tokio::time::timeout(HELLO, hello).await;
        let spoken = matches!(answer, Ok(Ok(_)));
        let mut tried = self.tried.lock();
        tried.retain(|_, (at, _)| at.elapsed() < REMEMBERED);
        tried.insert(address.clone(), (Instant::now(), spoken));
        spoken
    }

    /// The configuration of a manner; files are read off the runtime.
    async fn config(self: &Arc<Self>, manner: &Manner) -> Result<Arc<ClientConfig>, Error> {
        let files = manner.identity.as_ref().map(stamp);
        if let Some(known) = self.known.lock().get(manner)
            && known.files == files
        {
            return Ok(Arc::clone(&known.config));
        }
        let (this, manner) = (Arc::clone(self), manner.clone());
        let made = tokio::task::spawn_blocking(move || this.make(manner, files)).await;
        let made = made.unwrap_or_else(|error| Err(error.to_string()));
        made.map_err(Error::Tls)
    }

    /// Makes a configuration and keeps it. A certificate that was renewed by one that cannot be
    /// read leaves the old one in use.
    fn make(&self, manner: Manner, files: Option<Stamp>) -> Result<Arc<ClientConfig>, String> {
        let made = self.build(&manner);
        let mut known = self.known.lock();
        let config = match (made, known.get(&manner)) {
            (Ok(config), _) => Arc::new(config),
            (Err(error), Some(old)) => {
                tracing::warn!("the client certificate of a target stays the old one: {error}");
                Arc::clone(&old.config)
            }
            (Err(error), None) => return Err(format!("the client certificate: {error}")),
        };
        let kept = Arc::clone(&config);
        known.insert(manner, Known { files, config });
        Ok(kept)
    }

    fn build(&self, manner: &Manner) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if manner.insecure {
            let anybody = Arc::new(Anybody(Arc::clone(&self.provider)));
            builder
                .dangerous()
                .with_custom_certificate_verifier(anybody)
        } else {
            builder.with_root_certificates(Arc::clone(self.authorities()))
        };
        let mut config = match &manner.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let own = tls::read(cert, key).map_err(|error| error.to_string())?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
                    Arc::unwrap_or_clone(own),
                )))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The system's authorities and those of the file.
    fn authorities(&self) -> &Arc<RootCertStore> {
        self.authorities.get_or_init(|| {
            let mut store = RootCertStore::empty();
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::warn!("an authority of the system is left out: {error}");
            }
            if system.certs.is_empty() {
                tracing::warn!("the system has no authorities (package ca-certificates)");
            }
            store.add_parsable_certificates(system.certs);
            if let Some(path) = &self.ca_file {
                match read_authorities(path) {
                    Ok(certs) => drop(store.add_parsable_certificates(certs)),
                    Err(error) => tracing::error!("proxy.ca_file: {error}"),
                }
            }
            Arc::new(store)
        })
    }
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn stamp((cert, key): &(PathBuf, PathBuf)) -> Stamp {
    [cert, key].map(|path| {
        let metadata = path.metadata().ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

/// What the TLS library found wrong, if it was that.
fn fault(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Why no TLS came about, and what to do.
fn sentence(error: &io::Error, name: &str) -> String {
    let fix = match fault(error) {
        Some(TlsError::InvalidMessage(_)) => {
            return "the backend does not speak TLS: drop `ssl` from the target".into();
        }
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "the target options host=NAME and trust_connect_host choose another name",
        // By this name alone does the library tell it.
        Some(TlsError::InvalidCertificate(_))
            if error.to_string().contains("CaUsedAsEndEntity") =>
        {
            "it is an authority's, as `openssl req -x509` makes them: make it with `-addext \
             basicConstraints=critical,CA:FALSE`, or give the target the option `insecure`"
        }
        Some(TlsError::InvalidCertificate(_)) => {
            "proxy.ca_file names further authorities, the target option `insecure` takes any \
             certificate"
        }
        Some(TlsError::AlertReceived(_)) => return refused(error),
        _ if error.kind() == ErrorKind::UnexpectedEof => {
            return "the backend closed the connection instead of speaking TLS: is `ssl` right for \
                    this target?"
                .into();
        }
        _ => return format!("TLS with the backend failed: {error}"),
    };
    format!("the backend's certificate is not good for {name}: {error}; {fix}")
}

/// Did the backend say no to who we are, and so before it looked at any request (RFC 8446 section
/// 6.2)?
pub(super) fn is_refusal(error: &io::Error) -> bool {
    use rustls::AlertDescription as Said;
    matches!(
        fault(error),
        Some(TlsError::AlertReceived(
            Said::AccessDenied
                | Said::BadCertificate
                | Said::CertificateExpired
                | Said::CertificateRequired
                | Said::CertificateRevoked
                | Said::CertificateUnknown
                | Said::UnknownCA
                | Said::UnsupportedCertificate
        ))
    )
}

/// What is told when the backend said no.
pub(super) fn refused(error: &io::Error) -> String {
    format!(
        "the backend refused the TLS connection: {error}; the target options client_cert and \
         client_key show it who gripd is, host=NAME asks for another name"
    )
}

/// How long it is remembered what a target speaks.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How long a backend may take to show that it speaks TLS.
const HELLO: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(target: &Target, host: &str) -> Option<String> {
        TlsOptions::of(target, host).map(|options| options.name)
    }

    #[test]
    fn the_name_is_the_hosts_or_the_connected_one() {
        let mut target = Target {
            address: Address::Host("10.0.0.1".into(), 443),
            ..Target::default()
        };
        assert_eq!(name(&target, "h.test"), None);
        target.ssl = true;
        for (host, expected) in [
            ("H.test", "h.test"),
            ("h.test:8443", "h.test"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(name(&target, host).as_deref(), Some(expected), "{host}");
        }
        target.trust_connect_host = true;
        assert_eq!(name(&target, "h.test").as_deref(), Some("10.0.0.1"));
        target.address = Address::Unix("/run/app".into());
        assert_eq!(name(&target, "h.test").as_deref(), Some("h.test"));
    }
}
