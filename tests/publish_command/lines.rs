//! Lines of standard input, each an item.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout},
    sync::{Arc, Mutex},
};

use super::*;

/// Starts it, to be fed by the test.
fn start(url: &str, words: &[&str]) -> (Child, ChildStdin) {
    let mut child = command(&Folder::new(), url, words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}

/// All it says about this input.
fn feed(url: &str, words: &[&str], text: impl Into<Vec<u8>>) -> Answer {
    let (child, mut input) = start(url, words);
    let text = text.into();
    // It may end before it has read all.
    let writer = std::thread::spawn(move || drop(input.write_all(&text)));
    let answer = Answer::of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    answer
}

fn streamed(item: &Value) -> &str {
    item["formats"]["http-stream"]["content"].as_str().unwrap()
}

/// What a terminal shows, read along.
fn follow(mut output: ChildStdout) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let writer = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = output.read(&mut piece) {
            let piece = String::from_utf8_lossy(&piece[..read]);
            writer.lock().unwrap().push_str(&piece);
        }
    });
    text
}

#[test]
fn every_line_arrives_in_its_order() {
    let (_backend, gripd) = gripd();
    let mut stream = gripd.stream("/stream", "begin\n");
    let lines: Vec<_> = (0..2000).map(|n| format!("line {n}")).collect();
    let text = lines.join("\n") + "\n";
    let answer = feed(&control(&gripd), &["news", "-"], &*text);
    assert_eq!(answer.err, "");
    assert_eq!(answer.out, "Published 2000 items: 2000 subscriptions\n");
    stream.expect_stream(&text);
}

#[test]
fn a_line_goes_out_before_the_next_one_is_there() {
    let port = control_port();
    let (mut child, mut input) = start(&url(&port), &["news", "-"]);
    for n in 1..4 {
        writeln!(input, "{n}").unwrap();
        port.wait_requests(n);
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    let items = items(&port);
    assert_eq!(items.iter().map(streamed).collect::<String>(), "1\n2\n3\n");
}

#[test]
fn what_came_together_goes_together_but_not_all_at_once() {
    let port = control_port();
    let text = "x\n".repeat(1000);
    assert_eq!(feed(&url(&port), &["news", "-"], text).code, Some(0));
    let sizes: Vec<_> = port.requests().iter().map(|one| one.body.len()).collect();
    assert_eq!(items(&port).len(), 1000);
    // Few posts, each well below the 1,000,000 bytes that a control port takes.
    assert!(sizes.len() < 100, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 200_000), "{sizes:?}");
}

#[test]
fn lines_may_be_empty_without_an_end_or_of_bytes() {
    let port = control_port();
    let answer = feed(&url(&port), &["news", "-"], b"a\r\n\n\xff\nlast".as_slice());
    assert_eq!(answer.out, "Published 4 items\n");
    let items = items(&port);
    assert_eq!(streamed(&items[0]), "a\n");
    assert_eq!(items[0]["formats"]["ws-message"]["content"], "a");
    assert_eq!(streamed(&items[1]), "\n");
    let bytes = &items[2]["formats"]["http-stream"]["content-bin"];
    assert_eq!(bytes, "/wo=");
    assert_eq!(streamed(&items[3]), "last\n");
}

#[test]
fn an_empty_input_is_no_fault() {
    let port = control_port();
    let answer = feed(&url(&port), &["news", "-"], "");
    assert_eq!(
        (answer.code, &*answer.out),
        (Some(0), "Published 0 items\n")
    );
    assert_eq!(port.requests().len(), 0);
}

#[test]
fn each_line_may_be_an_event() {
    let port = control_port();
    let words = ["--sse", "--event=log", "news", "-"];
    assert_eq!(
        feed(&url(&port), &words, "a\nb\n").out,
        "Published 2 items\n"
    );
    let items = items(&port);
    let all: String = items.iter().map(streamed).collect();
    assert_eq!(all, "event: log\ndata: a\n\nevent: log\ndata: b\n\n");
}

#[test]
fn each_line_may_be_a_whole_item() {
    let port = control_port();
    let text = "{\"channel\":\"a\",\"id\":\"1\"}\n\n  \n{\"items\":[{\"channel\":\"b\"}]}\n";
    let answer = feed(&url(&port), &["--json", "-"], text);
    assert_eq!(answer.out, "Published 2 items\n");
    let expected = serde_json::json!([{"channel": "a", "id": "1"}, {"channel": "b"}]);
    assert_eq!(Value::from(items(&port)), expected);
}

#[test]
fn a_line_that_is_no_item_is_named_and_those_before_it_are_published() {
    let port = control_port();
    let text = "{\"channel\":\"a\"}\n{\"channel\":\"b\"}\nnonsense\n{\"channel\":\"c\"}\n";
    let answer = feed(&url(&port), &["--json", "-"], text);
    assert_eq!((answer.code, &*answer.out), (Some(1), ""));
    let said = "gripd: standard input, line 3: --json: expected ident at line 1 column 2; must be \
                an item, ";
    assert!(answer.err.starts_with(said), "{}", answer.err);
    let end = "; 2 items were published before\n";
    assert!(answer.err.ends_with(end), "{}", answer.err);
    assert_eq!(items(&port).len(), 2);
}

#[test]
fn lines_that_are_refused_are_named() {
    let port = Backend::start(|request, reply| {
        let status = if request.nth == 0 {
            "200 OK"
        } else {
            "400 Bad Request"
        };
        reply.send(answer(status, "", "Too bad.\n"));
    });
    let (child, mut input) = start(&url(&port), &["news", "-"]);
    input.write_all(b"one\n").unwrap();
    port.wait_requests(1);
    input.write_all(b"two\nthree\n").unwrap();
    port.wait_requests(2);
    drop(input);
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.code, Some(1));
    // Both lines were written at once, but may be read one by one.
    let lines = ["lines 2 to 3", "line 2"].map(|lines| {
        format!(
            "gripd: standard input, {lines}: {}/publish/ answers 400: Too bad.; 1 item was \
             published before\n",
            url(&port)
        )
    });
    assert!(lines.contains(&answer.err), "{}", answer.err);
}

#[test]
fn a_line_without_end_is_no_danger() {
    let port = control_port();
    let words = ["--max-size=1KiB", "news", "-"];
    let answer = feed(&url(&port), &words, "x".repeat(100_000));
    let said = "gripd: standard input, line 1: larger than 1024 bytes (--max-size); nothing was \
                published before\n";
    assert_eq!((answer.code, &*answer.err), (Some(1), said));
}

#[test]
fn lines_cannot_share_an_id() {
    for words in [["--id=1", "news", "-"], ["--prev-id=1", "news", "-"]] {
        let answer = publish("http://127.0.0.1:1", &words);
        let said = "gripd: --id, --prev-id: every line would have the same id; ";
        assert_eq!(answer.code, Some(2));
        assert!(answer.err.starts_with(said), "{}", answer.err);
    }
}

#[test]
fn a_person_who_waits_sees_how_far_it_is() {
    let port = control_port();
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_gripd");
    let line = format!("{program} publish --spec={} news - < pipe", url(&port));
    let made = Command::new("mkfifo").arg(folder.0.join("pipe")).status();
    assert!(made.unwrap().success());
    // A terminal for standard output and error.
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let screen = follow(child.stdout.take().unwrap());
    let pipe = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.0.join("pipe"));
    let mut pipe = pipe.unwrap();
    support::eventually("progress is shown", || {
        writeln!(pipe, "x").unwrap();
        screen.lock().unwrap().contains(" items published")
    });
    drop(pipe);
    assert!(child.wait().unwrap().success());
    support::eventually("the end is told", || {
        let screen = screen.lock().unwrap();
        screen.contains("\r\u{1b}[KPublished ")
    });
}
