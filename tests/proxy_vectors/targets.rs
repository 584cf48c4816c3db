//! Vectors 3 to 10 and 80: several targets, targets that fail, and those gripd has itself.

use crate::{
    ask,
    support::{Backend, DeadPort, Gripd, answer, instruct},
};

#[test]
fn v003_to_v006_the_next_target_is_for_connections_that_fail() {
    let dead = DeadPort::new();
    let good = Backend::start(|request, reply| reply.ok("", request.body.len().to_string()));
    let busy = Backend::always(answer("503 Service Unavailable", "", "busy"));
    let closing = Backend::start(|_, reply| reply.close());
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/dead {} {}", dead.addr, good.addr))
            .route(format!("*,path_beg=/busy {} {}", busy.addr, good.addr))
            .route(format!(
                "*,path_beg=/closing {} {}",
                closing.addr, good.addr
            ))
            .route(format!(
                "*,path_beg=/name no-such-host.invalid:80 {}",
                good.addr
            ))
    });
    assert_eq!(gripd.fetch("/dead").status(), 200);
    for size in [90_000, 300_000] {
        let mut client = gripd.client();
        client.request("POST", "/dead", &[], "x".repeat(size));
        assert_eq!(client.response().text(), size.to_string());
    }
    let asked = good.asked().len();
    assert_eq!(gripd.fetch("/busy").status(), 503);
    assert_eq!(gripd.fetch("/closing").status(), 502);
    assert_eq!(
        good.asked().len(),
        asked,
        "an answer, or none, is the target's own"
    );
}

#[test]
fn v007_v008_an_untrusted_target_is_blocked_and_no_other_is_asked() {
    let (a, b) = (Backend::saying("A"), Backend::saying("B"));
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/untrf {},untrusted {}", a.addr, b.addr))
            .route(format!("*,path_beg=/untrd,debug {},untrusted", a.addr))
    });
    let quiet = ask(&gripd, "/untrf", &[]);
    assert_eq!(quiet.status(), 502);
    assert!(!quiet.text().contains("blocked"), "{}", quiet.text());
    let told = ask(&gripd, "/untrd", &[]);
    assert_eq!(told.status(), 502);
    assert!(
        told.text().contains("address is blocked"),
        "{}",
        told.text()
    );
    assert!(told.text().contains(&a.addr.to_string()), "{}", told.text());
    assert!(a.asked().is_empty() && b.asked().is_empty());
}

/// Pushpin names no target when a name has no address; gripd names it like any other.
#[test]
fn v009_v010_what_was_tried_is_told_in_debug() {
    let dead = DeadPort::new();
    let gripd = Gripd::start(|c| {
        c.route(format!("*,path_beg=/dbgdead,debug {0} {0},ssl", dead.addr))
            .route("*,path_beg=/nodns,debug no-such-host.invalid:80")
            .route(format!("*,path_beg=/quiet {}", dead.addr))
    });
    let told = ask(&gripd, "/dbgdead", &[]);
    assert_eq!(told.status(), 502);
    let both = told.text().matches(&dead.addr.to_string()).count();
    assert_eq!(both, 2, "{}", told.text());
    let quiet = ask(&gripd, "/quiet", &[]);
    assert_eq!(quiet.status(), 502);
    assert!(!quiet.text().contains(&dead.addr.to_string()));
    let told = ask(&gripd, "/nodns", &[]);
    assert_eq!(told.status(), 502);
    assert!(
        told.text().contains("no-such-host.invalid"),
        "{}",
        told.text()
    );
}

#[test]
fn v080_the_test_target_has_few_pages() {
    let gripd = Gripd::start(|c| c.route("* test"));
    let response = gripd.fetch("/unknown");
    assert_eq!(response.status(), 404);
    assert_eq!(response.text(), "no such test resource\n");
}

// ---- beyond the vectors ---------------------------------------------------------------------

#[test]
fn the_test_target_answers_by_itself() {
    let gripd = Gripd::start(|c| c.route("* test").route("*,path_beg=/below/ test"));
    assert_eq!(gripd.fetch("/").status(), 200);
    assert_eq!(gripd.fetch("/below/").status(), 200);
    assert_eq!(gripd.fetch("/nothing").status(), 404);
    let mut stream = gripd.get("/stream");
    assert!(stream.head().is_chunked());
    stream.chunk();
    gripd.push("test", "x");
    stream.expect_stream("x");
    let mut own = gripd.get("/below/stream?channel=mine&channel=other");
    assert!(own.head().is_chunked());
    own.chunk();
    assert_eq!(gripd.push("mine", "y"), 1);
    gripd.push("other", "z");
    own.expect_stream("yz");
    let mut poll = gripd.get("/response");
    gripd.wait_subscribers("test", "http-response", 1);
    gripd.answer_polls("test", "news");
    assert_eq!(poll.response().text(), "news");
}

/// Options of the handler's half, which have no number here.
#[test]
fn prefix_and_sub_act_on_holds() {
    let held = instruct(&["Grip-Hold: stream", "Grip-Channel: own"], "held\n");
    let backend = Backend::always(held);
    let gripd = Gripd::start(|c| c.route(format!("*,prefix=t- {},sub=more", backend.addr)));
    let mut stream = gripd.stream("/", "held\n");
    assert_eq!(gripd.push("own", "x"), 0);
    assert_eq!(gripd.push("t-own", "1"), 1);
    assert_eq!(gripd.push("t-more", "2"), 1);
    stream.expect_stream("12");
}

#[test]
fn what_comes_later_gives_one_warning_each() {
    let gripd = Gripd::start(|c| {
        c.route("*,sockjs=/echo test")
            .route("z.test,debug zhttp/tcp://127.0.0.1:5555")
    });
    gripd.wait_log("`sockjs` is not in gripd yet: it has no effect");
    gripd.wait_log("zhttp targets are not in gripd yet: this target answers 501");
    let mut client = gripd.client();
    client.request("GET", "/", &["Host: z.test"], "");
    let answer = client.response();
    assert_eq!(answer.status(), 501);
    assert!(answer.text().contains("zhttp"), "{}", answer.text());
    for text in ["`sockjs`", "zhttp targets are not"] {
        assert_eq!(gripd.log().matches(text).count(), 1);
    }
}
