//! Connections used more than once, and what happens when one ended in the meantime.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_connection_serves_many_requests() {
    local(async {
        let (port, seen) = backend(&[&[OK, OK, OK]]).await;
        let forwarder = to(&[port]);
        for _ in 0..3 {
            assert_eq!(forwarder.text(POST).await.0, 200);
            if seen.borrow()[0].len() < 3 {
                forwarder.until_idle(1).await;
            }
        }
        assert_eq!(seen.borrow().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn idempotent_requests_are_sent_again_on_a_new_connection() {
    local(async {
        // The first connection takes a second request and closes without a word.
        for raw in [GET, PUT] {
            let (port, seen) = backend(&[&[OK, ""], &[OK]]).await;
            let forwarder = to(&[port]);
            forwarder.text(GET).await;
            forwarder.until_idle(1).await;
            assert_eq!(forwarder.text(raw).await, (200, "ok".into()));
            let seen = seen.borrow();
            assert_eq!((seen[0].len(), seen[1].len()), (2, 1));
            assert_eq!(seen[0][1], seen[1][0], "the same request, with its body");
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_spelled_as_before() {
    local(async {
        let many = (0..120).map(|n| format!("x-MANY-{n}: {n}\r\n"));
        let many = many.collect::<Vec<_>>().concat();
        let long = "l".repeat(20_000);
        let raw =
            format!("GET / HTTP/1.1\r\nhOST: h\r\naccepT: */*\r\nX-loNG: {long}\r\n{many}\r\n");
        let (port, seen) = backend(&[&[OK, ""], &[OK]]).await;
        let forwarder = to(&[port]);
        forwarder.text(GET).await;
        forwarder.until_idle(1).await;
        assert_eq!(forwarder.text(&raw).await.0, 200);
        let seen = seen.borrow();
        assert!(seen[0][1].contains("accepT: */*\r\nX-loNG: l"));
        assert!(seen[0][1].contains("\r\nx-MANY-119: 119\r\n"));
        assert_eq!(seen[0][1], seen[1][0]);
    })
    .await;
}

#[tokio::test]
async fn others_are_never_sent_twice() {
    local(async {
        let (port, seen) = backend(&[&[OK, ""], &[OK]]).await;
        let forwarder = to(&[port]);
        forwarder.text(GET).await;
        forwarder.until_idle(1).await;
        let failure = forwarder.pass(POST).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::Upstream(Error::Closed(_))),
            "{failure:?}"
        );
        assert_eq!(seen.borrow().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_began_is_not_asked_for_again() {
    local(async {
        let (port, seen) = backend(&[&[OK, "HTTP/1.1 2"], &[OK]]).await;
        let forwarder = to(&[port]);
        forwarder.text(GET).await;
        forwarder.until_idle(1).await;
        let failure = forwarder.pass(GET).await.unwrap_err();
        assert_eq!(failure.status(), 502);
        assert_eq!(seen.borrow().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn closed_without_an_answer_is_told_and_no_other_target_asked() {
    local(async {
        let (first, _) = backend(&[&[""], &[""]]).await;
        let (second, seen) = backend(&[&[OK]]).await;
        let failure = to(&[first, second]).pass(GET).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::Upstream(Error::Closed(_))),
            "{failure:?}"
        );
        assert_eq!((failure.status(), failure.target), (502, Some(0)));
        assert!(seen.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_error_status_is_an_answer() {
    local(async {
        let (first, _) = backend(&[&["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]]).await;
        let answer = to(&[first, dead_port().await]).pass(GET).await.unwrap();
        assert_eq!((answer.head.status.as_u16(), answer.target), (503, 0));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_is_noticed() {
    local(async {
        let (port, seen) = backend(&[&[OK], &[OK]]).await;
        let forwarder = to(&[port]);
        forwarder.text(GET).await;
        // The script is at its end: the backend closes.
        forwarder.until_idle(0).await;
        assert_eq!(forwarder.text(POST).await.0, 200);
        assert_eq!(seen.borrow().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn connections_do_not_stay_idle_for_ever() {
    local(async {
        let mut settings = Settings::default();
        settings.timeouts.idle_upstream = Duration::from_millis(20);
        let (listener, port) = listen().await;
        let forwarder = forwarder(settings, route(&[port]));
        let backend = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            until_closed(&mut stream).await;
        };
        tokio::join!(forwarder.text(GET), backend);
        assert_eq!(forwarder.idle(), 0);
    })
    .await;
}

#[tokio::test]
async fn only_so_many_connections_are_kept() {
    local(async {
        let mut settings = Settings::default();
        settings.limits.idle_upstream = 1;
        let (port, _) = backend(&[&[OK, OK], &[OK, OK]]).await;
        let forwarder = forwarder(settings, route(&[port]));
        let (one, two) = tokio::join!(forwarder.pass(GET), forwarder.pass(GET));
        let (one, two) = (one.unwrap().body, two.unwrap().body);
        let both = tokio::join!(read_all(one), read_all(two));
        assert!(both.0.is_ok() && both.1.is_ok());
        forwarder.until_idle(1).await;
    })
    .await;
}
