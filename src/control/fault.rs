//! What can be wrong with a request as such, whatever it asks for: the gate's faults in the words
//! and the few status codes that publishers know, and the settings named. After any of these the
//! connection is closed, because nobody can tell where the next request begins.

use std::fmt;

use crate::http1::gate;

/// A request that cannot be served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It did not pass the gate, or did not arrive in time.
    Gate(gate::Fault),
    /// A method with a body, and no word on its length.
    LengthRequired,
    /// Plain HTTP where TLS is spoken.
    PlainText,
}

impl Fault {
    /// The status code it is answered with: 408, 411, 417, 501, or for everything else 400.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Gate(fault) => match fault.status() {
                status @ (408 | 417 | 501) => status,
                _ => 400,
            },
            Self::LengthRequired => 411,
            Self::PlainText => 400,
        }
    }
}

impl From<gate::Fault> for Fault {
    fn from(fault: gate::Fault) -> Self {
        Self::Gate(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use gate::Fault as G;
        let fault = match self {
            Self::Gate(fault) => fault,
            Self::LengthRequired => return f.write_str("Request requires Content-Length."),
            Self::PlainText => {
                return f.write_str("This port speaks TLS: ask by https:// (control.tls_cert).");
            }
        };
        match fault {
            G::BodyLength { limit } => write!(
                f,
                "Request body too large: the limit is {limit} bytes (control.max_body)."
            ),
            G::BodyTimeout => f.write_str("The request body stopped arriving."),
            G::ChunkEnd
            | G::ChunkExtension
            | G::ChunkExtensionLength { .. }
            | G::ChunkSize { .. }
            | G::Trailer(_)
            | G::TrailerCount { .. }
            | G::TrailerLength { .. }
            | G::TrailerName(_) => write!(f, "Failed to parse the chunked request body. {fault}"),
            G::Expect(_) => f.write_str("Unknown Expect: only 100-continue is understood."),
            G::HeadLength { limit } => write!(
                f,
                "Request header too large: the limit is {limit} bytes (control.max_head)."
            ),
            G::HeadTimeout => {
                f.write_str("The request header did not arrive in time (timeouts.request_head).")
            }
            G::HeaderCount { limit } => {
                write!(f, "Request header too large: more than {limit} lines.")
            }
            G::LengthRepeated | G::LengthValue => write!(f, "Bad Content-Length. {fault}"),
            G::TwoFramings => {
                f.write_str("Content-Length and Transfer-Encoding exclude each other.")
            }
            _ => write!(f, "Failed to parse request header. {fault}"),
        }
    }
}
