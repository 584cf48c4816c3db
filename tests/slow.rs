//! Clients that do not read, through the real binary: what waits for one connection is bounded in
//! bytes and in time, each choice of what to do then keeps its promise, and nobody else notices.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use support::{Backend, Gripd, Setup, Wire, eventually, instruct};

/// Large, so that a few fill a socket that nobody reads.
const LINE: usize = 32 << 10;

const CLOSED: &str = "gripd_slow_closed_total";
const LATEST: &str = "gripd_slow_latest_total";
const RECOVERED: &str = "gripd_slow_recovered_total";
const STALLED: &str = "gripd_slow_stalled_total";

/// The content of an item: one line, which says whose it is.
fn line(channel: &str, number: usize) -> String {
    let name = format!("{channel} {number} ");
    format!("{name}{}\n", "x".repeat(LINE - name.len() - 1))
}

/// The item with that line.
fn item(channel: &str, number: usize) -> Value {
    json!({"channel": channel, "http-stream": {"content": line(channel, number)}})
}

/// The same with its place in the order of its channel.
fn numbered(channel: &str, number: usize) -> Value {
    let mut item = item(channel, number);
    item["id"] = number.to_string().into();
    item["prev-id"] = (number - 1).to_string().into();
    item
}

/// A stream of these channels.
fn held(headers: &[&str]) -> Vec<u8> {
    instruct(&[&["Grip-Hold: stream"], headers].concat(), "hi\n")
}

/// Little may wait, and a channel's first subscriber causes nothing.
fn narrow(setup: Setup) -> Setup {
    setup
        .set("LIMITS_CONNECTION_BUFFER", "128KiB")
        .set("GRIP_UPDATE_ON_FIRST_SUBSCRIPTION", "false")
}

fn start(backend: &Backend, setup: impl FnOnce(Setup) -> Setup) -> Gripd {
    Gripd::start(|c| setup(narrow(c)).route(format!("* {}", backend.addr)))
}

/// A held stream behind its initial `hi\n`, with a socket that takes little ahead.
fn slow(gripd: &Gripd) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&gripd.clients.into()).unwrap();
    let mut client = Wire::over(socket.into());
    client.get("/");
    client.head();
    client.expect_stream("hi\n");
    client
}

fn addr(client: &Wire) -> SocketAddr {
    client.socket().local_addr().unwrap()
}

/// A number of `GET /metrics`.
fn metric(gripd: &Gripd, name: &str) -> usize {
    let mut control = Wire::connect(gripd.control);
    control.request("GET", "/metrics", &["Host: localhost"], "");
    let page = control.response().text();
    let mut values = page.lines().filter_map(|line| line.strip_prefix(name));
    let value = values.next().unwrap_or_else(|| panic!("no {name}: {page}"));
    value.trim().parse().unwrap()
}

/// Publishes what `next` makes of 1, 2, 3 and so on until a counter has come to `count`. How many
/// there were.
fn fill(gripd: &Gripd, name: &str, count: usize, mut next: impl FnMut(usize)) -> usize {
    let mut number = 0;
    eventually(&format!("{name} is {count}"), || {
        number += 1;
        next(number);
        metric(gripd, name) >= count
    });
    number
}

/// The lines of a body, each whole, as its channel and its number.
fn read_lines(body: &[u8]) -> Vec<(String, usize)> {
    let body = std::str::from_utf8(body).unwrap();
    let lines = body.split_inclusive('\n').map(|found| {
        let mut words = found.split(' ');
        let channel = words.next().unwrap_or_default().to_owned();
        let number = words.next().and_then(|word| word.parse().ok());
        let number = number.unwrap_or_else(|| panic!("not an item: {found:.40?}"));
        assert_eq!(found, line(&channel, number), "an item is whole");
        (channel, number)
    });
    lines.collect()
}

/// Items 1, 2, 3 and so on of channel `a`, without a hole; then the connection ends within the
/// body, so that the client knows that this is not all.
fn expect_whole_prefix(client: &mut Wire, published: usize) {
    let (body, ended) = client.chunks_to_end();
    assert!(!ended, "a body that was cut does not look whole");
    let lines = read_lines(&body);
    let want: Vec<_> = (1..=lines.len()).map(|n| ("a".to_owned(), n)).collect();
    assert_eq!(lines, want);
    assert!(lines.len() < published, "not everything came");
}

/// The lines of the log that tell of slow clients.
fn told(gripd: &Gripd) -> Vec<String> {
    let log = gripd.log();
    let lines = log.lines().filter(|line| line.contains("slow client"));
    lines.map(ToOwned::to_owned).collect()
}

#[test]
fn a_stream_without_link_is_closed_and_others_go_on() {
    let backend = Backend::always(held(&["Grip-Channel: a"]));
    let gripd = start(&backend, |c| c);
    let mut reader = gripd.stream("/", "hi\n");
    let mut client = slow(&gripd);
    let published = fill(&gripd, CLOSED, 1, |n| {
        gripd.publish(&json!([item("a", n)]));
        reader.expect_stream(&line("a", n));
    });
    gripd.wait_subscribers("a", "http-stream", 1);
    expect_whole_prefix(&mut client, published);
    gripd.push("a", "after\n");
    reader.expect_stream("after\n");

    gripd.wait_log("slow client");
    let told = told(&gripd);
    let parts = [
        &format!("client.addr={}", addr(&client)),
        "closed",
        "limits.connection_buffer",
        "grip.overflow",
        "route option overflow",
    ];
    for part in parts {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
    assert_eq!((told.len(), metric(&gripd, CLOSED)), (1, 1));
    assert_eq!(
        [LATEST, RECOVERED, STALLED].map(|n| metric(&gripd, n)),
        [0; 3]
    );
}

/// A herd of slow clients does not flood the log; each of them is told of or counted.
#[test]
fn a_line_counts_those_that_were_left_out() {
    let backend = Backend::always(held(&["Grip-Channel: a"]));
    let gripd = start(&backend, |c| c);
    let mut closed = Vec::new();
    eventually("a line with a count", || {
        let clients = [slow(&gripd), slow(&gripd)];
        closed.extend(clients.iter().map(addr));
        fill(&gripd, CLOSED, closed.len(), |n| {
            gripd.publish(&json!([item("a", n)]));
        });
        gripd.log().contains("left_out=")
    });
    let lines = told(&gripd);
    let left_out = lines.iter().filter_map(|line| {
        let (_, count) = line.split_once("left_out=")?;
        count.split(' ').next()?.parse::<usize>().ok()
    });
    let counted = lines.len() + left_out.sum::<usize>();
    // All up to the one that the last line names; the two of a round are closed in any order.
    let last = lines.last().unwrap();
    let named = closed
        .iter()
        .rposition(|addr| last.contains(&addr.to_string()))
        .expect("a line names one of them");
    assert_eq!((counted - 1) / 2, named / 2, "{closed:?} {lines:?}");
    assert!(lines.len() < closed.len());
}

/// A backend that knows all lines: its instruct says how far it is, and its link has what is
/// missing behind `Grip-Last`.
fn storage(lines: &Arc<Mutex<usize>>) -> Backend {
    let lines = Arc::clone(lines);
    Backend::start(move |request, reply| {
        let newest = *lines.lock().unwrap();
        let channel = format!("Grip-Channel: a; prev-id={newest}");
        let mut headers = vec!["Grip-Hold: stream", &channel];
        headers.push("Grip-Link: </next>; rel=next; timeout=3600");
        let body = if request.head.target() == "/next" {
            let last = request.head.get("Grip-Last").unwrap();
            let known: usize = last.rsplit('=').next().unwrap().parse().unwrap();
            (known + 1..=newest).map(|n| line("a", n)).collect()
        } else {
            String::from("hi\n")
        };
        reply.send(instruct(&headers, body));
    })
}

#[test]
fn a_stream_with_a_link_gets_every_item_once() {
    let newest = Arc::new(Mutex::new(0));
    let backend = storage(&newest);
    let gripd = start(&backend, |c| c);
    let publish = |n| {
        *newest.lock().unwrap() = n;
        gripd.publish(&json!([numbered("a", n)]));
    };
    let mut reader = gripd.stream("/", "hi\n");
    let mut client = slow(&gripd);
    let published = fill(&gripd, RECOVERED, 1, |n| {
        publish(n);
        reader.expect_stream(&line("a", n));
    });
    // It is too slow for these as well.
    let more = published + 2;
    (published + 1..=more).for_each(publish);
    assert!(!backend.asked().contains(&"GET /next".to_owned()));
    for n in 1..=more {
        client.expect_stream(&line("a", n));
    }
    eventually("the link is followed", || {
        backend.asked().contains(&"GET /next".to_owned())
    });
    publish(more + 1);
    client.expect_stream(&line("a", more + 1));
    for n in published + 1..=more + 1 {
        reader.expect_stream(&line("a", n));
    }
    let told = told(&gripd);
    assert!(told[0].contains(&addr(&client).to_string()), "{told:?}");
    assert_eq!(metric(&gripd, CLOSED), 0);
}

#[test]
fn latest_keeps_the_newest_item_of_each_channel() {
    let backend = Backend::always(held(&["Grip-Channel: a, b"]));
    let addr = backend.addr;
    let gripd = Gripd::start(|c| narrow(c).route(format!("*,overflow=latest {addr}")));
    let mut reader = gripd.stream("/", "hi\n");
    let mut client = slow(&gripd);
    let published = fill(&gripd, LATEST, 2, |n| {
        gripd.publish(&json!([item("a", n), item("b", n)]));
        for channel in ["a", "b"] {
            reader.expect_stream(&line(channel, n));
        }
    });
    // The newest of one channel is older than what was left out of the other.
    let last = published + 20;
    for n in published + 1..=last {
        gripd.publish(&json!([item("a", n)]));
        reader.expect_stream(&line("a", n));
    }
    let mut lines = Vec::new();
    while lines.last() != Some(&("a".to_owned(), last)) {
        lines.extend(read_lines(&client.stream_bytes(LINE)));
    }
    let of = |channel| -> Vec<usize> {
        let lines = lines.iter().filter(|(name, _)| name == channel);
        lines.map(|(_, number)| *number).collect()
    };
    let (a, b) = (of("a"), of("b"));
    assert!(a.is_sorted_by(|x, y| x < y) && b.is_sorted_by(|x, y| x < y));
    assert_eq!(a.first(), Some(&1), "what has begun is finished");
    assert_eq!((a.last(), b.last()), (Some(&last), Some(&published)));
    assert!(a.len() < last && b.len() < published, "some were left out");
    gripd.push("b", "after\n");
    for client in [&mut client, &mut reader] {
        client.expect_stream("after\n");
    }
    assert_eq!([CLOSED, STALLED].map(|name| metric(&gripd, name)), [0; 2]);
}

#[test]
fn a_client_that_takes_nothing_is_closed_in_time() {
    let backend = Backend::always(held(&["Grip-Channel: a"]));
    let gripd = start(&backend, |c| {
        c.set("LIMITS_CONNECTION_BUFFER", "1GiB")
            .set("TIMEOUTS_SEND", "300ms")
    });
    let mut reader = gripd.stream("/", "hi\n");
    let mut client = slow(&gripd);
    for n in 1..=16 {
        gripd.publish(&json!([item("a", n)]));
        reader.expect_stream(&line("a", n));
    }
    eventually("the client is closed", || metric(&gripd, STALLED) == 1);
    gripd.wait_subscribers("a", "http-stream", 1);
    expect_whole_prefix(&mut client, 16);
    gripd.push("a", "after\n");
    reader.expect_stream("after\n");
    let from = format!("client.addr={}", addr(&client));
    gripd.wait_log("timeouts.send");
    let log = gripd.log();
    let line = log.lines().find(|line| line.contains("timeouts.send"));
    assert!(line.is_some_and(|line| line.contains(&from)), "{log}");
    assert_eq!(metric(&gripd, CLOSED), 0);
}

/// The setting, the option of the route, and whether there is a link decide together.
#[test]
fn the_choice_is_the_routes_then_the_settings() {
    let link = "Grip-Link: </next>; rel=next; timeout=3600";
    let table = [
        ("auto", "", None, CLOSED),
        ("auto", "", Some(link), RECOVERED),
        ("close", "", Some(link), CLOSED),
        ("recover", "", None, CLOSED),
        ("latest", "", Some(link), LATEST),
        ("close", ",overflow=latest", None, LATEST),
        ("latest", ",overflow=auto", Some(link), RECOVERED),
        ("latest", ",overflow=close", None, CLOSED),
    ];
    for (setting, option, link, counter) in table {
        let headers: Vec<&str> = ["Grip-Channel: a"].into_iter().chain(link).collect();
        let backend = Backend::always(held(&headers));
        let gripd = Gripd::start(|c| {
            narrow(c)
                .set("GRIP_OVERFLOW", setting)
                .route(format!("*{option} {}", backend.addr))
        });
        let _client = slow(&gripd);
        fill(&gripd, counter, 1, |n| {
            gripd.publish(&json!([item("a", n)]));
        });
        let found = [CLOSED, LATEST, RECOVERED].map(|name| metric(&gripd, name));
        assert_eq!(
            found.iter().sum::<usize>(),
            1,
            "{setting}{option}: {found:?}"
        );
    }
}
