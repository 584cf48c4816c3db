//! What backends are told of clients, through the real binary: who may say so, and the element of
//! `Forwarded`.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use support::{Backend, Gripd, Wire};

/// A client with this address.
fn client(gripd: &Gripd, from: [u8; 4]) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::from(from), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&gripd.clients.into()).unwrap();
    Wire::over(socket.into())
}

#[test]
fn only_proxies_in_front_may_tell_of_clients() {
    let backend = Backend::saying("hi");
    let gripd = Gripd::start(|c| {
        c.route(format!("* {}", backend.addr))
            .set("PROXY_TRUSTED_PROXIES", "127.0.0.2, 10.0.0.0/8")
            .set("PROXY_SET_X_FORWARDED_PROTOCOL", "proto-only")
            .set("PROXY_X_FORWARDED_FOR", "append")
            .set("PROXY_SET_FORWARDED", "true")
    });
    let told = |from| {
        let claims = [
            "Host: h.test",
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: forged.test",
            "X_Forwarded_For: 9.9.9.9",
            "Forwarded: for=1.2.3.4",
        ];
        let mut wire = client(&gripd, from);
        wire.request("GET", "/", &claims, "");
        assert_eq!(wire.response().text(), "hi");
        let head = backend.last().head;
        let names = [
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "Forwarded",
        ];
        assert!(from[3] == 2 || !head.has("X_Forwarded_For"));
        names.map(|name| head.get(name).unwrap_or_default().to_owned())
    };
    assert_eq!(
        told([127, 0, 0, 2]),
        [
            "1.2.3.4, 127.0.0.2",
            "https",
            "forged.test",
            "for=1.2.3.4, for=127.0.0.2;host=\"h.test\";proto=https"
        ]
    );
    assert_eq!(
        told([127, 0, 0, 3]),
        [
            "127.0.0.3",
            "",
            "",
            "for=127.0.0.3;host=\"h.test\";proto=http"
        ]
    );
}
