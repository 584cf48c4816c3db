//! `gripd example`: what it prints is sound, whole, and the same as the files of the repository.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "check/folder.rs"]
mod folder;

use std::{fs, path::Path, process::Stdio};

use folder::{Answer, Folder};

fn printed(name: &str) -> String {
    let answer = Folder::new().run(&["example", name]);
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""), "{name}");
    answer.out
}

#[test]
fn each_example_is_the_file_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, file) in [
        ("routes", "routes.example"),
        ("config", "gripd.example.toml"),
        ("compose", "docker-compose.yml"),
        ("unit", "examples/systemd/gripd.service"),
        ("settings", "docs/settings.md"),
    ] {
        let kept = fs::read_to_string(root.join(file)).unwrap();
        assert!(
            printed(name) == kept,
            "{file} is not what `gripd example {name}` prints; docs/settings.md is written by \
             `cargo run -- example settings > docs/settings.md`"
        );
    }
}

#[test]
fn it_runs_from_any_folder_and_writes_no_file() {
    // Nothing of what lies here is read.
    let folder = Folder::new().with("gripd.toml", "broken");
    for name in ["routes", "config", "compose", "settings"] {
        let answer = folder.run(&["example", name]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn every_line_of_the_routes_example_is_sound() {
    let example = printed("routes");
    // Text is `# text`; a line to be used has its # in front without a blank.
    let lines: Vec<_> = example
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| !line.is_empty() && !line.starts_with(' '))
        .collect();
    assert!(lines.len() > 20, "{lines:?}");
    let folder = Folder::new();
    for line in &lines {
        let said = folder.run(&["check", "--route", line]).out;
        assert!(
            said.starts_with("OK: 1 route, 0 warnings;"),
            "{line}: {said}"
        );
    }
    let commonest = [
        "* 127.0.0.1:8000",
        "* 127.0.0.1:3000",
        "*,path_beg=/cable 127.0.0.1:3000",
        "* 127.0.0.1:3001",
    ];
    assert_eq!(lines[..4], commonest);
}

#[test]
fn an_unknown_name_is_told_the_known_ones() {
    for arguments in [&["example", "route"] as &[&str], &["example"]] {
        let answer = Folder::new().run(arguments);
        assert_eq!(answer.code, Some(2), "{answer:?}");
        for name in ["routes", "config", "compose", "settings"] {
            assert!(answer.err.contains(name), "{answer:?}");
        }
    }
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let folder = Folder::new();
    for arguments in [
        &["example", "routes"] as &[&str],
        &["check", "--print", "--route", "* test"],
    ] {
        let mut child = folder
            .gripd(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let answer = Answer::of(child.wait_with_output().unwrap());
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(!answer.err.contains("panic"), "{answer:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let folder = Folder::new();
    for arguments in [
        &["example", "config"] as &[&str],
        &["check", "--route", "* test"],
        &["check", "--print", "--route", "* test"],
    ] {
        let mut command = folder.gripd(arguments);
        let answer = Answer::of(command.stdout(full.try_clone().unwrap()).output().unwrap());
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.err.contains("gripd: cannot write: "), "{answer:?}");
    }
}
