//! A body that is wrapped into a JSON-P call as it comes, piece by piece.

use bytes::Bytes;

use crate::cross_origin::call::{self, Mode};

/// The call around a body.
#[derive(Debug)]
pub(super) struct Script {
    opening: Option<Bytes>,
    mode: Mode,
    /// A line end that is left out if nothing comes behind it.
    kept: &'static [u8],
    /// The body goes on when it ends here, as a hold.
    goes_on: bool,
    closed: bool,
}

impl Script {
    /// A call that begins in this way.
    pub(super) fn new(opening: Bytes, mode: Mode, goes_on: bool) -> Self {
        Self {
            opening: Some(opening),
            mode,
            kept: b"",
            goes_on,
            closed: false,
        }
    }

    /// All that stands before the body, once.
    pub(super) fn opening(&mut self) -> Option<Bytes> {
        self.opening.take()
    }

    /// A piece of the body.
    pub(super) fn piece(&mut self, piece: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.kept.len() + piece.len());
        match self.mode {
            Mode::Extended => call::escape(piece, &mut out),
            Mode::Basic if self.goes_on || piece.is_empty() => out.extend_from_slice(piece),
            Mode::Basic => {
                out.extend_from_slice(self.kept);
                self.kept = line_end(piece);
                out.extend_from_slice(&piece[..piece.len() - self.kept.len()]);
            }
        }
        out.into()
    }

    /// All that stands behind the body, once.
    pub(super) fn closing(&mut self) -> Option<Bytes> {
        let was_closed = std::mem::replace(&mut self.closed, true);
        (!was_closed).then(|| Bytes::from_static(self.mode.closing()))
    }
}

fn line_end(piece: &[u8]) -> &'static [u8] {
    match piece {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(mode: Mode, goes_on: bool, pieces: &[&str]) -> String {
        let mut script = Script::new("<".into(), mode, goes_on);
        let mut out = script.opening().unwrap().to_vec();
        assert!(script.opening().is_none());
        for piece in pieces {
            out.extend_from_slice(&script.piece(piece.as_bytes()));
        }
        out.extend_from_slice(&script.closing().unwrap());
        assert!(script.closing().is_none());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pieces_make_one_call() {
        let pieces = ["a\"\n", "", "b\r\n", "\r\n", "c", "\n"];
        for (mode, goes_on, expected) in [
            (Mode::Extended, false, "<a\\\"\\nb\\r\\n\\r\\nc\\n\"});\n"),
            (Mode::Basic, false, "<a\"\nb\r\n\r\nc);\n"),
            (Mode::Basic, true, "<a\"\nb\r\n\r\nc\n);\n"),
        ] {
            assert_eq!(wrapped(mode, goes_on, &pieces), expected);
        }
    }
}
