//! `gripd example`: what it prints is sound, whole, and the same as the files of the repository.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

fn gripd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gripd"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GRIPD_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    gripd(arguments).output().unwrap()
}

fn printed(name: &str) -> String {
    let output = run(&["example", name]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_example_is_the_file_of_the_repository() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for (name, file) in [
        ("routes", "routes.example"),
        ("config", "gripd.example.toml"),
        ("compose", "docker-compose.yml"),
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
    let name = format!("gripd-example-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    // Nothing of what lies here is read.
    fs::write(folder.join("gripd.toml"), "broken").unwrap();
    let statuses: Vec<_> = ["routes", "config", "compose", "settings"]
        .iter()
        .map(|name| gripd(&["example", name]).current_dir(&folder).output())
        .map(|output| output.unwrap().status.code())
        .collect();
    let left = fs::read_dir(&folder).unwrap().count();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(statuses, [Some(0); 4]);
    assert_eq!(left, 1);
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
    for line in &lines {
        let output = run(&["check", "--route", line]);
        let said = String::from_utf8_lossy(&output.stdout);
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
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        for name in ["routes", "config", "compose", "settings"] {
            assert!(said.contains(name), "{said}");
        }
    }
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    for arguments in [
        &["example", "routes"] as &[&str],
        &["check", "--print", "--route", "* test"],
    ] {
        let mut child = gripd(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        assert!(!said.contains("panic"), "{said}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = gripd(&["example", "config"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
