//! A backend that is not there: clients of event streams wait for it (`timeouts.connect_wait`), and
//! everybody who gets 502, 503 or 504 of gripd is told when to come back.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    sync::Arc,
};

use serde_json::json;
use support::{
    Backend, DeadPort, Door, Gripd, Response, Setup, Wire, answer, eventually, instruct, ws,
};

const EVENTS: &str = "Accept: text/event-stream";

/// An event stream on the channel `c`.
fn stream() -> Vec<u8> {
    let headers = [
        "Grip-Hold: stream",
        "Grip-Channel: c",
        "Content-Type: text/event-stream",
    ];
    instruct(&headers, "data: hi\n\n")
}

/// gripd before a port that refuses connections, and with no end of patience.
fn before(dead: &DeadPort, setup: impl FnOnce(Setup) -> Setup) -> Gripd {
    Gripd::start(|c| {
        setup(
            c.route(format!("* {}", dead.addr))
                .set("TIMEOUTS_CONNECT_WAIT", "1h"),
        )
    })
}

/// What comes up on the port.
fn come_up(dead: DeadPort) -> Backend {
    let page = stream();
    Backend::on(dead.listen(), false, move |_, reply| {
        reply.send(&page);
    })
}

/// Asks for events.
fn ask(gripd: &Gripd) -> Wire {
    let mut client = gripd.client();
    client.request("GET", "/events", &[EVENTS], "");
    client
}

/// Waits until so many wait, as gripd counts them.
fn wait_waiting(gripd: &Gripd, count: usize) {
    let line = format!("\ngripd_requests_waiting {count}\n");
    eventually(&format!("{count} wait"), || {
        let mut control = Wire::connect(gripd.control);
        control.request("GET", "/metrics", &["Host: localhost"], "");
        control.response().text().contains(&line)
    });
}

fn retry_after(response: &Response) -> Option<u64> {
    let value = response.head.get("Retry-After")?;
    Some(value.parse().unwrap())
}

#[test]
fn an_event_stream_waits_until_its_backend_is_up() {
    let dead = DeadPort::new();
    let gripd = before(&dead, |c| c);
    let mut clients = [ask(&gripd), ask(&gripd)];
    wait_waiting(&gripd, 2);
    gripd.wait_log("clients wait for a backend: no target could be reached");
    let backend = come_up(dead);
    for client in &mut clients {
        assert_eq!(client.head().status(), 200);
        client.expect_stream("data: hi\n\n");
    }
    gripd.wait_log("a backend is up");
    wait_waiting(&gripd, 0);
    assert_eq!(gripd.push("c", "data: 1\n\n"), 2);
    for client in &mut clients {
        client.expect_stream("data: 1\n\n");
    }
    assert_eq!(backend.asked(), ["GET /events", "GET /events"]);
    let log = gripd.log();
    assert_eq!(log.matches("a backend is up").count(), 1, "{log}");
    assert!(!log.contains("status=502"), "nobody was refused: {log}");
}

/// It does not wait for the first target only.
#[test]
fn any_target_may_come_up() {
    let (first, second) = (DeadPort::new(), DeadPort::new());
    let route = format!("* {} {}", first.addr, second.addr);
    let gripd = Gripd::start(|c| c.route(route).set("TIMEOUTS_CONNECT_WAIT", "1h"));
    let mut client = ask(&gripd);
    wait_waiting(&gripd, 1);
    let _backend = come_up(second);
    assert_eq!(client.head().status(), 200);
}

#[test]
fn a_socket_in_the_file_system_may_come_up() {
    let setup = |c: Setup| {
        let route = format!("* unix:{}", c.dir().join("app.sock").display());
        c.route(route).set("TIMEOUTS_CONNECT_WAIT", "1h")
    };
    let gripd = Gripd::start(setup);
    let mut client = ask(&gripd);
    wait_waiting(&gripd, 1);
    let listener = UnixListener::bind(gripd.dir().join("app.sock")).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().is_empty()), "no request");
    stream.write_all(&answer("200 OK", "", "there")).unwrap();
    assert_eq!(client.response().text(), "there");
}

#[test]
fn nobody_else_waits() {
    let dead = DeadPort::new();
    let gripd = before(&dead, |c| c);
    for (method, accept) in [
        ("GET", ""),
        ("GET", "Accept: text/html, */*;q=0.8"),
        ("GET", "Accept: text/event-streams"),
        ("HEAD", EVENTS),
        ("POST", EVENTS),
    ] {
        let headers: Vec<&str> = Some(accept).filter(|a| !a.is_empty()).into_iter().collect();
        let mut client = gripd.client();
        client.request(method, "/", &headers, "");
        assert_eq!(client.head().status(), 502, "{method} {accept}");
    }
    assert_eq!(ws::refused(&gripd, "/").status(), 502);
    assert!(!gripd.log().contains("clients wait"), "{}", gripd.log());
}

#[test]
fn a_list_may_name_event_streams() {
    let dead = DeadPort::new();
    let gripd = before(&dead, |c| c);
    let mut client = gripd.client();
    let accept = "accept: text/html, Text/Event-Stream ;q=0.9";
    client.request("GET", "/", &[accept], "");
    wait_waiting(&gripd, 1);
    let _backend = come_up(dead);
    assert_eq!(client.head().status(), 200);
}

#[test]
fn its_time_is_bounded() {
    let dead = DeadPort::new();
    let gripd = before(&dead, |c| c.set("TIMEOUTS_CONNECT_WAIT", "300ms"));
    let refused = ask(&gripd).response();
    assert_eq!(refused.status(), 502);
    assert!(retry_after(&refused).is_some());
    gripd.wait_log("clients wait for a backend");
    wait_waiting(&gripd, 0);
}

#[test]
fn it_can_be_switched_off() {
    let dead = DeadPort::new();
    let gripd = before(&dead, |c| c.set("TIMEOUTS_CONNECT_WAIT", "0"));
    assert_eq!(ask(&gripd).response().status(), 502);
    let gripd = before(&dead, |c| c.set("LIMITS_CONNECT_WAITERS", "0"));
    assert_eq!(ask(&gripd).response().status(), 502);
}

#[test]
fn waiters_are_bounded_and_may_leave() {
    let dead = DeadPort::new();
    let gripd = before(&dead, |c| c.threads(2).set("LIMITS_CONNECT_WAITERS", "1"));
    let first = ask(&gripd);
    wait_waiting(&gripd, 1);
    let second = ask(&gripd).response();
    assert_eq!(second.status(), 502);
    assert!(retry_after(&second).is_some());
    first.close();
    wait_waiting(&gripd, 0);
    let mut third = ask(&gripd);
    wait_waiting(&gripd, 1);
    let backend = come_up(dead);
    assert_eq!(third.head().status(), 200);
    assert_eq!(backend.asked().len(), 1, "who has left is not asked for");
}

/// An answer would be an error, and the client would never come back.
#[test]
fn at_the_end_of_gripd_they_are_let_go_without_an_answer() {
    let dead = DeadPort::new();
    let mut gripd = before(&dead, |c| c.threads(2).set("TIMEOUTS_DRAIN", "15m"));
    let mut clients = [ask(&gripd), ask(&gripd), ask(&gripd)];
    wait_waiting(&gripd, 3);
    gripd.signal("TERM");
    for client in &mut clients {
        client.expect_eof();
    }
    assert_eq!(gripd.wait_exit().code(), Some(0));
    gripd.wait_log("ended=3 cut=0");
}

/// A backend that was asked may have acted, or does not want to.
#[test]
fn a_backend_that_was_asked_is_not_asked_again() {
    let backend = Backend::start(|_, reply| reply.close());
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("TIMEOUTS_CONNECT_WAIT", "1h")
    });
    assert_eq!(ask(&gripd).response().status(), 502);
    assert_eq!(backend.asked().len(), 1);
}

/// A gripd whose requests fail.
struct Failing {
    gripd: Gripd,
    door: Arc<Door>,
    _backend: Backend,
    _dead: DeadPort,
}

fn failing(setup: impl FnOnce(Setup) -> Setup) -> Failing {
    let (door, dead) = (Door::shut(), DeadPort::new());
    let behind = Arc::clone(&door);
    let backend = Backend::start(move |request, reply| match request.head.target() {
        "/busy/slow" => {
            behind.pass();
            reply.ok("", "at last");
        }
        "/silent/" => {
            reply.wait_closed();
        }
        "/poll" => {
            reply.send(instruct(&["Grip-Hold: response", "Grip-Channel: p"], "{}"));
        }
        _ => {
            reply.send(answer("503 Service Unavailable", "", "own"));
        }
    });
    let at = backend.addr;
    let gripd = Gripd::start(|c| {
        setup(
            c.route(format!("*,path_beg=/dead/ {}", dead.addr))
                .route(format!("*,path_beg=/busy/ {at},max_connections=1"))
                .route(format!("*,path_beg=/silent/,response_timeout=1 {at}"))
                .route(format!("* {at}"))
                .set("TIMEOUTS_TARGET_WAIT", "0"),
        )
    });
    Failing {
        gripd,
        door,
        _backend: backend,
        _dead: dead,
    }
}

impl Failing {
    /// 502, 503 and 504, and those of a WebSocket's handshake and of a long-poll.
    fn errors(&self) -> Vec<Response> {
        let Self { gripd, door, .. } = self;
        let mut slow = gripd.get("/busy/slow");
        door.wait_came(1);
        let mut all = vec![
            gripd.fetch("/dead/"),
            gripd.fetch("/busy/"),
            gripd.fetch("/silent/"),
            ws::refused(gripd, "/dead/"),
        ];
        door.open();
        assert_eq!(slow.response().status(), 200);
        let mut poll = gripd.get("/poll");
        gripd.wait_subscribers("p", "http-response", 1);
        let patch = json!([{"op": "remove", "path": "/zz"}]);
        gripd.publish(&json!([{"channel": "p", "http-response": {"body-patch": patch}}]));
        all.push(poll.response());
        let statuses: Vec<u16> = all.iter().map(Response::status).collect();
        assert_eq!(statuses, [502, 503, 504, 502, 502]);
        all
    }
}

#[test]
fn errors_of_gripd_say_when_to_come_back() {
    let failing = failing(|c| c);
    for response in failing.errors() {
        let after = retry_after(&response);
        let is_soon = after.is_some_and(|after| (2..=5).contains(&after));
        assert!(is_soon, "{}", response.head.raw);
    }
    let own = failing.gripd.fetch("/");
    assert_eq!(own.status(), 503);
    assert_eq!(retry_after(&own), None, "a backend's answer stays as it is");
}

#[test]
fn they_need_not_say_it() {
    let failing = failing(|c| c.set("TIMEOUTS_RECONNECT", "0"));
    let all = failing.errors();
    assert!(all.iter().all(|response| retry_after(response).is_none()));
}
