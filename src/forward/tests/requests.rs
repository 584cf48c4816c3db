//! What the backend sees, and which backend that is.

use super::*;

async fn seen_of(settings: Settings, route: impl FnOnce(u16) -> Route, raw: &str) -> String {
    let (port, seen) = backend(&[&[OK]]).await;
    let forwarder = forwarder(settings, route(port));
    assert_eq!(forwarder.text(raw).await, (200, "ok".into()));
    let seen = seen.borrow()[0][0].clone();
    assert!(
        seen.to_ascii_lowercase().contains("\r\ngrip-sig: "),
        "{seen}"
    );
    unsigned(&seen)
}

#[tokio::test]
async fn order_and_spelling_of_headers_are_kept() {
    local(async {
        let mut settings = Settings::default();
        settings.proxy.cdn_loop = "testcdn".into();
        settings.proxy.x_forwarded_for.append = true;
        let raw = "GET /a/../b%7E?q=1&&? HTTP/1.1\r\nX-Zed: 1\r\nx-aCe: 2\r\nhOst: H.Test:80\r\n\
                   Connection: close, X-Hop\r\nX-Hop: 1\r\nX-Zed: 3\r\nCookie: a\r\nCookie: b\r\n\
                   GRIP-Sig: forged\r\nGrip_Sig: forged\r\nGrip-X: y\r\nAccept-Encoding: gzip\r\nX-Empty:\r\n\r\n";
        let expected = format!(
            "GET /b%7E?q=1&&? HTTP/1.1\r\nhOst: h.test\r\nX-Zed: 1\r\nX-Zed: 3\r\nx-aCe: 2\r\n\
             Cookie: a\r\nCookie: b\r\nAccept-Encoding: gzip\r\nX-Empty:\r\n\
             Cdn-Loop: testcdn\r\nGrip-Feature: {}\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
            grip::FEATURES
        );
        let seen = seen_of(settings, |port| route(&[port]), raw).await;
        assert_eq!(seen, expected);
    })
    .await;
}

#[tokio::test]
async fn bodies_are_framed_once() {
    local(async {
        let table = [
            ("GET", "", "", "", ""),
            ("HEAD", "", "", "", ""),
            ("OPTIONS", "", "", "", ""),
            ("POST", "", "", "Content-Length: 0", ""),
            ("DELETE", "", "", "Content-Length: 0", ""),
            (
                "POST",
                "Content-Length: 5",
                "hello",
                "Content-Length: 5",
                "hello",
            ),
            (
                "GET",
                "Content-Length: 5",
                "hello",
                "Content-Length: 5",
                "hello",
            ),
            (
                "POST",
                "Transfer-Encoding: chunked",
                "5\r\nhello\r\n0\r\n\r\n",
                "Content-Length: 5",
                "hello",
            ),
        ];
        for (method, framing, body, expected, arrived) in table {
            let (port, seen) = backend(&[&[OK]]).await;
            let line = if framing.is_empty() {
                String::new()
            } else {
                format!("{framing}\r\n")
            };
            let raw = format!("{method} / HTTP/1.1\r\nHost: h\r\n{line}\r\n{body}");
            to(&[port]).pass(raw).await.unwrap();
            let seen = seen.borrow()[0][0].clone();
            let (head, rest) = seen.split_once("\r\n\r\n").unwrap();
            let framing: Vec<_> = head
                .split("\r\n")
                .filter(|line| line.starts_with("Content-L") || line.starts_with("Transfer"))
                .collect();
            assert_eq!(
                (framing.join(",").as_str(), rest),
                (expected, arrived),
                "{method}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_chunked_body_and_its_trailers_arrive() {
    local(async {
        let (port, seen) = backend(&[&[OK]]).await;
        let piece = "x".repeat(60_000);
        let raw = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
             Transfer-Encoding: chunked\r\n\r\n{0:x}\r\n{piece}\r\n{0:x}\r\n{piece}\r\n\
             0\r\nX-Sum: 7\r\n\r\n",
            piece.len()
        );
        assert_eq!(to(&[port]).text(raw).await.0, 200);
        let seen = seen.borrow()[0][0].clone();
        assert!(seen.contains("\r\nTransfer-Encoding: chunked\r\n"));
        assert!(seen.contains("\r\nTE: trailers\r\n") && seen.contains("\r\nConnection: TE\r\n"));
        assert!(seen.len() > 120_000);
        assert!(
            seen.to_ascii_lowercase()
                .ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"),
            "trailers"
        );
    })
    .await;
}

#[tokio::test]
async fn host_goes_by_target_then_route_then_client() {
    local(async {
        let table = [
            (None, None, "GET / HTTP/1.1\r\n\r\n", "localhost"),
            (None, None, "GET / HTTP/1.0\r\n\r\n", "localhost"),
            (
                None,
                None,
                "GET http://B.test:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
                "b.test:81",
            ),
            (Some("as.example:81"), None, GET, "as.example:81"),
            (
                Some("as.example"),
                Some("t.example:8080"),
                GET,
                "t.example:8080",
            ),
        ];
        for (as_host, host, raw, expected) in table {
            let route = |port| Route {
                as_host: as_host.map(str::to_owned),
                targets: vec![Target {
                    host: host.map(str::to_owned),
                    ..target(port)
                }],
                ..Route::default()
            };
            let seen = seen_of(Settings::default(), route, raw).await;
            assert!(
                seen.contains(&format!("\r\nHost: {expected}\r\n")),
                "{seen}"
            );
            assert!(seen.starts_with("GET / HTTP/1.1\r\n"), "{seen}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_grip_sends_none() {
    local(async {
        let (port, seen) =
            backend(&[&["HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nContent-Length: 0\r\n\r\n"]])
                .await;
        let forwarder = forwarder(
            Settings::default(),
            Route {
                no_grip: true,
                ..route(&[port])
            },
        );
        let raw = "GET / HTTP/1.1\r\nHost: h\r\nGrip-Sig: x\r\nGrip-Foo: y\r\n\r\n";
        let answer = forwarder.pass(raw).await.unwrap();
        assert!(!answer.instruct && answer.head.headers.contains_key("grip-hold"));
        assert!(!seen.borrow()[0][0].to_ascii_lowercase().contains("grip-"));
    })
    .await;
}

#[tokio::test]
async fn the_next_target_gets_the_whole_body() {
    local(async {
        let (port, seen) = backend(&[&[OK]]).await;
        let forwarder = to(&[dead_port().await, port]);
        let body = "b".repeat(300_000);
        let raw = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n{body}");
        let asked = forwarder.pass(raw).await.unwrap();
        assert_eq!(asked.target, 1);
        assert!(seen.borrow()[0][0].ends_with(&body));
    })
    .await;
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    local(async {
        let (port, _) = backend(&[&[OK]]).await;
        // The backend listens on 127.0.0.1 only; `localhost` may be ::1 first.
        let target = Target {
            address: Address::Host("localhost".into(), port),
            ..Target::default()
        };
        let route = Route {
            targets: vec![target],
            ..Route::default()
        };
        assert_eq!(forwarder(Settings::default(), route).text(GET).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn when_all_targets_are_dead_they_are_named() {
    local(async {
        let dead = dead_port().await;
        let route = Route {
            debug: true,
            ..route(&[dead, dead])
        };
        let failure = forwarder(Settings::default(), route)
            .pass(GET)
            .await
            .unwrap_err();
        assert_eq!(failure.status(), 502);
        let Cause::Connect {
            tried, slow: false, ..
        } = &failure.cause
        else {
            panic!("{failure:?}")
        };
        assert_eq!(tried.len(), 2);
        let sentence = failure.sentence();
        assert_eq!(
            sentence.matches(&format!("127.0.0.1:{dead} (")).count(),
            2,
            "{sentence}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_name_without_address_is_told() {
    local(async {
        let address = Address::Host("no-such-host.invalid".into(), 80);
        let targets = vec![Target {
            address,
            ..Target::default()
        }];
        let forwarder = forwarder(
            Settings::default(),
            Route {
                targets,
                ..Route::default()
            },
        );
        let failure = forwarder.pass(GET).await.unwrap_err();
        assert!(
            matches!(&failure.cause, Cause::Upstream(Error::Name(_))),
            "{failure:?}"
        );
        assert!(!failure.sentence().contains("no-such-host"));
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_before_a_backend_is_asked() {
    local(async {
        let with = |change: fn(&mut Target)| {
            let mut first = target(9);
            change(&mut first);
            // The second target must not be asked: it would answer.
            Route {
                targets: vec![first, Target::default()],
                ..Route::default()
            }
        };
        let events = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\
                      Content-Type: application/websocket-events\r\n\r\n";
        let no_route = Route {
            path_beg: "/x".into(),
            ..Route::default()
        };
        let table = [
            (with(|t| t.over_http = true), events, 403),
            (
                with(|t| t.address = Address::Zhttp("tcp://a:1".into())),
                GET,
                501,
            ),
            (
                with(|t| t.address = Address::ZhttpReq("tcp://a:1".into())),
                GET,
                501,
            ),
            (with(|t| t.untrusted = true), GET, 502),
            (no_route, GET, 502),
        ];
        for (index, (route, raw, status)) in table.into_iter().enumerate() {
            let failure = forwarder(Settings::default(), route)
                .pass(raw)
                .await
                .unwrap_err();
            assert_eq!(failure.status(), status, "row {index}: {failure:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    local(async {
        let mut settings = Settings::default();
        settings.limits.request_body = 4;
        let (port, _) = backend(&[&[OK]]).await;
        let forwarder = forwarder(settings, route(&[port]));
        let raws = [
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ];
        for raw in raws {
            assert_eq!(forwarder.pass(raw).await.unwrap_err().status(), 413);
        }
    })
    .await;
}

#[tokio::test]
async fn clients_name_a_route_only_where_they_may() {
    local(async {
        let (port, seen) = backend(&[&[OK, OK]]).await;
        let by_id = Route {
            id: Some("one".into()),
            path_beg: "/a".into(),
            ..route(&[port])
        };
        let raw = |path: &str, id: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: h\r\nPushpin-Route: {id}\r\n\r\n")
        };
        let mut settings = Settings::default();
        let closed = forwarder(settings.clone(), by_id.clone());
        assert_eq!(
            closed.pass(raw("/a", "nope")).await.unwrap().head.status,
            200
        );
        assert!(seen.borrow()[0][0].contains("Pushpin-Route: nope"));
        settings.proxy.accept_pushpin_route = true;
        let id_only = Route {
            domain: crate::routes::grammar::Domain::IdOnly,
            ..by_id
        };
        let open = forwarder(settings, id_only);
        for (path, id) in [("/a", "nope"), ("/b", "one"), ("/a", "")] {
            let failure = open.pass(raw(path, id)).await.unwrap_err();
            assert!(
                matches!(failure.cause, Cause::NoRoute { .. }),
                "{path} {id}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn the_test_target_answers_like_a_backend() {
    local(async {
        let base = Route {
            path_beg: "/t/".into(),
            targets: vec![Target::default()],
            ..Route::default()
        };
        let forwarder = forwarder(Settings::default(), base);
        let answer = forwarder
            .pass("GET /t/stream?channel=c HTTP/1.1\r\nHost: h\r\n\r\n")
            .await
            .unwrap();
        assert!(answer.instruct);
        assert_eq!(answer.head.headers["grip-channel"], "c");
        let (status, text) = forwarder
            .text("GET /t/nope HTTP/1.1\r\nHost: h\r\n\r\n")
            .await;
        assert_eq!((status, text.as_str()), (404, "no such test resource\n"));
        let body = "b".repeat(100_001);
        let raw = format!("POST /t/ HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n{body}");
        assert_eq!(
            forwarder.text(raw).await,
            (400, "request too large\n".into())
        );
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_tells_the_last_ids() {
    local(async {
        let (port, seen) = backend(&[&[OK]]).await;
        let raw = "GET / HTTP/1.1\r\nHost: h\r\nGrip-Last: forged\r\nX-A: 1\r\n\r\n";
        let asked = ask(raw).await;
        let last = [("a", "1"), ("b c", "\"x\";"), ("n\n", "2")];
        let last = last.map(|(channel, id)| (channel.to_owned(), id.to_owned()));
        let client = Client {
            last: &last,
            ..Client::default()
        };
        let forwarder = to(&[port]);
        let answer = forwarder.go(asked.head, asked.upload, &client).await;
        assert_eq!(read_all(answer.unwrap().body).await.unwrap(), "ok");
        let expected = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nGrip-Feature: {}\r\n\
             Grip-Last: a; last-id=1\r\nGrip-Last: b c; last-id=\"x\";\r\n\r\n",
            grip::FEATURES
        );
        assert_eq!(unsigned(&seen.borrow()[0][0]), expected);
    })
    .await;
}
