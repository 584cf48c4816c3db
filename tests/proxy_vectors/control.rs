//! Vectors 94 to 102: the control port, and what stands for the `ZeroMQ` sockets that gripd has not.

use serde_json::json;

use crate::support::{DeadPort, Gripd, Response, Wire};

fn alone() -> Gripd {
    Gripd::start(|c| c.route("* test"))
}

/// Sends these bytes to the control port.
fn told(gripd: &Gripd, raw: &str) -> Response {
    let mut wire = Wire::connect(gripd.control);
    wire.send(raw);
    wire.response()
}

const EMPTY: &str = r#"{"items":[]}"#;

/// Pushpin has a 404 for every query; gripd leaves it out of account.
#[test]
fn v094_paths() {
    let gripd = alone();
    let get = |path: &str| {
        told(
            &gripd,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        )
    };
    for path in ["/", "/?x=1"] {
        let response = get(path);
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.text().starts_with("gripd "), "{}", response.text());
    }
    assert_eq!(get("/other").status(), 404);
    let mut wire = Wire::connect(gripd.control);
    wire.request("POST", "/publish?x=1", &["Host: localhost"], EMPTY);
    assert_eq!(wire.response().status(), 200);
}

#[test]
fn v095_no_items_are_published() {
    let response = alone().publish_raw(&[], EMPTY);
    assert_eq!(
        (response.status(), response.text()),
        (200, "Published\n".into())
    );
}

/// Pushpin takes the last type that fits, and so text in 96; gripd the one that counts most.
#[test]
fn v096_v097_accept() {
    let gripd = alone();
    let kind = |accept: &str| {
        let response = gripd.publish_raw(&[&format!("Accept: {accept}")], EMPTY);
        let kind = response.head.get("Content-Type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        (response.status(), kind.to_owned())
    };
    let json = (200, "application/json".to_owned());
    assert_eq!(kind("application/json, */*;q=0.1"), json);
    assert_eq!(kind("text/html").0, 406);
}

/// Pushpin wants a length of a chunked body, too; gripd takes it.
#[test]
fn v098_lengths() {
    let gripd = alone();
    let head = "POST /publish HTTP/1.1\r\nHost: localhost\r\n";
    for (rest, status) in [
        ("\r\n".to_owned(), 411),
        (
            format!("Transfer-Encoding: chunked\r\n\r\nc\r\n{EMPTY}\r\n0\r\n\r\n"),
            200,
        ),
        ("Content-Length: 1000001\r\n\r\n".to_owned(), 400),
        (format!("X: {}\r\n\r\n", "x".repeat(10_001)), 400),
    ] {
        let response = told(&gripd, &format!("{head}{rest}"));
        let start = rest.get(..30).unwrap_or(&rest);
        assert_eq!(response.status(), status, "{start:?}: {}", response.text());
    }
}

#[test]
fn v099_items_need_a_channel_and_a_format() {
    let gripd = alone();
    for (item, part) in [
        (json!({"channel": "c"}), "items[0].formats is missing"),
        (json!({"http-stream": {"content": "x"}}), "channel"),
    ] {
        let response = gripd.publish_raw(&[], json!({"items": [item]}).to_string());
        assert_eq!(response.status(), 400);
        assert!(response.text().contains(part), "{}", response.text());
    }
}

/// gripd has no `ZeroMQ`, so there are no sockets that could answer or keep silent: whoever configures
/// them is told so once, with what to use. What `recover` of the command socket does, the control
/// port does.
#[test]
fn v100_v101_v102_zeromq_sockets_are_told_to_be_missing() {
    let ports: Vec<DeadPort> = (0..3).map(|_| DeadPort::new()).collect();
    let conf = format!(
        "[proxy]\nsig_key=k\n[handler]\npush_in_spec=tcp://{}\npush_in_sub_specs=tcp://{}\n\
         command_spec=tcp://{}\npush_in_http_port=5561\n",
        ports[0].addr, ports[1].addr, ports[2].addr
    );
    let gripd = Gripd::start(|c| {
        c.file("pushpin.conf", &conf)
            .arg("--config=pushpin.conf")
            .route("* test")
    });
    let advice = "push_in_spec, push_in_sub_specs, command_spec: ZeroMQ is not served; publish over \
                  HTTP to the control port (control.http)";
    gripd.wait_log(advice);
    assert_eq!(gripd.log().matches("ZeroMQ").count(), 1);
    let mut wire = Wire::connect(gripd.control);
    let headers = ["Host: localhost", "Content-Length: 0"];
    wire.request("POST", "/recover", &headers, "");
    let response = wire.response();
    assert_eq!(
        (response.status(), response.text()),
        (200, "Updated\n".into())
    );
}
