//! Checks that text which comes in pieces is UTF-8, at the first byte that makes it impossible.

/// What is known of a text so far.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The beginning of a character whose rest has not come yet.
    open: [u8; 4],
    len: usize,
}

/// The text is not UTF-8, whatever follows.
#[derive(Debug, PartialEq)]
pub(super) struct Invalid;

impl Utf8 {
    /// Goes on with the next piece.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            self.open[self.len] = first;
            self.len += 1;
            if self.is_whole()? {
                self.len = 0;
            }
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            if error.error_len().is_some() {
                return Err(Invalid);
            }
            let open = &bytes[error.valid_up_to()..];
            self.open[..open.len()].copy_from_slice(open);
            self.len = open.len();
        }
        Ok(())
    }

    /// The text ends here.
    pub(super) fn end(&self) -> Result<(), Invalid> {
        if self.len == 0 { Ok(()) } else { Err(Invalid) }
    }

    /// `false` asks for more bytes: never with four, which are a character or are none.
    fn is_whole(&self) -> Result<bool, Invalid> {
        match std::str::from_utf8(&self.open[..self.len]) {
            Ok(_) => Ok(true),
            Err(error) if error.error_len().is_none() => Ok(false),
            Err(_) => Err(Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pieces: &[&[u8]]) -> Result<(), Invalid> {
        let mut utf8 = Utf8::default();
        pieces.iter().try_for_each(|piece| utf8.push(piece))?;
        utf8.end()
    }

    #[test]
    fn the_first_wrong_byte_is_enough() {
        for wrong in [
            &b"\x80"[..],
            b"\xc0",
            b"\xe0\x80",
            b"\xed\xa0",
            b"\xf4\x90",
            b"\xf5",
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0",
        ] {
            let (last, before) = wrong.split_last().unwrap();
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.push(before), Ok(()), "{wrong:x?}");
            assert_eq!(utf8.push(&[*last]), Err(Invalid), "{wrong:x?}");
            assert_eq!(Utf8::default().push(wrong), Err(Invalid), "{wrong:x?}");
        }
    }

    #[test]
    fn half_a_character_is_no_end() {
        assert_eq!(check(&[b"\xf0\x9f", b"\x98"]), Err(Invalid));
        assert_eq!(check(&[b"\xf0\x9f", b"", b"\x98", b"\x80!"]), Ok(()));
    }

    /// Sound text with now and then a byte that is not.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 1..3),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(
            bytes in bytes(),
            size in 1_usize..5,
        ) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(check(&pieces).is_ok(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
