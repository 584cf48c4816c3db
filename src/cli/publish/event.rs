//! One server-sent event as a stream has it (HTML Living Standard, section 9.2): its fields a line
//! each, and the empty line without which no browser shows it.

use std::fmt::Write as _;

/// What an event has beside its data.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    /// Which listeners get it.
    pub(super) event: Option<&'a str>,
    /// What a browser sends as `Last-Event-ID` when it comes again.
    pub(super) id: Option<&'a str>,
    /// How many milliseconds a browser waits before it comes again.
    pub(super) retry: Option<u64>,
}

/// The event's lines. Data of several lines becomes several `data:` lines; a line end at its end is
/// none of it.
pub(super) fn lines(data: &str, fields: Fields<'_>) -> String {
    let mut text = String::with_capacity(data.len() + 64);
    // Writing into a String cannot fail.
    if let Some(event) = fields.event {
        let _ = writeln!(text, "event: {event}");
    }
    if let Some(id) = fields.id {
        let _ = writeln!(text, "id: {id}");
    }
    if let Some(retry) = fields.retry {
        let _ = writeln!(text, "retry: {retry}");
    }
    let data = data.replace("\r\n", "\n").replace('\r', "\n");
    for line in data.strip_suffix('\n').unwrap_or(&data).split('\n') {
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
    text
}

/// Can this be the value of a field?
pub(super) fn is_value(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_fields_and_an_empty_line() {
        let plain = Fields::default();
        for (data, expected) in [
            ("hello", "data: hello\n\n"),
            ("", "data: \n\n"),
            ("a\nb", "data: a\ndata: b\n\n"),
            ("a\r\nb\rc", "data: a\ndata: b\ndata: c\n\n"),
            ("a\n", "data: a\n\n"),
            ("a\r\n", "data: a\n\n"),
            ("a\n\n", "data: a\ndata: \n\n"),
            (" a: b", "data:  a: b\n\n"),
        ] {
            assert_eq!(lines(data, plain), expected, "{data:?}");
        }
        let all = Fields {
            event: Some("tick"),
            id: Some("7"),
            retry: Some(1500),
        };
        assert_eq!(
            lines("x", all),
            "event: tick\nid: 7\nretry: 1500\ndata: x\n\n"
        );
    }
}
