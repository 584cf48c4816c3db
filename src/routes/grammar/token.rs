//! Cuts a line into sections, values and options, and takes the quotes away. Knows nothing of
//! what the options mean.

use super::LineError;

/// One section: a value and its options.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Column of its first character, from 1.
    pub(super) column: usize,
    /// Its value; empty when the section begins with an option or a comma.
    pub(super) value: String,
    /// Its options in line order.
    pub(super) props: Vec<Prop>,
    /// Column behind its last character.
    pub(super) end: usize,
}

/// One option.
#[derive(Debug)]
pub(super) struct Prop {
    /// Column of its first character, from 1.
    pub(super) column: usize,
    /// Its name; never empty.
    pub(super) name: String,
    /// What follows the first `=`; empty without one.
    pub(super) text: String,
    /// Column behind its last character.
    pub(super) end: usize,
}

impl Prop {
    /// A fault of this option.
    pub(super) fn error(&self, what: impl Into<String>, allowed: &str) -> LineError {
        LineError::new(self.column, what, allowed)
    }
}

/// Cuts a line into its sections.
///
/// # Errors
/// An open quote, an unknown escape, an option without name, a character no line may hold.
pub(super) fn sections(line: &str) -> Result<Vec<Section>, LineError> {
    let mut cursor = Cursor::new(line)?;
    let mut found = Vec::new();
    while cursor.skip_to_section() {
        found.push(cursor.section()?);
    }
    Ok(found)
}

struct Cursor {
    chars: Vec<char>,
    at: usize,
}

impl Cursor {
    fn new(line: &str) -> Result<Self, LineError> {
        let chars: Vec<char> = line.chars().collect();
        // Much of a line becomes a header or part of a request line: none of these may get there.
        if let Some(at) = chars.iter().position(|c| matches!(c, '\r' | '\n' | '\0')) {
            return Err(LineError::new(
                at + 1,
                "a line end or NUL inside the line",
                "text without CR, LF and NUL",
            ));
        }
        Ok(Self { chars, at: 0 })
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_to_section(&mut self) -> bool {
        while self.peek() == Some(' ') {
            self.at += 1;
        }
        !matches!(self.peek(), None | Some('#'))
    }

    fn section(&mut self) -> Result<Section, LineError> {
        let mut section = Section {
            column: self.at + 1,
            ..Section::default()
        };
        let first = self.token()?;
        if first.contains('=') {
            section
                .props
                .push(prop(section.column, self.at + 1, &first)?);
        } else {
            section.value = first;
        }
        while self.peek() == Some(',') {
            self.at += 1;
            let column = self.at + 1;
            let token = self.token()?;
            section.props.push(prop(column, self.at + 1, &token)?);
        }
        section.end = self.at + 1;
        Ok(section)
    }

    fn token(&mut self) -> Result<String, LineError> {
        let mut token = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | ',' | '#' => break,
                '"' => self.quoted_run(&mut token)?,
                _ => {
                    token.push(c);
                    self.at += 1;
                }
            }
        }
        Ok(token)
    }

    fn quoted_run(&mut self, token: &mut String) -> Result<(), LineError> {
        let open = self.at + 1;
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '"' => return Ok(()),
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\')) => {
                        token.push(escaped);
                        self.at += 1;
                    }
                    _ => {
                        return Err(LineError::new(
                            self.at,
                            "unknown escape inside quotes",
                            "\\\\ and \\\"",
                        ));
                    }
                },
                _ => token.push(c),
            }
        }
        Err(LineError::new(open, "quote never closed", "a second \""))
    }
}

fn prop(column: usize, end: usize, token: &str) -> Result<Prop, LineError> {
    let (name, text) = token.split_once('=').unwrap_or((token, ""));
    if name.is_empty() {
        return Err(LineError::new(
            column,
            "option without a name",
            "name or name=value behind each comma, without a space",
        ));
    }
    Ok(Prop {
        column,
        name: name.to_owned(),
        text: text.to_owned(),
        end,
    })
}
