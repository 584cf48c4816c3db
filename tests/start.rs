//! Starting and ending: flags, settings, exit codes, and the signature that tells backends that
//! gripd stands before them.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    process::Output,
    sync::{Mutex, mpsc},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use support::{Backend, Gripd, Head, PATIENCE, Setup, Wire, instruct, run_to_end};

/// What a row of a table changes about how gripd is started.
type Change = fn(Setup) -> Setup;

fn texts(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The claims of a token that verifies.
fn claims(token: &str, key: &[u8]) -> Result<Value, jsonwebtoken::errors::Error> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp"]);
    let key = DecodingKey::from_secret(key);
    jsonwebtoken::decode::<Value>(token, &key, &rules).map(|data| data.claims)
}

/// What a backend behind a gripd of this setup sees of a plain `GET`.
fn seen(setup: impl FnOnce(Setup, &Backend) -> Setup) -> Head {
    let backend = Backend::saying("ok");
    let gripd = Gripd::start(|c| setup(c, &backend));
    assert_eq!(gripd.fetch("/").status(), 200);
    backend.last().head
}

// ---- signing --------------------------------------------------------------------------------

#[test]
fn requests_are_signed_by_default() {
    let by_flag = seen(|c, b| c.route(format!("* {}", b.addr)));
    let by_folder = seen(|c, b| c.file("routes", &format!("* {}\n", b.addr)));
    for head in [by_flag, by_folder] {
        let claims = claims(head.get("Grip-Sig").expect("signed"), b"changeme").unwrap();
        assert_eq!(claims["iss"], "pushpin");
        let now = jsonwebtoken::get_current_timestamp();
        let exp = claims["exp"].as_u64().expect("a time");
        assert!(
            (now + 3400..=now + 3700).contains(&exp),
            "{exp} is an hour from {now}"
        );
    }
}

#[test]
fn only_an_explicit_empty_key_turns_signing_off() {
    let off = seen(|c, b| {
        c.file("off.toml", "[grip]\nsig_key = \"\"\n")
            .arg("--config=off.toml")
            .route(format!("* {}", b.addr))
    });
    assert!(!off.has("Grip-Sig"), "{:?}", off.raw);
    assert!(off.has("Grip-Feature"));
    let on = seen(|c, b| {
        c.file("other.toml", "[timeouts]\nconnect = \"5s\"\n")
            .arg("--config=other.toml")
            .route(format!("* {}", b.addr))
    });
    assert!(on.has("Grip-Sig"), "a file that names no key");
}

#[test]
fn keys_are_those_of_the_settings_and_of_the_route() {
    let head = seen(|c, b| {
        c.set("GRIP_SIG_KEY", "secret")
            .set("GRIP_SIG_ISS", "me")
            .route(format!("* {}", b.addr))
    });
    assert_eq!(
        claims(head.get("Grip-Sig").unwrap(), b"secret").unwrap()["iss"],
        "me"
    );
    let head = seen(|c, b| c.route(format!("*,sig_iss=me,sig_key=\"k,1\" {}", b.addr)));
    assert_eq!(
        claims(head.get("Grip-Sig").unwrap(), b"k,1").unwrap()["iss"],
        "me"
    );
    let head = seen(|c, b| c.route(format!("*,sig_key=base64:AAEC {}", b.addr)));
    assert_eq!(
        claims(head.get("Grip-Sig").unwrap(), &[0, 1, 2]).unwrap()["iss"],
        "pushpin"
    );
    let token = head.get("Grip-Sig").unwrap();
    assert!(claims(token, b"changeme").is_err(), "the route's key alone");
}

// ---- exit codes -----------------------------------------------------------------------------

#[test]
fn a_taken_port_is_one_line_and_exit_code_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for flag in ["--port", "--control"] {
        let other = if flag == "--port" {
            "--control"
        } else {
            "--port"
        };
        let output = run_to_end(|c| {
            c.route("* test")
                .arg(format!("{flag}={addr}"))
                .arg(format!("{other}=127.0.0.1:0"))
        });
        let text = texts(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(
            text.lines().any(|l| l.contains(&addr) && l.contains(flag)),
            "one line names the address and {flag}: {text}"
        );
    }
}

#[test]
fn bad_settings_are_named_with_exit_code_3() {
    let rows: &[(&str, &str)] = &[
        ("[timeouts]\nkeep_alive = \"soon\"\n", "keep_alive"),
        ("[limits]\nrequest_head = -5\n", "request_head"),
        ("[limits]\nrequest_head = \"5 apples\"\n", "request_head"),
        ("threads = \"many\"\n", "threads"),
        ("[listen]\nhttp = [\"nowhere:x\"]\n", "http"),
        ("[log\n", "bad.toml"),
    ];
    for (text, name) in rows {
        let output = run_to_end(|c| {
            c.file("bad.toml", text)
                .arg("--config=bad.toml")
                .route("* test")
        });
        let said = texts(&output);
        assert_eq!(output.status.code(), Some(3), "{text}: {said}");
        assert!(said.contains(name), "{text}: {said:?} does not name {name}");
    }
    let output = run_to_end(|c| c.set("TIMEOUTS_KEEP_ALIVE", "soon").route("* test"));
    assert_eq!(output.status.code(), Some(3));
    assert!(
        texts(&output).contains("GRIPD_TIMEOUTS_KEEP_ALIVE"),
        "{}",
        texts(&output)
    );
    let output = run_to_end(|c| c.arg("--config=no-such.toml"));
    assert_eq!(output.status.code(), Some(3));
    assert!(texts(&output).contains("no-such.toml"));
}

#[test]
fn usage_faults_are_exit_code_2() {
    for arg in ["--no-such-flag", "--port", "no-such-command"] {
        let output = run_to_end(|c| c.arg(arg));
        assert_eq!(output.status.code(), Some(2), "{arg}: {}", texts(&output));
    }
}

#[test]
fn help_and_version_end_well() {
    for (arg, word) in [("--version", "gripd"), ("--help", "--route")] {
        let output = run_to_end(|c| c.arg(arg));
        assert_eq!(output.status.code(), Some(0));
        assert!(texts(&output).contains(word));
    }
}

#[test]
fn check_finds_every_fault_by_line_and_column() {
    let good = run_to_end(|c| c.file("routes", "* test\n").arg("check"));
    assert_eq!(good.status.code(), Some(0), "{}", texts(&good));
    let bad = run_to_end(|c| {
        c.file("routes", "* test\n*,proto=ftp test\n\nsolo\n")
            .arg("check")
    });
    assert_ne!(bad.status.code(), Some(0));
    let text = texts(&bad);
    for place in ["routes:2:", "routes:4:"] {
        assert!(text.contains(place), "{text:?} does not point to {place}");
    }
}

// ---- ending ---------------------------------------------------------------------------------

#[test]
fn sigterm_ends_it_cleanly() {
    let mut gripd = Gripd::start(|c| c.route("* test").set("TIMEOUTS_DRAIN", "1s"));
    let idle = gripd.client();
    let mut held = gripd.get("/stream");
    assert!(held.head().is_chunked());
    gripd.signal("TERM");
    assert_eq!(gripd.wait_exit().code(), Some(0));
    assert!(held.wait_closed());
    drop(idle);
}

/// A hold that begins while the server stops ends at once, and properly: it must neither be cut
/// nor keep the server from stopping.
#[test]
fn a_hold_that_begins_while_it_stops_ends_properly() {
    let (asked, seen) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let (asked, told) = (Mutex::new(asked), Mutex::new(told));
    let backend = Backend::start(move |request, reply| {
        let _ = asked.lock().unwrap().send(());
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        let mode = request.head.target().trim_start_matches('/');
        let hold = format!("Grip-Hold: {mode}");
        reply.send(instruct(&[&hold, "Grip-Channel: c"], "hi\n"));
    });
    let mut gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_DRAIN", "15m")
    });
    let mut stream = gripd.get("/stream");
    let mut poll = gripd.get("/response");
    for _ in 0..2 {
        seen.recv_timeout(PATIENCE).expect("the backend was asked");
    }
    gripd.signal("TERM");
    gripd.wait_log("stopping");
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(stream.response().text(), "hi\n");
    assert_eq!(poll.response().text(), "hi\n");
    assert_eq!(gripd.wait_exit().code(), Some(0));
}

#[test]
fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let folder = std::env::temp_dir().join(format!("gripd-notify-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).expect("systemd is told");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    let mut gripd = Gripd::start(|c| {
        c.route("* test")
            .var("NOTIFY_SOCKET", path.to_str().unwrap())
    });
    assert_eq!(told(), "READY=1");
    gripd.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(gripd.wait_exit().code(), Some(0));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn sigint_ends_it_cleanly() {
    let mut gripd = Gripd::start(|c| c.route("* test"));
    gripd.signal("INT");
    assert_eq!(gripd.wait_exit().code(), Some(0));
}

// ---- what the first lines say ---------------------------------------------------------------

#[test]
fn the_files_read_are_named() {
    let gripd = Gripd::start(|c| c.file("routes", "* test\n"));
    assert!(gripd.log().contains("routes"), "{}", gripd.log());
    let toml = "[timeouts]\nconnect = \"5s\"\n";
    let gripd = Gripd::start(|c| c.file("gripd.toml", toml));
    assert!(
        gripd.log().contains("gripd.toml"),
        "found by itself: {}",
        gripd.log()
    );
}

#[test]
fn secrets_are_not_logged() {
    let gripd = Gripd::start(|c| {
        c.route("* test")
            .set("GRIP_SIG_KEY", "very-secret-key")
            .arg("--log-level=trace")
    });
    assert_eq!(gripd.fetch("/").status(), 200);
    assert!(!gripd.log().contains("very-secret-key"));
}

#[test]
fn the_open_files_are_told() {
    let gripd = Gripd::start(|c| c.route("* test"));
    let log = gripd.log();
    let (_, rest) = log.split_once("open files: at most ").expect("the line");
    let count: String = rest.chars().take_while(char::is_ascii_digit).collect();
    assert!(count.parse::<u64>().is_ok_and(|count| count > 0), "{log}");
}

#[test]
fn it_is_not_ready_while_it_finishes_its_last_request() {
    let (asked, seen) = mpsc::channel();
    let (go_on, told) = mpsc::channel::<()>();
    let (asked, told) = (Mutex::new(asked), Mutex::new(told));
    let backend = Backend::start(move |_, reply| {
        let _ = asked.lock().unwrap().send(());
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        reply.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast");
    });
    let mut gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_DRAIN", "15m")
    });
    let ready = |gripd: &Gripd| {
        let mut control = Wire::connect(gripd.control);
        control.request("GET", "/readyz", &["Host: localhost"], "");
        control.response().status()
    };
    assert_eq!(ready(&gripd), 200);
    let mut last = gripd.get("/");
    seen.recv_timeout(PATIENCE).expect("the backend was asked");
    gripd.signal("TERM");
    gripd.wait_log("stopping");
    assert_eq!(ready(&gripd), 503);
    let health = |flags: &[&str]| {
        let address = format!("--control={}", gripd.control);
        let output = run_to_end(|c| {
            let c = c.arg("health").arg(address);
            flags.iter().fold(c, |c, flag| c.arg(*flag))
        });
        (output.status.code(), texts(&output))
    };
    let base = format!("http://{}", gripd.control);
    let alive = format!("alive: {base}/livez\n");
    assert_eq!(health(&[]), (Some(0), alive), "nobody is to kill it");
    let not_ready = format!("gripd: not ready: {base}/readyz answers 503\n");
    assert_eq!(health(&["--ready"]), (Some(1), not_ready));
    go_on.send(()).unwrap();
    assert_eq!(last.response().text(), "last");
    assert_eq!(gripd.wait_exit().code(), Some(0));
}

/// Debian's settings, as the end-to-end tests have them.
fn shipped_conf() -> &'static str {
    let (_, rest) = include_str!("e2e/proxy.py")
        .split_once("SHIPPED_CONF = \"\"\"\\\n")
        .expect("there");
    rest.split_once("\"\"\"").expect("ended").0
}

/// The container image's command, with the control port where other containers reach it.
fn image(setup: Setup) -> Setup {
    setup.arg("image").arg("pushpin").arg("--control=0")
}

#[test]
fn at_most_eight_lines_tell_what_runs() {
    let shipped = shipped_conf();
    let table: [(&str, Change, &str, usize); 7] = [
        (
            "nothing",
            |c| c.arg("--config=/dev/null"),
            "in a browser",
            0,
        ),
        ("a route", |c| c.route("* localhost:8000"), "gripd check", 0),
        (
            "every address",
            |c| c.route("* test").arg("--port=0").arg("--control=0"),
            "gripd check",
            1,
        ),
        (
            "Pushpin's folder",
            // Its folder for logs may be one that can be written.
            |c| {
                c.file("routes", "* test\n")
                    .arg("--config=pushpin.conf")
                    .arg("--merge-output")
            },
            "gripd check",
            2,
        ),
        (
            "the image",
            |c| image(c).var("target", "app:8000").arg("--config=/dev/null"),
            "gripd check",
            1,
        ),
        (
            "the image with Pushpin's folder",
            |c| {
                image(c.file("routes", "* a:1,over_http\nb b:1,over_http\n"))
                    .arg("--config=pushpin.conf")
            },
            "gripd check",
            3,
        ),
        (
            "the image with both",
            |c| image(c.var("target", "app:8000")).arg("--config=pushpin.conf"),
            "gripd check",
            3,
        ),
    ];
    for (name, setup, hint, most) in table {
        let gripd = Gripd::start(|c| setup(c.file("pushpin.conf", shipped)));
        gripd.wait_log("INFO try: ");
        let mut control = Wire::connect(gripd.control);
        control.request("GET", "/livez", &["Host: localhost"], "");
        assert_eq!(control.response().status(), 200);
        let log = gripd.log();
        let said: Vec<_> = log.lines().collect();
        assert!(said.len() <= 8, "{name}: {said:#?}");
        let warnings = said.iter().filter(|line| line.contains(" WARN ")).count();
        assert!(warnings <= most, "{name}: {said:#?}");
        for part in [
            concat!("INFO gripd ", env!("CARGO_PKG_VERSION"), "; files read: "),
            "INFO open files: at most ",
            "INFO routes in force: ",
            "INFO clients: http://",
            " control: http://",
            hint,
        ] {
            let found = said.iter().filter(|line| line.contains(part)).count();
            assert_eq!(found, 1, "{name}: {part}: {said:#?}");
        }
    }
}

// ---- nothing configured ---------------------------------------------------------------------

/// gripd where no file is found, whatever this machine has in /etc.
fn unconfigured() -> Gripd {
    Gripd::start(|c| c.arg("--config=/dev/null"))
}

#[test]
fn nothing_configured_serves_the_welcome_page() {
    let gripd = unconfigured();
    for headers in [&["Accept: text/html"][..], &["User-Agent: curl"]] {
        let mut client = gripd.client();
        let host = ["Host: localhost"];
        client.request("GET", "/", &[&host[..], headers].concat(), "");
        let page = client.response();
        assert_eq!(page.status(), 200);
        assert_eq!(
            page.head.get("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(page.head.get("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(page.head.get("Cache-Control"), Some("no-store"));
        let policy = page.head.get("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        let text = page.text();
        for address in [gripd.clients, gripd.control] {
            assert!(text.contains(&format!("http://{address}")), "{address}");
        }
    }
    let mut client = gripd.client();
    client.request("HEAD", "/", &["Host: localhost"], "");
    assert_eq!(client.head().status(), 200);
    assert_eq!(gripd.fetch("/nothing").status(), 404);
}

#[test]
fn the_pages_box_and_the_control_port_reach_its_log_and_its_long_poll() {
    let gripd = unconfigured();
    let mut log = gripd.stream("/stream", "[stream opened]\n");
    let mut poll = gripd.get("/response");
    gripd.wait_subscribers("test", "http-response", 1);
    let post = |headers: &[&str], body: &str| {
        let mut page = gripd.client();
        let host = format!("Host: {}", gripd.clients);
        let headers = [&[&*host][..], headers].concat();
        page.request("POST", "/publish", &headers, body);
        page.response()
    };
    let own = format!("Origin: http://{}", gripd.clients);
    let answer = post(
        &[&own, "Sec-Fetch-Site: same-origin"],
        "message=from+the+box",
    );
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["connections"], 2);
    assert_eq!(poll.response().text(), "from the box\n");
    log.expect_stream("from the box\n");

    for foreign in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(post(&[foreign], "evil").status(), 403, "{foreign}");
    }
    assert_eq!(post(&[], &"x".repeat(4097)).status(), 413);
    gripd.push("test", "from the control port\n");
    log.expect_stream("from the control port\n");
}

#[test]
fn whoever_configured_something_gets_no_welcome_page() {
    let table: [(&str, Change, u16); 5] = [
        ("an empty routes file", |c| c.file("routes", ""), 502),
        ("comments alone", |c| c.file("routes", "# none\n\n"), 502),
        ("no usable line", |c| c.file("routes", "solo\n* h\n"), 502),
        ("settings alone", |c| c.file("gripd.toml", ""), 200),
        ("a route", |c| c.route("* test"), 200),
    ];
    for (name, setup, status) in table {
        let gripd = Gripd::start(setup);
        let answer = gripd.fetch("/");
        assert_eq!(answer.status(), status, "{name}");
        assert!(!answer.text().contains("<html"), "{name}");
        assert_eq!(gripd.fetch("/publish").status(), status.max(404), "{name}");
        let log = gripd.log();
        let complains = log.lines().any(|line| line.contains("ERROR"));
        assert_eq!(complains, status == 502, "{name}: {log}");
    }
}

/// A routes file of somebody else, who keeps it closed.
fn closed(setup: Setup, target: &Backend) -> Setup {
    let setup = setup.file("routes", &format!("* {}\n", target.addr));
    let file = setup.dir().join("routes");
    fs::set_permissions(file, Permissions::from_mode(0o000)).unwrap();
    setup.user(4711)
}

#[test]
fn a_closed_routes_file_gives_502_until_it_may_be_read() {
    let backend = Backend::saying("from the app");
    let gripd = Gripd::start(|c| closed(c, &backend));
    assert_eq!(gripd.fetch("/").status(), 502);
    gripd.wait_log("ERROR routes: routes: Permission denied");
    let file = gripd.dir().join("routes");
    fs::set_permissions(file, Permissions::from_mode(0o444)).unwrap();
    gripd.wait_log("routes: routes reloaded: 1 in use");
    assert_eq!(gripd.fetch("/").text(), "from the app");

    let output = run_to_end(|c| closed(c, &backend).arg("check"));
    assert_eq!(output.status.code(), Some(3));
    let said = texts(&output);
    assert!(
        said.contains("the routes file routes cannot be read: Permission denied"),
        "{said}"
    );
}
