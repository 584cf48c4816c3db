//! Requests gripd makes by itself: what the backend sees of them, and which backend that is.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::*;
use crate::grip::signature::Verifier;

const HELD: &str = "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nContent-Length: 5\r\n\r\nfirst";
const NEXT: &str = "HTTP/1.1 200 OK\r\nGrip-hOld: stream\r\nContent-Length: 4\r\n\r\nnext";

/// Where a held client of this route is at home, without having asked.
fn at_home(route: Route, authority: &str) -> Home {
    Home {
        route: Arc::new(route),
        target: 0,
        url: Location::of(false, authority, "/in/", None).unwrap(),
    }
}

fn pairs(last: &[(&str, &str)]) -> Vec<(String, String)> {
    last.iter()
        .map(|(channel, id)| ((*channel).to_owned(), (*id).to_owned()))
        .collect()
}

/// A forwarder that knows no route at all.
fn lost() -> Forwarder {
    let settings = Settings::default();
    let common = Common::new(&settings);
    let routes = Arc::new(ArcSwap::from_pointee(Table::default()));
    Forwarder::new(Arc::new(settings), routes, common, welcome())
}

#[tokio::test]
async fn a_next_link_goes_through_the_clients_route() {
    local(async {
        let (port, seen) = backend(&[&[HELD], &[NEXT]]).await;
        let route = Route {
            path_beg: "/in/".into(),
            path_rem: 3,
            as_host: Some("as.example".into()),
            headers: vec![("X-Route".into(), "1".into())],
            ..route(&[port])
        };
        let raw = "GET /in/a?q=1 HTTP/1.1\r\nHost: H.test:8000\r\nCookie: c\r\nX-A: 1\r\n\r\n";
        let answer = forwarder(Settings::default(), route)
            .pass(raw)
            .await
            .unwrap();
        let home = answer.home().unwrap();
        assert_eq!(home.url.as_str(), "http://h.test:8000/in/a?q=1");
        assert_eq!(read_all(answer.body).await.unwrap(), "first");

        let fetch = Fetch {
            last: pairs(&[("a", "1"), ("b", "")]),
            ..Fetch::get(&home, home.url.join("b?after=%7E").unwrap())
        };
        let answer = lost().fetch(&fetch).await.unwrap();
        assert!(!answer.instruct && answer.home().is_none());
        assert_eq!(answer.asked.path, "/in/b");
        let collected = collect(answer, 100).await.unwrap();
        assert_eq!(collected.response.body, "next");
        assert_eq!(collected.response.headers[0].name, "Grip-hOld");
        let expected = format!(
            "GET /b?after=%7E HTTP/1.1\r\nHost: as.example\r\nGrip-Feature: {}\r\n\
             Grip-Last: a; last-id=1\r\nGrip-Last: b; last-id=\r\n\r\n",
            grip::FEATURES
        );
        let seen = seen.borrow();
        assert_eq!(unsigned(&seen[1][0]), expected);
        assert_ne!(unsigned(&seen[1][0]), seen[1][0], "it is signed");
    })
    .await;
}

#[tokio::test]
async fn a_post_has_its_own_headers_and_body() {
    local(async {
        let (port, seen) = backend(&[&[OK, OK], &[OK]]).await;
        let home = at_home(route(&[port]), "h.test");
        let gone = Fetch::post(&home, home.url.join("gone").unwrap(), Bytes::new());
        let check = Fetch {
            headers: vec![(
                HeaderName::from_static("sub-meta"),
                HeaderValue::from_static("{\"user\":\"x\"}"),
            )],
            ..Fetch::post(&home, home.url.join("/check").unwrap(), "content".into())
        };
        let forwarder = lost();
        for fetch in [gone, check] {
            let answer = forwarder.fetch(&fetch).await.unwrap();
            assert_eq!(read_all(answer.body).await.unwrap(), "ok");
        }
        let grip = format!("Grip-Feature: {}\r\n", grip::FEATURES);
        let seen: Vec<_> = seen
            .borrow()
            .iter()
            .flatten()
            .map(|one| unsigned(one))
            .collect();
        assert_eq!(
            seen,
            [
                format!(
                    "POST /in/gone HTTP/1.1\r\nHost: h.test\r\n{grip}Content-Length: 0\r\n\r\n"
                ),
                format!(
                    "POST /check HTTP/1.1\r\nHost: h.test\r\n{grip}Sub-Meta: {{\"user\":\"x\"}}\r\n\
                     Content-Length: 7\r\n\r\ncontent"
                ),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn hosts_elsewhere_are_asked_directly() {
    local(async {
        let (port, seen) = backend(&[&[OK]]).await;
        let route = Route {
            path_beg: "/in/".into(),
            path_rem: 3,
            as_host: Some("as.example".into()),
            sig_key: Some("own".into()),
            ..route(&[dead_port().await])
        };
        let home = at_home(route, "h.test");
        let link = format!("http://localhost:{port}/in/x");
        let fetch = Fetch::get(&home, home.url.join(&link).unwrap());
        let answer = lost().fetch(&fetch).await.unwrap();
        assert_eq!(
            show_backend(&answer.route, answer.target),
            format!("localhost:{port}")
        );
        assert_eq!(read_all(answer.body).await.unwrap(), "ok");
        let request = seen.borrow()[0][0].clone();
        let start = format!("GET /in/x HTTP/1.1\r\nHost: localhost:{port}\r\n");
        assert!(request.starts_with(&start), "{request}");
        let (_, rest) = request.split_once("Grip-Sig: ").unwrap();
        let signature = rest.split_once("\r\n").unwrap().0;
        let verifier = Verifier::new("own", std::path::Path::new(""))
            .unwrap()
            .unwrap();
        assert!(
            verifier.verify(signature.as_bytes(), 1).is_ok(),
            "the route's key signs"
        );
    })
    .await;
}

#[tokio::test]
async fn a_client_cannot_choose_whom_gripd_connects_to() {
    local(async {
        let (named, _) = listen().await;
        let authority = named.local_addr().unwrap().to_string();
        let (port, seen) = backend(&[&[OK]]).await;
        let own = Route {
            path_beg: "/in/".into(),
            ..route(&[dead_port().await])
        };
        let home = at_home(own, &authority);
        let fetch = Fetch::get(&home, home.url.join("/out").unwrap());
        // Not a path of the client's route: that of another, or nobody's.
        let answer = to(&[port]).fetch(&fetch).await.unwrap();
        assert_eq!(read_all(answer.body).await.unwrap(), "ok");
        assert!(seen.borrow()[0][0].starts_with("GET /out "));
        let failure = lost().fetch(&fetch).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::NoRoute { .. }),
            "{failure:?}"
        );
        let nobody = tokio::time::timeout(Duration::ZERO, named.accept()).await;
        assert!(nobody.is_err(), "the host itself was asked");
    })
    .await;
}

#[tokio::test]
async fn an_untrusted_backend_sends_nobody_to_private_addresses() {
    local(async {
        let (port, seen) = backend(&[&[OK]]).await;
        let mut route = route(&[dead_port().await]);
        route.targets[0].untrusted = true;
        let home = at_home(route, "h.test");
        let link = format!("http://127.0.0.1:{port}/");
        let fetch = Fetch::get(&home, home.url.join(&link).unwrap());
        let failure = lost().fetch(&fetch).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Upstream(Error::Blocked));
        assert!(seen.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn slow_ones_are_given_up() {
    local(async {
        let (listener, port) = listen().await;
        let home = at_home(route(&[port]), "h.test");
        let fetch = |link| Fetch::get(&home, home.url.join(link).unwrap());
        let slow = Fetch {
            timeout: Some(Duration::from_millis(20)),
            ..fetch("x")
        };
        let forwarder = lost();
        let (result, (mut stream, _)) = tokio::join!(forwarder.fetch(&slow), async {
            listener.accept().await.unwrap()
        });
        assert_eq!(result.unwrap_err().status(), 504);
        until_closed(&mut stream).await;
    })
    .await;
}

#[tokio::test]
async fn an_opened_answer_is_read_piece_by_piece() {
    local(async {
        const PLAIN: &str = "HTTP/1.1 200 Fine\r\nGrip-Link: </n>; rel=next\r\n\r\nrest";
        const CODED: &str = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nrest";
        let (port, _) = backend(&[&[PLAIN], &[CODED]]).await;
        let home = at_home(route(&[port]), "h.test");
        let fetch = Fetch::get(&home, home.url.clone());
        let (head, mut body) = lost().fetch(&fetch).await.unwrap().open().unwrap();
        assert_eq!(
            (head.code, &*head.reason, head.body.len()),
            (200, "Fine", 0)
        );
        assert_eq!(head.headers[0].name, "Grip-Link");
        let piece = body.frame().await.unwrap().unwrap();
        assert_eq!(piece.into_data().unwrap(), "rest");
        let failure = lost().fetch(&fetch).await.unwrap().open().unwrap_err();
        assert!(
            matches!(failure.cause, Cause::Encoding { .. }),
            "{failure:?}"
        );
    })
    .await;
}
