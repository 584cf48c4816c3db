//! The filters that ask the backend: what is asked, and what an answer means.

use bytes::Bytes;

use super::{Filter, FilterError};
use crate::grip::BODY_LIMIT;

/// A filter list that stops at a question to the backend. The caller sends the request, and goes
/// on with [`Ask::answered`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The filter's place in the list.
    pub(super) index: usize,
    /// `http-check` or `http-modify`.
    pub filter: Filter,
    /// Where to `POST` to, as the backend wrote it: absolute or relative to the current address.
    pub url: String,
    /// Body of the request: for `http-modify` the content as it is by now.
    pub body: Bytes,
    /// The filter may replace content: there is some.
    pub(super) replaces: bool,
    /// New content by earlier filters.
    pub(super) changed: Option<Bytes>,
}

/// The backend's answer to an [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Its status; 502 when there was none in time.
    pub code: u16,
    /// Value of its `Action` header, if there is one.
    pub action: Option<&'a [u8]>,
    /// Its body. Of a longer one no more than [`BODY_LIMIT`] and one byte need to be read, and of
    /// an answer to `http-check` nothing.
    pub body: Bytes,
}

/// What an answer means.
pub(super) enum Answered {
    Drop,
    /// On with the filter behind; new content so far.
    Pass(Option<Bytes>),
}

impl Ask {
    /// Judges the answer.
    pub(super) fn answered(self, reply: &Reply<'_>) -> Result<Answered, FilterError> {
        if !matches!(reply.code, 200 | 204) {
            return Err(FilterError::Status { code: reply.code });
        }
        if reply
            .action
            .is_some_and(|action| action.trim_ascii() == b"drop")
        {
            return Ok(Answered::Drop);
        }
        if self.filter == Filter::HttpCheck || reply.code == 204 {
            return Ok(Answered::Pass(self.changed));
        }
        if reply.body.len() > BODY_LIMIT {
            return Err(FilterError::TooBig);
        }
        let new = self.replaces.then(|| reply.body.clone());
        Ok(Answered::Pass(new.or(self.changed)))
    }
}
