//! The `%` syntax that `build-id` and `var-subst` share: `%X` or `%(argument)X` asks for a value,
//! `%%` is a percent sign. In an argument a backslash makes the next byte literal.

use memchr::memchr;

use crate::grip::text::shown_bytes;

/// A text that cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at position {at}")]
pub struct FormatError {
    /// What is wrong.
    pub fault: FormatFault,
    /// Offset in bytes, from 0: of the directive's letter, or where the text ends too early.
    pub at: usize,
}

/// What can be wrong with a text to render.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// A letter after `%` that means nothing here.
    #[error("unknown directive '%{letter}'")]
    Directive {
        /// The letter, escaped if it is none.
        letter: String,
    },
    /// The text ends within a directive.
    #[error("the text ends after '%'")]
    End,
    /// Replacing makes the text grow by more than [`GROWTH_LIMIT`].
    #[error("the text grows by more than {GROWTH_LIMIT} bytes")]
    Growth,
    /// A variable without a value.
    #[error("no value for '{name}'")]
    Missing {
        /// Its name, cut short.
        name: String,
    },
    /// `%I` where there is no item to have an id.
    #[error("No ID specified and no default ID in context")]
    NoId,
    /// The argument of a directive is never closed.
    #[error("'%(' without ')'")]
    Unclosed,
}

impl FormatFault {
    pub(super) fn directive(letter: u8) -> Self {
        Self::Directive {
            letter: shown_bytes(&[letter]),
        }
    }

    pub(super) fn missing(name: &[u8]) -> Self {
        Self::Missing {
            name: shown_bytes(name),
        }
    }
}

/// Most bytes a text may grow by. Each directive takes three bytes or more and may bring a long
/// value; without a limit one publish could fill the memory, once a subscriber.
pub const GROWTH_LIMIT: usize = 1 << 20;

/// Renders `text`. `expand` is given a directive's letter and argument, and writes its value.
pub(super) fn render(
    text: &[u8],
    mut expand: impl FnMut(u8, Option<&[u8]>, &mut Vec<u8>) -> Result<(), FormatFault>,
) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(plain) = memchr(b'%', rest) {
        let (before, marked) = rest.split_at(plain);
        out.extend_from_slice(before);
        rest = marked.get(1..).unwrap_or_default();
        let argument = rest.strip_prefix(b"(").map(argument);
        let argument = match argument {
            None => None,
            Some(Some((argument, after))) => {
                rest = after;
                Some(argument)
            }
            Some(None) => return Err(at(text.len(), FormatFault::Unclosed)),
        };
        let Some((&letter, after)) = rest.split_first() else {
            return Err(at(text.len(), FormatFault::End));
        };
        let place = text.len() - rest.len();
        rest = after;
        match (letter, argument) {
            (b'%', None) => out.push(b'%'),
            (letter, argument) => {
                expand(letter, argument.as_deref(), &mut out).map_err(|fault| at(place, fault))?;
            }
        }
        if out.len() > text.len() + GROWTH_LIMIT {
            return Err(at(place, FormatFault::Growth));
        }
    }
    out.extend_from_slice(rest);
    Ok(out)
}

fn at(at: usize, fault: FormatFault) -> FormatError {
    FormatError { fault, at }
}

/// The argument up to its `)`, escapes undone, and what stands after it. `None`: never closed.
fn argument(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut argument = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((place, &byte)) = bytes.next() {
        match byte {
            b')' => return Some((argument, text.get(place + 1..)?)),
            b'\\' => argument.push(*bytes.next()?.1),
            _ => argument.push(byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes each directive down as `<letter:argument>`.
    fn show(text: &[u8]) -> Result<String, FormatError> {
        let out = render(text, |letter, argument, out| {
            if letter == b'!' {
                return Err(FormatFault::directive(letter));
            }
            out.extend_from_slice(&[b'<', letter, b':']);
            out.extend_from_slice(argument.unwrap_or(b"-"));
            out.push(b'>');
            Ok(())
        });
        out.map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn directives_are_replaced() {
        for (text, want) in [
            ("", ""),
            ("abc", "abc"),
            ("100%%", "100%"),
            ("%%%%s", "%%s"),
            ("a%Ib", "a<I:->b"),
            ("%(k)s", "<s:k>"),
            ("%()s", "<s:>"),
            ("%(a\\)b\\\\c\\d)s.", "<s:a)b\\cd>."),
            ("%(a(b)s)", "<s:a(b>)"),
            ("%(k)%", "<%:k>"),
            ("(x) %((y)z", "(x) <z:(y>"),
        ] {
            assert_eq!(show(text.as_bytes()).as_deref(), Ok(want), "{text:?}");
        }
    }

    #[test]
    fn faults_tell_their_place() {
        for (text, at, want) in [
            ("a%", 2, "the text ends after '%' at position 2"),
            ("%(a)", 4, "the text ends after '%' at position 4"),
            ("%(a", 3, "'%(' without ')' at position 3"),
            ("%(a\\)s", 6, "'%(' without ')' at position 6"),
            ("%(a\\", 4, "'%(' without ')' at position 4"),
            ("id=%!", 4, "unknown directive '%!' at position 4"),
            ("%(ab)!", 5, "unknown directive '%!' at position 5"),
        ] {
            let error = show(text.as_bytes()).unwrap_err();
            assert_eq!((error.at, &*error.to_string()), (at, want), "{text:?}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let long = vec![b'x'; GROWTH_LIMIT / 2];
        let grow = |text: &[u8]| {
            render(text, |_, _, out| {
                out.extend_from_slice(&long);
                Ok(())
            })
        };
        assert_eq!(grow(b"%a%a").unwrap().len(), GROWTH_LIMIT);
        let error = grow(b"%a%a%a").unwrap_err();
        assert_eq!(error, at(5, FormatFault::Growth));
    }

    fn escape(text: &[u8], special: &[u8], with: u8) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in text {
            if special.contains(&byte) {
                out.push(with);
            }
            out.push(byte);
        }
        out
    }

    proptest! {
        #[test]
        fn escaped_text_and_arguments_survive(text: Vec<u8>, argument: Vec<u8>, after: Vec<u8>) {
            let source = [
                &escape(&text, b"%", b'%')[..], b"%(", &escape(&argument, b"\\)", b'\\'), b")v",
                &escape(&after, b"%", b'%'),
            ].concat();
            let out = render(&source, |letter, argument, out| {
                assert_eq!(letter, b'v');
                out.extend_from_slice(argument.unwrap());
                Ok(())
            });
            prop_assert_eq!(out, Ok([text, argument, after].concat()));
        }

        #[test]
        fn any_text_is_rendered_or_refused_within_it(text in "[%()\\\\a-c!]{0,24}") {
            if let Err(error) = show(text.as_bytes()) {
                prop_assert!(error.at <= text.len());
            }
        }

        #[test]
        fn any_bytes_are_taken(text: Vec<u8>) {
            if let Err(error) = show(&text) {
                prop_assert!(error.at <= text.len());
            }
        }
    }
}
