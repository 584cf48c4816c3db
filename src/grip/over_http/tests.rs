//! Sessions, case by case (`vector N`: seen of Pushpin; where gripd does otherwise it is said).

use super::*;
use crate::grip::{
    format::MessageKind,
    ws_events::{CONTENT_TYPE, EventError},
};

/// A session, the backend's side and the client's, and the clock.
struct Talk {
    session: Session,
    now: Duration,
    out: Vec<Output>,
}

const RULES: Rules = Rules {
    buffer: 200_000,
    one_event: false,
    keep_alive_min: Duration::from_secs(20),
};
const ONE_EVENT: Rules = Rules {
    one_event: true,
    keep_alive_min: Duration::from_secs(20),
    ..RULES
};

impl Talk {
    /// One that has just begun.
    fn new(rules: Rules) -> Self {
        let mut talk = Self {
            session: Session::new(rules),
            now: Duration::ZERO,
            out: Vec::new(),
        };
        talk.session.start(&mut talk.out);
        assert_eq!(talk.seen(), ["B OPEN|"], "vector 1");
        talk
    }

    /// One that was granted, by an answer with these headers.
    fn open(rules: Rules, headers: &[(&str, &str)]) -> Self {
        let mut talk = Self::new(rules);
        talk.answer(headers, "OPEN|");
        assert_eq!(talk.seen(), ["101"]);
        talk
    }

    /// What was put out since the last look: `B`, what the backend gets (and what of it is
    /// replayed); otherwise what the client gets.
    fn seen(&mut self) -> Vec<String> {
        self.out.drain(..).map(|output| show(&output)).collect()
    }

    fn answer(&mut self, headers: &[(&str, &str)], body: &str) {
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", CONTENT_TYPE));
        self.foreign(200, &headers, body);
    }

    fn foreign(&mut self, code: u16, headers: &[(&str, &str)], body: &str) {
        let headers: Vec<Header> = headers
            .iter()
            .map(|(name, value)| header(name, value))
            .collect();
        let answer = Answer {
            code,
            headers: &headers,
            body: &wire(body),
        };
        self.session.response(&answer, self.now, &mut self.out);
    }

    fn fail(&mut self, failure: Failure) {
        self.session.failed(failure, 0, self.now, &mut self.out);
    }

    fn client(&mut self, kind: MessageKind, content: &str) {
        let content = Bytes::copy_from_slice(content.as_bytes());
        let message = Message { kind, content };
        self.session.client_message(message, &mut self.out);
    }

    fn text(&mut self, content: &str) {
        self.client(MessageKind::Text, content);
    }

    fn close(&mut self, code: Option<u16>, reason: &str) {
        let reason = reason.to_owned();
        self.session
            .client_close(Close { code, reason }, &mut self.out);
    }

    fn publish_close(&mut self, code: Option<u16>, reason: &str) {
        let reason = reason.to_owned();
        self.session
            .publish_close(Close { code, reason }, &mut self.out);
    }

    fn gone(&mut self) {
        self.session.client_gone(&mut self.out);
    }

    fn refresh(&mut self) {
        self.session.refresh(&mut self.out);
    }

    /// Lets time pass to the moment the session waits for, which is `seconds` after the beginning.
    fn until(&mut self, seconds: u64) {
        let due = Duration::from_secs(seconds);
        assert_eq!(self.session.due(), Some(due));
        let before = self.out.len();
        let early = due.saturating_sub(Duration::from_millis(1));
        self.session.tick(early, &mut self.out);
        assert_eq!(self.out.len(), before, "it was early");
        self.now = due;
        self.session.tick(due, &mut self.out);
    }
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

/// `|` stands for CRLF.
fn wire(text: &str) -> Bytes {
    Bytes::from(text.replace('|', "\r\n"))
}

fn show(output: &Output) -> String {
    match output {
        Output::Request(Request { body, replayed }) => {
            let body = String::from_utf8_lossy(body).replace("\r\n", "|");
            match replayed {
                0 => format!("B {body}"),
                replayed => format!("B {body} ({replayed})"),
            }
        }
        Output::Open(_) => "101".to_owned(),
        Output::Reject(Refusal::BadGateway(_)) => "502".to_owned(),
        Output::Reject(Refusal::Relay { .. }) => "relay".to_owned(),
        Output::Message(Message { kind, content }) => {
            format!("{kind:?} {}", String::from_utf8_lossy(content))
        }
        Output::Pong(content) => format!("own Pong {}", String::from_utf8_lossy(content)),
        Output::Close(Close { code, reason }) => {
            format!("close {} {reason}", code.unwrap_or_default())
        }
        Output::End(end) => match end.code() {
            Some(code) => format!("end {code}"),
            None => format!("end {end:?}"),
        },
    }
}

const ALIVE: &[(&str, &str)] = &[("Keep-Alive-Interval", "20")];

fn accepts(bytes: &str) -> [(&str, &str); 1] {
    [("Content-Bytes-Accepted", bytes)]
}

#[test]
fn handshakes() {
    for (case, headers, body, want) in [
        (
            "vector 12",
            &[][..],
            "OPEN|TEXT 0B|hello world|",
            &["101", "Text hello world"][..],
        ),
        (
            "vector 14",
            &[],
            "OPEN|TEXT|BINARY 0||PING|PONG 1|q|",
            &["101", "Text ", "Binary ", "Ping ", "Pong q"],
        ),
        ("vector 16", &[], "OPEN|TEXT zz|ab|", &["502"]),
        ("vector 17: no CRLF", &[], "OPEN", &["502"]),
        ("vector 17: lower case", &[], "open|", &["502"]),
        ("vector 17: no OPEN", &[], "TEXT 1|a|", &["502"]),
        ("vector 17: empty", &[], "", &["502"]),
        ("two of them", &[], "OPEN|OPEN|", &["502"]),
        (
            "vector 18: nothing after a CLOSE",
            &[],
            "OPEN|TEXT 3|bye|CLOSE 5|??why|TEXT 5|after|",
            &["101", "Text bye", "close 16191 why"],
        ),
        (
            "vector 19; gripd: nothing is lost",
            &[],
            "OPEN|TEXT 3|bye|DISCONNECT|TEXT 1|x|",
            &["101", "Text bye", "end Disconnected"],
        ),
        ("vector 20", &[], "OPEN|CLOSE|", &["101", "close 1000 "]),
        (
            "vector 20: one byte",
            &[],
            "OPEN|CLOSE 1|x|",
            &["101", "close 1000 "],
        ),
        ("vector 26: held", ALIVE, "", &[]),
        (
            "held no longer",
            &[("Keep-Alive-Interval", "0")],
            "",
            &["502"],
        ),
    ] {
        let mut talk = Talk::new(RULES);
        talk.answer(headers, body);
        assert_eq!(talk.seen(), want, "{case}");
        let over = want == ["502"] || want.last() == Some(&"end Disconnected");
        assert_eq!(talk.session.is_over(), over, "{case}");
    }
}

#[test]
fn other_answers_refuse_the_handshake() {
    let charset = "application/websocket-events; charset=utf-8";
    for (case, code, kind, body) in [
        ("vector 22", 403, "text/plain", "no way"),
        ("vector 23", 200, charset, "OPEN|"),
        ("letter case", 200, "Application/websocket-events", "OPEN|"),
        ("vector 25", 302, CONTENT_TYPE, ""),
        ("204", 204, CONTENT_TYPE, "OPEN|"),
    ] {
        let mut talk = Talk::new(RULES);
        let headers = [
            ("content-type", kind),
            ("X-A", "1"),
            ("Set-Meta-Foo", "z"),
            ("Upgrade", "h2c"),
            ("sec-websocket-extensions", "grip"),
        ];
        talk.foreign(code, &headers, body);
        let [Output::Reject(Refusal::Relay { headers })] = &talk.out[..] else {
            panic!("{case}: {:?}", talk.out)
        };
        let names: Vec<&str> = headers.iter().map(|header| &*header.name).collect();
        assert_eq!(names, ["content-type", "X-A", "Set-Meta-Foo"], "{case}");
        assert!(talk.session.is_over(), "{case}");
    }
}

#[test]
fn a_handshake_that_fails_is_a_bad_gateway() {
    for failure in [Failure::Unreached, Failure::Unread, Failure::Other] {
        let mut talk = Talk::new(RULES);
        talk.fail(failure);
        let fault = Fault::Failed(failure);
        assert_eq!(talk.out, [Output::Reject(Refusal::BadGateway(fault))]);
        assert!(talk.session.is_over());
    }
}

#[test]
fn a_101_has_the_backends_headers_and_its_grip() {
    let mut talk = Talk::new(RULES);
    let headers = [
        ("Sec-WebSocket-Protocol", "chat"),
        ("sec-websocket-extensions", "foo, grip; message-prefix=I:"),
        ("Set-Meta-A", "1"),
        ("Keep-Alive-Interval", "30"),
        ("Content-Length", "6"),
        ("Set-Cookie", "a=b"),
        ("Connection", "close"),
        ("Sec-WebSocket-Accept", "x"),
    ];
    talk.answer(&headers, "OPEN|");
    let [Output::Open(opened)] = &talk.out[..] else {
        panic!("{:?}", talk.out)
    };
    let want = [
        header("Sec-WebSocket-Protocol", "chat"),
        header("Set-Cookie", "a=b"),
    ];
    assert_eq!(opened.headers, want);
    let prefix = opened.grip.as_ref().map(|grip| &*grip.message_prefix);
    assert_eq!(prefix, Some(&b"I:"[..]));
}

#[test]
fn a_held_handshake_is_asked_for_again() {
    let mut talk = Talk::new(RULES);
    talk.answer(&[("Keep-Alive-Interval", "1")], "");
    talk.until(20);
    assert_eq!(talk.seen(), ["B OPEN|"], "vector 26");
    talk.answer(&[], "");
    talk.until(40);
    assert_eq!(talk.seen(), ["B OPEN|"], "vector 26");
    talk.answer(&[], "OPEN|TEXT 7|finally|");
    assert_eq!(talk.seen(), ["101", "Text finally"], "vector 26");
}

#[test]
fn messages_wait_for_the_request_under_way() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("hello");
    assert_eq!(talk.seen(), ["B TEXT 5|hello|"], "vector 2");
    talk.client(MessageKind::Binary, "\0\x01");
    talk.text("");
    assert_eq!(talk.seen(), [""; 0]);
    talk.answer(&[], "TEXT 2|ok|");
    assert_eq!(
        talk.seen(),
        ["Text ok", "B BINARY 2|\0\x01|TEXT|"],
        "vectors 3 and 33"
    );
    talk.answer(&[], "");
    assert_eq!(talk.seen(), [""; 0]);
    assert_eq!(talk.session.due(), None);
}

#[test]
fn empty_frames_behind_a_request_are_kept() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("go");
    talk.client(MessageKind::Ping, "");
    talk.text("");
    assert_eq!(talk.seen(), ["B TEXT 2|go|"]);
    talk.answer(&[], "");
    assert_eq!(talk.seen(), ["B PING|TEXT|"], "vector 93");
}

#[test]
fn pings_are_answered_by_the_backend_or_by_the_session() {
    let mut talk = Talk::open(RULES, &[]);
    for (content, body, want) in [
        ("pi", "", &["own Pong pi"][..]),
        ("", "TEXT 1|a|", &["own Pong ", "Text a"]),
        ("pi", "TEXT 1|a|PONG 2|pi|", &["Text a", "Pong pi"]),
        ("x", "CLOSE|", &["own Pong x", "close 1000 "]),
    ] {
        talk.client(MessageKind::Ping, content);
        talk.out.clear();
        talk.answer(&[], body);
        assert_eq!(talk.seen(), want, "vector 4: {body}");
    }
}

#[test]
fn a_ping_accepted_in_parts_is_answered_whole() {
    let mut talk = Talk::open(RULES, ALIVE);
    talk.client(MessageKind::Ping, "abc");
    talk.answer(&accepts("2"), "");
    assert_eq!(talk.seen(), ["B PING 3|abc|"]);
    talk.refresh();
    talk.answer(&[], "");
    assert_eq!(talk.seen(), ["B PING 1|c| (1)", "own Pong abc"]);
}

#[test]
fn what_is_kept_back_is_offered_again_with_new_messages() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("[foo][hello");
    assert_eq!(talk.seen(), ["B TEXT b|[foo][hello|"], "vector 30");
    talk.answer(&accepts("5"), "");
    assert_eq!(talk.seen(), [""; 0], "vector 30");
    talk.text(" world]");
    assert_eq!(
        talk.seen(),
        ["B TEXT 6|[hello|TEXT 7| world]| (6)"],
        "vector 30"
    );
}

#[test]
fn what_is_kept_back_is_offered_again_with_a_keep_alive() {
    let mut talk = Talk::open(RULES, ALIVE);
    talk.text("abcdef");
    talk.answer(&accepts("2"), "");
    talk.until(20);
    talk.answer(&accepts("2"), "");
    talk.until(40);
    let want = ["B TEXT 6|abcdef|", "B TEXT 4|cdef| (4)", "B TEXT 2|ef| (2)"];
    assert_eq!(talk.seen(), want, "vector 31");
}

#[test]
fn accepting_more_than_was_offered_is_nonsense() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("7 bytes");
    talk.answer(&accepts("8"), "TEXT 1|a|");
    let fault = Fault::Accepted {
        accepted: 8,
        offered: 7,
    };
    assert_eq!(
        talk.out.pop(),
        Some(Output::End(End::Fault(fault))),
        "vector 32"
    );
    assert_eq!(talk.seen(), ["B TEXT 7|7 bytes|"], "vector 32");
    assert!(talk.session.is_over());
}

#[test]
fn an_accepted_that_is_no_number_means_all() {
    for bad in ["x", "-1", "", "1.5"] {
        let mut talk = Talk::open(RULES, &[]);
        talk.text("ab");
        talk.answer(&accepts(bad), "");
        talk.text("c");
        assert_eq!(talk.seen(), ["B TEXT 2|ab|", "B TEXT 1|c|"], "{bad}");
    }
}

#[test]
fn one_event_means_one_message_in_a_request() {
    let mut talk = Talk::open(ONE_EVENT, &[]);
    talk.text("1");
    for content in ["2", "", "3"] {
        talk.text(content);
    }
    talk.close(Some(1000), "");
    for _ in 0..4 {
        talk.answer(&[], "");
    }
    let want = [
        "B TEXT 1|1|",
        "B TEXT 1|2|",
        "B TEXT|",
        "B TEXT 1|3|",
        "B CLOSE 2|\u{3}\u{fffd}|",
    ];
    assert_eq!(talk.seen(), want, "vector 34");
}

#[test]
fn one_event_must_make_progress() {
    let mut talk = Talk::open(ONE_EVENT, &[]);
    talk.text("xx");
    talk.text("xy");
    talk.answer(&accepts("0"), "");
    talk.answer(&accepts("0"), "");
    let want = ["B TEXT 2|xx|", "B TEXT 2|xx| (2)", "end 1011"];
    assert_eq!(talk.seen(), want, "vector 90; gripd: with a close frame");
}

#[test]
fn keep_alives_come_after_the_last_answer() {
    let mut talk = Talk::open(RULES, &[("Keep-Alive-Interval", "5")]);
    talk.now = Duration::from_secs(10);
    talk.text("a");
    assert_eq!(talk.session.due(), None, "while a request is under way");
    talk.answer(&[], "");
    assert_eq!(talk.seen(), ["B TEXT 1|a|"]);
    talk.until(30);
    assert_eq!(talk.seen(), ["B "], "vector 27");
    for (case, value) in [("vector 28", "0"), ("negative", "-1"), ("no number", "x")] {
        let mut talk = Talk::open(RULES, ALIVE);
        talk.until(20);
        talk.answer(&[("Keep-Alive-Interval", value)], "");
        assert_eq!(talk.session.due(), None, "{case}");
    }
}

#[test]
fn metas_are_told_with_each_request() {
    let mut talk = Talk::new(RULES);
    let shown = |talk: &Talk| -> Vec<String> {
        let metas = talk.session.metas().iter();
        let text = |meta: &Header| String::from_utf8(meta.value.to_vec()).unwrap();
        metas
            .map(|meta| format!("{}: {}", meta.name, text(meta)))
            .collect()
    };
    let first = [
        ("Set-Meta-A", "1"),
        ("Set-Meta-B", "x"),
        ("Set-Meta-a-B", "q"),
        ("Set-Meta-", "n"),
    ];
    talk.answer(&first, "OPEN|");
    assert_eq!(
        shown(&talk),
        ["Meta-A: 1", "Meta-B: x", "Meta-a-B: q"],
        "vector 29"
    );
    talk.refresh();
    let next = [("Set-Meta-A", "2"), ("Set-Meta-B", ""), ("set-meta-c", "3")];
    talk.answer(&next, "");
    assert_eq!(
        shown(&talk),
        ["Meta-a-B: q", "Meta-A: 2", "Meta-c: 3"],
        "vector 29"
    );
    talk.refresh();
    talk.out.clear();
    talk.answer(&[("Set-Meta-Big", &"x".repeat(20_000))], "");
    let fault = Fault::Metas { limit: 16_384 };
    assert_eq!(talk.out, [Output::End(End::Fault(fault))]);
}

#[test]
fn later_nonsense_ends_the_connection() {
    let line = EventError::Line { at: 11 };
    for (code, kind, body, fault) in [
        (500, CONTENT_TYPE, "TEXT 1|a|", Fault::Foreign { code: 500 }),
        (204, CONTENT_TYPE, "", Fault::Foreign { code: 204 }),
        (200, "text/plain", "", Fault::Foreign { code: 200 }),
        (200, CONTENT_TYPE, "TEXT 1|a|OPEN|", Fault::SecondOpen),
        (200, CONTENT_TYPE, "TEXT 1|a|TEXT", Fault::Events(line)),
    ] {
        let mut talk = Talk::open(RULES, &[]);
        talk.text("x");
        talk.out.clear();
        talk.foreign(code, &[("Content-Type", kind)], body);
        let end = End::Fault(fault);
        assert_eq!(end.code(), Some(1011));
        assert_eq!(
            talk.out,
            [Output::End(end)],
            "vector 89: no event, no DISCONNECT"
        );
        assert!(talk.session.is_over());
    }
}

#[test]
fn a_request_that_did_not_arrive_is_sent_again() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("hey");
    talk.fail(Failure::Unreached);
    talk.text("queued");
    for due in [1, 3, 7] {
        talk.until(due);
        talk.fail(Failure::Unreached);
    }
    talk.until(15);
    talk.answer(&[], "");
    let hey = "B TEXT 3|hey|";
    assert_eq!(
        talk.seen(),
        [hey, hey, hey, hey, hey, "B TEXT 6|queued|"],
        "vector 35"
    );
    talk.fail(Failure::Unread);
    assert_eq!(
        talk.session.due(),
        Some(Duration::from_secs(16)),
        "counted from new"
    );
}

#[test]
fn retries_are_spread_and_come_to_an_end() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("hey");
    for due in [1999, 4998, 9997, 18_996, 35_995] {
        talk.session
            .failed(Failure::Unread, u32::MAX, talk.now, &mut talk.out);
        talk.now = talk.session.due().unwrap();
        assert_eq!(talk.now, Duration::from_millis(due));
        talk.session.tick(talk.now, &mut talk.out);
    }
    talk.out.clear();
    talk.fail(Failure::Unread);
    assert_eq!(talk.seen(), ["end 1011"]);
    assert!(talk.session.is_over());
}

#[test]
fn a_request_that_may_have_been_read_is_not_repeated() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("hey");
    talk.fail(Failure::Other);
    assert_eq!(
        talk.seen(),
        ["B TEXT 3|hey|", "end 1011"],
        "vector 36; gripd: with a close frame"
    );
    assert!(talk.session.is_over());
}

#[test]
fn what_may_be_read_twice_is_repeated() {
    let mut talk = Talk::open(RULES, &[]);
    talk.refresh();
    talk.fail(Failure::Other);
    talk.until(1);
    talk.answer(&[], "");
    talk.client(MessageKind::Ping, "p");
    talk.fail(Failure::Other);
    talk.until(2);
    talk.answer(&[], "");
    let (nothing, ping) = ("B ", "B PING 1|p|");
    assert_eq!(talk.seen(), [nothing, nothing, ping, ping, "own Pong p"]);
}

#[test]
fn refreshes_during_a_request_count_once() {
    let mut talk = Talk::open(RULES, &[]);
    talk.refresh();
    assert_eq!(talk.seen(), ["B "], "vector 48");
    talk.refresh();
    talk.refresh();
    talk.answer(&[], "TEXT 1|a|");
    assert_eq!(talk.seen(), ["Text a", "B "], "vector 91");
    talk.answer(&[], "");
    assert_eq!(talk.seen(), [""; 0], "vector 91");
}

#[test]
fn the_client_closes() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("a");
    talk.text("b");
    talk.close(Some(0x0101), "bye");
    talk.text("ignored");
    talk.answer(&[], "");
    let want = ["B TEXT 1|a|", "B TEXT 1|b|CLOSE 5|\u{1}\u{1}bye|"];
    assert_eq!(talk.seen(), want, "vector 6");
    talk.answer(&[], "TEXT 1|c|CLOSE 5|\u{1}\u{1}bye|");
    assert_eq!(
        talk.seen(),
        ["Text c", "close 257 bye", "end Closed"],
        "vector 6"
    );
    assert!(talk.session.is_over());
    for (case, body, want) in [
        ("vector 7", "CLOSE|", &["close 1000 ", "end Closed"][..]),
        ("vector 8", "", &["end NoClose"]),
    ] {
        let mut talk = Talk::open(RULES, &[]);
        talk.close(None, "");
        assert_eq!(talk.seen(), ["B CLOSE|"], "{case}");
        talk.answer(&[], body);
        assert_eq!(talk.seen(), want, "{case}");
        assert!(talk.session.is_over(), "{case}");
    }
}

#[test]
fn with_keep_alives_a_close_is_told_until_it_is_answered() {
    let mut talk = Talk::open(RULES, ALIVE);
    talk.close(None, "");
    talk.answer(&[], "");
    for due in [20, 40] {
        talk.until(due);
        talk.answer(&[], "");
    }
    assert_eq!(talk.seen(), ["B CLOSE|"; 3], "vector 9");
    talk.gone();
    assert!(talk.session.is_over(), "the backend knows");
    assert_eq!(talk.seen(), [""; 0]);
}

#[test]
fn a_close_that_is_not_accepted_is_offered_again_and_does_not_hang() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("ab");
    talk.answer(&accepts("0"), "");
    talk.close(None, "");
    assert_eq!(talk.seen(), ["B TEXT 2|ab|", "B TEXT 2|ab|CLOSE| (2)"]);
    talk.answer(&accepts("1"), "");
    talk.until(1);
    assert_eq!(talk.seen(), ["B TEXT 1|b|CLOSE| (1)"]);
    for due in [3, 7, 15, 31] {
        talk.answer(&accepts("0"), "");
        talk.until(due);
    }
    talk.out.clear();
    talk.answer(&accepts("0"), "");
    assert_eq!(talk.out, [Output::End(End::Fault(Fault::Stuck))]);
    assert!(talk.session.is_over());
}

#[test]
fn a_part_of_a_close_cannot_be_accepted() {
    let mut talk = Talk::open(RULES, &[]);
    talk.close(Some(0x0102), "");
    talk.answer(&accepts("1"), "CLOSE|");
    assert_eq!(
        talk.seen(),
        ["B CLOSE 2|\u{1}\u{2}|", "end 1011"],
        "vector 92"
    );
}

#[test]
fn the_client_goes() {
    let mut talk = Talk::open(RULES, &[]);
    talk.gone();
    assert_eq!(talk.seen(), ["B DISCONNECT|"], "vector 10");
    talk.foreign(500, &[], "");
    assert!(talk.session.is_over());
    let mut talk = Talk::open(RULES, &[]);
    talk.text("a");
    talk.text("waiting");
    talk.gone();
    talk.answer(&[], "TEXT 1|x|");
    assert_eq!(talk.seen(), ["B TEXT 1|a|", "B DISCONNECT|"], "vector 11");
    talk.fail(Failure::Unreached);
    talk.until(1);
    assert_eq!(talk.seen(), ["B DISCONNECT|"], "told again");
    talk.fail(Failure::Other);
    assert!(talk.session.is_over());
}

#[test]
fn a_client_that_goes_is_told_of_instead_of_what_waits_for_another_try() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("a");
    talk.fail(Failure::Unreached);
    talk.gone();
    talk.until(1);
    assert_eq!(talk.seen(), ["B TEXT 1|a|", "B DISCONNECT|"]);
}

#[test]
fn a_client_that_goes_before_the_handshake_is_granted() {
    type Then = fn(&mut Talk);
    let cases: [(&str, Then, &[&str]); 4] = [
        (
            "granted",
            |talk| talk.answer(&[], "OPEN|TEXT 1|a|"),
            &["B DISCONNECT|"],
        ),
        ("held", |talk| talk.answer(ALIVE, ""), &["B DISCONNECT|"]),
        ("refused", |talk| talk.foreign(403, &[], ""), &[]),
        ("failed", |talk| talk.fail(Failure::Unreached), &[]),
    ];
    for (case, then, want) in cases {
        let mut talk = Talk::new(RULES);
        talk.gone();
        then(&mut talk);
        assert_eq!(talk.seen(), want, "{case}");
        assert_eq!(talk.session.is_over(), want.is_empty(), "{case}");
    }
}

#[test]
fn a_close_frame_is_not_lost_with_its_client() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("a");
    talk.text("b");
    talk.close(None, "");
    talk.gone();
    talk.answer(&[], "TEXT 1|x|");
    assert_eq!(talk.seen(), ["B TEXT 1|a|", "B TEXT 1|b|CLOSE|"]);
    talk.answer(&[], "");
    assert!(talk.session.is_over());
}

#[test]
fn the_backend_closes_and_the_client_answers() {
    let mut talk = Talk::open(RULES, ALIVE);
    talk.text("a");
    talk.text("b");
    talk.answer(&[], "CLOSE 4|\u{1}\u{1}!!|");
    assert_eq!(talk.seen(), ["B TEXT 1|a|", "close 257 !!"]);
    talk.text("too late");
    talk.refresh();
    assert_eq!(
        (talk.session.due(), talk.seen().len()),
        (None, 0),
        "it has said all"
    );
    talk.close(Some(0x0101), "");
    assert_eq!(
        talk.seen(),
        ["end Closed", "B TEXT 1|b|CLOSE 2|\u{1}\u{1}|"]
    );
    talk.foreign(500, &[], "");
    assert!(talk.session.is_over());
    let mut talk = Talk::open(RULES, &[]);
    talk.refresh();
    talk.answer(&[], "CLOSE|");
    talk.gone();
    assert_eq!(
        talk.seen(),
        ["B ", "close 1000 ", "B DISCONNECT|"],
        "no answer"
    );
}

#[test]
fn a_publisher_closes() {
    let mut talk = Talk::open(RULES, &[]);
    talk.publish_close(Some(4009), "kick");
    assert_eq!(talk.seen(), ["close 4009 kick", "B CLOSE|"], "vector 49");
    talk.publish_close(None, "");
    talk.answer(&[], "TEXT 1|a|CLOSE|");
    assert_eq!(talk.seen(), [""; 0]);
    talk.close(Some(4009), "kick");
    assert_eq!(talk.seen(), ["end Closed"], "vector 49");
    assert!(talk.session.is_over());
    let mut talk = Talk::open(ONE_EVENT, &[]);
    for content in ["a", "b", "c"] {
        talk.text(content);
    }
    talk.publish_close(None, "");
    for _ in 0..4 {
        talk.answer(&[], "");
    }
    let want = [
        "B TEXT 1|a|",
        "close 1000 ",
        "B TEXT 1|b|",
        "B TEXT 1|c|",
        "B CLOSE|",
    ];
    assert_eq!(talk.seen(), want, "vector 50: what waits goes before");
    let mut talk = Talk::open(RULES, &[]);
    talk.close(None, "");
    talk.publish_close(Some(4009), "");
    assert_eq!(
        talk.seen(),
        ["B CLOSE|", "close 4009 ", "end Closed"],
        "both at once"
    );
}

#[test]
fn a_backend_that_cannot_be_told_of_a_published_close_ends_nothing() {
    let mut talk = Talk::open(RULES, &[]);
    talk.publish_close(None, "");
    talk.fail(Failure::Other);
    assert_eq!(talk.seen(), ["close 1000 ", "B CLOSE|"]);
    talk.close(None, "");
    assert_eq!(talk.seen(), ["end Closed"]);
    assert!(talk.session.is_over());
}

#[test]
fn a_detached_client_stays() {
    let mut talk = Talk::open(RULES, ALIVE);
    talk.text("a");
    talk.text("b");
    talk.session.detach(&mut talk.out);
    talk.text("dropped");
    talk.client(MessageKind::Ping, "");
    talk.answer(&[], "TEXT 5|after|");
    let want = ["B TEXT 1|a|", "Text after", "B TEXT 1|b|CLOSE|"];
    assert_eq!(talk.seen(), want, "vector 69");
    talk.answer(&[], "TEXT 1|x|CLOSE|");
    talk.refresh();
    talk.text("dropped");
    assert_eq!((talk.session.due(), talk.seen().len()), (None, 0));
    talk.close(Some(4000), "");
    assert_eq!(talk.seen(), ["close 1000 ", "end Closed"], "vector 69");
    assert!(talk.session.is_over());
}

#[test]
fn a_detached_client_is_closed_by_a_publisher() {
    let mut talk = Talk::open(RULES, &[]);
    talk.session.detach(&mut talk.out);
    talk.fail(Failure::Other);
    assert_eq!(talk.seen(), ["B CLOSE|"], "the client stays all the same");
    talk.publish_close(Some(4009), "kick");
    assert_eq!(talk.seen(), ["close 4009 kick"]);
    talk.gone();
    assert!(
        talk.session.is_over(),
        "the backend is not to be told again"
    );
}

#[test]
fn a_client_that_reads_slowly_holds_up_its_own_messages() {
    let mut talk = Talk::open(RULES, ALIVE);
    talk.session.client_full(true, &mut talk.out);
    talk.text("a");
    talk.until(20);
    assert_eq!(talk.seen(), [""; 0]);
    talk.session.client_full(false, &mut talk.out);
    assert_eq!(talk.seen(), ["B TEXT 1|a|"], "at once when it has drained");
    talk.answer(&[], "");
    talk.session.client_full(true, &mut talk.out);
    talk.refresh();
    assert_eq!(talk.seen(), ["B "], "a refresh does not wait");
    talk.gone();
    talk.answer(&[], "");
    assert_eq!(talk.seen(), ["B DISCONNECT|"], "nor does the end");
}

#[test]
fn the_biggest_message_passes_and_a_bigger_one_does_not() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text(&"x".repeat(200_000));
    assert_eq!(talk.seen().len(), 1, "vector 38");
    assert!(!talk.session.wants_reading());
    talk.answer(&[], "");
    assert!(talk.session.wants_reading());
    talk.text(&"x".repeat(200_001));
    assert_eq!(
        talk.seen(),
        ["end 1009", "B DISCONNECT|"],
        "vector 38; gripd: with 1009"
    );
}

#[test]
fn a_full_buffer_that_nobody_takes_does_not_hang() {
    let rules = Rules {
        buffer: 100,
        one_event: false,
        keep_alive_min: Duration::from_secs(20),
    };
    let mut talk = Talk::open(rules, &[]);
    talk.text(&"x".repeat(100));
    let mut due = 0;
    for wait in [1, 2, 4, 8, 16] {
        talk.answer(&accepts("0"), "");
        assert!(!talk.session.wants_reading());
        due += wait;
        talk.until(due);
    }
    talk.out.clear();
    talk.answer(&accepts("0"), "");
    assert_eq!(talk.out, [Output::End(End::Fault(Fault::Stuck))]);
}

#[test]
fn empty_messages_fill_the_buffer_too() {
    let mut talk = Talk::open(RULES, &[]);
    talk.text("a");
    let mut count = 0;
    while talk.session.wants_reading() {
        talk.client(MessageKind::Ping, "");
        count += 1;
    }
    assert!(count <= 200_000 / outgoing::COST, "{count}");
}

#[test]
fn an_idle_session_is_small_and_keeps_no_buffer() {
    assert!(size_of::<Session>() <= 200, "{}", size_of::<Session>());
    let mut talk = Talk::open(RULES, &[]);
    talk.text("a");
    talk.answer(&[], "");
    assert!(talk.session.sent.is_none());
    assert_eq!(talk.session.outgoing.capacity(), 0);
}

#[test]
fn headers_of_the_clients_handshake_that_stay_behind() {
    for name in [
        "accept",
        "Meta-A",
        "Connection-Id",
        "content-bytes-replayed",
        "Upgrade",
    ] {
        assert!(is_replaced(name), "{name}");
    }
    for name in [
        "Cookie",
        "Meta",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Origin",
    ] {
        assert!(!is_replaced(name), "{name}");
    }
}
