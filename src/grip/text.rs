//! Small checks on bytes that become part of an HTTP head, and the lenient base64 of GRIP.

use bytes::Bytes;

/// What a refused text must be, for error messages.
pub(super) const CLEAN: &str = "text without control characters (no CR, LF or NUL)";

/// What a refused header name must be, for error messages.
pub(super) const TOKEN: &str = "a header name of letters, digits and !#$%&'*+-.^_`|~";

/// Is this a field name (RFC 9110 5.1, `token`)?
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// May this stand in a field value or a reason phrase (RFC 9110 5.5)? CR, LF and NUL would let the
/// writer of one header write others; the other controls no HTTP library would send.
pub(super) fn is_clean(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f))
}

/// Is this the name of one of GRIP's own headers? All of them, known or not, stay inside.
pub(super) fn is_grip(name: &str) -> bool {
    name.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("grip-"))
}

/// Do these names mean the same header?
pub(super) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// A text as error messages show it: escaped, and cut after 60 characters, so that a message
/// neither carries a payload nor breaks a log line.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}

/// [`shown`] for bytes that need not be UTF-8.
pub(super) fn shown_bytes(text: &[u8]) -> String {
    shown(&String::from_utf8_lossy(text.get(..240).unwrap_or(text)))
}

/// Decodes base64 the way GRIP peers expect: characters outside the alphabet (also `=`) are
/// skipped, and bits that do not fill a byte are dropped. Never fails.
pub(super) fn base64(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for six in text.iter().filter_map(|&b| sextet(b)) {
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            out.push(byte);
        }
    }
    Bytes::from(out)
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_skips_what_is_not_base64() {
        assert_eq!(base64(b"!!AAE*CAw"), &[0, 1, 2, 3][..]);
        assert_eq!(base64(b"a2FcCg=="), &b"ka\\\n"[..]);
        assert_eq!(base64(b"A"), &b""[..]);
        assert_eq!(base64(b""), &b""[..]);
    }

    #[test]
    fn names_and_values() {
        for good in ["X-A", "a", "x_y.z~1"] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", "a b", "a:", "ä", "a\r\n", "a\0", "(a)"] {
            assert!(!is_token(bad), "{bad:?}");
        }
        assert!(is_clean(b"a\tb \xff"));
        for bad in [&b"a\rb"[..], b"a\nb", b"\0", b"\x1b", b"\x7f"] {
            assert!(!is_clean(bad), "{bad:?}");
        }
        assert!(is_grip("gRiP-") && is_grip("Grip-Hold") && !is_grip("Grip") && !is_grip("Gräp-"));
    }

    #[test]
    fn messages_show_texts_short_and_escaped() {
        assert_eq!(shown("a\r\nb"), "a\\r\\nb");
        assert_eq!(shown(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
    }

    proptest! {
        #[test]
        fn base64_undoes_the_standard_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            prop_assert_eq!(&base64(STANDARD.encode(&bytes).as_bytes())[..], &bytes[..]);
        }

        #[test]
        fn base64_takes_anything(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            prop_assert!(base64(&bytes).len() <= bytes.len());
        }
    }
}
