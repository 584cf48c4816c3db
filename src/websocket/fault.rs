//! What may be wrong with what a peer sends after the handshake, and the code with which the
//! connection is closed for it (RFC 6455 section 7.4.1). The peer is always at fault here.

/// Why a connection must be closed. `Display` completes "the peer sent …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// RSV2 or RSV3 is set, or RSV1 where nothing compressed may begin.
    #[error("a frame with a reserved bit that was not negotiated")]
    ReservedBits,
    /// An opcode that RFC 6455 does not define.
    #[error("a frame of unknown type {0}")]
    Opcode(u8),
    /// A client's frame without a mask.
    #[error("a frame without a mask")]
    Unmasked,
    /// A backend's frame with a mask.
    #[error("a frame with a mask, which only clients use")]
    Masked,
    /// A length in more bytes than it needs.
    #[error("a length in more bytes than it needs")]
    LengthForm,
    /// A length with the highest of its 64 bits set.
    #[error("a length over 63 bits")]
    Length,
    /// A ping, pong or close of more than 125 bytes.
    #[error("a control frame of more than 125 bytes")]
    ControlLength,
    /// A ping, pong or close without FIN.
    #[error("a control frame in fragments")]
    ControlFragment,
    /// A continuation where no message has begun.
    #[error("a continuation of nothing")]
    Continuation,
    /// A text or binary frame before the last message ended.
    #[error("a new message before the end of the last")]
    Unfinished,
    /// A close frame of one byte: half a code.
    #[error("a close frame of one byte")]
    CloseLength,
    /// A close code that may not be sent.
    #[error("the close code {0}, which may not be sent")]
    CloseCode(u16),
    /// A text, or the reason of a close, that is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A compressed message that is not deflate.
    #[error("a compressed message that cannot be read")]
    Deflate,
    /// A message, as sent or when inflated, above the limit.
    #[error("a message of more than {limit} bytes")]
    TooBig {
        /// Most bytes of a message.
        limit: usize,
    },
}

impl Fault {
    /// The close code that tells the peer: 1002, 1007 or 1009.
    pub fn code(self) -> u16 {
        match self {
            Self::Utf8 | Self::Deflate => 1007,
            Self::TooBig { .. } => 1009,
            _ => 1002,
        }
    }
}
