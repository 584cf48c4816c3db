//! A request's head: where it ends, whether each line is sound, and what its headers say about the
//! body and the connection. Does not read bodies.

use super::{
    Coding, Fault, Framing, Head, Limits, Version,
    field::{self, Field, decimal, excerpt, is_authority, is_token_byte, members},
    target::{self, RequestLine, request_line},
};

/// Checks the head at the start of `buf`. `Ok(None)`: sound so far, more bytes are needed.
///
/// # Errors
/// The first fault, as soon as the bytes seen prove it. Which fault it is does not depend on how
/// the bytes were split.
pub fn scan_head(buf: &[u8], limits: &Limits) -> Result<Option<Head>, Fault> {
    scan_head_from(buf, 0, limits)
}

/// As [`scan_head`], for bytes that trickle in: `seen` is the length `buf` had in the last call,
/// which answered `None` (0 for the first). Bytes before it are not searched again, so that a head
/// sent byte by byte costs its length, not its square.
///
/// # Errors
/// As [`scan_head`].
pub fn scan_head_from(buf: &[u8], seen: usize, limits: &Limits) -> Result<Option<Head>, Fault> {
    let Some(start) = skip_empty_lines(buf)? else {
        return Ok(None);
    };
    let text = &buf[start..];
    if !text.first().is_some_and(|b| is_token_byte(*b)) {
        return Err(Fault::NotHttp);
    }
    let Some(len) = find_end(text, seen.saturating_sub(start), limits)? else {
        return Ok(None);
    };
    let mut head = read_head(&text[..len - LINE_END.len()], limits)?;
    head.len = start + len;
    Ok(Some(head))
}

/// Where the request line begins; `None` while that cannot be told.
fn skip_empty_lines(buf: &[u8]) -> Result<Option<usize>, Fault> {
    let mut start = 0;
    loop {
        match &buf[start..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] if start / 2 == SKIPPED_LINES => {
                return Err(Fault::EmptyLines {
                    limit: SKIPPED_LINES,
                });
            }
            [b'\r', b'\n', ..] => start += 2,
            [b'\r', ..] => return Err(Fault::BareCr { line: 1 }),
            [b'\n', ..] => return Err(Fault::BareLf { line: 1 }),
            _ => return Ok(Some(start)),
        }
    }
}

/// The head's length with its empty line. Line ends are checked on the way, so that a client that
/// ends lines with LF alone is told so, rather than waited for until its time is over.
fn find_end(text: &[u8], seen: usize, limits: &Limits) -> Result<Option<usize>, Fault> {
    let first = limits.target.saturating_add(target::METHOD + AROUND_TARGET);
    let first_end = memchr::memchr(b'\n', &text[..text.len().min(first)]);
    let window = &text[..text.len().min(limits.head)];
    for at in memchr::memchr_iter(b'\n', window.get(seen..).unwrap_or_default()) {
        let line = &window[..=seen + at];
        if first_end.is_none() {
            break;
        }
        if !line.ends_with(LINE_END) {
            let line = memchr::memchr_iter(b'\n', line).count();
            return Err(Fault::BareLf { line });
        }
        if line.ends_with(EMPTY_LINE) {
            return Ok(Some(line.len()));
        }
    }
    // Which limit is met first decides, so that the answer does not depend on how much came at once.
    if first_end.is_none() && text.len() >= first && first <= limits.head {
        return Err(Fault::TargetLength {
            limit: limits.target,
        });
    }
    if text.len() >= limits.head {
        return Err(Fault::HeadLength { limit: limits.head });
    }
    Ok(None)
}

/// Reads the lines of a complete head, each with its CR LF, without the empty one.
fn read_head(text: &[u8], limits: &Limits) -> Result<Head, Fault> {
    let plain = field::is_plain(text);
    let mut lines = lines(text);
    let first = request_line(lines.next().unwrap_or(Ok(b""))?, limits)?;
    let mut facts = Facts::default();
    for (index, line) in lines.enumerate() {
        if index == limits.headers {
            return Err(Fault::HeaderCount {
                limit: limits.headers,
            });
        }
        facts.note(field::field(line?, index + 2, plain)?)?;
        facts.lines += 1;
    }
    facts.into_head(first, limits)
}

/// The lines, each without its CR LF.
fn lines(mut text: &[u8]) -> impl Iterator<Item = Result<&[u8], Fault>> {
    let mut number = 0;
    std::iter::from_fn(move || {
        let len = memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1);
        let (line, rest) = text.split_at(len);
        text = rest;
        number += 1;
        // The search for the end has seen to it; but what follows relies on it.
        let line = || {
            line.strip_suffix(LINE_END)
                .ok_or(Fault::BareLf { line: number })
        };
        (len > 0).then(line)
    })
}

/// What the headers read so far say.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one head, not the states of a machine"
)]
struct Facts {
    lines: usize,
    host: bool,
    length: Option<u64>,
    coding: Option<Result<(), Coding>>,
    expects: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
}

impl Facts {
    fn note(&mut self, field: Field<'_>) -> Result<(), Fault> {
        if field.is("host") {
            self.note_host(field.value)
        } else if field.is("content-length") {
            self.note_length(field.value)
        } else if field.is("transfer-encoding") {
            let repeated = self.coding.is_some();
            let coding = if repeated {
                Err(Coding::Repeated)
            } else {
                read_coding(field.value)
            };
            self.coding = Some(coding);
            Ok(())
        } else if field.is("expect") {
            self.note_expect(field.value)
        } else {
            self.note_connection(field);
            Ok(())
        }
    }

    fn note_host(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.host {
            return Err(Fault::HostRepeated);
        }
        if !is_authority(value) {
            return Err(Fault::HostValue);
        }
        self.host = true;
        Ok(())
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Fault> {
        // Two equal ones might be merged (RFC 9112 section 6.3), but nobody sound sends them.
        if self.length.is_some() {
            return Err(Fault::LengthRepeated);
        }
        self.length = Some(decimal(value).ok_or(Fault::LengthValue)?);
        Ok(())
    }

    fn note_expect(&mut self, value: &[u8]) -> Result<(), Fault> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::Expect(excerpt(value)));
        }
        self.expects = true;
        Ok(())
    }

    fn note_connection(&mut self, field: Field<'_>) {
        if field.is("connection") {
            for member in members(field.value) {
                self.close |= member.eq_ignore_ascii_case(b"close");
                self.keep_alive |= member.eq_ignore_ascii_case(b"keep-alive");
                self.connection_upgrade |= member.eq_ignore_ascii_case(b"upgrade");
            }
        }
        self.upgrade |= field.is("upgrade");
    }

    fn into_head(self, first: RequestLine, limits: &Limits) -> Result<Head, Fault> {
        let framing = self.framing(first.version, limits)?;
        let modern = first.version == Version::Http11;
        if modern && !self.host {
            return Err(Fault::HostMissing);
        }
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        Ok(Head {
            len: 0,
            version: first.version,
            headers: self.lines,
            framing,
            expects_continue: self.expects && modern && has_body,
            keep_alive: !self.close && (modern || self.keep_alive),
            upgrade: modern && self.connection_upgrade && self.upgrade,
            head_method: first.head_method,
        })
    }

    fn framing(&self, version: Version, limits: &Limits) -> Result<Framing, Fault> {
        match (self.length, self.coding) {
            (Some(_), Some(_)) => Err(Fault::TwoFramings),
            (None, Some(_)) if version == Version::Http10 => Err(Fault::Coding(Coding::Http10)),
            (None, Some(coding)) => coding.map(|()| Framing::Chunked).map_err(Fault::Coding),
            (Some(length), None) if limits.body != 0 && length > limits.body => {
                Err(Fault::BodyLength { limit: limits.body })
            }
            (Some(length), None) => Ok(Framing::Length(length)),
            (None, None) => Ok(Framing::None),
        }
    }
}

fn read_coding(value: &[u8]) -> Result<(), Coding> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    // A real compression under `chunked` is no fault of the client (RFC 9112 section 6.1: 501).
    // Everything else is an attempt to be read in two ways.
    let compression = |member: &[u8]| {
        COMPRESSIONS
            .iter()
            .any(|known| member.eq_ignore_ascii_case(known.as_bytes()))
    };
    let all: Vec<&[u8]> = members(value).take(COMPRESSIONS.len()).collect();
    match all.as_slice() {
        [codings @ .., last]
            if !codings.is_empty()
                && codings.iter().all(|coding| compression(coding))
                && last.eq_ignore_ascii_case(b"chunked") =>
        {
            Err(Coding::Unsupported)
        }
        _ => Err(Coding::Malformed),
    }
}

const LINE_END: &[u8] = b"\r\n";

const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// Empty lines skipped before a request line; RFC 9112 section 2.2 asks for at least one.
const SKIPPED_LINES: usize = 4;

/// The rest of a request line: two spaces, the version, CR LF.
const AROUND_TARGET: usize = 12;

const COMPRESSIONS: [&str; 5] = ["compress", "deflate", "gzip", "x-compress", "x-gzip"];
