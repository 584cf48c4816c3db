//! The request line (RFC 9112 section 3): method, target and version.
//!
//! The bytes allowed in a target are those the URI type behind the gate takes, because a target
//! that passes here and fails there would be answered without a sentence. That is a little more
//! than RFC 3986 has: browsers send `|`, `{` and the like as they are.

use super::{
    Fault, Limits, Target, Version,
    field::{excerpt, is_authority, is_token},
};

/// A request line that passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine {
    pub(super) version: Version,
    pub(super) head_method: bool,
}

/// Most characters of a method. The longest registered one has 17.
pub(super) const METHOD: usize = 32;

/// Reads the request line, without its CR LF.
pub(super) fn request_line(line: &[u8], limits: &Limits) -> Result<RequestLine, Fault> {
    if line.contains(&b'\r') {
        return Err(Fault::BareCr { line: 1 });
    }
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::RequestLine);
    };
    check_method(method)?;
    let version = read_version(version)?;
    if method == b"CONNECT" {
        return Err(Fault::Connect);
    }
    if target.len() > limits.target {
        return Err(Fault::TargetLength {
            limit: limits.target,
        });
    }
    check_target(target, method).map_err(Fault::Target)?;
    Ok(RequestLine {
        version,
        head_method: method == b"HEAD",
    })
}

fn check_method(method: &[u8]) -> Result<(), Fault> {
    if !is_token(method) {
        return Err(Fault::Method(excerpt(method)));
    }
    if method.len() > METHOD {
        return Err(Fault::MethodLength { limit: METHOD });
    }
    Ok(())
}

fn read_version(text: &[u8]) -> Result<Version, Fault> {
    match text {
        b"HTTP/1.0" => Ok(Version::Http10),
        b"HTTP/1.1" => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Fault::Version(excerpt(&text[5..])))
        }
        _ => Err(Fault::RequestLine),
    }
}

fn check_target(target: &[u8], method: &[u8]) -> Result<(), Target> {
    if target == b"*" {
        let allowed = method == b"OPTIONS";
        return if allowed {
            Ok(())
        } else {
            Err(Target::Asterisk)
        };
    }
    if target.first() == Some(&b'/') {
        return check_path(target);
    }
    let Some(rest) = after_scheme(target) else {
        return Err(Target::Form);
    };
    let end = rest
        .iter()
        .position(|b| b"/?#".contains(b))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(Target::Host);
    }
    check_path(path)
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then_some(rest)
    })
}

fn check_path(text: &[u8]) -> Result<(), Target> {
    let mut query = false;
    for byte in text {
        match byte {
            b'?' => query = true,
            b'#' => return Err(Target::Fragment),
            _ if !is_target_byte(*byte, query) => return Err(Target::Byte(*byte)),
            _ => {}
        }
    }
    Ok(())
}

fn is_target_byte(byte: u8, query: bool) -> bool {
    let refused: &[u8] = if query { b"\"<>" } else { b"<>`" };
    byte.is_ascii_graphic() && !refused.contains(&byte)
}
