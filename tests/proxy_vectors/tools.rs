//! Vectors 103 to 109: `pushpin-publish`, TLS for clients, `--id`, and the end of the server.

use std::{fs, net::SocketAddr, process::Output};

use serde_json::Value;

use crate::{
    support::{Backend, Gripd, Request, Setup, Wire, answer, instruct, run_to_end},
    tls::{After, Authority},
};

// ---- pushpin-publish ------------------------------------------------------------------------

/// Runs gripd under the name `pushpin-publish`.
fn publish(setup: impl FnOnce(Setup) -> Setup) -> Output {
    run_to_end(|c| setup(c.called("pushpin-publish")))
}

fn control_port() -> Backend {
    Backend::always(answer(
        "200 OK",
        "Content-Type: text/plain\r\n",
        "Published\n",
    ))
}

/// What came, after the command ended well.
fn posted(port: &Backend, output: &Output) -> Request {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    assert_eq!(output.stdout, b"Published\n");
    port.last()
}

/// Pushpin's asks by HTTP/1.0.
#[test]
fn v103_text_is_published_in_three_formats() {
    let port = control_port();
    let spec = format!("--spec=http://{}/base", port.addr);
    let output = publish(|c| c.arg(spec).arg("ch").arg("hello"));
    let request = posted(&port, &output);
    assert_eq!(request.head.first_line(), "POST /base/publish/ HTTP/1.1");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let item = &body["items"][0];
    assert_eq!(item["channel"], "ch");
    let formats = &item["formats"];
    assert_eq!(formats.as_object().unwrap().len(), 3);
    assert_eq!(formats["http-response"]["body"], "hello\n");
    assert_eq!(formats["http-stream"]["content"], "hello\n");
    assert_eq!(formats["ws-message"]["content"], "hello");
}

/// Pushpin's puts the path behind the query; gripd's asks for the path and shows who it is, as GRIP
/// libraries do.
#[test]
fn v104_grip_url_names_the_port_and_who_publishes() {
    let port = control_port();
    let url = format!("http://{}/?iss=x&key=y", port.addr);
    let output = publish(|c| c.var("GRIP_URL", &url).arg("ch").arg("q"));
    let request = posted(&port, &output);
    assert_eq!(request.head.target(), "/publish/");
    let shown = request.head.get("Authorization").unwrap();
    assert!(shown.starts_with("Bearer ey"), "{shown}");
}

#[test]
fn v105_a_password_is_not_sent_in_the_clear() {
    let port = control_port();
    let spec = format!("--spec=http://{}", port.addr);
    let output = publish(|c| c.arg(spec).arg("-u").arg("a:b").arg("ch").arg("x"));
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "Error: Authentication requires https\n");
    assert_eq!(port.connections(), 0);
}

// ---- TLS ------------------------------------------------------------------------------------

/// Where clients connect by TLS.
fn secure(gripd: &Gripd) -> SocketAddr {
    let log = gripd.log();
    let (_, rest) = log.split_once("https://").expect("a port for TLS");
    rest.split([',', ' ', '\n'])
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// Who asks for no name gets the port's own. Names are in `listeners.rs`.
#[test]
fn v106_who_asks_for_no_name_gets_the_default() {
    let authority = Authority::new();
    let folder = authority.folder().join("certs");
    fs::create_dir(&folder).unwrap();
    let put = |file: &str, name: &str| authority.put(&folder, file, name);
    put("a.test", "a.test");
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .set("LISTEN_HTTPS", "127.0.0.1:0")
            .set("TLS_CERTS", &folder.display().to_string())
    });
    let port = secure(&gripd);
    put(&format!("default_{}", port.port()), "127.0.0.1");
    for name in ["a.test", "127.0.0.1"] {
        let near = After::tls(&authority, name, port, b"");
        assert_eq!(Wire::connect(near.addr).fetch("/").status(), 200, "{name}");
    }
}

#[test]
fn v107_the_backend_is_told_of_tls() {
    let (authority, backend) = (Authority::new(), Backend::saying("ok"));
    let (cert, key) = authority.issue("a.test");
    for (rule, names) in [
        ("proto-only", ["X-Forwarded-Proto"].as_slice()),
        ("true", &["X-Forwarded-Proto", "X-Forwarded-Protocol"]),
    ] {
        let gripd = Gripd::start(|c| {
            c.file("a.crt", &cert)
                .file("a.key", &key)
                .set("LISTEN_HTTPS", "127.0.0.1:0")
                .set("TLS_CERT", "a.crt")
                .set("TLS_KEY", "a.key")
                .set("PROXY_SET_X_FORWARDED_PROTOCOL", rule)
                .route(format!("* {}", backend.addr))
        });
        let near = After::tls(&authority, "a.test", secure(&gripd), b"");
        assert_eq!(Wire::connect(near.addr).fetch("/").text(), "ok");
        let head = backend.last().head;
        assert_eq!(head.names_from("X-Forwarded-Proto").len(), names.len());
        for name in names {
            assert_eq!(head.all(name), ["https"], "{name}");
        }
        assert_eq!(gripd.fetch("/").text(), "ok");
        let head = backend.last().head;
        assert_eq!(head.names_from("X-Forwarded-Proto"), [""; 0], "no TLS");
    }
}

// ---- the server -----------------------------------------------------------------------------

/// Of Pushpin's ports gripd has the one that items are published to. The sockets that `ipc_prefix`
/// names are not there.
#[test]
fn v108_an_id_shifts_the_control_port_and_no_other() {
    let conf = "[proxy]\nsig_key=k\n[handler]\npush_in_http_port=18242\nprometheus_port=18243\n";
    let output = run_to_end(|c| {
        let c = c.file("pushpin.conf", conf).file("routes", "* test\n");
        let words = ["check", "--config=pushpin.conf", "--id=1", "--port=18250"];
        words.iter().fold(c, |c, word| c.arg(*word)).arg("--print")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    // What begins with a number sign stands at its default.
    let printed: Vec<&str> = printed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let printed = printed.join("\n");
    for line in [
        "[listen]\nhttp = [\"18250\"]",
        "[control]\nhttp = [\"18252\"]",
        "[metrics]\nhandler_port = \"0.0.0.0:18243\"",
    ] {
        assert!(printed.contains(line), "{line:?}: {printed}");
    }
}

/// Pushpin cuts streams off; gripd ends them.
#[test]
fn v109_at_the_end_streams_end_properly() {
    let held = ["Grip-Hold: stream", "Grip-Channel: c"];
    let backend = Backend::always(instruct(&held, "hi\n"));
    let mut gripd = Gripd::before(&backend);
    let mut stream = gripd.stream("/", "hi\n");
    gripd.signal("TERM");
    stream.expect_last_chunk();
    stream.expect_eof();
    assert_eq!(gripd.wait_exit().code(), Some(0));
}
