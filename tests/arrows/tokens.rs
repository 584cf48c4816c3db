//! Just enough of a reader of Rust to find paths: words, `::` and single characters.

/// A word, `::`, or one other character; comments, strings and character literals are left out.
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' if raw_hashes(bytes, at).is_some() => raw_end(bytes, at),
            b'\'' => quote_end(bytes, at),
            b':' if bytes[at..].starts_with(b"::") => at + 2,
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
                let len = bytes[at..].iter().take_while(|b| is_part(b)).count();
                at + len
            }
            _ => at + 1,
        };
        let piece = &bytes[at..end];
        let skipped = piece[0].is_ascii_whitespace()
            || piece.starts_with(b"//")
            || piece.starts_with(b"/*")
            || piece[0] == b'"'
            || piece[0] == b'\''
            || (piece[0] == b'r' && piece.contains(&b'"'));
        if !skipped {
            tokens.push(Token {
                line,
                text: String::from_utf8_lossy(piece).into_owned(),
            });
        }
        line += memchr::memchr_iter(b'\n', piece).count();
        at = end;
    }
    tokens
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let len = bytes[at..].iter().position(|b| *b == b'\n');
    len.map_or(bytes.len(), |len| at + len)
}

fn comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut end, mut depth) = (at, 0);
    while end < bytes.len() {
        if bytes[end..].starts_with(b"/*") {
            depth += 1;
            end += 2;
        } else if bytes[end..].starts_with(b"*/") {
            depth -= 1;
            end += 2;
            if depth == 0 {
                break;
            }
        } else {
            end += 1;
        }
    }
    end.min(bytes.len())
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Hashes of a raw string that begins at `at`; `None`: none begins there.
fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = raw_hashes(bytes, at).unwrap_or_default();
    let close: Vec<u8> = [b"\"".to_vec(), vec![b'#'; hashes]].concat();
    let start = at + hashes + 2;
    let len = bytes[start..]
        .windows(close.len())
        .position(|window| window == close);
    len.map_or(bytes.len(), |len| start + len + close.len())
}

/// The end of a character literal, or of the quote alone where it begins a lifetime.
fn quote_end(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at + 1) == Some(&b'\\') {
        let close = bytes
            .get(at + 3..)
            .unwrap_or_default()
            .iter()
            .position(|b| *b == b'\'');
        return close.map_or(bytes.len(), |len| at + 3 + len + 1);
    }
    // A character has at most four bytes.
    let close = (2..=5).find(|len| bytes.get(at + len) == Some(&b'\''));
    match close {
        Some(2) => at + 3,
        Some(len) if !bytes[at + 1].is_ascii() => at + len + 1,
        _ => at + 1,
    }
}
