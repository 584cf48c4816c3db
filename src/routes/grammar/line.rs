//! One line of a routes file: its condition, its targets, what is wrong with it.

use thiserror::Error;

use super::{Route, condition, target, token};

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The route.
    pub route: Route,
    /// Column of the `sig_key` that counts, from 1; 0: the line has none.
    pub sig_key_column: usize,
    /// Column of each target, from 1.
    pub target_columns: Vec<usize>,
    /// What its author should know although the line counts.
    pub notes: Vec<Note>,
}

/// A warning about a part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Column, from 1, in characters.
    pub column: usize,
    /// The warning.
    pub text: String,
}

/// Why a line cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}; allowed: {allowed}")]
pub struct LineError {
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What could stand there.
    pub allowed: String,
}

impl LineError {
    pub(super) fn new(column: usize, what: impl Into<String>, allowed: &str) -> Self {
        Self {
            column,
            what: what.into(),
            allowed: allowed.to_owned(),
        }
    }
}

/// Reads one line. `None`: nothing but blanks or a comment.
///
/// # Errors
/// The first fault of the line, with its column.
pub fn parse_line(line: &str) -> Result<Option<Parsed>, LineError> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let sections = token::sections(line)?;
    let Some((first, rest)) = sections.split_first() else {
        return Ok(None);
    };
    let mut notes = Vec::new();
    let mut route = condition::parse(first, &mut notes)?;
    if rest.is_empty() {
        // A lone target is what beginners write: they get it back as a whole line.
        let meant = target::parse(first, &mut Vec::new());
        let target = meant.map_or("127.0.0.1:8000", |_| first.value.as_str());
        let allowed = format!("CONDITION TARGET, such as `* {target}`: every host goes there");
        return Err(LineError::new(first.column, no_target(line), &allowed));
    }
    for section in rest {
        route.targets.push(target::parse(section, &mut notes)?);
    }
    let sig_key = first.props.iter().rfind(|prop| prop.name == "sig_key");
    Ok(Some(Parsed {
        route,
        sig_key_column: sig_key.map_or(0, |prop| prop.column),
        target_columns: rest.iter().map(|section| section.column).collect(),
        notes,
    }))
}

/// The line as it may be shown: without its comment, `***` in the place of what looks like a secret
/// by the name of its option or header. Also tells whether there was one. Of a line that cannot be
/// read nothing is left.
pub fn masked(line: &str) -> (String, bool) {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Ok(sections) = token::sections(line) else {
        return ("***".into(), true);
    };
    let chars: Vec<char> = line.chars().collect();
    let end = sections.last().map_or(0, |section| section.end - 1);
    let (mut text, mut at) = (String::new(), 0);
    for prop in sections.iter().flat_map(|section| &section.props) {
        if let Some(beginning) = before_secret(prop) {
            text.extend(&chars[at..prop.column - 1]);
            text += &beginning;
            text += "***";
            at = prop.end - 1;
        }
    }
    text.extend(&chars[at..end]);
    (text, at > 0)
}

/// What may be shown of an option that holds a secret; `None`: it holds none.
fn before_secret(prop: &token::Prop) -> Option<String> {
    let name = &prop.name;
    if looks_secret(name) && !prop.text.is_empty() {
        return Some(format!("{name}="));
    }
    let (header, value) = prop.text.split_once(':')?;
    (looks_secret(header) && !value.is_empty()).then(|| format!("{name}={header}:"))
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "key", "password", "secret", "token"]
        .iter()
        .any(|part| name.contains(part))
}

/// A value as it can stand in a line whatever it holds, line ends and NUL excepted.
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

/// Notes that an option is understood but has no effect yet.
pub(super) fn note_later(notes: &mut Vec<Note>, prop: &token::Prop, effect: &str) {
    notes.push(Note {
        column: prop.column,
        text: format!("`{}` is not in gripd yet: {effect}", prop.name),
    });
}

/// Notes that an option has a name nobody knows here.
pub(super) fn note_unknown(notes: &mut Vec<Note>, prop: &token::Prop, place: &str, other: bool) {
    let hint = match (place, other) {
        ("condition", true) => "it belongs behind a target",
        ("target", true) => "it belongs behind the condition, the line's first word",
        _ => "ignored",
    };
    notes.push(Note {
        column: prop.column,
        text: format!("unknown option `{}` of a {place}: {hint}", prop.name),
    });
}

/// Checks a host that becomes a `Host` header.
pub(super) fn host(prop: &token::Prop) -> Result<Option<String>, LineError> {
    if prop.text.is_empty() {
        return Ok(None);
    }
    let sound = |c: char| c.is_ascii_graphic() && !"/?#@\\\",".contains(c);
    if prop.text.chars().all(sound) {
        Ok(Some(prop.text.clone()))
    } else {
        Err(prop.error(
            format!("`{}` is not a host", prop.name),
            "HOST or HOST:PORT, without http:// and blanks",
        ))
    }
}

/// An option's text, `None` when empty.
pub(super) fn text(prop: &token::Prop) -> Option<String> {
    (!prop.text.is_empty()).then(|| prop.text.clone())
}

fn no_target(line: &str) -> &'static str {
    if line.contains('\t') {
        "condition without a target (only spaces separate; a tab is an ordinary character)"
    } else {
        "condition without a target"
    }
}
