//! The vectors of the proxy: a numbered list, 1 to 110, of what Pushpin's proxy and tools do, case
//! by case. Each test bears the number of its vector, or its rows do, so that the list can be held
//! against the code line by line.
//!
//! Where Pushpin does what nobody can want, a comment says what gripd does and why. Sentences that
//! gripd makes itself are its own: what they must *name* is asserted. Vectors of which another file
//! has the test already:
//!
//! 74: `proxy.rs`, `ten_megabytes_pass_both_ways`
//! 82 to 93: `vectors_cross_origin.rs`, by their numbers
//! 106: `listeners.rs`, `a_certificate_is_chosen_by_the_name_asked_for`
//! 110: `src/forward/tests/tls.rs`, `insecure_takes_any_certificate_and_a_target_may_choose_the_name`
#![cfg(feature = "server")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail by panicking; tables are long"
)]

mod support;
#[path = "support/tls.rs"]
mod tls;

// Which backend a request goes to.
#[path = "proxy_vectors/routing.rs"]
mod routing;
#[path = "proxy_vectors/targets.rs"]
mod targets;

// What the backend sees of it.
#[path = "proxy_vectors/requests.rs"]
mod requests;
#[path = "proxy_vectors/rewriting.rs"]
mod rewriting;

// What the client sees of the answer.
#[path = "proxy_vectors/instructs.rs"]
mod instructs;
#[path = "proxy_vectors/responses.rs"]
mod responses;

// The control port, the tools, TLS.
#[path = "proxy_vectors/control.rs"]
mod control;
#[path = "proxy_vectors/tools.rs"]
mod tools;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use support::{Backend, DeadPort, Gripd, Head, Response, Setup};

/// Asks for a path of `h.test`, with these header lines, on a connection of its own.
fn ask(gripd: &Gripd, path: &str, headers: &[&str]) -> Response {
    let mut client = gripd.client();
    client.request("GET", path, headers, "");
    client.response()
}

/// Part `n` of a JWT, decoded.
fn jwt_part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// gripd with these routes, where `A` and `B` stand for two backends that say their letter and
/// `D` for an address nobody listens on.
struct Lines {
    gripd: Gripd,
    a: Backend,
    b: Backend,
    _d: DeadPort,
}

impl Lines {
    fn new(lines: &[&str]) -> Self {
        Self::with(lines, |c| c)
    }

    fn with(lines: &[&str], more: impl FnOnce(Setup) -> Setup) -> Self {
        let (a, b, d) = (Backend::saying("A"), Backend::saying("B"), DeadPort::new());
        let gripd = Gripd::start(|mut c| {
            for line in lines {
                let line: Vec<String> = line
                    .split(' ')
                    .map(|word| {
                        let (name, options) = match word.split_once([',', '#']) {
                            Some((name, _)) => word.split_at(name.len()),
                            None => (word, ""),
                        };
                        match name {
                            "A" => format!("{}{options}", a.addr),
                            "B" => format!("{}{options}", b.addr),
                            "D" => format!("{}{options}", d.addr),
                            _ => word.to_owned(),
                        }
                    })
                    .collect();
                c = c.route(line.join(" "));
            }
            more(c)
        });
        Self { gripd, a, b, _d: d }
    }

    /// Status, who answered, and what it was asked.
    fn ask(&self, host: &str, path: &str, headers: &[&str]) -> (u16, String, Option<Head>) {
        let host = format!("Host: {host}");
        let mut all = vec![host.as_str()];
        all.extend_from_slice(headers);
        let mut client = self.gripd.client();
        client.request("GET", path, &all, "");
        let response = client.response();
        let seen = match response.text().as_str() {
            "A" => Some(self.a.last().head),
            "B" => Some(self.b.last().head),
            _ => None,
        };
        (response.status(), response.text(), seen)
    }

    /// What the backend sees of a `GET` of `h.test`.
    fn seen(&self, path: &str, headers: &[&str]) -> Head {
        let (status, text, seen) = self.ask("h.test", path, headers);
        assert_eq!(status, 200, "{path}: {text}");
        seen.expect("a backend answered")
    }
}
