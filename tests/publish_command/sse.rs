//! Server-sent events written by `gripd publish --sse`.

use super::*;

#[test]
fn a_stream_gets_the_events_lines() {
    let (_backend, gripd) = gripd();
    let mut stream = gripd.stream("/stream", "begin\n");
    for (words, event) in [
        (&["news", "hello"] as &[&str], "data: hello\n\n"),
        (&["news", "a\nb"], "data: a\ndata: b\n\n"),
        (
            &["--event=tick", "--id=7", "--retry=1500", "news", "{}"],
            "event: tick\nid: 7\nretry: 1500\ndata: {}\n\n",
        ),
    ] {
        let words = [&["--sse"], words].concat();
        let answer = publish(&control(&gripd), &words);
        assert_eq!(answer.out, "Published: 1 subscription\n", "{answer:?}");
        stream.expect_stream(event);
    }
}

#[test]
fn an_event_is_for_streams_alone_and_its_id_is_the_items() {
    let port = control_port();
    let words = ["--sse", "--id=7", "--prev-id=6", "-M", "k=v", "news", "x"];
    assert_eq!(publish(&url(&port), &words).code, Some(0));
    let expected = serde_json::json!([{
        "channel": "news", "id": "7", "prev-id": "6", "meta": {"k": "v"},
        "formats": {"http-stream": {"content": "id: 7\ndata: x\n\n"}},
    }]);
    assert_eq!(Value::from(items(&port)), expected);
}

#[test]
fn what_would_break_an_event_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("bytes"), b"\xff").unwrap();
    for (words, code, said) in [
        (
            &["--sse", "--event=a\nb", "news", "x"] as &[&str],
            2,
            "gripd: --event \"a\\nb\": a field of an event is one line",
        ),
        (
            &["--sse", "--id=a\rb", "news", "x"],
            2,
            "gripd: --id \"a\\rb\": a field of an event is one line",
        ),
        (
            &["--sse", "news", "@bytes"],
            1,
            "gripd: --sse: an event is UTF-8, and this content is not",
        ),
        (&["--event=a", "news", "x"], 2, "error: "),
        (&["--retry=1", "news", "x"], 2, "error: "),
        (&["--sse", "--retry=soon", "news", "x"], 2, "error: "),
        (&["--sse", "--close", "news"], 2, "error: "),
        (&["--sse", "--no-eol", "news", "x"], 2, "error: "),
    ] {
        let answer = Answer::of(
            command(&folder, "http://127.0.0.1:1", words)
                .output()
                .unwrap(),
        );
        assert_eq!(answer.code, Some(code), "{answer:?}");
        assert!(answer.err.starts_with(said), "{answer:?}");
    }
}
