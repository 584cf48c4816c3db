//! Vectors 1 to 28: the instruct in headers, as the client sees what it did.

use serde_json::json;

use crate::{
    site::{Site, poll, stream, with_meta},
    support::instruct,
};

/// Every page is refused, and its debug text names `word`.
fn refused(pages: &[Vec<u8>], word: &str) {
    let paths: Vec<String> = (0..pages.len()).map(|n| format!("/{n}")).collect();
    let site = Site::new(
        paths
            .iter()
            .zip(pages)
            .map(|(path, page)| (path.as_str(), vec![page.clone()])),
    );
    for (path, page) in paths.iter().zip(pages) {
        let text = site.refusal(path);
        assert!(
            text.contains(word),
            "{text:?} does not name {word:?}, the fault of {:?}",
            String::from_utf8_lossy(page)
        );
    }
}

/// The answer of gripd to this answer of the backend.
fn seen(headers: &[&str]) -> crate::support::Response {
    Site::one(instruct(headers, "body\n")).gripd.fetch("/")
}

fn status_line(status: &str) -> (u16, String) {
    let head = seen(&[&format!("Grip-Status: {status}")]).head;
    (head.status(), head.reason().to_owned())
}

/// A quiet stream gets these bytes, twice.
fn keeps_alive(value: &str, bytes: &[u8]) {
    let site = Site::one(stream(&[&format!("Grip-Keep-Alive: {value}")]));
    let mut client = site.stream("/");
    for _ in 0..2 {
        assert_eq!(client.stream_bytes(bytes.len()), bytes, "{value}");
    }
}

#[test]
fn v001_a_channel_without_hold_is_a_plain_answer() {
    let response = seen(&["Grip-Channel: a"]);
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.length(), Some(5));
    assert_eq!(response.text(), "body\n");
    assert_eq!(response.head.names_from("Grip-"), [""; 0]);
}

#[test]
fn v002_an_unknown_grip_header_goes_and_others_stay() {
    let response = seen(&["Grip-Foo: x", "X-A: 1"]);
    assert_eq!(response.status(), 200);
    assert_eq!(response.head.get("X-A"), Some("1"));
    assert!(!response.head.has("Grip-Foo"));
}

#[test]
fn v003_grip_status_brings_its_usual_reason() {
    assert_eq!(status_line("404"), (404, "Not Found".into()));
}

#[test]
fn v004_grip_status_may_bring_its_own_reason() {
    assert_eq!(
        status_line("404 Nothing Here"),
        (404, "Nothing Here".into())
    );
}

#[test]
fn v005_an_unknown_status_has_an_undefined_reason() {
    assert_eq!(status_line("299"), (299, "Undefined Reason".into()));
}

#[test]
fn v006_a_status_that_is_none_is_refused() {
    refused(
        &["abc", "1000"].map(|s| instruct(&[&format!("Grip-Status: {s}")], "body\n")),
        "Grip-Status",
    );
}

#[test]
fn v007_a_hold_that_is_none_is_refused() {
    refused(
        &["foo", "Response", "", "stream, response"]
            .map(|s| instruct(&[&format!("Grip-Hold: {s}"), "Grip-Channel: a"], "body\n")),
        "Grip-Hold",
    );
}

#[test]
fn v008_the_first_of_two_holds_counts() {
    let site = Site::one(stream(&["Grip-Hold: response", "Grip-Channel: a"]));
    let mut client = site.stream("/");
    assert_eq!(site.gripd.push("a", "x"), 1);
    client.expect_stream("x");
}

#[test]
fn v009_a_timeout_that_is_no_number_is_refused() {
    refused(
        &["x", "5.5", ""].map(|s| poll(&["Grip-Channel: a", &format!("Grip-Timeout: {s}")])),
        "Grip-Timeout",
    );
}

#[test]
fn v010_a_negative_timeout_is_refused() {
    refused(
        &[poll(&["Grip-Channel: a", "Grip-Timeout: -1"])],
        "Grip-Timeout",
    );
}

/// A poll whose channel is new asks once more and then has its whole time again.
#[test]
fn v011_a_poll_ends_with_the_instructs_answer() {
    let site = Site::set_up(
        [
            ("/none", vec![poll(&["Grip-Timeout: 5"])]),
            (
                "/fresh",
                vec![poll(&["Grip-Timeout: 1", "Grip-Channel: fresh"])],
            ),
        ],
        |c| c,
    );
    let mut none = site.gripd.get("/none");
    let mut fresh = site.gripd.get("/fresh");
    for poll in [&mut none, &mut fresh] {
        let response = poll.response();
        assert_eq!((response.status(), response.text()), (200, "late\n".into()));
    }
    assert_eq!(site.asked("GET /none"), 1);
    assert_eq!(site.asked("GET /fresh"), 2);
}

#[test]
fn v012_an_empty_keep_alive_is_refused() {
    refused(
        &[stream(&["Grip-Keep-Alive: ; timeout=5"])],
        "Grip-Keep-Alive",
    );
}

#[test]
fn v013_a_broken_escape_in_a_keep_alive_is_refused() {
    refused(
        &[stream(&[r"Grip-Keep-Alive: x\xZZ; format=cstring"])],
        "Grip-Keep-Alive",
    );
}

#[test]
fn v014_unknown_escapes_of_a_cstring_vanish() {
    keeps_alive(
        r"a\x3bb\r\n\\ \q\t; format=cstring; timeout=1",
        b"a;b\r\n\\ ",
    );
}

#[test]
fn v015_raw_keep_alives_are_as_they_stand() {
    keeps_alive(r"ka\n; timeout=1", br"ka\n");
}

#[test]
fn v016_quotes_of_a_keep_alive_are_data() {
    keeps_alive(r#""q;x"; timeout=1"#, b"\"q");
}

#[test]
fn v017_keep_alives_may_be_base64() {
    keeps_alive("a2FcCg==; format=base64; timeout=1", b"ka\\\n");
}

#[test]
fn v018_the_shortest_interval_is_a_second() {
    keeps_alive("ka; timeout=0", b"ka");
}

#[test]
fn v019_six_filters_on_a_channel_are_refused() {
    let filters = ["b", "c", "d", "e", "f", "g"].map(|f| format!("; filter={f}"));
    let header = format!("Grip-Channel: a{}", filters.concat());
    refused(&[stream(&[&header])], "filters");
    refused(&[stream(&[&header])], "channel 'a'");
}

#[test]
fn v020_a_link_without_address_is_refused() {
    refused(
        &["/x; rel=next", "<>; rel=next"].map(|s| stream(&[&format!("Grip-Link: {s}")])),
        "Grip-Link",
    );
}

#[test]
fn v021_a_link_without_parameters_is_ignored() {
    for value in ["garbage", "</x>"] {
        let response = seen(&[&format!("Grip-Link: {value}")]);
        assert_eq!(
            (response.status(), response.text()),
            (200, "body\n".into()),
            "{value}"
        );
        assert_eq!(response.head.length(), Some(5));
    }
}

#[test]
fn v022_a_link_timeout_that_is_no_number_is_refused() {
    refused(
        &[stream(&["Grip-Link: </x>; rel=next; timeout=q"])],
        "Grip-Link",
    );
}

/// One version takes it, since the link is not used. An address that is none is a mistake that
/// its author wants to hear of.
#[test]
fn v023_a_link_with_a_broken_address_is_refused_whatever_its_rel() {
    refused(
        &[stream(&["Grip-Link: <http://[bad>; rel=foo"])],
        "Grip-Link",
    );
}

#[test]
fn v024_a_prev_id_without_next_link_ends_the_stream() {
    for channel in ["a; prev-id=1", "a; prev-id="] {
        let site = Site::one(stream(&[&format!("Grip-Channel: {channel}")]));
        let mut client = site.gripd.client();
        let response = client.fetch("/");
        assert_eq!(
            (response.status(), response.text()),
            (200, "hi\n".into()),
            "{channel}"
        );
        assert_eq!(client.fetch("/").status(), 200, "the connection goes on");
        let debug = site.gripd.fetch("/debug/").text();
        let cause = debug.strip_prefix("hi\n").expect("the body comes first");
        assert!(
            cause.contains("'a'") && cause.contains("prev-id"),
            "{cause:?}"
        );
    }
}

#[test]
fn v025_a_channel_with_an_unclosed_quote_is_dropped() {
    let site = Site::one(stream(&[r#"Grip-Channel: a; prev-id="abc"#]));
    let _client = site.stream("/");
    assert_eq!(site.gripd.push("a", "x"), 0);
}

#[test]
fn v026_quotes_of_a_channel_are_part_of_its_name() {
    let site = Site::one(stream(&[r#"Grip-Channel: "a,b"; filter="skip-self", z"#]));
    let mut client = site.stream("/");
    assert_eq!(site.gripd.push("a,b", "no"), 0);
    assert_eq!(site.gripd.push("\"a,b\"", "1"), 1);
    assert_eq!(site.gripd.push("z", "2"), 1);
    client.expect_stream("12");
}

#[test]
fn v027_only_filter_must_be_lower_case() {
    let site = Site::one(stream(&[
        "Grip-Channel: a; FILTER=skip-self",
        "Grip-Set-Meta: user=a",
        "Grip-Keep-Alive: K; TIMEOUT=1",
    ]));
    let mut client = site.stream("/");
    site.gripd
        .publish(&json!([with_meta("a", "x", &json!({"sender": "a"}))]));
    // A keep-alive may come before the item.
    let mut got = Vec::new();
    while !(got.contains(&b'x') && got.contains(&b'K')) {
        got.extend(client.stream_bytes(1));
    }
}

#[test]
fn v028_only_exposed_headers_survive() {
    let response = seen(&["Grip-Expose-Headers: X-A", "X-A: 1", "X-B: 2"]);
    assert_eq!(response.head.get("X-A"), Some("1"));
    assert!(!response.head.has("X-B") && !response.head.has("Content-Type"));
    assert_eq!(response.text(), "body\n");
}
