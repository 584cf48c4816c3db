//! What gripd counts, as Prometheus reads it: on the control port, and on ports of their own as
//! Pushpin has them.
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod support;

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
};

use serde_json::json;
use support::{Backend, DeadPort, Gripd, Wire, eventually, instruct, ws::WebSocket};

/// The numbers of a page, by name and label.
fn numbers(page: &str) -> HashMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect(line);
            (name.to_owned(), value.parse().expect(line))
        })
        .collect()
}

fn page(gripd: &Gripd) -> String {
    let mut control = Wire::connect(gripd.control);
    control.request("GET", "/metrics", &["Host: localhost"], "");
    control.response().text()
}

/// Waits until a number has this value; one that is not there is 0.
fn wait_for(gripd: &Gripd, name: &str, value: f64) {
    let mut last = 0.0;
    eventually(&format!("{name} is {value}"), || {
        last = numbers(&page(gripd)).get(name).copied().unwrap_or_default();
        (last - value).abs() < f64::EPSILON
    });
}

fn holding() -> Backend {
    let held = |mode: &str| {
        let (hold, channel) = (
            format!("Grip-Hold: {mode}"),
            format!("Grip-Channel: of-{mode}"),
        );
        instruct(&[&hold, &channel], "hi\n")
    };
    Backend::serving(vec![
        ("/stream", held("stream")),
        ("/response", held("response")),
        ("/plain", support::answer("200 OK", "", "x")),
    ])
}

#[test]
fn holds_subscriptions_and_deliveries_are_counted_by_kind() {
    let backend = holding();
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .route("*,proto=ws test")
    });
    let mut streams: Vec<_> = (0..3).map(|_| gripd.stream("/stream", "hi\n")).collect();
    let mut poll = gripd.get("/response");
    let socket = WebSocket::open(&gripd, "/ws");
    for (name, value) in [
        ("gripd_holds{kind=\"stream\"}", 3.0),
        ("gripd_holds{kind=\"response\"}", 1.0),
        ("gripd_holds{kind=\"websocket\"}", 1.0),
        ("gripd_subscriptions{kind=\"stream\"}", 3.0),
        ("gripd_subscriptions{kind=\"response\"}", 1.0),
        ("gripd_subscriptions{kind=\"websocket\"}", 1.0),
        ("gripd_connections", 5.0),
        ("gripd_requests_total{status=\"held\"}", 5.0),
    ] {
        wait_for(&gripd, name, value);
    }
    gripd.push("of-stream", "one");
    for stream in &mut streams {
        stream.expect_stream("one");
    }
    gripd.answer_polls("of-response", "now");
    assert_eq!(poll.response().status(), 200);
    wait_for(&gripd, "gripd_deliveries_total{kind=\"stream\"}", 3.0);
    wait_for(&gripd, "gripd_deliveries_total{kind=\"response\"}", 1.0);
    gripd.close_streams("of-stream");
    for stream in &mut streams {
        stream.expect_last_chunk();
    }
    drop(socket);
    for (name, value) in [
        ("gripd_holds{kind=\"stream\"}", 0.0),
        ("gripd_holds{kind=\"response\"}", 0.0),
        ("gripd_holds{kind=\"websocket\"}", 0.0),
        ("gripd_subscriptions{kind=\"stream\"}", 0.0),
        ("gripd_subscriptions{kind=\"websocket\"}", 0.0),
        ("gripd_holds_ended_total{cause=\"ended\"}", 3.0),
        ("gripd_holds_ended_total{cause=\"answered\"}", 1.0),
        ("gripd_holds_ended_total{cause=\"client gone\"}", 1.0),
        ("gripd_queue_items", 0.0),
        ("gripd_queue_bytes", 0.0),
    ] {
        wait_for(&gripd, name, value);
    }
    // One for each item that somebody got, the one that closes included.
    let count = numbers(&page(&gripd))["gripd_delivery_seconds_count"];
    assert!((count - 3.0).abs() < f64::EPSILON, "{count}");
}

#[test]
fn requests_backends_and_drops_are_counted() {
    let (backend, dead) = (holding(), DeadPort::new());
    let gripd = Gripd::start(|c| {
        c.route(format!("*,id=good {}", backend.addr))
            .route(format!("*,id=bad,path_beg=/bad {}", dead.addr))
    });
    for _ in 0..2 {
        assert_eq!(gripd.fetch("/plain").status(), 200);
    }
    assert_eq!(gripd.fetch("/bad").status(), 502);
    let item = json!([{"channel": "a", "id": "1", "http-stream": {"content": "x"}}]);
    gripd.publish(&item);
    gripd.publish(&item);
    for (name, value) in [
        ("gripd_requests_total{status=\"2xx\"}", 2.0),
        ("gripd_requests_total{status=\"5xx\"}", 1.0),
        ("gripd_requests_received_total", 3.0),
        ("gripd_upstream_seconds_count{route=\"good\"}", 2.0),
        (
            "gripd_upstream_errors_total{route=\"bad\",cause=\"connect\"}",
            1.0,
        ),
        ("gripd_connections_accepted_total", 3.0),
        ("gripd_items_dropped_total{cause=\"duplicate\"}", 1.0),
        ("gripd_items_unheard_total", 1.0),
    ] {
        wait_for(&gripd, name, value);
    }
}

/// The five names of Pushpin's, exactly, with their types.
#[test]
fn the_ports_of_a_pushpin_conf_are_served() {
    let backend = holding();
    let conf = "[proxy]\nprometheus_port=127.0.0.1:0\nprometheus_prefix=p_\n[handler]\n\
                prometheus_port=ipc://metrics.sock\n";
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .file("pushpin.conf", conf)
            .arg("--config=pushpin.conf")
    });
    gripd.wait_log("metrics: http://");
    gripd.wait_log("metrics: unix:");
    let log = gripd.log();
    let (_, place) = log.split_once("metrics: http://").unwrap();
    let address: SocketAddr = place.split('/').next().unwrap().parse().unwrap();
    let _stream = gripd.stream("/stream", "hi\n");
    assert_eq!(gripd.push("of-stream", "x"), 1);

    // Any method and any path.
    let mut port = Wire::connect(address);
    port.request("POST", "/what?ever", &["Host: x"], "");
    let answer = port.response();
    assert_eq!(answer.status(), 200);
    port.expect_eof();
    for line in [
        "# HELP p_request_received Number of requests received\n\
         # TYPE p_request_received counter\np_request_received 1\n",
        "# TYPE p_connection_connected gauge\np_connection_connected 1\n",
        "# TYPE p_connection_minute counter\np_connection_minute 1\n",
        "# TYPE p_message_received counter\np_message_received 1\n",
        "# TYPE p_message_sent counter\np_message_sent ",
    ] {
        assert!(answer.text().contains(line), "{line} in {}", answer.text());
    }

    let mut socket = UnixStream::connect(gripd.dir().join("metrics.sock")).unwrap();
    socket.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    assert!(page.contains("\nrequest_received 1\n"), "{page}");
    assert!(page.contains("\ngripd_connections 1\n"), "{page}");
}

#[test]
fn a_socket_that_nobody_serves_any_more_is_in_nobodys_way() {
    let start = |c: support::Setup| {
        drop(std::os::unix::net::UnixListener::bind(c.dir().join("m.sock")).unwrap());
        c.route("* test").set("METRICS_PROXY_PORT", "ipc://m.sock")
    };
    Gripd::start(start).wait_log("metrics: unix:m.sock");
}

#[test]
fn a_port_that_cannot_be_bound_is_told_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let output = support::run_to_end(|c| {
        c.route("* test")
            .arg("--port=127.0.0.1:0")
            .arg("--control=127.0.0.1:0")
            .set("METRICS_HANDLER_PORT", &port)
    });
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains(&format!("metrics.handler_port {port}:")),
        "{told}"
    );
    let output = support::run_to_end(|c| c.route("* test").set("METRICS_PROXY_PORT", "here"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("metrics.proxy_port must be PORT"), "{told}");
}

#[test]
fn what_nobody_gets_is_told_with_the_nearest_channel() {
    let backend = Backend::always(instruct(
        &["Grip-Hold: stream", "Grip-Channel: events-test"],
        "hi\n",
    ));
    let gripd = Gripd::before(&backend);
    let mut stream = gripd.stream("/", "hi\n");
    for _ in 0..5 {
        assert_eq!(gripd.push("test", "lost"), 0);
    }
    gripd.wait_log("did you mean events-test?");
    assert_eq!(gripd.push("events-test", "got"), 1);
    stream.expect_stream("got");
    let log = gripd.log();
    assert_eq!(log.matches("nobody got it").count(), 1, "{log}");
    assert!(log.contains("the last 3 items"), "{log}");
    assert!(log.contains("channel=\"test\""), "{log}");
}
