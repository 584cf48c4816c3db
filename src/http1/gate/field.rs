//! One header or trailer line (RFC 9112 section 5), taken strictly, and the few lists of words that
//! header values are made of. Heads and trailers share it.

use super::Fault;

/// A header line that passed: name and value without the white space around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Reads one line without its CR LF. `number` is what faults call it. `plain`: the text it stands in
/// [`is_plain`], so that it need not be searched for control characters again.
pub(super) fn field(line: &[u8], number: usize, plain: bool) -> Result<Field<'_>, Fault> {
    if !plain && memchr::memchr(b'\r', line).is_some() {
        return Err(Fault::BareCr { line: number });
    }
    // In a sound line the first byte that no name has is the colon.
    let end = line.iter().position(|b| !is_token_byte(*b));
    let Some(colon) = end.filter(|end| *end > 0 && line[*end] == b':') else {
        return Err(name_fault(line, number));
    };
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    if !plain && value.iter().any(|b| is_control(*b)) {
        return Err(Fault::HeaderValue(excerpt(name)));
    }
    Ok(Field { name, value })
}

/// What is wrong with a line that does not begin with a name and a colon.
fn name_fault(line: &[u8], number: usize) -> Fault {
    if line.first().is_some_and(|b| is_space(*b)) {
        return Fault::Folded { line: number };
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Fault::NoColon { line: number };
    };
    let name = &line[..colon];
    if name.last().is_some_and(|b| is_space(*b)) {
        return Fault::SpaceBeforeColon(excerpt(trim(name)));
    }
    Fault::HeaderName { line: number }
}

/// The members of a comma-separated value, without the white space around them.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(trim)
}

/// RFC 9110 section 5.6.2.
pub(in crate::http1) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token_byte(*b))
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut rest: &[u8] = b"!#$%&'*+-.^_`|~";
    while let [first, others @ ..] = rest {
        table[*first as usize] = true;
        rest = others;
    }
    table
};

/// Has a text, in which each LF stands behind a CR, no control characters but those of its line ends
/// and tabs? All bytes are looked at whatever the first are, so that many are at once.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let has_other = text.iter().fold(false, |found, b| {
        found | (is_control(*b) && *b != b'\r' && *b != b'\n')
    });
    let count = |byte| memchr::memchr_iter(byte, text).count();
    !has_other && count(b'\r') == count(b'\n')
}

/// Control characters, of which only the tab may stand in a value.
pub(in crate::http1) fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`. No percent-encoding and no sub-delimiters: no
/// host that resolves has them, and they are what smuggled hosts are made of.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let (host_ok, rest) = if let Some(inner) = text.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', inner) else {
            return false;
        };
        (is_ip6(&inner[..end]), &inner[end + 1..])
    } else {
        let end = memchr::memchr(b':', text).unwrap_or(text.len());
        (is_name(&text[..end]), &text[end..])
    };
    host_ok && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

fn is_name(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    !text.is_empty() && text.iter().all(plain)
}

fn is_ip6(text: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_hexdigit() || b":.".contains(b);
    let colons = memchr::memchr_iter(b':', text).count();
    (2..=7).contains(&colons) && text.iter().all(plain)
}

fn is_port(text: &[u8]) -> bool {
    decimal(text).is_some_and(|port| u16::try_from(port).is_ok())
}

/// A plain decimal number: digits only, at least one, no more than fit.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The first characters, escaped, for a sentence.
pub(super) fn excerpt(text: &[u8]) -> String {
    let shown = &text[..text.len().min(EXCERPT)];
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{}{more}", shown.escape_ascii())
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Long enough to recognise a header by, short enough for a log line.
const EXCERPT: usize = 40;
