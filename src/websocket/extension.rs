//! The list in `Sec-WebSocket-Extensions` (RFC 6455 section 9.1), read and written: names with
//! parameters. What the names mean is told elsewhere.

use std::fmt;

/// One element of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// The name as written; names are compared exactly.
    pub name: String,
    /// Parameters in order, with values where they have one, quotes and escapes taken off.
    pub params: Vec<(String, Option<String>)>,
}

impl Extension {
    /// An element without parameters.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            params: Vec::new(),
        }
    }

    fn parse(element: &str) -> Option<Self> {
        let mut parts = split(element, ';');
        let name = token(parts.next()?)?;
        let params = parts.map(parameter).collect::<Option<_>>()?;
        Some(Self {
            name: name.to_owned(),
            params,
        })
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)?;
        for (name, value) in &self.params {
            write!(out, "; {name}")?;
            match value {
                None => {}
                Some(value) if is_token(value) => write!(out, "={value}")?,
                Some(value) => {
                    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                    write!(out, "=\"{escaped}\"")?;
                }
            }
        }
        Ok(())
    }
}

/// The elements of all header lines of this name, in order. An element that is malformed is left
/// out, as if it had not been offered; the others stand.
pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Extension> {
    let elements = lines.into_iter().flat_map(|line| split(line, ','));
    elements.filter_map(Extension::parse).collect()
}

/// The value of one header line with these elements.
pub fn print(extensions: &[Extension]) -> String {
    let elements: Vec<String> = extensions.iter().map(ToString::to_string).collect();
    elements.join(", ")
}

fn parameter(text: &str) -> Option<(String, Option<String>)> {
    let Some((name, value)) = text.split_once('=') else {
        return Some((token(text)?.to_owned(), None));
    };
    let value = value.trim_matches([' ', '\t']);
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => token(value)?.to_owned(),
    };
    Some((token(name)?.to_owned(), Some(value)))
}

/// What stands between the opening quote, taken off already, and the closing one at the very end.
fn unquote(quoted: &str) -> Option<String> {
    let mut value = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => value.push(chars.next()?),
            plain => value.push(plain),
        }
    }
    chars.next().is_none().then_some(value)
}

/// The parts between separators that stand outside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

fn token(text: &str) -> Option<&str> {
    let text = text.trim_matches([' ', '\t']);
    is_token(text).then_some(text)
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extension(name: &str, params: &[(&str, Option<&str>)]) -> Extension {
        let own =
            |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(Into::into));
        Extension {
            name: name.to_owned(),
            params: params.iter().map(own).collect(),
        }
    }

    #[test]
    fn lists_are_read() {
        let grip = |prefix| extension("grip", &[("message-prefix", Some(prefix))]);
        for (line, read) in [
            ("", vec![]),
            (" , ,", vec![]),
            (
                "foo, grip",
                vec![Extension::new("foo"), Extension::new("grip")],
            ),
            ("grip; message-prefix=\"I:\"", vec![grip("I:")]),
            ("grip ;\tmessage-prefix = \"\" ", vec![grip("")]),
            (
                r#"grip; message-prefix="a\"\\,;b""#,
                vec![grip(r#"a"\,;b"#)],
            ),
            (
                "a; b; c=1;d=\"2\", e",
                vec![
                    extension("a", &[("b", None), ("c", Some("1")), ("d", Some("2"))]),
                    Extension::new("e"),
                ],
            ),
        ] {
            assert_eq!(parse([line]), read, "{line}");
        }
    }

    #[test]
    fn a_malformed_element_is_left_out_alone() {
        for bad in [
            "a b",
            "a;",
            "a; b=",
            "a; =b",
            "a; b=c d",
            "a; b=\"c\"d",
            "é",
            "a; b=\"\\\"",
        ] {
            assert_eq!(parse([&*format!("x, {bad}"), "y"]).len(), 2, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(
            elements in prop::collection::vec(
                ("[a-z!-]{1,5}", prop::collection::vec(("[a-z]{1,5}", prop::option::of(".{0,5}")), 0..3)),
                0..4,
            ),
        ) {
            let elements = elements.into_iter().map(|(name, params)| Extension { name, params });
            let elements: Vec<_> = elements.collect();
            prop_assert_eq!(parse([&*print(&elements)]), elements);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let read = parse([&*text]);
            prop_assert_eq!(parse([&*print(&read)]), read);
        }
    }
}
