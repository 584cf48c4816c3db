//! TLS to backends and unix sockets, each backend a bare socket with its own certificate.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::UnixListener;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::*;

/// An authority, made for one test, with a folder for its files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("gripd-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(
            folder.join("ca.pem"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, folder }
    }

    /// A certificate and its key, as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        (cert.pem(), key.serialize_pem())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What a backend speaks with that made its certificate itself; it takes the place of the
    /// authority's.
    fn self_made(&self, name: &str, is_ca: IsCa) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = is_ca;
        let cert = params.self_signed(&key).unwrap();
        self.file("ca.pem", &cert.pem());
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What a backend for this name speaks with; `mutual`: it wants a certificate of its clients.
    fn server(&self, name: &str, mutual: bool) -> TlsAcceptor {
        let (cert, key) = self.issue(name);
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if mutual {
            let mut roots = rustls::RootCertStore::empty();
            let ca = CertificateDer::from_pem_file(self.folder.join("ca.pem")).unwrap();
            roots.add(ca).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = builder.with_single_cert(chain, key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A forwarder that trusts this authority.
    fn forwarder(&self, targets: Vec<Target>) -> Forwarder {
        let mut settings = Settings::default();
        settings.proxy.ca_file = Some(self.folder.join("ca.pem"));
        let route = Route {
            targets,
            ..Route::default()
        };
        forwarder(settings, route)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a backend saw of one connection.
struct Talk {
    /// The name that was asked for (SNI).
    name: Option<String>,
    /// The certificate that was shown.
    shown: Option<CertificateDer<'static>>,
    requests: Vec<String>,
}

type Conversations = Rc<RefCell<Vec<Talk>>>;

/// A backend that answers every request of every connection whose handshake succeeds.
async fn tls_backend(acceptor: TlsAcceptor) -> (u16, Conversations) {
    let (listener, port) = listen().await;
    let seen = Conversations::default();
    let told = seen.clone();
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            spawn_local(talk(stream, told.clone()));
        }
    });
    (port, seen)
}

async fn talk(mut stream: TlsStream<TcpStream>, told: Conversations) {
    let tls = stream.get_ref().1;
    let talk = Talk {
        name: tls.server_name().map(str::to_owned),
        shown: tls
            .peer_certificates()
            .map(|chain| chain[0].clone().into_owned()),
        requests: Vec::new(),
    };
    let index = told.borrow().len();
    told.borrow_mut().push(talk);
    while let Some(request) = read_request(&mut stream).await {
        told.borrow_mut()[index].requests.push(request);
        stream.write_all(OK.as_bytes()).await.unwrap();
    }
}

fn secured(port: u16) -> Target {
    Target {
        ssl: true,
        ..target(port)
    }
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn names(seen: &Conversations) -> Vec<Option<String>> {
    seen.borrow().iter().map(|talk| talk.name.clone()).collect()
}

#[tokio::test]
async fn the_certificate_is_for_the_host_and_hosts_share_no_connection() {
    local(async {
        let authority = Authority::new();
        let (port, seen) = tls_backend(authority.server("*.h.test", false)).await;
        let forwarder = authority.forwarder(vec![secured(port)]);
        for (host, idle) in [("a.h.test", 1), ("a.h.test:8443", 1), ("b.h.test", 2)] {
            assert_eq!(
                forwarder.text(get(host)).await,
                (200, "ok".into()),
                "{host}"
            );
            forwarder.until_idle(idle).await;
        }
        let expected = ["a.h.test", "b.h.test"].map(|name| Some(name.to_owned()));
        assert_eq!(names(&seen), expected);
        assert_eq!(
            seen.borrow()[0].requests.len(),
            2,
            "one connection for one name"
        );
        let failure = forwarder.pass(get("other.test")).await.unwrap_err();
        let said = failure.cause.to_string();
        assert!(said.contains("not good for other.test"), "{said}");
        assert!(said.contains("trust_connect_host"), "{said}");
        assert_eq!(failure.status(), 502);
    })
    .await;
}

#[tokio::test]
async fn the_next_target_is_asked_when_a_certificate_is_not_good() {
    local(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let (bad, unasked) = tls_backend(stranger.server("h.test", false)).await;
        let (good, seen) = tls_backend(authority.server("h.test", false)).await;
        let forwarder = authority.forwarder(vec![secured(bad), secured(good)]);
        let raw = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(forwarder.text(raw).await, (200, "ok".into()));
        assert!(unasked.borrow().is_empty());
        assert!(seen.borrow()[0].requests[0].ends_with("\r\n\r\nhi"));
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_counts_as_no_connection() {
    local(async {
        let authority = Authority::new();
        let (_mute, silent) = listen().await;
        let (good, _) = tls_backend(authority.server("h.test", false)).await;
        let mut settings = Settings::default();
        settings.proxy.ca_file = Some(authority.folder.join("ca.pem"));
        settings.timeouts.connect = Duration::from_secs(1);
        let route = |ports: &[u16]| Route {
            targets: ports.iter().map(|port| secured(*port)).collect(),
            ..Route::default()
        };
        let both = forwarder(settings.clone(), route(&[silent, good]));
        assert_eq!(both.text(GET).await, (200, "ok".into()));
        let failure = forwarder(settings, route(&[silent])).pass(GET).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.status(), 504);
        assert!(
            failure.cause.to_string().contains("timeouts.connect"),
            "{failure}"
        );
    })
    .await;
}

#[tokio::test]
async fn insecure_takes_any_certificate_and_a_target_may_choose_the_name() {
    local(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let (port, seen) = tls_backend(stranger.server("else.test", false)).await;
        let loose = Target {
            insecure: true,
            host: Some("q.example:99".into()),
            ..secured(port)
        };
        assert_eq!(authority.forwarder(vec![loose]).text(GET).await.0, 200);
        // 110 of the vectors.
        assert_eq!(names(&seen), [Some("q.example".to_owned())]);
        assert!(seen.borrow()[0].requests[0].contains("Host: q.example:99\r\n"));

        let (port, seen) = tls_backend(authority.server("127.0.0.1", false)).await;
        let forwarder = authority.forwarder(vec![secured(port)]);
        let failure = forwarder.pass(GET).await.unwrap_err();
        assert!(failure.cause.to_string().contains("h.test"), "{failure}");
        let by_address = Target {
            trust_connect_host: true,
            ..secured(port)
        };
        assert_eq!(authority.forwarder(vec![by_address]).text(GET).await.0, 200);
        assert_eq!(names(&seen), [None], "an address is not told");
        assert!(seen.borrow()[0].requests[0].contains("Host: h.test\r\n"));
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_wants_to_know_its_clients_is_shown_a_certificate() {
    local(async {
        let authority = Authority::new();
        let (port, seen) = tls_backend(authority.server("*.h.test", true)).await;
        let (spare, _) = tls_backend(authority.server("*.h.test", false)).await;
        let failure = authority
            .forwarder(vec![secured(port)])
            .pass(get("a.h.test"))
            .await;
        let said = failure.unwrap_err().cause.to_string();
        assert!(
            said.contains("refused") && said.contains("client_cert"),
            "{said}"
        );
        let both = vec![secured(port), secured(spare)];
        assert_eq!(
            authority.forwarder(both).text(get("a.h.test")).await.0,
            200,
            "the next one"
        );
        assert!(seen.borrow().iter().all(|talk| talk.requests.is_empty()));

        let (cert, key) = authority.issue("gripd.test");
        let known = Target {
            client_cert: Some(authority.file("c.pem", &cert)),
            client_key: Some(authority.file("k.pem", &key)),
            ..secured(port)
        };
        let forwarder = authority.forwarder(vec![known]);
        assert_eq!(forwarder.text(get("a.h.test")).await.0, 200);
        // Each host makes a connection of its own. A renewed certificate is taken up; one that
        // cannot be read leaves the last good one in use.
        let (renewed, its_key) = authority.issue("renewed.gripd.test");
        authority.file("k.pem", &its_key);
        authority.file("c.pem", &renewed);
        assert_eq!(forwarder.text(get("b.h.test")).await.0, 200);
        authority.file("c.pem", "nonsense");
        assert_eq!(forwarder.text(get("c.h.test")).await.0, 200);
        let shown: Vec<_> = seen
            .borrow()
            .iter()
            .filter_map(|talk| talk.shown.clone())
            .collect();
        let [first, second] =
            [&cert, &renewed].map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
        assert_eq!(shown, [first, second.clone(), second]);
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_its_own_making_is_trusted_by_ca_file_unless_it_is_an_authoritys() {
    local(async {
        let authority = Authority::new();
        let (port, _) = tls_backend(authority.self_made("h.test", IsCa::ExplicitNoCa)).await;
        let forwarder = authority.forwarder(vec![secured(port)]);
        assert_eq!(forwarder.text(GET).await, (200, "ok".into()));
        let is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (port, _) = tls_backend(authority.self_made("h.test", is_ca)).await;
        let forwarder = authority.forwarder(vec![secured(port)]);
        let said = forwarder.pass(GET).await.unwrap_err().cause.to_string();
        assert!(said.contains("basicConstraints"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn the_wrong_language_is_named_with_its_fix() {
    local(async {
        let authority = Authority::new();
        let told = async |targets: Vec<Target>| {
            let failure = authority.forwarder(targets).pass(GET).await.unwrap_err();
            assert_eq!(failure.status(), 502);
            failure.cause.to_string()
        };
        // A bare socket that answers whatever comes, as servers do with what is no HTTP.
        let (listener, answering) = listen().await;
        spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            let bad = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(bad).await.unwrap();
            until_closed(&mut stream).await;
        });
        let said = told(vec![secured(answering)]).await;
        assert!(said.contains("does not speak TLS: drop `ssl`"), "{said}");

        // rustls tells what it did not like, in an alert; other libraries end without a word.
        let (alerting, _) = tls_backend(authority.server("h.test", false)).await;
        let said = told(vec![target(alerting)]).await;
        assert!(said.contains("add `,ssl`"), "{said}");
        let (listener, mute) = listen().await;
        let acceptor = authority.server("h.test", false);
        spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut first = [0; 1];
                stream.peek(&mut first).await.unwrap();
                if first[0] == 0x16 {
                    let _ = acceptor.accept(stream).await;
                }
            }
        });
        let said = told(vec![target(mute)]).await;
        assert!(said.contains(",ssl,insecure"), "{said}");
        // One that is only broken is not taken for it.
        let (broken, _) = backend(&[&[""], &[""]]).await;
        let said = told(vec![target(broken)]).await;
        assert!(!said.contains("ssl"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn a_link_elsewhere_is_followed_over_tls() {
    local(async {
        let authority = Authority::new();
        let (port, seen) = tls_backend(authority.server("localhost", false)).await;
        let home = Home {
            route: Arc::new(route(&[9])),
            target: 0,
            url: Location::of(false, "h.test", "/", None).unwrap(),
        };
        let url = format!("https://localhost:{port}/next");
        let fetch = Fetch::get(&home, home.url.join(&url).unwrap());
        let answer = authority.forwarder(vec![target(9)]).fetch(&fetch).await;
        assert_eq!(read_all(answer.unwrap().body).await.unwrap(), "ok");
        assert_eq!(names(&seen), [Some("localhost".to_owned())]);
        assert!(seen.borrow()[0].requests[0].starts_with("GET /next "));
    })
    .await;
}

#[tokio::test]
async fn what_was_not_read_over_tls_is_asked_again() {
    local(async {
        let authority = Authority::new();
        let acceptor = authority.server("h.test", false);
        let (listener, port) = listen().await;
        spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            // Ends over a request that it does not read: a reset follows the end.
            stream.get_ref().0.readable().await.unwrap();
            drop(stream);
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        });
        let forwarder = authority.forwarder(vec![secured(port)]);
        assert_eq!(forwarder.text(GET).await.0, 200);
        forwarder.until_idle(1).await;
        let raw = "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(forwarder.text(raw).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn a_target_may_be_a_unix_socket() {
    local(async {
        let authority = Authority::new();
        let path = authority.folder.join("app.sock");
        let socket = |change: fn(&mut Target)| {
            let mut target = Target {
                address: Address::Unix(path.clone()),
                ..Target::default()
            };
            change(&mut target);
            authority.forwarder(vec![target])
        };
        let failure = socket(|_| {}).pass(GET).await.unwrap_err();
        assert!(failure.cause.to_string().contains("unix:/"), "{failure}");

        let listener = UnixListener::bind(&path).unwrap();
        let seen: Rc<RefCell<Vec<String>>> = Rc::default();
        let told = seen.clone();
        let acceptor = authority.server("h.test", false);
        spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(request) = read_request(&mut stream).await {
                told.borrow_mut().push(request);
                stream.write_all(OK.as_bytes()).await.unwrap();
                if told.borrow().len() == 2 {
                    break;
                }
            }
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
        });
        let forwarder = socket(|_| {});
        for _ in 0..2 {
            assert_eq!(forwarder.text(GET).await, (200, "ok".into()));
            if seen.borrow().len() < 2 {
                forwarder.until_idle(1).await;
            }
        }
        assert!(seen.borrow()[0].contains("Host: h.test\r\n"));
        assert_eq!(socket(|t| t.ssl = true).text(GET).await.0, 200);
        let failure = socket(|t| t.untrusted = true).pass(GET).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Upstream(Error::Blocked));
    })
    .await;
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
