//! What the client gets of an answer: interim ones, framing, cuts, times, upgrades, instructs.

use super::*;

/// A backend that gives one answer and then keeps the connection open without a word.
async fn quiet_after(answer: &'static str) -> u16 {
    let (listener, port) = listen().await;
    spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        until_closed(&mut stream).await;
    });
    port
}

#[tokio::test]
async fn an_answer_keeps_order_repeats_spelling_and_reason() {
    local(async {
        let (port, _) = backend(&[&[
            "HTTP/1.1 200 Fine\r\nX-A: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nset-cookie: a\r\n\
             Set-Cookie: b\r\nServer: s\r\nContent-Encoding: identity\r\nKeep-Alive: x\r\n\
             Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ]])
        .await;
        let answer = to(&[port]).pass(GET).await.unwrap();
        let names: Vec<_> = answer
            .head
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "x-a",
                "set-cookie",
                "set-cookie",
                "server",
                "content-encoding"
            ]
        );
        let reason = answer
            .head
            .extensions
            .get::<hyper::ext::ReasonPhrase>()
            .unwrap();
        assert_eq!(reason.as_bytes(), b"Fine");
        assert!(!answer.instruct);
        assert_eq!(read_all(answer.body).await.unwrap(), "ok");
    })
    .await;
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    local(async {
        let (port, _) = backend(&[&[
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ]])
        .await;
        let answer = to(&[port]).pass(GET).await.unwrap();
        assert_eq!(answer.head.status, 200);
        assert!(!answer.head.headers.contains_key("link"));
        assert_eq!(read_all(answer.body).await.unwrap(), "ok");
    })
    .await;
}

#[tokio::test]
async fn answers_without_a_body_are_not_waited_for() {
    local(async {
        let table = [
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
                Some("1234"),
            ),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                None,
            ),
            (
                "GET",
                "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                None,
            ),
            (
                "GET",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                None,
            ),
        ];
        for (method, answer, length) in table {
            let forwarder = to(&[quiet_after(answer).await]);
            let raw = format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n");
            let answer = forwarder.pass(raw).await.unwrap();
            let found = answer.head.headers.get("content-length");
            assert_eq!(found.map(|length| length.to_str().unwrap()), length);
            assert_eq!(read_all(answer.body).await.unwrap(), "");
            forwarder.until_idle(1).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_http_is_garbage() {
    local(async {
        let table: &[&'static [&'static [&'static str]]] = &[
            &[&["hello\r\n\r\n"]],
            &[&["HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n"]],
            &[&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"]],
            &[&["HTTP/1.1 200 OK\r\nX Y: 2\r\n\r\n"]],
            &[&["HTTP/1.1 200 OK\r\nX-Y : 2\r\n\r\n"]],
            &[&["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"]],
            &[&["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"]],
            &[&["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]],
            &[&["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]],
        ];
        for script in table {
            let (port, _) = backend(script).await;
            let failure = to(&[port]).pass(GET).await.unwrap_err();
            let is_garbage = matches!(&failure.cause, Cause::Upstream(Error::Garbage(_)));
            assert!(
                is_garbage && failure.status() == 502,
                "{script:?}: {failure:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn large_heads_pass_up_to_the_limit() {
    local(async {
        let answer = |count: usize, size: usize| {
            let line = format!("X-Y: {}\r\n", "y".repeat(size));
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n",
                line.repeat(count)
            )
        };
        for (most, count, size, passes) in [
            (100, 99, 10, true),
            (100, 100, 10, false),
            (300, 200, 10, true),
            (100, 1, 9000, true),
            (100, 30, 9000, false),
        ] {
            let (listener, port) = listen().await;
            let text = answer(count, size);
            spawn_local(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream).await.unwrap();
                let _ = stream.write_all(text.as_bytes()).await;
                until_closed(&mut stream).await;
            });
            let mut settings = Settings::default();
            settings.limits.response_headers = most;
            let result = forwarder(settings, route(&[port])).pass(GET).await;
            assert_eq!(result.is_ok(), passes, "{count} {size}: {result:?}");
            if let Err(failure) = result {
                let why = failure.cause.to_string();
                assert!(why.contains("limits.response_headers"), "{why}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_cut_short_is_an_error() {
    local(async {
        let table: &[&'static [&'static [&'static str]]] = &[
            &[&["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"]],
            &[&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]],
            &[&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"]],
        ];
        for script in table {
            let (port, _) = backend(script).await;
            let mut body = to(&[port]).pass(GET).await.unwrap().body;
            assert_eq!(
                body.frame().await.unwrap().unwrap().into_data().unwrap(),
                "abc"
            );
            let end = body.frame().await.unwrap().unwrap_err();
            assert!(matches!(end, Error::Cut(_)), "{script:?}: {end:?}");
            assert!(!http_body::Body::is_end_stream(&body));
        }
        let (port, _) = backend(&[&["HTTP/1.1 200 OK\r\n\r\nuntil the end"]]).await;
        assert_eq!(to(&[port]).text(GET).await.1, "until the end");
    })
    .await;
}

#[tokio::test]
async fn too_slow_names_the_setting() {
    local(async {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
        let mut settings = Settings::default();
        settings.timeouts.response = Duration::from_millis(20);
        settings.timeouts.idle = Duration::from_millis(20);
        let own = Some(Duration::from_millis(10));
        let timeouts = crate::routes::grammar::RouteTimeouts {
            connect: None,
            response: own,
            idle: own,
        };
        let table = [
            (
                RouteTimeoutsOf::Settings,
                "timeouts.response",
                "timeouts.idle",
            ),
            (
                RouteTimeoutsOf::Route,
                "route option response_timeout",
                "route option idle_timeout",
            ),
        ];
        for (whose, response, idle) in table {
            let with = |port| {
                let mut route = route(&[port]);
                if matches!(whose, RouteTimeoutsOf::Route) {
                    route.timeouts = timeouts;
                }
                forwarder(settings.clone(), route)
            };
            let failure = with(quiet_after("").await).pass(GET).await.unwrap_err();
            assert_eq!(failure.status(), 504);
            assert!(failure.to_string().contains(response), "{failure}");
            let answer = with(quiet_after(head).await).pass(GET).await.unwrap();
            let error = read_all(answer.body).await.unwrap_err();
            let Error::TimedOut(wait) = error else {
                panic!("{error:?}")
            };
            assert_eq!(wait.setting, idle);
        }
    })
    .await;
}

#[derive(Clone, Copy)]
enum RouteTimeoutsOf {
    Settings,
    Route,
}

#[tokio::test]
async fn who_gives_up_closes_the_backends_connection() {
    local(async {
        let (listener, port) = listen().await;
        let forwarder = Rc::new(to(&[port]));
        let waiting = forwarder.clone();
        let task = spawn_local(async move { waiting.pass(GET).await.map(|_| ()) });
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        task.abort();
        until_closed(&mut stream).await;

        let waiting = forwarder.clone();
        let task = spawn_local(async move { waiting.pass(GET).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
            .await
            .unwrap();
        drop(task.await.unwrap().unwrap());
        until_closed(&mut stream).await;
        assert_eq!(forwarder.idle(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_early_answer_is_relayed_and_its_connection_not_reused() {
    local(async {
        let (listener, port) = listen().await;
        let forwarder = to(&[port]);
        let raw = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\nbegin";
        let asked = ask(raw).await;
        let client = Client::default();
        let forward = forwarder.go(asked.head, asked.upload.clone(), &client);
        let backend = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut byte = String::new();
            while !byte.ends_with("begin") {
                byte.push(char::from(stream.read_u8().await.unwrap()));
            }
            let answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer).await.unwrap();
            stream
        };
        let (answer, mut stream) = tokio::join!(forward, backend);
        let answer = answer.unwrap();
        assert_eq!(answer.head.status, 413);
        assert_eq!(read_all(answer.body).await.unwrap(), "no");
        until_closed(&mut stream).await;
        assert_eq!(forwarder.idle(), 0);
        assert!(!asked.upload.is_complete());
    })
    .await;
}

#[tokio::test]
async fn both_ways_stream_at_once() {
    local(async {
        let (listener, port) = listen().await;
        let forwarder = to(&[port]);
        let mut asked = ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n").await;
        let client = Client::default();
        let forward = forwarder.go(asked.head, asked.upload.clone(), &client);
        let backend = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(char::from(stream.read_u8().await.unwrap()));
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream
        };
        let (answer, mut stream) = tokio::join!(forward, backend);
        let mut body = answer.unwrap().body;
        for letter in ["a", "b"] {
            asked.client.write_all(letter.as_bytes()).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), letter.as_bytes()[0]);
            stream.write_all(letter.as_bytes()).await.unwrap();
            assert_eq!(
                body.frame().await.unwrap().unwrap().into_data().unwrap(),
                letter
            );
        }
        forwarder.until_idle(1).await;
    })
    .await;
}

#[tokio::test]
async fn both_agree_to_leave_http() {
    local(async {
        let (listener, port) = listen().await;
        let forwarder = to(&[port]);
        let raw = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
        let backend = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await.unwrap();
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                          Connection: Upgrade\r\n\r\nearly";
            stream.write_all(answer.as_bytes()).await.unwrap();
            (stream, request)
        };
        let (answer, (mut stream, request)) = tokio::join!(forwarder.pass(raw), backend);
        let answer = answer.unwrap();
        assert!(
            request.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"),
            "{request}"
        );
        assert_eq!(answer.head.status, 101);
        assert_eq!(answer.head.headers["upgrade"], "websocket");
        let mut upgraded = TokioIo::new(answer.upgrade.unwrap().await.unwrap());
        let mut early = [0; 5];
        upgraded.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early");
        upgraded.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        drop(upgraded);
        until_closed(&mut stream).await;
    })
    .await;
}

#[tokio::test]
async fn declared_trailers_pass() {
    local(async {
        let (port, _) = backend(&[&[
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n\
             0\r\nX-Sum: 7\r\n\r\n",
        ]])
        .await;
        let raw = "GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n";
        let answer = to(&[port]).pass(raw).await.unwrap();
        assert_eq!(answer.head.headers["trailer"], "X-Sum");
        let read = answer.body.collect().await.unwrap();
        assert_eq!(read.trailers().unwrap()["x-sum"], "7");
    })
    .await;
}

async fn collected(answer: impl AsRef<[u8]> + 'static, limit: usize) -> Result<Collected, Failure> {
    let (listener, port) = listen().await;
    spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(answer.as_ref()).await.unwrap();
    });
    let answer = to(&[port]).pass(GET).await.unwrap();
    assert!(answer.instruct);
    collect(answer, limit).await
}

#[tokio::test]
async fn an_instruct_is_collected_and_decoded() {
    local(async {
        // `nothing`, stored as it is, between the head and the checksum of zlib.
        let stored = b"\x78\x01\x01\x07\x00\xf8\xffnothing\x0c\x05\x02\xf8";
        let plain = |body: &str, coding: &str| {
            format!(
                "HTTP/1.1 203 Held\r\nGrip-Hold: stream\r\nContent-Encoding: {coding}\r\nX-Y: z\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let whole = collected(plain("nothing", "identity"), 7).await.unwrap();
        assert!(whole.rest.is_none());
        let response = whole.response;
        assert_eq!(
            (response.code, &*response.reason, &*response.body),
            (203, "Held", &b"nothing"[..])
        );
        let names: Vec<_> = response
            .headers
            .iter()
            .map(|header| header.name.as_str())
            .collect();
        assert_eq!(names, ["Grip-Hold", "X-Y"]);

        let head = plain(&"z".repeat(stored.len()), "deflate");
        let packed = [head.trim_end_matches('z').as_bytes(), stored].concat();
        let whole = collected(packed.clone(), stored.len()).await.unwrap();
        let response = whole.response;
        assert_eq!(&*response.body, b"nothing");
        assert_eq!(response.headers.len(), 2);
        let failure = collected(packed, stored.len() - 1).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::InstructTooLarge { .. }),
            "{failure:?}"
        );

        let large = collected(plain("nothing", "identity"), 6).await.unwrap();
        let rest = read_all(large.rest.unwrap()).await.unwrap();
        let begun = std::str::from_utf8(&large.response.body).unwrap();
        assert_eq!(format!("{begun}{rest}"), "nothing");
        assert_eq!(large.response.code, 203);

        let failure = collected(plain("nothing", "gzip"), 6).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::InstructTooLarge { limit: 6, .. }),
            "{failure:?}"
        );
        let failure = collected(plain("nothing", "gzip"), 7).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::Encoding { .. }),
            "{failure:?}"
        );
        let cut = plain("nothing", "identity").replace("Length: 7", "Length: 8");
        let failure = collected(cut, 100).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::Upstream(Error::Cut(_))),
            "{failure:?}"
        );
    })
    .await;
}
