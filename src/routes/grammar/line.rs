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
        return Err(LineError::new(
            first.column,
            no_target(line),
            "a condition, a space, then at least one target: * 127.0.0.1:8000",
        ));
    }
    for section in rest {
        route.targets.push(target::parse(section, &mut notes)?);
    }
    let sig_key = first.props.iter().rfind(|prop| prop.name == "sig_key");
    Ok(Some(Parsed {
        route,
        sig_key_column: sig_key.map_or(0, |prop| prop.column),
        notes,
    }))
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
