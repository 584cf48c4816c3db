//! What may be wrong with a request, the status each fault is answered with, and the sentence that
//! tells the client. The client is always at fault here.

/// Why a request is refused. `Display` is a whole sentence that names the line or header at fault
/// and what is allowed; excerpts of the request in it are short and escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first byte cannot begin a request.
    #[error("The connection does not begin with an HTTP request.")]
    NotHttp,
    /// Too many empty lines before the request line.
    #[error("More than {limit} empty lines stand before the request line.")]
    EmptyLines {
        /// How many are skipped.
        limit: usize,
    },
    /// The request line is not three parts with single spaces between them.
    #[error("The request line is malformed; it must be METHOD SP TARGET SP HTTP/1.1.")]
    RequestLine,
    /// The method holds a character that no method may have.
    #[error("The method \"{0}\" is malformed; letters, digits and !#$%&'*+-.^_`|~ are allowed.")]
    Method(String),
    /// The method is longer than any that exists.
    #[error("The method is longer than {limit} characters.")]
    MethodLength {
        /// Most characters of a method.
        limit: usize,
    },
    /// `CONNECT`, which gripd does not do.
    #[error("The method CONNECT is not supported.")]
    Connect,
    /// The request target is malformed.
    #[error("The request target is malformed: {0}.")]
    Target(Target),
    /// The request target is too long.
    #[error("The request target is longer than {limit} bytes.")]
    TargetLength {
        /// Most bytes of a target.
        limit: usize,
    },
    /// A well-formed version other than 1.0 and 1.1.
    #[error("The version HTTP/{0} is not supported; HTTP/1.0 and HTTP/1.1 are.")]
    Version(String),
    /// The head is too big.
    #[error("The request head is longer than {limit} bytes.")]
    HeadLength {
        /// Most bytes of a head.
        limit: usize,
    },
    /// There are too many header lines.
    #[error("The request has more than {limit} headers.")]
    HeaderCount {
        /// Most headers.
        limit: usize,
    },
    /// A line ends with LF alone.
    #[error("Line {line} ends with a bare LF; lines must end with CR LF.")]
    BareLf {
        /// Counted from the request line, which is 1.
        line: usize,
    },
    /// A CR stands within a line.
    #[error("Line {line} holds a bare CR; lines must end with CR LF.")]
    BareCr {
        /// Counted from the request line, which is 1.
        line: usize,
    },
    /// A header goes on in the next line (obs-fold).
    #[error("Line {line} begins with white space; a header must stand on one line.")]
    Folded {
        /// Counted from the request line, which is 1.
        line: usize,
    },
    /// A header line without a colon.
    #[error("Line {line} is not a header; it must be NAME: VALUE.")]
    NoColon {
        /// Counted from the request line, which is 1.
        line: usize,
    },
    /// White space between a header's name and the colon.
    #[error("The header \"{0}\" has white space before its colon; none is allowed.")]
    SpaceBeforeColon(String),
    /// A header's name is empty or not a token.
    #[error(
        "Line {line} has a malformed header name; letters, digits and !#$%&'*+-.^_`|~ are allowed."
    )]
    HeaderName {
        /// Counted from the request line, which is 1.
        line: usize,
    },
    /// A control character in a header's value.
    #[error("The header \"{0}\" holds a control character; none but the tab is allowed.")]
    HeaderValue(String),
    /// HTTP/1.1 without `Host`.
    #[error("The header Host is missing; HTTP/1.1 needs exactly one.")]
    HostMissing,
    /// More than one `Host`.
    #[error("The header Host stands more than once; exactly one is allowed.")]
    HostRepeated,
    /// `Host` is not a host with an optional port.
    #[error("The header Host is malformed; it must be HOST or HOST:PORT.")]
    HostValue,
    /// More than one `Content-Length`, equal or not.
    #[error("The header Content-Length stands more than once; one is allowed.")]
    LengthRepeated,
    /// `Content-Length` is not a plain decimal number.
    #[error("The header Content-Length is malformed; it must be one decimal number.")]
    LengthValue,
    /// Both `Content-Length` and `Transfer-Encoding`.
    #[error("The headers Content-Length and Transfer-Encoding stand together; one is allowed.")]
    TwoFramings,
    /// `Transfer-Encoding` that gripd does not take.
    #[error("The header Transfer-Encoding {0}; it must be \"chunked\", once, on HTTP/1.1.")]
    Coding(Coding),
    /// `Expect` asks for something unknown.
    #[error("The expectation \"{0}\" is not known; 100-continue is.")]
    Expect(String),
    /// The body is too big.
    #[error("The request body is longer than {limit} bytes.")]
    BodyLength {
        /// Most bytes of a body.
        limit: u64,
    },
    /// A chunk's size line is malformed.
    #[error("A chunk has a malformed size; it must be 1 to {limit} hexadecimal digits and CR LF.")]
    ChunkSize {
        /// Most digits of a size.
        limit: u8,
    },
    /// A control character in a chunk extension.
    #[error("A chunk extension holds a control character.")]
    ChunkExtension,
    /// The chunk extensions of one body are too long together.
    #[error("The chunk extensions are longer than {limit} bytes.")]
    ChunkExtensionLength {
        /// Most bytes in one body.
        limit: usize,
    },
    /// A chunk's data is not followed by CR LF.
    #[error("A chunk does not end with CR LF where its size says.")]
    ChunkEnd,
    /// A trailer line is malformed.
    #[error("In the trailers: {0}")]
    Trailer(Box<Fault>),
    /// A trailer that may only be a header.
    #[error("The header \"{0}\" must not stand among the trailers.")]
    TrailerName(String),
    /// The trailers are too long.
    #[error("The trailers are longer than {limit} bytes.")]
    TrailerLength {
        /// Most bytes of all trailers.
        limit: usize,
    },
    /// There are too many trailers.
    #[error("There are more than {limit} trailers.")]
    TrailerCount {
        /// Most trailers.
        limit: usize,
    },
    /// The head was not complete in time. Never from the scan: it has no clock; whoever holds the
    /// socket says so.
    #[error("The request head did not arrive in time.")]
    HeadTimeout,
    /// The body paused for too long. As [`Fault::HeadTimeout`], never from the scan.
    #[error("The request body did not arrive in time.")]
    BodyTimeout,
}

/// What is wrong with a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Target {
    /// Neither a path nor an http URL nor `*`.
    #[error("it must be a path that begins with \"/\", or an http or https URL")]
    Form,
    /// `*` with another method than OPTIONS.
    #[error("\"*\" is for OPTIONS only")]
    Asterisk,
    /// The host of a URL is missing or malformed.
    #[error("its host must be HOST or HOST:PORT")]
    Host,
    /// A fragment.
    #[error("it must not have a fragment (\"#\")")]
    Fragment,
    /// A character that must be percent-encoded.
    #[error("the byte 0x{0:02x} in it must be percent-encoded")]
    Byte(u8),
}

/// What is wrong with `Transfer-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Coding {
    /// On HTTP/1.0, which has none.
    #[error("stands in an HTTP/1.0 request")]
    Http10,
    /// It is not the word `chunked`.
    #[error("is malformed")]
    Malformed,
    /// More than one header.
    #[error("stands more than once")]
    Repeated,
    /// A compression that exists, but that gripd does not undo (the one case for 501).
    #[error("names a coding that is not supported")]
    Unsupported,
}

impl Fault {
    /// The status it is answered with: 400, 408, 413, 414, 417, 431, 501 or 505.
    pub fn status(&self) -> u16 {
        match self {
            Self::BodyTimeout | Self::HeadTimeout => 408,
            Self::BodyLength { .. } => 413,
            Self::TargetLength { .. } => 414,
            Self::Expect(_) => 417,
            Self::HeadLength { .. }
            | Self::HeaderCount { .. }
            | Self::TrailerCount { .. }
            | Self::TrailerLength { .. } => 431,
            Self::Coding(Coding::Unsupported) | Self::Connect | Self::MethodLength { .. } => 501,
            Self::Version(_) => 505,
            _ => 400,
        }
    }
}
