//! The grammar of `Grip-*` header values: lists of `FIRST; name=value; name="value"`.
//!
//! FIRST is raw text, never unquoted; a quoted parameter value is. A quote that is never closed
//! swallows the rest of the value; that part is handed out apart, for a warning.

use std::borrow::Cow;

/// A header value split at its commas.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::grip) struct List<'a> {
    /// The parts, trimmed. Empty ones count, except after a last comma.
    pub(in crate::grip) parts: Vec<&'a [u8]>,
    /// The last part, if it has a quote that is never closed.
    pub(in crate::grip) unclosed: Option<&'a [u8]>,
}

/// Splits at commas outside double quotes.
pub(in crate::grip) fn split(value: &[u8]) -> List<'_> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    let mut bytes = value.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b',' if !quoted => {
                parts.push(value.get(start..at).unwrap_or_default().trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    let rest = value.get(start..).unwrap_or_default().trim_ascii();
    if !quoted && !rest.is_empty() {
        parts.push(rest);
    }
    List {
        parts,
        unclosed: quoted.then_some(rest),
    }
}

/// Does any well-formed part of a list satisfy `test`?
pub(in crate::grip) fn any(value: &[u8], test: impl Fn(&Part<'_>) -> bool) -> bool {
    let list = split(value);
    list.parts
        .iter()
        .filter_map(|p| Part::parse(p))
        .any(|p| test(&p))
}

/// One part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::grip) struct Part<'a> {
    /// The text before the first `;`, trimmed.
    pub(in crate::grip) first: &'a [u8],
    /// The parameters in order. Without `=`: no value.
    pub(in crate::grip) params: Vec<Param<'a>>,
}

/// A parameter: its name, and its value unless it has no `=`.
pub(in crate::grip) type Param<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

impl<'a> Part<'a> {
    /// `None`: a quoted value is never closed.
    pub(in crate::grip) fn parse(text: &'a [u8]) -> Option<Self> {
        let (first, rest) = cut(text, b';');
        Some(Self {
            first: first.trim_ascii(),
            params: params(rest)?,
        })
    }

    /// The first parameter of this name, in any case: outer `None` when there is none, inner when
    /// it has no value.
    #[expect(clippy::option_option, reason = "absent and without a value differ")]
    pub(in crate::grip) fn get(&self, name: &str) -> Option<Option<&[u8]>> {
        let mut params = self.params.iter();
        let (_, value) = params.find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value.as_deref())
    }

    /// The values of all `filter` parameters. That name is lower case only.
    pub(in crate::grip) fn filters(&self) -> impl Iterator<Item = &[u8]> {
        let filters = self.params.iter().filter(|(name, _)| *name == b"filter");
        filters.filter_map(|(_, value)| value.as_deref())
    }
}

/// Reads `name=value; …`. `None`: a quoted value is never closed.
pub(in crate::grip) fn params(mut rest: &[u8]) -> Option<Vec<Param<'_>>> {
    let mut params = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|b| matches!(b, b'=' | b';'));
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let name = name.trim_ascii();
        let Some(after) = after.strip_prefix(b"=") else {
            if !name.is_empty() {
                params.push((name, None));
            }
            rest = after.get(1..).unwrap_or_default();
            continue;
        };
        let after = after.trim_ascii_start();
        let value;
        (value, rest) = if let Some(quoted) = after.strip_prefix(b"\"") {
            let (value, after) = unquote(quoted)?;
            (value, cut(after, b';').1)
        } else {
            let (raw, after) = cut(after, b';');
            (Cow::Borrowed(raw.trim_ascii()), after)
        };
        params.push((name, Some(value)));
    }
    Some(params)
}

/// The value up to the closing quote, and what stands after it.
fn unquote(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = text.iter().position(|b| matches!(b, b'"' | b'\\'))?;
    if text.get(end) == Some(&b'"') {
        return Some((Cow::Borrowed(text.get(..end)?), text.get(end + 1..)?));
    }
    let mut value = text.get(..end)?.to_vec();
    let mut bytes = text.iter().enumerate().skip(end);
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some((Cow::Owned(value), text.get(at + 1..)?)),
            b'\\' => value.push(*bytes.next()?.1),
            _ => value.push(byte),
        }
    }
    None
}

/// What stands before and after the first `at`; nothing after if it is not there.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|&b| b == at) {
        Some(end) => (
            text.get(..end).unwrap_or_default(),
            text.get(end + 1..).unwrap_or_default(),
        ),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        for (value, want) in [
            ("", vec![]),
            ("a", vec!["a"]),
            (" a , b ", vec!["a", "b"]),
            ("a,,b", vec!["a", "", "b"]),
            (",a", vec!["", "a"]),
            ("a,", vec!["a"]),
            ("\"a,b\", c", vec!["\"a,b\"", "c"]),
            ("x=\"a\\\",b\", c", vec!["x=\"a\\\",b\"", "c"]),
        ] {
            let list = split(value.as_bytes());
            let want: Vec<_> = want.iter().map(|s| s.as_bytes()).collect();
            assert_eq!(list.parts, want, "{value:?}");
            assert_eq!(list.unclosed, None, "{value:?}");
        }
    }

    #[test]
    fn an_unclosed_quote_swallows_the_rest() {
        let list = split(b"a, b; prev-id=\"x, c");
        assert_eq!(list.parts, [b"a"]);
        assert_eq!(list.unclosed, Some(&b"b; prev-id=\"x, c"[..]));
        assert_eq!(split(b"\"a\\\"").unclosed, Some(&b"\"a\\\""[..]));
        assert_eq!(Part::parse(b"x\"; p=\"y"), None);
    }

    #[test]
    fn parts_are_read() {
        let part =
            Part::parse(b"a b ; P=1; q = \"x;\\\"y\" junk; r; s=; filter=f; p=2; FILTER=g;;")
                .unwrap();
        assert_eq!(part.first, b"a b");
        for (name, want) in [
            ("p", Some(Some(&b"1"[..]))),
            ("Q", Some(Some(b"x;\"y"))),
            ("r", Some(None)),
            ("s", Some(Some(b""))),
            ("t", None),
        ] {
            assert_eq!(part.get(name), want, "{name}");
        }
        assert_eq!(part.filters().collect::<Vec<_>>(), [b"f"]);
        assert_eq!(Part::parse(b"\"a;b\"").unwrap().first, b"\"a");
    }

    fn quote(value: &[u8]) -> Vec<u8> {
        let mut out = vec![b'"'];
        for &byte in value {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
        out
    }

    proptest! {
        #[test]
        fn a_quoted_value_survives(value: Vec<u8>, other in "[a-z]{0,9}") {
            let text = [b"ch; v=", &quote(&value)[..], b"; o=", other.as_bytes(), b", next"].concat();
            let list = split(&text);
            prop_assert_eq!(list.unclosed, None);
            prop_assert_eq!(list.parts.len(), 2);
            let part = Part::parse(list.parts[0]).unwrap();
            prop_assert_eq!(part.get("v"), Some(Some(&value[..])));
            prop_assert_eq!(part.get("o"), Some(Some(other.as_bytes())));
        }

        #[test]
        fn any_bytes_are_taken(value in "[a;=,\" \\\\]{0,24}") {
            for part in split(value.as_bytes()).parts {
                if let Some(part) = Part::parse(part) {
                    prop_assert!(!part.first.contains(&b';'));
                }
            }
        }
    }
}
