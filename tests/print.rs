//! `gripd check --print`: every setting with who said so, no secret, and fit to be pasted.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "check/folder.rs"]
mod folder;

use folder::{Answer, Folder};

/// Every kind of key, none at its default, from three sources.
fn unusual() -> Folder {
    Folder::new()
        .with(
            "gripd.toml",
            "threads = 3\n[listen]\nhttp = [\"*:81\", \"127.0.0.1:82\"]\nbacklog = 7\n\
             [control]\nhttp = 6000\nhosts = [\"a\", \"b\"]\nmax_head = \"2KiB\"\n\
             [proxy]\ndebug = true\nset_x_forwarded_protocol = true\n\
             x_forwarded_for = \"truncate:2,append\"\ncdn_loop = \"a \\\"b\\\" \\\\ c\"\n\
             [grip]\nsig_key = \"geheim\"\nid_cache_ttl = 0\n\
             [limits]\nrequest_body = \"3GiB\"\n[timeouts]\nconnect = 1.5\nresponse = \"2h\"\n\
             publish = 0\n[log]\nlevel = \"info,gripd=debug\"\nfile = \"x.log\"\n",
        )
        .with(
            "routes",
            "\u{feff}# all\n* a:1,sub=news # sig_key=geheim\nbroken\n\
             *,path_beg=/k,sig_key=\"geheim\",header=\"X-Api-Key: geheim\",header=X-A:b b:2\n\
             * again:1\nz.test c:3\n",
        )
}

#[test]
fn printed_settings_say_who_said_so_and_hide_secrets() {
    let folder = unusual();
    let mut command = folder.gripd(&["check", "--print", "--port", "9000", "--id", "1"]);
    let answer = Answer::of(
        command
            .env("GRIPD_TIMEOUTS_IDLE", "250ms")
            .env("GRIPD_GRIP_UPSTREAM_KEY", "geheim")
            .output()
            .unwrap(),
    );
    let here = folder.0.canonicalize().unwrap();
    let here = here.display();
    for line in [
        "# gripd ",
        "threads = 3  # gripd.toml:1",
        "http = [\"9000\"]  # --port",
        "http = [\"6010\"]  # gripd.toml:6, moved by 10 (--id or port_offset)",
        "hosts = [\"a\", \"b\"]  # gripd.toml:7",
        "max_head = \"2KiB\"  # gripd.toml:8",
        "#max_body = 1000000  # default",
        &format!("file = \"{here}/routes\"  # found, not named"),
        "x_forwarded_for = [\"truncate:2\", \"append\"]  # gripd.toml:12",
        "#sig_key = \"***\"  # gripd.toml:15",
        "#upstream_key = \"***\"  # GRIPD_GRIP_UPSTREAM_KEY",
        "connect = \"1500ms\"  # gripd.toml:20",
        "response = \"2h\"  # gripd.toml:21",
        "idle = \"250ms\"  # GRIPD_TIMEOUTS_IDLE",
        "# Routes in force: 3",
        "#     2: * a:1,sub=news",
        "#     4: *,path_beg=/k,sig_key=***,header=X-Api-Key:***,header=X-A:b b:2",
        "#     6: z.test c:3",
    ] {
        let found = answer.out.lines().any(|printed| match line {
            "# gripd " => printed.starts_with(line),
            _ => printed == line,
        });
        assert!(found, "{line}\n{}", answer.out);
    }
    assert!(!answer.out.contains("geheim"), "{}", answer.out);
    assert!(!answer.out.contains("again:1"), "{}", answer.out);
    // The faults of the routes, apart, so that what is printed can be kept.
    assert!(answer.err.starts_with("routes:3:1: "), "{}", answer.err);
    assert!(
        answer
            .err
            .contains("routes:5:1: line 2 has the same condition"),
        "{}",
        answer.err
    );
    assert_eq!(answer.code, Some(3));
}

#[test]
fn printed_settings_are_read_back() {
    let print = |folder: &Folder, more: &[&str]| {
        let answer = folder.run(&[&["check", "--print"], more].concat());
        // Where a value came from is all that may differ.
        let lines = answer.out.lines().skip(1);
        let values: Vec<_> = lines
            .map(|line| {
                line.split_once("  # ")
                    .map_or(line, |(value, _)| value)
                    .to_owned()
            })
            .collect();
        (answer.out, values)
    };
    let lines = ["--route", "* a:1,sub=\"x y\"", "--route", "z.test b:2"];
    let pushpin = Folder::new()
        .with(
            "pushpin.conf",
            "[global]\nport_offset=10\n[runner]\nhttp_port=80,1.2.3.4:81\nlog_level=3\n\
             [proxy]\nroutesfile=r\nsig_iss=\n[handler]\nmessage_wait=250\n",
        )
        .with("r", "* test\n");
    for (folder, more) in [
        (unusual(), &[] as &[&str]),
        (Folder::new(), &lines),
        (
            pushpin,
            &[
                "--config",
                "pushpin.conf",
                "--port",
                "127.0.0.1:0",
                "--verbose",
            ],
        ),
    ] {
        let (text, values) = print(&folder, more);
        let folder = folder.with("gripd.toml", &text);
        let (_, again) = print(&folder, &[]);
        assert!(values.len() > 60, "{text}");
        assert_eq!(values, again, "{text}");
    }
}

#[test]
fn route_lines_with_a_key_are_printed_but_not_to_be_pasted() {
    let lines = ["--route", "*,sig_key=geheim a:1", "--route", "z.test b:2"];
    let answer = Folder::new().run(&[&["check", "--print"], &lines[..]].concat());
    let expected = "lines = [  # --route\n  # \"*,sig_key=*** a:1\"\n  \"z.test b:2\",\n]\n";
    assert!(answer.out.contains(expected), "{}", answer.out);
    assert!(!answer.out.contains("geheim"), "{}", answer.out);
}
