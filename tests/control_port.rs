//! Where the control port is: who may reach it without credentials, TLS, sockets in the file
//! system, and `gripd health` by each of these ways.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::Output,
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::CertificateDer,
    version::{TLS12, TLS13},
};

use support::{Gripd, PATIENCE, Setup, Wire, eventually, run_to_end};

fn said_by(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Sends a `GET` and reads all there comes: status and body.
fn get(mut stream: impl Read + Write, path: &str, lines: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head[9..12].parse().unwrap(), body.to_owned())
}

// ---- open to others -------------------------------------------------------------------------

#[test]
fn a_port_that_others_reach_is_refused_without_credentials() {
    for address in ["0.0.0.0:0", "[::]:0", "127.0.0.1:0,0.0.0.0:0"] {
        let output = run_to_end(|c| {
            c.route("* test")
                .arg("--port=127.0.0.1:0")
                .arg(format!("--control={address}"))
        });
        let said = said_by(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.starts_with("gripd: --control: control.http: "),
            "{said}"
        );
        for part in [
            "open to other machines",
            "set control.token",
            "127.0.0.1",
            "--control-insecure",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn who_says_so_opens_it_with_one_loud_line() {
    let everywhere = |c: Setup| c.route("* test").arg("--control=0.0.0.0:0");
    let conf = "[handler]\npush_in_http_addr=0.0.0.0\npush_in_http_port=0\n";
    let ways: [&dyn Fn(Setup) -> Setup; 5] = [
        &|c| everywhere(c).arg("--control-insecure"),
        &|c| everywhere(c).set("CONTROL_INSECURE", "true"),
        &|c| {
            everywhere(c)
                .file("gripd.toml", "[control]\ninsecure = true\n")
                .arg("--config=gripd.toml")
        },
        &|c| everywhere(c.arg("image").arg("pushpin")),
        // An address in Pushpin's own file.
        &|c| {
            c.file("pushpin.conf", conf)
                .arg("--config=pushpin.conf")
                .route("* test")
                .control_elsewhere()
        },
    ];
    for (index, way) in ways.iter().enumerate() {
        let gripd = Gripd::start(way);
        let log = gripd.log();
        let loud: Vec<_> = log
            .lines()
            .filter(|line| line.contains("WARN control: "))
            .collect();
        assert_eq!(loud.len(), 1, "{index}: {log}");
        assert!(
            loud[0].contains("open to other machines: anyone who reaches it can publish"),
            "{log}"
        );
        assert!(!log.contains("INFO control: "), "{log}");
        assert_eq!(
            gripd.publish_raw(&[], "{\"items\":[]}").status(),
            200,
            "{index}"
        );
    }
}

#[test]
fn with_credentials_it_is_open_in_silence() {
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .arg("--control=0.0.0.0:0")
            .set("CONTROL_TOKEN", "t")
    });
    gripd.wait_log("INFO control: http://localhost:");
    assert!(!gripd.log().contains("WARN"), "{}", gripd.log());
    assert_eq!(gripd.publish_raw(&[], "{\"items\":[]}").status(), 401);
}

// ---- TLS ------------------------------------------------------------------------------------

/// A certificate authority of the test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self { issuer, root }
    }

    /// Writes a new certificate for `push.test` and its key; answers the certificate.
    fn issue(&self, folder: &Path) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["push.test".into()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
        cert.der().clone()
    }

    /// A connection that trusts nobody but this authority.
    fn connect(
        &self,
        gripd: &Gripd,
        version: &'static SupportedProtocolVersion,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "push.test".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(gripd.control).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(connection, stream)
    }

    /// The certificate that gripd shows.
    fn shown(&self, gripd: &Gripd) -> CertificateDer<'static> {
        let mut stream = self.connect(gripd, &TLS13);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        stream.conn.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

fn with_tls(setup: Setup) -> Setup {
    setup
        .route("* test")
        .set("CONTROL_TLS_CERT", "tls.crt")
        .set("CONTROL_TLS_KEY", "tls.key")
}

#[test]
fn the_port_speaks_tls() {
    let authority = Authority::new();
    let gripd = Gripd::start(|c| {
        authority.issue(c.dir());
        with_tls(c).set("CONTROL_TOKEN", "t")
    });
    gripd.wait_log(&format!("INFO control: https://{}", gripd.control));
    let known = "Host: push.test\r\nAuthorization: Bearer t\r\n";
    for version in [&TLS12, &TLS13] {
        let (status, body) = get(authority.connect(&gripd, version), "/", known);
        assert_eq!(
            (status, body.contains("control port")),
            (200, true),
            "{body}"
        );
        let (status, _) = get(
            authority.connect(&gripd, version),
            "/",
            "Host: push.test\r\n",
        );
        assert_eq!(status, 401);
    }
    // Several requests, one of them in pieces, on one connection.
    let mut stream = authority.connect(&gripd, &TLS13);
    for piece in ["GET /livez HTTP/1.1\r\nHost: loc", "alhost\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
        stream.flush().unwrap();
    }
    let mut alive = [0; 15];
    stream.read_exact(&mut alive).unwrap();
    assert_eq!(&alive, b"HTTP/1.1 200 OK");
    let body = format!("{{\"items\":[]{}}}", " ".repeat(500_000));
    let post = format!(
        "POST /publish HTTP/1.1\r\nConnection: close\r\n{known}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(post.as_bytes()).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("Published\n"), "{rest}");
}

#[test]
fn who_speaks_plain_http_is_told_to_speak_tls() {
    let authority = Authority::new();
    let gripd = Gripd::start(|c| {
        authority.issue(c.dir());
        with_tls(c)
    });
    let mut control = Wire::connect(gripd.control);
    control.request("POST", "/publish", &["Host: localhost"], "{\"items\":[]}");
    let answer = control.response();
    assert_eq!(answer.status(), 400);
    let told = "This port speaks TLS: ask by https:// (control.tls_cert).\n";
    assert_eq!(answer.text(), told);
    // What is neither is no reason to stop.
    let mut noise = TcpStream::connect(gripd.control).unwrap();
    noise.write_all(b"\x16\x03\x01\x00\x02ab\r\n\r\n").unwrap();
    noise.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = noise.read_to_end(&mut Vec::new());
    assert_eq!(
        get(
            authority.connect(&gripd, &TLS13),
            "/livez",
            "Host: localhost\r\n"
        )
        .0,
        200
    );
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let authority = Authority::new();
    let mut first = None;
    let gripd = Gripd::start(|c| {
        first = Some(authority.issue(c.dir()));
        with_tls(c)
    });
    assert_eq!(Some(authority.shown(&gripd)), first);
    fs::write(gripd.dir().join("tls.crt"), "broken").unwrap();
    eventually("the broken file is told of", || {
        assert_eq!(Some(authority.shown(&gripd)), first, "the old one stays");
        gripd
            .log()
            .contains("WARN TLS: the certificate in force stays: tls.crt has no certificate")
    });
    let second = authority.issue(gripd.dir());
    eventually("the new certificate is shown", || {
        authority.shown(&gripd) == second
    });
    gripd.wait_log("INFO TLS: tls.crt has changed and is in force");
}

#[test]
fn a_certificate_that_cannot_be_used_ends_it() {
    let authority = Authority::new();
    let output = run_to_end(|c| {
        authority.issue(c.dir());
        let key = KeyPair::generate().unwrap().serialize_pem();
        with_tls(c).file("tls.key", &key)
    });
    assert_eq!(output.status.code(), Some(3));
    let said = said_by(&output);
    let fault = "gripd: GRIPD_CONTROL_TLS_CERT: control.tls_cert, control.tls_key: tls.key is not the \
                 key of the first certificate of tls.crt\n";
    assert_eq!(said, fault);
}

// ---- sockets in the file system -------------------------------------------------------------

#[test]
fn a_socket_in_the_file_system_has_the_rights_it_was_given() {
    for (options, mode) in [("", 0o660), ("?mode=600", 0o600), ("?mode=0777", 0o777)] {
        let mut gripd = Gripd::start(|c| {
            c.route("* test")
                .arg(format!("--control=unix:control.sock{options}"))
        });
        gripd.wait_log("INFO control: unix:control.sock");
        let path = gripd.dir().join("control.sock");
        let about = fs::metadata(&path).unwrap();
        assert!(about.file_type().is_socket());
        assert_eq!(about.permissions().mode() & 0o7777, mode, "{options}");
        // No name leads to a file, so none is asked for.
        let socket = || UnixStream::connect(&path).unwrap();
        for lines in ["Host: localhost\r\n", "Host: whatever.example\r\n"] {
            assert_eq!(get(socket(), "/", lines).0, 200, "{lines}");
        }
        assert_eq!(get(socket(), "/", "Host: a\r\nOrigin: http://b\r\n").0, 403);
        gripd.wait_log("Forbidden: Origin is \"http://b\"");
        gripd.wait_log("client.addr=unix (user ");
        gripd.signal("TERM");
        gripd.wait_exit();
        assert!(!path.exists(), "the socket is left behind");
    }
}

#[test]
fn its_owner_and_group_can_be_set() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return; // only root may give files away
    }
    for (options, owner) in [
        ("?user=4711&group=4712", (4711, 4712)),
        ("?group=daemon", (0, 1)),
    ] {
        let gripd = Gripd::start(|c| {
            c.route("* test")
                .arg(format!("--control=unix:control.sock{options}"))
        });
        let about = fs::metadata(gripd.dir().join("control.sock")).unwrap();
        assert_eq!((about.uid(), about.gid()), owner, "{options}");
    }
}

#[test]
fn addresses_and_sockets_serve_side_by_side_and_ask_for_the_same() {
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .arg("--control=127.0.0.1:0,unix:one.sock,unix:two.sock")
            .set("CONTROL_TOKEN", "t")
            .threads(3)
    });
    assert_eq!(gripd.publish_raw(&[], "{}").status(), 401);
    for name in ["one.sock", "two.sock"] {
        let socket = || UnixStream::connect(gripd.dir().join(name)).unwrap();
        assert_eq!(get(socket(), "/", "Host: a\r\n").0, 401, "{name}");
        for _ in 0..20 {
            assert_eq!(
                get(socket(), "/", "Host: a\r\nAuthorization: Bearer t\r\n").0,
                200,
                "{name}"
            );
        }
    }
}

#[test]
fn a_socket_left_behind_is_replaced_and_nothing_else_is() {
    let run = |prepare: &dyn Fn(&Path)| {
        run_to_end(|c| {
            prepare(&c.dir().join("control.sock"));
            c.route("* test")
                .arg("--port=127.0.0.1:0")
                .arg("--control=unix:control.sock")
        })
    };
    let file = run(&|path| fs::write(path, "precious").unwrap());
    let missing = run_to_end(|c| {
        c.route("* test")
            .arg("--port=127.0.0.1:0")
            .arg("--control=unix:no/such")
    });
    let nobody = run_to_end(|c| {
        c.route("* test")
            .arg("--port=127.0.0.1:0")
            .arg("--control=unix:a.sock?user=no-such-user")
    });
    for (output, said) in [
        (
            file,
            "cannot listen on unix:control.sock: there is a file that is no socket; set another with --control (control.http)",
        ),
        (
            missing,
            "cannot listen on unix:no/such: No such file or directory (os error 2)",
        ),
        (
            nobody,
            "cannot listen on unix:a.sock?user=no-such-user: there is no user no-such-user on this machine",
        ),
    ] {
        assert_eq!(output.status.code(), Some(3));
        assert!(said_by(&output).contains(said), "{}", said_by(&output));
    }
    // A gripd that was killed leaves its socket.
    let gripd = Gripd::start(|c| {
        drop(UnixListener::bind(c.dir().join("control.sock")).unwrap());
        c.route("* test").arg("--control=unix:control.sock")
    });
    let path = gripd.dir().join("control.sock");
    assert_eq!(
        get(UnixStream::connect(&path).unwrap(), "/livez", "Host: a\r\n").0,
        200
    );
    // One that is served is nobody else's.
    let other = run_to_end(|c| {
        let address = format!("--control=unix:{}", path.display());
        c.route("* test").arg("--port=127.0.0.1:0").arg(address)
    });
    assert!(
        said_by(&other).contains("another process listens there"),
        "{}",
        said_by(&other)
    );
    assert_eq!(
        get(UnixStream::connect(&path).unwrap(), "/livez", "Host: a\r\n").0,
        200
    );
}

// ---- gripd health ---------------------------------------------------------------------------

#[test]
fn health_asks_by_every_way_and_needs_no_credentials() {
    let authority = Authority::new();
    let gripd = Gripd::start(|c| {
        authority.issue(c.dir());
        with_tls(c)
            .arg("--control=127.0.0.1:0,unix:control.sock")
            .set("CONTROL_TOKEN", "t")
    });
    let port = gripd.control.port();
    let files = |c: Setup| {
        let file = |name: &str| gripd.dir().join(name).to_str().unwrap().to_owned();
        // Who asks need not be able to read the secret.
        c.set("CONTROL_TOKEN", "file:no-such-file")
            .set("CONTROL_TLS_CERT", &file("tls.crt"))
            .set("CONTROL_TLS_KEY", &file("tls.key"))
    };
    let socket = format!("unix:{}", gripd.dir().join("control.sock").display());
    let https = format!("https://127.0.0.1:{port}");
    for (address, flag, said) in [
        (
            format!("0.0.0.0:{port}"),
            None,
            format!("alive: {https}/livez\n"),
        ),
        (
            format!("127.0.0.1:{port}"),
            Some("--ready"),
            format!("ready: {https}/readyz\n"),
        ),
        (socket.clone(), None, format!("alive: /livez of {socket}\n")),
        (
            socket.clone(),
            Some("--ready"),
            format!("ready: /readyz of {socket}\n"),
        ),
    ] {
        let output = run_to_end(|c| {
            let c = files(c).arg("health").arg(format!("--control={address}"));
            flag.into_iter().fold(c, Setup::arg)
        });
        assert_eq!(output.status.code(), Some(0), "{}", said_by(&output));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
    }
}
