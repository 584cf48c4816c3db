//! A backend behind TLS or a unix socket: a door before a plain one, which copies bytes both ways.

#![allow(
    dead_code,
    reason = "each test binary uses another part of this harness"
)]

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener},
    runtime::{Builder, Runtime},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// An authority made for one test, with a folder for its files.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("gripd-authority-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder for the test");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap().pem();
        fs::write(folder.join("ca.pem"), own).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, folder }
    }

    /// A folder that lives as long as the authority.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of its own certificate.
    pub(crate) fn file(&self) -> String {
        self.folder.join("ca.pem").display().to_string()
    }

    /// A certificate for a name and its key, as PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    /// Puts a certificate for a name and its key into a folder, as Pushpin names the two.
    pub(crate) fn put(&self, folder: &Path, file: &str, name: &str) {
        let (cert, key) = self.issue(name);
        fs::write(folder.join(format!("{file}.crt")), cert).unwrap();
        fs::write(folder.join(format!("{file}.key")), key).unwrap();
    }

    /// What a client that trusts it alone needs.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for own in CertificateDer::pem_file_iter(self.file()).unwrap() {
            roots.add(own.unwrap()).unwrap();
        }
        let config = ClientConfig::builder().with_root_certificates(roots);
        Arc::new(config.with_no_client_auth())
    }

    fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.client())
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let (cert, key) = self.issue(name);
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What stands before a plain backend. Closed with everything behind it when dropped.
#[derive(Debug)]
pub(crate) struct Before {
    /// Where it listens; port 0 for a unix socket.
    pub(crate) addr: SocketAddr,
    _runtime: Runtime,
}

impl Before {
    /// TLS for this name.
    pub(crate) fn tls(authority: &Authority, name: &str, backend: SocketAddr) -> Self {
        let (acceptor, runtime) = (authority.acceptor(name), runtime());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                let acceptor = acceptor.clone();
                tokio::spawn(async move { carry(acceptor.accept(stream).await?, backend).await });
            }
            #[expect(unreachable_code, reason = "tells the type of `?`")]
            Ok::<(), io::Error>(())
        });
        Self {
            addr,
            _runtime: runtime,
        }
    }

    /// A unix socket.
    pub(crate) fn unix(path: &Path, backend: SocketAddr) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(async { UnixListener::bind(path).unwrap() });
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(carry(stream, backend));
            }
            #[expect(unreachable_code, reason = "tells the type of `?`")]
            Ok::<(), io::Error>(())
        });
        Self {
            addr: ([127, 0, 0, 1], 0).into(),
            _runtime: runtime,
        }
    }
}

async fn carry(mut stream: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) -> io::Result<()> {
    let mut backend = TcpStream::connect(to).await?;
    copy_bidirectional(&mut stream, &mut backend).await?;
    Ok(())
}

/// What stands between a plain client and gripd's TLS. Closed with everything when dropped.
#[derive(Debug)]
pub(crate) struct After {
    /// Where plain clients connect.
    pub(crate) addr: SocketAddr,
    _runtime: Runtime,
}

impl After {
    /// Asks for this name, and trusts this authority alone. `first`: sent before the handshake.
    pub(crate) fn tls(authority: &Authority, name: &str, to: SocketAddr, first: &[u8]) -> Self {
        let (connector, runtime) = (authority.connector(), runtime());
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let first = first.to_vec();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await?;
                let (connector, name, first) = (connector.clone(), name.clone(), first.clone());
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(to).await?;
                    stream.write_all(&first).await?;
                    let mut stream = connector.connect(name, stream).await?;
                    copy_bidirectional(&mut client, &mut stream).await
                });
            }
            #[expect(unreachable_code, reason = "tells the type of `?`")]
            Ok::<(), io::Error>(())
        });
        Self {
            addr,
            _runtime: runtime,
        }
    }
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    builder.build().expect("a runtime for the test")
}
