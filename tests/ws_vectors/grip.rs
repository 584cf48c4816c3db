//! Vectors 40 to 44 and 87: when GRIP is on, and which messages of the backend a client sees.

use crate::{
    site::{Site, event, grip, opened, opened_with},
    support::ws::{Message, text},
};

/// What the client sees of these events when OPEN is answered with this extension header.
fn seen(extensions: &str, more: &str, messages: &[Message]) {
    let header = match extensions {
        "" => String::new(),
        value => format!("Sec-WebSocket-Extensions: {value}\r\n"),
    };
    let site = Site::one(vec![opened_with(&header, &format!("{more}CLOSE\r\n"))]);
    let mut client = site.open();
    assert!(!client.head.has("Sec-WebSocket-Extensions"), "{extensions}");
    client.expect(messages);
    client.expect_code(1000);
}

#[test]
fn w040_only_what_has_the_prefix_is_shown() {
    let more = "TEXT 4\r\nm:hi\r\nTEXT 3\r\nraw\r\nBINARY 4\r\nm:\0\u{1}\r\n\
                BINARY 4\r\nc:{}\r\nPING 2\r\nzz\r\n";
    let messages = [
        text("hi"),
        Message::Binary(vec![0, 1]),
        Message::Ping(b"zz".to_vec()),
    ];
    seen("grip", more, &messages);
}

#[test]
fn w041_the_prefix_is_the_backends() {
    let more = event("TEXT", "m:1") + &event("TEXT", "I:2");
    seen(r#"grip; message-prefix="I:""#, &more, &[text("2")]);
    seen("grip; message-prefix=I:", &more, &[text("2")]);
}

#[test]
fn w042_an_empty_prefix_shows_everything() {
    let more = event("TEXT", "m:1") + &event("TEXT", "raw") + &event("TEXT", r#"c:{"type":"x"}"#);
    let messages = [text("m:1"), text("raw")];
    seen(r#"grip; message-prefix="""#, &more, &messages);
}

#[test]
fn w043_the_extension_is_one_of_a_list() {
    let more = event("TEXT", "m:1") + &event("TEXT", "raw");
    seen("foo, grip", &more, &[text("1")]);
    seen("GRIP", &more, &[text("m:1"), text("raw")]);
}

#[test]
fn w044_without_the_extension_nothing_is_control() {
    let subscribe = r#"c:{"type":"subscribe","channel":"a"}"#;
    let more = event("TEXT", subscribe) + &event("TEXT", "raw");
    seen("", &more, &[text(subscribe), text("raw")]);
    let site = Site::one(vec![opened(&more)]);
    let mut client = site.open();
    client.expect(&[text(subscribe), text("raw")]);
    site.wait_subscribers("a", 0);
}

/// Pushpin shows the end of it.
#[test]
fn w087_a_long_message_without_the_prefix_is_not_shown() {
    let long = "A".repeat(16_384) + "TAILTAIL";
    let more = event("TEXT", &long) + &event("TEXT", "m:end");
    let site = Site::one(vec![grip(&more)]);
    site.open().hear("end");
}
