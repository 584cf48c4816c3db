//! A connection of HTTP/2 and its event streams: what the client asks and answers, and what it has
//! counted. Bytes go in and come out; sockets are not known here.

use std::{mem, rc::Rc};

use anyhow::{Context, Result, bail};

use super::{
    ACK, CONNECTION_WINDOW, DATA, END_STREAM, Frame, GOAWAY, HEADERS, Head, PING, RST_STREAM,
    SETTINGS, STREAM_WINDOW, frame, preface, window_update,
};
use crate::wire;

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    head: Rc<Head>,
    /// Those that have been asked for, in the order of their numbers.
    streams: Vec<Stream>,
    /// Those that there are to be.
    wanted: usize,
    /// Streams that may be asked for and not have begun.
    at_once: usize,
    /// Items with which a stream begins its count.
    begins: u32,
    window: Window,
    /// What is to be sent next.
    out: Vec<u8>,
    /// What came of a frame that is not whole.
    rest: Vec<u8>,
}

#[derive(Debug)]
struct Stream {
    /// Items so far, the opening included.
    got: u32,
    window: Window,
}

/// Bytes that came since the server was last told to go on.
#[derive(Debug, Default)]
struct Window(u32);

impl Connection {
    /// One that is to carry so many streams, asked for a few at once; each counts as having got
    /// `begins` items.
    pub fn new(head: Rc<Head>, streams: usize, at_once: usize, begins: u32) -> Self {
        let mut connection = Self {
            head,
            streams: Vec::new(),
            wanted: streams,
            at_once,
            begins,
            window: Window::default(),
            out: preface(),
            rest: Vec::new(),
        };
        connection.ask();
        connection
    }

    /// Its streams, those that are still to be asked for included.
    pub fn streams(&self) -> usize {
        self.wanted
    }

    /// Streams that have got so many items.
    pub fn complete(&self, items: u32) -> usize {
        let those = self.streams.iter().filter(|stream| stream.got == items);
        those.count()
    }

    /// The most that a stream has got.
    pub fn most(&self) -> u32 {
        let got = self.streams.iter().map(|stream| stream.got);
        got.max().unwrap_or(0)
    }

    /// What is to be sent; the caller takes away what is.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Takes what came.
    ///
    /// # Errors
    /// It is not what holds a stream, or ends one.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let mut joined = mem::take(&mut self.rest);
        let mut left = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        while let Some(frame) = Frame::take(&mut left)? {
            self.handle(frame)?;
        }
        self.rest = left.to_vec();
        self.ask();
        Ok(())
    }

    fn handle(&mut self, came: Frame<'_>) -> Result<()> {
        let (stream, payload) = (came.stream, came.payload);
        match came.kind {
            DATA | HEADERS if came.flags & END_STREAM != 0 => {
                bail!("the server ended stream {stream}")
            }
            DATA => self.count(stream, payload)?,
            HEADERS if !came.is_ok() => bail!("not held but answered: {payload:x?}"),
            SETTINGS if came.flags & ACK == 0 => self.out.extend(frame(SETTINGS, ACK, 0, &[])),
            PING if came.flags & ACK == 0 => self.out.extend(frame(PING, ACK, 0, payload)),
            RST_STREAM | GOAWAY => bail!("the server broke off stream {stream}: {payload:x?}"),
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, number: u32, payload: &[u8]) -> Result<()> {
        // Clients' streams have odd numbers.
        let stream = self.streams.get_mut(number as usize / 2);
        let stream = stream.context("data that nobody asked for")?;
        stream.got += wire::marks(payload);
        let came = u32::try_from(payload.len())?;
        for (window, number, size) in [
            (&mut self.window, 0, CONNECTION_WINDOW),
            (&mut stream.window, number, STREAM_WINDOW),
        ] {
            window.0 += came;
            if window.0 > size / 2 {
                self.out
                    .extend(window_update(number, mem::take(&mut window.0)));
            }
        }
        Ok(())
    }

    /// Asks for more streams.
    fn ask(&mut self) {
        while self.streams.len() < self.wanted && self.complete(self.begins) < self.at_once {
            let number = u32::try_from(2 * self.streams.len() + 1).unwrap_or(u32::MAX);
            self.out.extend(self.head.request(number));
            self.streams.push(Stream {
                got: self.begins,
                window: Window::default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(streams: usize, at_once: usize) -> (Connection, Rc<Head>) {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let head = Rc::new(Head::of(request).unwrap());
        let mut made = Connection::new(Rc::clone(&head), streams, at_once, 4);
        assert!(made.out().starts_with(&preface()));
        made.out().drain(..preface().len());
        (made, head)
    }

    fn ok(stream: u32) -> Vec<u8> {
        frame(HEADERS, 4, stream, &[0x88])
    }

    #[test]
    fn streams_are_asked_for_a_few_at_once_and_counted_however_they_are_cut() {
        let all = [
            ok(1),
            frame(DATA, 0, 1, b":$\n"),
            ok(3),
            frame(DATA, 0, 1, b""),
            frame(DATA, 0, 1, b"$$"),
        ]
        .concat();
        for cut in 0..all.len() {
            let (mut made, head) = connection(3, 2);
            assert_eq!(*made.out(), [1, 3].map(|id| head.request(id)).concat());
            made.out().clear();
            made.take(&all[..cut]).unwrap();
            made.take(&all[cut..]).unwrap();
            assert_eq!(*made.out(), head.request(5), "cut at {cut}");
            let complete = [4, 5, 6, 7].map(|items| made.complete(items));
            assert_eq!(complete, [2, 0, 0, 1], "cut at {cut}");
            assert_eq!((made.most(), made.streams()), (7, 3));
        }
    }

    #[test]
    fn settings_and_pings_are_answered() {
        let (mut made, _) = connection(0, 1);
        let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 128]);
        made.take(&settings).unwrap();
        made.take(&frame(SETTINGS, ACK, 0, &[])).unwrap();
        made.take(&frame(PING, 0, 0, b"12345678")).unwrap();
        made.take(&window_update(0, 5)).unwrap();
        let want = [
            frame(SETTINGS, ACK, 0, &[]),
            frame(PING, ACK, 0, b"12345678"),
        ];
        assert_eq!(*made.out(), want.concat());
    }

    #[test]
    fn the_server_is_told_to_go_on_at_half_of_a_window() {
        let (mut made, _) = connection(2, 2);
        made.out().clear();
        let piece = |stream| frame(DATA, 0, stream, &[b'x'; 16_384]);
        for _ in 0..=192 {
            made.take(&piece(1)).unwrap();
        }
        assert_eq!(*made.out(), window_update(1, 193 * 16_384));
        made.out().clear();
        for _ in 193..=480 {
            made.take(&piece(3)).unwrap();
        }
        let want = [
            window_update(3, 193 * 16_384),
            window_update(0, 481 * 16_384),
        ];
        assert_eq!(*made.out(), want.concat());
    }

    #[test]
    fn what_does_not_hold_is_a_fault() {
        for raw in [
            frame(HEADERS, 4, 1, b"\x48\x03502"),
            frame(HEADERS, 5, 1, &[0x88]),
            frame(DATA, END_STREAM, 1, b""),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 7]),
            frame(GOAWAY, 0, 0, &[0; 8]),
            frame(DATA, 0, 3, b"$"),
        ] {
            assert!(connection(1, 1).0.take(&raw).is_err(), "{raw:x?}");
        }
    }
}
