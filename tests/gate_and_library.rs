//! The gate and the HTTP library behind it agree: a request that passes the gate is served by
//! hyper as the same request. (One that passed and was then refused by hyper would be answered with
//! an empty 400 that tells nobody why; one that hyper reads differently would be smuggled.)

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use gripd::http1::gate::{BodyScan, Limits, scan_head};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What hyper made of one request.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// What a hyper server makes of these bytes, and the status of its first answer.
async fn hyper_reads(bytes: &[u8]) -> (Vec<Seen>, String) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let notes = Arc::clone(&notes);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_default().to_bytes();
            let headers = head.headers.iter();
            notes.lock().unwrap().push(Seen {
                method: head.method.to_string(),
                target: head.uri.to_string(),
                headers: headers
                    .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                    .collect(),
                body: body.to_vec(),
            });
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .half_close(true)
        .max_headers(Limits::default().headers);
    let connection = builder.serve_connection(TokioIo::new(server), service);
    // Its error, if any, shows in what was seen and answered.
    let _ = connection.await;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let status = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
    let seen = seen.lock().unwrap().clone();
    (seen, status)
}

/// The request's method, target and body as the gate delimits them; `None` where it refuses.
fn gate_reads(bytes: &[u8]) -> Option<(String, String, usize)> {
    let limits = Limits::default();
    let head = scan_head(bytes, &limits).ok().flatten()?;
    let text = bytes.iter().position(|b| !b"\r\n".contains(b)).unwrap();
    let line = std::str::from_utf8(&bytes[text..head.len]).ok()?;
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let mut body = BodyScan::new(head.framing, 0);
    let len = body.feed(&bytes[head.len..]).ok()?;
    body.is_done()
        .then(|| (words.next().unwrap(), words.next().unwrap(), head.len + len))
}

async fn agrees(bytes: &[u8]) -> bool {
    let Some((method, target, len)) = gate_reads(bytes) else {
        return false;
    };
    let shown = String::from_utf8_lossy(bytes);
    let (seen, status) = hyper_reads(&bytes[..len]).await;
    assert_eq!(seen.len(), 1, "{shown:?}: {status}");
    assert_eq!(seen[0].method, method, "{shown:?}");
    // The library adds the path that a URL may leave out, and puts schemes and hosts in lower case.
    let plain = |target: &str| target.to_ascii_lowercase().replacen("/?", "?", 1);
    let (got, want) = (plain(&seen[0].target), plain(&target));
    assert!(got == want || got == want + "/", "{shown:?}: {got}");
    true
}

#[tokio::test]
async fn every_byte_that_may_stand_in_a_target_is_taken_behind() {
    let mut passed = [0; 3];
    for byte in 0..=255_u8 {
        for (place, before) in ["/a", "/a?b=", "http://a.test/"].iter().enumerate() {
            let head = [
                b"GET ",
                before.as_bytes(),
                &[byte],
                b" HTTP/1.1\r\nHost: a\r\n\r\n",
            ];
            passed[place] += usize::from(agrees(&head.concat()).await);
        }
    }
    // All visible ASCII but what a URI may not hold.
    assert_eq!(passed, [94 - 4, 94 - 4, 94 - 4]);
}

#[tokio::test]
async fn every_byte_that_may_stand_in_a_host_a_name_or_a_value_is_taken_behind() {
    let mut passed = [0; 4];
    for byte in 0..=255_u8 {
        for (place, (before, after)) in [
            ("GET http://a", "b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a", "b\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX", ": y\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a", "b\r\n\r\n"),
        ]
        .iter()
        .enumerate()
        {
            let head = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            passed[place] += usize::from(agrees_on_head(&head).await);
        }
    }
    let letters = 62;
    let tokens = letters + 15;
    // Values: all but 31 control characters (the tab may stand) and DEL.
    // A path or query may begin right behind the URL's host; `:` begins the value of "X".
    assert_eq!(passed, [letters + 4 + 2, letters + 4, tokens + 1, 256 - 32]);
}

/// As [`agrees`], for heads that are no UTF-8 or whose target the library writes otherwise.
async fn agrees_on_head(bytes: &[u8]) -> bool {
    let Ok(Some(head)) = scan_head(bytes, &Limits::default()) else {
        return false;
    };
    let (seen, status) = hyper_reads(&bytes[..head.len]).await;
    let shown = bytes.escape_ascii();
    assert_eq!((seen.len(), &*status), (1, "HTTP/1.1 200"), "{shown}");
    true
}

#[tokio::test]
async fn requests_are_delimited_alike() {
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD HTTP://A.test:80?q HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         0000000000000003;a=\"b c\";d\r\nabc\r\n00;e\r\nX-Sum: 1\r\nY:\r\n\r\n",
    ] {
        assert!(agrees(request.as_bytes()).await, "{request:?}");
        let next = format!("{request}GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            gate_reads(next.as_bytes()).unwrap().2,
            request.len(),
            "{request:?}"
        );
        if !request.contains("HTTP/1.0") {
            let (seen, _) = hyper_reads(next.as_bytes()).await;
            assert_eq!(seen.len(), 2, "{next:?}");
            assert_eq!(seen[1].target, "/next");
        }
    }
}
