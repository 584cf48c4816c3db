//! Close frames (RFC 6455 sections 5.5.1 and 7.4): which codes may be on the wire, and the payload
//! in both directions.

use super::{fault::Fault, frame::CONTROL_LIMIT};

/// Most bytes of a close reason.
pub const REASON_LIMIT: usize = CONTROL_LIMIT - 2;

/// Code and reason of a close frame that has a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code, one that may be sent ([`may_be_sent`]).
    pub code: u16,
    /// Why, for people to read; may be empty.
    pub reason: String,
}

impl Close {
    /// Reads a received payload. An empty one is a close without a code: `None`.
    ///
    /// # Errors
    /// One byte only, a code that may not be sent, a reason that is not UTF-8.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, Fault> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(Fault::CloseLength)
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Fault::CloseCode(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Fault::Utf8)?;
        Ok(Some(Self {
            code,
            reason: reason.to_owned(),
        }))
    }
}

/// The payload of a close frame to be sent. Empty for a code that may not be on the wire; the
/// reason is cut to [`REASON_LIMIT`] bytes, between two characters.
pub fn payload(code: u16, reason: &str) -> Vec<u8> {
    if !may_be_sent(code) {
        return Vec::new();
    }
    let reason = &reason[..reason.floor_char_boundary(REASON_LIMIT)];
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Whether a close frame may carry this code: those that RFC 6455 and the registry define for the
/// wire, and those for applications. 1004, 1005, 1006, 1015 and what nobody defined may not.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [u16; 8] = [1000, 1003, 1007, 1011, 1014, 3000, 4464, 4999];
    const NOT_SENT: [u16; 13] = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];

    #[test]
    fn codes_that_may_not_be_sent_are_refused_and_never_written() {
        for code in NOT_SENT {
            let payload = [&code.to_be_bytes(), &b"why"[..]].concat();
            assert_eq!(Close::parse(&payload), Err(Fault::CloseCode(code)));
            assert_eq!(super::payload(code, "why"), b"");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for code in SENT {
            for reason in ["", "bye", "prêt"] {
                let close = Close {
                    code,
                    reason: reason.to_owned(),
                };
                assert_eq!(Close::parse(&payload(code, reason)), Ok(Some(close)));
            }
        }
        assert_eq!(Close::parse(b""), Ok(None));
    }

    #[test]
    fn half_a_code_and_a_reason_that_is_not_text_are_faults() {
        assert_eq!(Close::parse(b"\x03"), Err(Fault::CloseLength));
        assert_eq!(Close::parse(b"\x03\xe8\xff"), Err(Fault::Utf8));
        assert_eq!(Close::parse(b"\x03\xe8\xe2\x82"), Err(Fault::Utf8));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        for (reason, kept) in [
            ("a".repeat(123), 123),
            ("a".repeat(124), 123),
            ("é".repeat(62), 122),
            ("a".to_owned() + &"é".repeat(61), 123),
            ("😀".repeat(40), 120),
        ] {
            let payload = payload(1000, &reason);
            assert_eq!(payload.len() - 2, kept);
            let close = Close::parse(&payload).unwrap().unwrap();
            assert!(reason.starts_with(&close.reason));
        }
    }
}
