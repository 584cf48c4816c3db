//! An answer as JSON-P: JavaScript that calls a function of the page with it.
//!
//! Either mode begins with `/**/`, so that no answer can begin with bytes of the client's choosing
//! and be taken for something else than JavaScript, a Flash movie for one.

use std::{collections::BTreeMap, fmt::Write as _};

/// What the function is called with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The body alone, which must be JavaScript itself, as JSON is. The status is lost.
    Basic,
    /// An object with status, reason, headers, and the body as text.
    #[default]
    Extended,
}

/// A call of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    callback: String,
    mode: Mode,
}

/// Status and headers of the answer that the function is called with.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a, H> {
    /// The status.
    pub code: u16,
    /// The reason.
    pub reason: &'a str,
    /// Names and values.
    pub headers: H,
}

/// The headers of an answer that is a call, whatever it tells. No browser may take it for anything
/// but JavaScript.
pub const HEADERS: [(&str, &str); 2] = [
    ("Content-Type", "application/javascript"),
    ("X-Content-Type-Options", "nosniff"),
];

impl Call {
    /// A call of this function; `None` when no function of a page has such a name. Names have
    /// letters, digits, `_` and `$`; dots, brackets and quotes lead to one inside an object.
    pub fn new(callback: String, mode: Mode) -> Option<Self> {
        let fits = |c: char| c.is_alphanumeric() || "_$.[]'\"".contains(c);
        (!callback.is_empty() && callback.chars().all(fits)).then_some(Self { callback, mode })
    }

    /// What the function is called with.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// All that stands before the body.
    pub fn opening<'h, H>(&self, head: Head<'_, H>) -> Vec<u8>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        let mut out = format!("/**/{}(", self.callback);
        if self.mode == Mode::Extended {
            let (code, reason) = (head.code, string(head.reason));
            let headers = object(head.headers, |_, _| {});
            let _ = write!(
                out,
                "{{\"code\": {code}, \"reason\": {reason}, \"headers\": {headers}, \"body\": \""
            );
        }
        out.into()
    }

    /// The whole of an answer.
    pub fn whole<'h, H>(&self, head: Head<'_, H>, body: &[u8]) -> Vec<u8>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        let mut out = self.opening(head);
        match self.mode {
            Mode::Basic => out.extend_from_slice(without_end(body)),
            Mode::Extended => escape(String::from_utf8_lossy(body).as_bytes(), &mut out),
        }
        out.extend_from_slice(self.mode.closing());
        out
    }

    /// The whole of a long-poll's answer, which Pushpin spells another way. `literal`: the body as
    /// [`literal`] gives it.
    pub fn held<'h, H>(&self, head: Head<'_, H>, body: &[u8], literal: &[u8]) -> Vec<u8>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        let mut out = format!("/**/{}(", self.callback).into_bytes();
        match self.mode {
            Mode::Basic => out.extend_from_slice(without_end(body)),
            Mode::Extended => {
                let headers = object(head.headers, |all, next| {
                    all.push_str(", ");
                    all.push_str(next);
                });
                let (code, reason) = (head.code, string(head.reason));
                out.extend_from_slice(b"{\"body\":\"");
                out.extend_from_slice(literal);
                out.extend_from_slice(
                    format!("\",\"code\":{code},\"headers\":{headers},\"reason\":{reason}}}")
                        .as_bytes(),
                );
            }
        }
        out.extend_from_slice(b");\n");
        out
    }
}

impl Mode {
    /// All that stands behind the body.
    pub fn closing(self) -> &'static [u8] {
        match self {
            Self::Basic => b");\n",
            Self::Extended => b"\"});\n",
        }
    }
}

/// A body as it stands between the quotes of a JSON text. What is no UTF-8 is replaced.
pub fn literal(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 8);
    escape(String::from_utf8_lossy(body).as_bytes(), &mut out);
    out
}

/// Appends a piece of a body as it stands between the quotes of a JSON text. Whatever the piece,
/// the pieces of a text make the whole of it: bytes of a character that was cut apart stay as they
/// are, and come together again.
pub fn escape(mut piece: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = piece.iter().position(|&byte| is_special(byte)) {
        out.extend_from_slice(&piece[..at]);
        piece = match &piece[at..] {
            // Line ends to JavaScript, though not to JSON, before 2019.
            [0xe2, 0x80, last @ (0xa8 | 0xa9), rest @ ..] => {
                out.extend_from_slice(if *last == 0xa8 {
                    b"\\u2028"
                } else {
                    b"\\u2029"
                });
                rest
            }
            [byte, rest @ ..] => {
                escape_byte(*byte, out);
                rest
            }
            [] => return,
        };
    }
    out.extend_from_slice(piece);
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || matches!(byte, b'"' | b'\\' | 0xe2)
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        0..b' ' => return out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        _ => return out.push(byte),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// A text with its quotes.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Headers as a JSON object, by name. `again`: what a repeated one does to the first.
fn object<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    again: impl Fn(&mut String, &str),
) -> String {
    let mut object: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value);
        let known = object
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match known {
            Some((_, first)) => again(first, &value),
            None => drop(object.insert(name, value.into_owned())),
        }
    }
    serde_json::json!(object).to_string()
}

/// A body without its last line end: there is one behind the call.
fn without_end(body: &[u8]) -> &[u8] {
    match body.strip_suffix(b"\n") {
        Some(rest) => rest.strip_suffix(b"\r").unwrap_or(rest),
        None => body,
    }
}

#[cfg(test)]
mod tests;
