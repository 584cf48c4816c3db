//! `gripd completions` and `gripd man`: made of the command line, and all of it.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "check/folder.rs"]
mod folder;

use std::process::{Command, Stdio};

use folder::{Answer, Folder};

fn printed(words: &[&str]) -> String {
    let answer = Folder::new().run(words);
    assert_eq!((answer.code, &*answer.err), (Some(0), ""), "{words:?}");
    answer.out
}

/// The long options that a help names.
fn options(help: &str) -> Vec<&str> {
    let words = help.split([' ', ',', '\n']);
    let options = words.filter(|word| word.len() > 2 && word.starts_with("--"));
    options.collect()
}

/// The commands that gripd's help names.
fn commands() -> Vec<String> {
    let help = printed(&["-h"]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let lines = list.lines().filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect()
}

/// What bash offers behind these words.
fn offered(words: &str) -> Vec<String> {
    let script = Folder::new().with("gripd.bash", &printed(&["completions", "bash"]));
    let code = format!(
        "source gripd.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _gripd gripd \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    let output = bash
        .args(["--norc", "-c", &code])
        .current_dir(&script.0)
        .output();
    let answer = Answer::of(output.unwrap());
    assert_eq!(answer.err, "", "{words}");
    answer.out.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_commands_options_and_values() {
    assert_eq!(offered("gripd pub"), ["publish"]);
    assert_eq!(offered("gripd publish --ret"), ["--retry"]);
    assert_eq!(offered("gripd check --pri"), ["--print"]);
    let examples = offered("gripd example \"\"");
    for name in ["routes", "config", "compose", "settings"] {
        assert!(examples.contains(&name.to_owned()), "{examples:?}");
    }
}

#[test]
fn every_shell_gets_something_that_knows_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
    let unknown = Folder::new().run(&["completions", "dosshell"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("bash"), "{unknown:?}");
}

#[test]
fn every_command_has_a_page_with_all_its_options() {
    let commands = commands();
    for wanted in [
        "check",
        "example",
        "explain",
        "health",
        "publish",
        "completions",
        "man",
    ] {
        assert!(commands.contains(&wanted.to_owned()), "{commands:?}");
    }
    let whole = printed(&["man"]);
    assert!(whole.contains(".TH gripd 1"), "{whole}");
    for command in commands {
        let entry = format!("gripd\\-{command}(1)");
        assert!(whole.contains(&entry), "{entry}");
        let page = printed(&["man", &command]);
        assert!(page.contains(&format!(".TH gripd-{command} 1")), "{page}");
        let help = printed(&[&command, "--help"]);
        let (options_part, _) = help.split_once("Examples:").unwrap_or((&help, ""));
        for option in options(options_part) {
            let option = option
                .trim_end_matches(['.', ')', ';', ':'])
                .replace('-', "\\-");
            assert!(page.contains(&option), "{command}: {option}");
        }
    }
    let unknown = Folder::new().run(&["man", "nothing"]);
    assert_eq!(unknown.code, Some(2));
    let said = "gripd: there is no command \"nothing\"; `gripd --help` names all\n";
    assert_eq!(unknown.err, said);
}

#[test]
fn it_may_be_read_to_the_half() {
    let folder = Folder::new();
    let mut command = folder.gripd(&["man"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
