//! Why a filter could not be applied.

use super::template::FormatError;
use crate::grip::BODY_LIMIT;

/// A filter that failed: the item is not delivered to this session, the response not sent. The
/// fault is the backend's (meta, answers) or the publisher's (content).
///
/// The texts are GRIP's, without `filter error: ` before them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The content does not fit `build-id`.
    #[error("build-id: {0}")]
    BuildId(FormatError),
    /// `id_encoding` names an encoding there is not.
    #[error("build-id: unknown id_encoding '{value}'; only 'hex' is known")]
    IdEncoding {
        /// The encoding, cut short.
        value: String,
    },
    /// `id_format` cannot be rendered.
    #[error("build-id: id_format: {0}")]
    IdFormat(FormatError),
    /// `build-id` without a format.
    #[error("build-id: no sub meta 'id_format'")]
    NoIdFormat,
    /// `http-check` or `http-modify` without an address to ask.
    #[error("missing url value")]
    NoUrl,
    /// The backend did not say yes or no. 502 stands for no answer at all.
    #[error("unexpected network request status: code={code}")]
    Status {
        /// The answer's status.
        code: u16,
    },
    /// The backend's new content is too big.
    #[error("network response exceeded {BODY_LIMIT} bytes")]
    TooBig,
    /// The content does not fit `var-subst`.
    #[error("var-subst: {0}")]
    VarSubst(FormatError),
}
