//! gripd under the names of Pushpin's programs.

use std::{os::unix::fs::symlink, path::PathBuf};

use super::*;

/// A link to gripd of this name, as the image has it.
fn link(folder: &Folder, name: &str) -> PathBuf {
    let link = folder.0.join(name);
    symlink(env!("CARGO_BIN_EXE_gripd"), &link).unwrap();
    link
}

fn call(name: &str, words: &[&str]) -> Answer {
    let folder = Folder::new();
    let mut command = Command::new(link(&folder, name));
    command
        .args(words)
        .current_dir(&folder.0)
        .env_remove("GRIP_URL");
    Answer::of(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn the_version_begins_with_the_name() {
    let version = env!("CARGO_PKG_VERSION");
    for (name, flags) in [
        ("pushpin", &["--version", "-v", "-V"] as &[&str]),
        ("pushpin-publish", &["--version", "-V"]),
    ] {
        for flag in flags {
            let answer = call(name, &[flag]);
            assert_eq!(answer.code, Some(0));
            assert_eq!(answer.out, format!("{name} {version} (gripd)\n"), "{flag}");
        }
    }
}

#[test]
fn pushpin_publish_publishes() {
    let port = control_port();
    let spec = format!("--spec={}", url(&port));
    // Its header and meta options take all words up to the next option.
    let words = [
        "news", "hello", &spec, "-H", "A: 1", "B: 2", "-M", "k=v", "l=w",
    ];
    let answer = call("pushpin-publish", &words);
    assert_eq!(
        (answer.code, &*answer.out, &*answer.err),
        (Some(0), "Published\n", "")
    );
    let item = &items(&port)[0];
    assert_eq!(item["formats"]["http-response"]["body"], "hello\n");
    assert_eq!(item["meta"], serde_json::json!({"k": "v", "l": "w"}));
    let headers = serde_json::json!([["A", "1"], ["B", "2"]]);
    assert_eq!(item["formats"]["http-response"]["headers"], headers);
    // Standard input means nothing to it.
    assert_eq!(call("pushpin-publish", &[&spec, "news", "-"]).code, Some(0));
    assert_eq!(items(&port)[1]["formats"]["ws-message"]["content"], "-");
}

#[test]
fn pushpin_publish_says_published_and_no_more() {
    let (_backend, gripd) = gripd();
    let spec = format!("--spec={}", control(&gripd));
    let answer = call("pushpin-publish", &[&spec, "news", "hello"]);
    assert_eq!(answer.out, "Published\n");
}

#[test]
fn every_error_of_pushpin_publish_is_exit_code_1() {
    for (words, said) in [
        (&[] as &[&str], "error: "),
        (&["--nonsense"], "error: "),
        (&["news"], "Error: must specify content\n"),
        (
            &["-u", "a:b", "news", "x"],
            "Error: Authentication requires https\n",
        ),
        (
            &["-B", "token", "news", "x"],
            "Error: Authentication requires https\n",
        ),
        (
            &["--spec=http://127.0.0.1:1", "news", "x"],
            "Error: Connection refused (os error 111)\n",
        ),
        (
            &["--spec=ipc:///tmp/x", "news", "x"],
            "Error: ipc:///tmp/x is a ZeroMQ address, and items are published over HTTP here: \
             --spec must be the control port, such as http://localhost:5561\n",
        ),
        (
            &["--spec=tcp://127.0.0.1:5560", "news", "x"],
            "Error: tcp://127.0.0.1:5560 is a ZeroMQ address, ",
        ),
    ] {
        let answer = call("pushpin-publish", words);
        assert_eq!((answer.code, &*answer.out), (Some(1), ""), "{answer:?}");
        assert!(answer.err.starts_with(said), "{answer:?}");
    }
}

#[test]
fn pushpin_publish_works_with_a_key_that_is_there_for_others() {
    let port = control_port();
    let folder = Folder::new();
    let mut command = Command::new(link(&folder, "pushpin-publish"));
    let url = format!("{}?key=changeme", url(&port));
    let output = command.args(["news", "x"]).env("GRIP_URL", url).output();
    assert_eq!(Answer::of(output.unwrap()).out, "Published\n");
}

#[test]
fn pushpin_serves_with_its_own_options() {
    let backend = Backend::saying("from the app");
    let route = format!("--route=* {}", backend.addr);
    let gripd = Gripd::start(|c| {
        let options = [
            "--merge-output",
            "--loglevel=2,proxy:3",
            "--verbose",
            "--id=0",
        ];
        let setup = options.iter().fold(c, |c, option| c.arg(*option));
        setup.arg("-m").arg(&route).called("pushpin")
    });
    assert_eq!(gripd.fetch("/").text(), "from the app");
    gripd.wait_log("clients: http://");
}

#[test]
fn pushpin_reads_the_file_it_is_given() {
    let backend = Backend::saying("from the app");
    let routes = format!("* {}\n", backend.addr);
    let conf = "[proxy]\nroutesfile=routes\nsig_key=\n[handler]\npush_in_http_port=5561\n";
    let folder = Folder::new()
        .with("routes", &routes)
        .with("pushpin.conf", conf);
    let checked = Command::new(link(&folder, "pushpin"))
        .args(["check", "--config=pushpin.conf", "--port=127.0.0.1:0"])
        .current_dir(&folder.0)
        .output();
    let answer = Answer::of(checked.unwrap());
    assert!(answer.out.starts_with("OK: 1 route, "), "{answer:?}");
    let refused = call("pushpin", &["--config=/nowhere/pushpin.conf"]);
    assert_eq!(refused.code, Some(3));
    assert!(refused.err.contains("/nowhere/pushpin.conf"), "{refused:?}");
}

#[test]
fn the_image_runs_all_three() {
    let port = control_port();
    let folder = Folder::new();
    let words = [
        "image",
        "pushpin-publish",
        "--spec",
        &url(&port),
        "news",
        "x",
    ];
    assert_eq!(folder.run(&words).out, "Published\n");
    let version = folder.run(&["image", "pushpin", "--version"]).out;
    assert!(version.starts_with("pushpin "), "{version}");
}
