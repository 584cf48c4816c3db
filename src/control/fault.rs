//! What can be wrong with a request as such, whatever it asks for: its status and its sentence, at
//! one place. After any of these the connection is closed, because nobody can tell where the next
//! request begins.

/// A request that cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// A line of the head ends without CR.
    #[error("Failed to parse request header: a line ends in LF alone; lines end in CR LF.")]
    BareLf,
    /// `Content-Length` is not one number.
    #[error("Bad Content-Length: one number made of digits is wanted.")]
    BadLength,
    /// A chunk of the body is not framed as it should be.
    #[error("Failed to parse the chunked request body.")]
    BadChunk,
    /// The body is larger than this many bytes.
    #[error("Request body too large: the limit is {0} bytes (control.max_body).")]
    BodyTooLarge(usize),
    /// The body stopped arriving.
    #[error("The request body stopped arriving.")]
    BodySlow,
    /// `Expect` asks for something else than `100-continue`.
    #[error("Unknown Expect: only 100-continue is understood.")]
    Expectation,
    /// The head is larger than this many bytes.
    #[error("Request header too large: the limit is {0} bytes (control.max_head).")]
    HeadTooLarge(usize),
    /// The head did not arrive in time.
    #[error("The request header did not arrive in time (timeouts.request_head).")]
    HeadSlow,
    /// HTTP/1.1 without `Host`.
    #[error("Failed to parse request header: an HTTP/1.1 request needs one Host header.")]
    HostMissing,
    /// More than one `Host`.
    #[error("Failed to parse request header: more than one Host header.")]
    HostTwice,
    /// `Content-Length` and `Transfer-Encoding` together.
    #[error("Content-Length and Transfer-Encoding exclude each other.")]
    LengthAndChunked,
    /// A method with a body, and no word on its length.
    #[error("Request requires Content-Length.")]
    LengthRequired,
    /// The head is not HTTP/1.
    #[error("Failed to parse request header: {0}.")]
    Malformed(httparse::Error),
    /// Too many header lines.
    #[error("Request header too large: more than {MAX_HEADERS} lines.")]
    TooManyHeaders,
    /// A transfer coding other than `chunked`.
    #[error("Unknown Transfer-Encoding: only chunked is understood.")]
    TransferCoding,
    /// An HTTP/1.0 request with `Transfer-Encoding`.
    #[error("Transfer-Encoding has no meaning in HTTP/1.0.")]
    TransferInOld,
}

/// Most header lines of a request.
pub(super) const MAX_HEADERS: usize = 100;

impl Fault {
    /// The status code it is answered with.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::BodySlow | Self::HeadSlow => 408,
            Self::LengthRequired => 411,
            Self::Expectation => 417,
            Self::TransferCoding => 501,
            _ => 400,
        }
    }
}
