//! What goes wrong, each with its sentence and its exit code.

use std::net::TcpListener;

use super::*;

#[test]
fn wrong_usage_is_named_and_exit_code_2() {
    let folder = Folder::new().with("large", &"x".repeat(2000));
    for (words, said) in [
        (
            &["news"] as &[&str],
            "gripd: CONTENT: must specify content; allowed: text, @FILE, or - for the lines of \
             standard input\n",
        ),
        (
            &["news", "x", "-H", "bad"],
            "gripd: --header \"bad\": header must be in the form \"name: value\"\n",
        ),
        (
            &["news", "x", "-M", "bad"],
            "gripd: --meta \"bad\": meta must be in the form \"name=value\"\n",
        ),
        (
            &["news", "x", "--code=1000"],
            "gripd: --code 1000: code must be an integer between 0 and 999\n",
        ),
        (
            &["news", "x", "--code=ok"],
            "gripd: --code ok: failed to parse code: invalid digit found in string\n",
        ),
        (
            &["news", "x", "--spec=localhost:5561"],
            "gripd: --spec: invalid URL; allowed: http://HOST:PORT or https://HOST, ",
        ),
        (
            &["news", "x", "--spec=http://"],
            "gripd: --spec: invalid URL (empty host); allowed: ",
        ),
        (&["news", "x", "--timeout=0"], "error: "),
        (&["news", "x", "--max-size=much"], "error: "),
        (&["news", "x", "-u", "a:b", "-B", "c"], "error: "),
        (&["--json", "{}", "x"], "error: "),
        (&["--json", "{}", "--id=1"], "error: "),
        (&["-H", "a: b"], "error: "),
    ] {
        let call = command(&folder, "http://127.0.0.1:1", words).output();
        let answer = Answer::of(call.unwrap());
        assert_eq!((answer.code, &*answer.out), (Some(2), ""), "{answer:?}");
        assert!(answer.err.starts_with(said), "{answer:?}");
    }
}

#[test]
fn settings_before_the_command_are_not_silently_without_use() {
    let answer = Folder::new().run(&["--control=5571", "publish", "news", "x"]);
    assert_eq!(answer.code, Some(2));
    let said = "error: this command reads no settings";
    assert!(answer.err.starts_with(said), "{answer:?}");
}

#[test]
fn contents_that_cannot_be_used_are_named() {
    let folder = Folder::new().with("large", &"x".repeat(2000));
    for (words, said) in [
        (
            &["news", "@nothing"] as &[&str],
            "gripd: CONTENT: can't read file nothing: No such file or directory (os error 2)\n",
        ),
        (
            &["news", "@large", "--max-size=1KiB"],
            "gripd: file large: larger than 1024 bytes (--max-size)\n",
        ),
        (
            &["news", "@/dev/zero", "--max-size=1KiB"],
            "gripd: file /dev/zero: larger than 1024 bytes (--max-size)\n",
        ),
        (
            &["--patch", "news", "{}"],
            "gripd: --patch: patch content must be a JSON array\n",
        ),
        (
            &["--patch", "news", "nonsense"],
            "gripd: --patch: expected ident at line 1 column 2\n",
        ),
        (
            &["--json", "[]"],
            "gripd: --json: not an object; must be an item, {\"channel\": …, \"formats\": …}, or \
             {\"items\": […]}\n",
        ),
        (
            &["--json", "{\"items\": 1}"],
            "gripd: --json: \"items\" is not an array; must be an item, ",
        ),
        (&["--json", ""], "gripd: --json: EOF while parsing a value"),
    ] {
        let call = command(&folder, "http://127.0.0.1:1", words).output();
        let answer = Answer::of(call.unwrap());
        assert_eq!((answer.code, &*answer.out), (Some(1), ""), "{answer:?}");
        assert!(answer.err.starts_with(said), "{answer:?}");
    }
}

#[test]
fn zeromq_addresses_name_the_http_way() {
    for (spec, instead) in [
        ("tcp://127.0.0.1:5560", "http://127.0.0.1:5561"),
        ("TCP://gripd.internal:5560", "http://gripd.internal:5561"),
        ("tcp://[::1]:5560", "http://[::1]:5561"),
        ("tcp://*:5560", "http://localhost:5561"),
        ("ipc:///var/run/pushpin/x", "http://localhost:5561"),
    ] {
        let answer = publish(spec, &["news", "x"]);
        let said = format!(
            "gripd: GRIP_URL: {spec} is a ZeroMQ address, and items are published over HTTP here: \
             GRIP_URL must be the control port, such as {instead}\n"
        );
        assert_eq!((answer.code, &*answer.err), (Some(1), &*said));
        let answer = publish("", &["news", "x", "--spec", spec]);
        assert!(
            answer.err.contains("--spec must be the control port"),
            "{answer:?}"
        );
    }
}

#[test]
fn an_answer_that_is_no_success_is_told() {
    for (raw, said) in [
        (
            answer("400 Bad Request", "", "Invalid format.\n"),
            " answers 400: Invalid format.\n",
        ),
        (answer("201 Created", "", ""), " answers 201\n"),
        (
            answer("302 Found", "Location: http://127.0.0.1:1/\r\n", ""),
            " answers 302\n",
        ),
        (
            answer("503 Service Unavailable", "", "Busy."),
            " answers 503: Busy.\n",
        ),
        (
            b"SSH-2.0-other\r\n\r\n".to_vec(),
            ": invalid HTTP version parsed\n",
        ),
    ] {
        let port = Backend::always(raw);
        let answer = publish(&url(&port), &["news", "x"]);
        let said = format!("gripd: {}/publish/{said}", url(&port));
        assert_eq!(
            (answer.code, &*answer.out, &*answer.err),
            (Some(1), "", &*said)
        );
    }
}

#[test]
fn an_answer_of_any_length_is_no_danger() {
    let port = Backend::start(|_, reply| {
        reply.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        while reply.send([b'x'; 4096]) {}
        reply.close();
    });
    let answer = publish(&url(&port), &["news", "x"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.len() < 2 << 20, "{}", answer.err.len());
}

#[test]
fn what_is_published_is_published_whatever_the_rest_of_the_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nPubl",
        "HTTP/1.1 200 OK\r\n\r\n{\"items\":[{\"status\":3}]}",
        "HTTP/1.0 200 OK\r\n\r\n[[[",
    ] {
        let port = Backend::start(move |_, reply| {
            reply.send(answer);
            reply.close();
        });
        assert_eq!(publish(&url(&port), &["news", "x"]).out, "Published\n");
    }
}

#[test]
fn nobody_and_silence_are_told() {
    let dead = support::DeadPort::new();
    let url = format!("http://{}", dead.addr);
    let answer = publish(&url, &["news", "x"]);
    let said = format!("gripd: {url}/publish/: Connection refused (os error 111)\n");
    assert_eq!((answer.code, &*answer.err), (Some(1), &*said));

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let answer = publish(&url, &["news", "x", "--timeout=300ms"]);
    let said = format!(
        "gripd: {url}/publish/: no answer within 300ms (--timeout); what was sent may have been \
         published\n"
    );
    assert_eq!((answer.code, &*answer.err), (Some(1), &*said));
}

#[test]
fn a_proxy_in_the_environment_is_not_asked() {
    let (port, proxy) = (control_port(), control_port());
    let folder = Folder::new();
    let mut command = command(&folder, &url(&port), &["news", "x"]);
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        command.env(name, url(&proxy));
    }
    assert_eq!(Answer::of(command.output().unwrap()).code, Some(0));
    assert_eq!((port.requests().len(), proxy.requests().len()), (1, 0));
}
