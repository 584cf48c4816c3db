//! The `grip` extension of a WebSocket: whether its backend speaks GRIP on it, and what becomes of
//! the backend's messages then.
//!
//! Source: `Sec-WebSocket-Extensions: grip; message-prefix="…"` of the GRIP protocol. The same for
//! WebSockets over HTTP and for those that are passed on; it looks at whole messages, so a control
//! message may come in any number of pieces, and of an unprefixed message no piece goes through.
//! Not here: what a control message says; that is [`ws_control`](super::ws_control)'s.

use bytes::Bytes;

use super::{format::MessageKind, instruct::params, ws_events::Message};

/// The extension, as a backend switched it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grip {
    /// What messages for the client begin with; `m:` unless the backend says otherwise. When it is
    /// empty, all but control messages go through.
    pub message_prefix: Bytes,
}

/// What a backend's message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sorted {
    /// A control message, without the `c:`.
    Control(Bytes),
    /// Not for the client: it has no prefix.
    Drop,
    /// For the client, without the prefix.
    Relay(Message),
}

/// Reads all values of `Sec-WebSocket-Extensions` of a backend's answer. `None`: it does not name
/// `grip`, or not properly.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Grip> {
    let mut grip = None;
    for value in values {
        let parts = params::split(value).parts.into_iter();
        grip = grip.or_else(|| {
            parts
                .filter_map(params::Part::parse)
                .find(|part| part.first == b"grip")
                .map(|part| Grip::of(&part))
        });
    }
    grip
}

impl Grip {
    fn of(part: &params::Part<'_>) -> Self {
        let prefix = part.get("message-prefix").flatten();
        Self {
            message_prefix: prefix.map_or(Bytes::from_static(b"m:"), Bytes::copy_from_slice),
        }
    }

    /// Sorts a message of the backend. Pings and pongs need no prefix.
    pub fn sort(&self, mut message: Message) -> Sorted {
        if matches!(message.kind, MessageKind::Ping | MessageKind::Pong) {
            return Sorted::Relay(message);
        }
        if message.kind == MessageKind::Text && message.content.starts_with(CONTROL) {
            return Sorted::Control(message.content.slice(CONTROL.len()..));
        }
        if !message.content.starts_with(&self.message_prefix) {
            return Sorted::Drop;
        }
        message.content = message.content.slice(self.message_prefix.len()..);
        Sorted::Relay(message)
    }
}

/// What control messages begin with. It is looked for before the message prefix.
const CONTROL: &[u8] = b"c:";

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(values: &[&str]) -> Option<String> {
        let grip = parse(values.iter().map(|value| value.as_bytes()))?;
        Some(String::from_utf8(grip.message_prefix.to_vec()).unwrap())
    }

    #[test]
    fn it_is_on_only_by_its_exact_name() {
        for (case, values, want) in [
            ("vector 40", &["grip"][..], Some("m:")),
            ("vector 41", &["grip; message-prefix=\"I:\""], Some("I:")),
            ("a bare value", &["grip;message-prefix=I:"], Some("I:")),
            ("an escape", &["grip; message-prefix=\"\\\"\""], Some("\"")),
            ("vector 42", &["grip; message-prefix=\"\""], Some("")),
            ("vector 43", &["foo, grip"], Some("m:")),
            ("two headers", &["foo; a=\"x,grip\"", "grip; b"], Some("m:")),
            ("vector 43", &["GRIP"], None),
            ("vector 44", &[], None),
            ("another", &["grips", "x-grip", "foo; grip"], None),
            ("malformed", &["grip; message-prefix=\"m:"], None),
        ] {
            assert_eq!(prefix(values).as_deref(), want, "{case}: {values:?}");
        }
    }

    #[test]
    fn messages_are_sorted() {
        use MessageKind::{Binary, Ping, Pong, Text};
        let message = |kind, content: &'static str| Message {
            kind,
            content: Bytes::from_static(content.as_bytes()),
        };
        let control = |content| Sorted::Control(Bytes::from_static(content));
        let relay = |kind, content| Sorted::Relay(message(kind, content));
        let big: &'static str = Box::leak(format!("{}TAILTAIL", "A".repeat(16_384)).into());
        for (case, prefix, kind, content, want) in [
            ("vector 40", "m:", Text, "m:hi", relay(Text, "hi")),
            ("vector 40", "m:", Text, "raw", Sorted::Drop),
            (
                "vector 40",
                "m:",
                Binary,
                "m:\0\x01",
                relay(Binary, "\0\x01"),
            ),
            ("vector 40", "m:", Ping, "zz", relay(Ping, "zz")),
            ("a pong", "m:", Pong, "c:{}", relay(Pong, "c:{}")),
            ("vector 41", "I:", Text, "m:1", Sorted::Drop),
            ("vector 41", "I:", Text, "I:2", relay(Text, "2")),
            ("vector 42", "", Text, "m:x", relay(Text, "m:x")),
            ("vector 42", "", Text, "", relay(Text, "")),
            ("control", "m:", Text, "c:{}", control(b"{}")),
            ("control comes first", "c:", Text, "c:{}", control(b"{}")),
            ("not control", "m:", Binary, "c:{}", Sorted::Drop),
            ("vector 87", "m:", Text, big, Sorted::Drop),
            ("short", "m:", Text, "m", Sorted::Drop),
        ] {
            let grip = Grip {
                message_prefix: Bytes::from_static(prefix.as_bytes()),
            };
            let sorted = grip.sort(message(kind, content));
            assert_eq!(sorted, want, "{case}: {kind:?}");
        }
    }
}
