//! The house rules that the compiler does not know: which room may use which, that pure rooms stay
//! pure, and that files stay of a size to be read. Reads every source under `src/`.
//!
//! A change here is a change of the architecture: the drawing (ARCHITECTURE.md) comes first.

#![expect(
    clippy::unwrap_used,
    reason = "sources that cannot be read fail the test"
)]

#[path = "arrows/tokens.rs"]
mod tokens;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokens::{Token, is_word, tokens};

/// Which rooms each room may name. `cli`, `server`, `lib` and `main` assemble and may name all.
const ARROWS: &[(&str, &[&str])] = &[
    ("allocator", &[]),
    ("config", &["grip", "tls"]),
    (
        "control",
        &[
            "config",
            "grip",
            "http1",
            "hub",
            "socket",
            "telemetry",
            "tls",
        ],
    ),
    ("cross_origin", &[]),
    (
        "forward",
        &[
            "config",
            "cross_origin",
            "grip",
            "routes",
            "telemetry",
            "upstream",
        ],
    ),
    (
        "front",
        &[
            "config",
            "cross_origin",
            "forward",
            "grip",
            "hold",
            "http1",
            "socket",
            "telemetry",
            "websocket",
        ],
    ),
    ("grip", &[]),
    (
        "hold",
        &[
            "config",
            "cross_origin",
            "forward",
            "grip",
            "http1",
            "hub",
            "socket",
            "telemetry",
            "websocket",
        ],
    ),
    ("http1", &[]),
    (
        "hub",
        &[
            "config",
            "cross_origin",
            "grip",
            "http1",
            "socket",
            "telemetry",
            "websocket",
        ],
    ),
    ("listen", &["config", "front", "socket", "telemetry"]),
    ("routes", &["config", "cross_origin", "grip", "tls"]),
    ("socket", &[]),
    ("telemetry", &["config"]),
    ("tls", &[]),
    (
        "upstream",
        &["config", "grip", "routes", "telemetry", "tls"],
    ),
    ("websocket", &[]),
];

const ASSEMBLERS: [&str; 4] = ["cli", "lib", "main", "server"];

/// What no pure room names, as the beginning of a path or, for the clocks, anywhere in one.
const IMPURE: &[&[&str]] = &[
    &["http"],
    &["hyper"],
    &["hyper_util"],
    &["socket2"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "thread"],
    &["tokio"],
    &["tracing"],
];
const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut faults = Vec::new();
    for source in sources() {
        let room = source.room();
        if ASSEMBLERS.contains(&room) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            faults.push(format!(
                "{}: the room {room} is not in the table",
                source.name
            ));
            continue;
        };
        for (line, used) in rooms_named(&source) {
            if used != room && !allowed.contains(&used.as_str()) {
                faults.push(format!(
                    "{}:{line}: {room} must not use {used}",
                    source.name
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn pure_rooms_have_no_io_no_clock_and_no_log() {
    let mut faults = Vec::new();
    for source in sources().into_iter().filter(Source::is_pure) {
        for path in paths(&source) {
            if !path.in_test && is_impure(&path.parts) {
                let parts = path.parts.join("::");
                faults.push(format!("{}:{}: {parts}", source.name, path.line));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let most = match &*source.name {
            "main.rs" => 99,
            // A table of cases is read by row.
            name if name.ends_with("tests.rs") => 1000,
            _ => 500,
        };
        if lines > most {
            faults.push(format!(
                "{}: {lines} lines, {most} are allowed",
                source.name
            ));
        }
        if !source.text.starts_with("//!") {
            faults.push(format!("{}: does not begin with //!", source.name));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// One source file.
struct Source {
    /// Path under `src/`, with `/`.
    name: String,
    text: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Depth of the file's module under the crate's root: 1 for `hub/mod.rs`, 2 for `hub/shard.rs`.
    fn depth(&self) -> usize {
        let parts = self.name.split('/').count();
        match self.name.as_str() {
            "lib.rs" | "main.rs" => 0,
            name if name.ends_with("/mod.rs") => parts - 1,
            _ => parts,
        }
    }

    fn is_pure(&self) -> bool {
        let signature = self.name.starts_with("grip/signature");
        let pure = ["cross_origin", "grip", "http1", "websocket"];
        pure.contains(&self.room()) && !signature || self.name.starts_with("routes/grammar")
    }

    /// A file of tests by its name (`tests.rs`, `tests/…`, and by custom `…_tests.rs`).
    fn is_test(&self) -> bool {
        let stem = self.name.trim_end_matches(".rs");
        stem.split('/')
            .any(|part| part == "tests" || part.ends_with("_tests"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |file: PathBuf| {
        let parts = file.strip_prefix(&root).unwrap().iter();
        let parts: Vec<_> = parts.map(|part| part.to_str().unwrap()).collect();
        Source {
            name: parts.join("/"),
            text: fs::read_to_string(&file).unwrap(),
        }
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Rooms named by absolute paths, and by `super` where it leads out of the file's own room.
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for path in paths(source) {
        let mut parts = path.parts.iter().map(String::as_str).peekable();
        if parts.peek() == Some(&"self") {
            parts.next();
        }
        let room = if parts.peek() == Some(&"crate") {
            parts.nth(1)
        } else {
            let mut depth = source.depth() + path.modules;
            let mut up = false;
            while parts.peek() == Some(&"super") {
                parts.next();
                depth = depth.saturating_sub(1);
                up = true;
            }
            if up && depth == 0 { parts.next() } else { None }
        };
        if let Some(room) = room {
            named.push((path.line, room.to_owned()));
        }
    }
    named
}

fn is_impure(parts: &[String]) -> bool {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let clock = parts
        .windows(2)
        .any(|pair| CLOCKS.contains(&pair[0]) && pair[1] == "now");
    // A single word is a local name.
    let named = |impure: &&[&str]| parts.len() > 1 && parts.starts_with(impure);
    clock || IMPURE.iter().any(named)
}

/// A path in the source, one for each leaf of a `use` tree.
#[derive(Debug, PartialEq)]
struct Found {
    line: usize,
    parts: Vec<String>,
    /// How many `mod … { }` of the file it stands in.
    modules: usize,
    /// It stands in a `#[cfg(test)] mod`, or in a file of tests.
    in_test: bool,
}

fn paths(source: &Source) -> Vec<Found> {
    let tokens = tokens(&source.text);
    let mut found = Vec::new();
    // What each open brace belongs to: nothing of interest, a module, or a test module.
    let mut braces: Vec<Brace> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => braces.push(brace(&tokens, at)),
            "}" => {
                braces.pop();
            }
            text if is_word(text) => {
                let modules = braces
                    .iter()
                    .filter(|brace| **brace != Brace::Plain)
                    .count();
                let in_test = source.is_test() || braces.contains(&Brace::TestModule);
                let mut leaves = Vec::new();
                at = read_path(&tokens, at, &[], &mut leaves);
                found.extend(leaves.into_iter().map(|(line, parts)| Found {
                    line,
                    parts,
                    modules,
                    in_test,
                }));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Brace {
    Plain,
    Module,
    TestModule,
}

/// What the brace at `at` opens, told by what stands before it.
fn brace(tokens: &[Token], at: usize) -> Brace {
    let before = |back: usize| {
        at.checked_sub(back)
            .map_or("", |at| tokens[at].text.as_str())
    };
    if before(2) != "mod" || !is_word(before(1)) {
        return Brace::Plain;
    }
    let cfg_test = ["]", ")", "test", "(", "cfg", "[", "#"];
    // Between the attribute and `mod` may stand `pub`.
    let from = if before(3) == "pub" { 4 } else { 3 };
    let attribute = (0..cfg_test.len()).all(|i| before(from + i) == cfg_test[i]);
    if attribute {
        Brace::TestModule
    } else {
        Brace::Module
    }
}

/// Reads the path that begins at `at`, groups taken apart; answers where it ends.
fn read_path(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens[at].line;
    let mut parts = prefix.to_vec();
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while at < tokens.len() && text(at) != "}" {
                    at = match text(at) {
                        "as" => at + 2,
                        word if is_word(word) || word == "{" => {
                            read_path(tokens, at, &parts, leaves)
                        }
                        _ => at + 1,
                    };
                }
                return at + 1;
            }
            word if is_word(word) => {
                parts.push(word.trim_start_matches("r#").to_owned());
                at += 1;
            }
            _ => break,
        }
        let goes_on = text(at) == "::" && (is_word(text(at + 1)) || text(at + 1) == "{");
        if !goes_on {
            break;
        }
        at += 1;
    }
    leaves.push((line, parts));
    at
}

#[test]
fn the_reader_finds_every_way_to_name_a_room() {
    let source = |text: &str| Source {
        name: "hub/shard.rs".into(),
        text: text.into(),
    };
    for (text, want) in [
        ("use crate::front;", vec!["front"]),
        ("use crate::front::{self, a};", vec!["front", "front"]),
        (
            "use crate::{front::{a, b::c}, hold as h, self};",
            vec!["front", "front", "hold", "self"],
        ),
        ("fn f() { crate::front::run::<u8>(); }", vec!["front"]),
        ("use super::super::front::x;", vec!["front"]),
        ("use super::{super::front, sibling};", vec!["front"]),
        (
            "mod a { use super::x; use super::super::y; use super::super::super::front; }",
            vec!["front"],
        ),
        (
            "fn f() { if true {} } use super::super::front;",
            vec!["front"],
        ),
        ("use self::super::super::front;", vec!["front"]),
        ("use super::sibling; use self::child; use front::x;", vec![]),
        (
            "// crate::front\n/* crate::front /* */ crate::front */ /// [`crate::front`]",
            vec![],
        ),
        (
            r##"const A: &str = "crate::front \" crate::front"; const B: &str = r#"crate::front"#;"##,
            vec![],
        ),
        (
            "const C: char = '\"'; use crate::front; const D: char = '\\''; use crate::hold;",
            vec!["front", "hold"],
        ),
        (
            "fn f<'a>(x: &'a str) -> crate::front::X<'a> {}",
            vec!["front"],
        ),
        ("pub(crate) fn f() {}", vec![]),
    ] {
        let named = rooms_named(&source(text));
        let rooms: Vec<&str> = named.iter().map(|(_, room)| room.as_str()).collect();
        assert_eq!(rooms, want, "{text}");
    }
}

#[test]
fn the_reader_finds_what_is_impure() {
    let impure = |text: &str| {
        let source = Source {
            name: "grip/item.rs".into(),
            text: text.into(),
        };
        let found = paths(&source);
        found
            .iter()
            .any(|path| !path.in_test && is_impure(&path.parts))
    };
    for (text, want) in [
        ("use std::{fmt, net::SocketAddr};", true),
        ("use std::fs;", true),
        ("let x = std::time::Instant::now();", true),
        ("let x = SystemTime::now();", true),
        ("use tokio::time;", true),
        ("tracing::warn!(\"x\");", true),
        ("fn f(x: http::HeaderMap) {}", true),
        ("#[cfg(not(test))] mod a { use tokio::x; }", true),
        ("#[cfg(test)] mod a { use tokio::x; } use tokio::x;", true),
        ("use std::time::{Duration, Instant};", false),
        ("fn f(http: u8) { http + 1 }", false),
        (
            "#[cfg(test)] mod tests { fn f() { Instant::now(); } }",
            false,
        ),
    ] {
        assert_eq!(impure(text), want, "{text}");
    }
}
