//! The filters that ask the backend: what is asked, and what an answer means.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::Value;

use super::{Case, Filter, FilterError, content::value};
use crate::grip::{BODY_LIMIT, instruct::Header};

/// A question to the backend, at which a list of filters has stopped. The caller sends the request,
/// for at most 10 s, and goes on with the [`Reply`].
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
    /// The question of the filter at `index`. `content`: what it may replace, if anything.
    pub(super) fn new(
        index: usize,
        filter: Filter,
        content: Option<Bytes>,
        changed: Option<Bytes>,
        case: &Case<'_>,
    ) -> Result<Self, FilterError> {
        let url = value(case.sub_meta, "url").ok_or(FilterError::NoUrl)?;
        Ok(Self {
            index,
            filter,
            url: url.to_owned(),
            replaces: content.is_some(),
            body: content.unwrap_or_default(),
            changed,
        })
    }

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

/// A header with meta as a compact JSON object, keys sorted. It is pure ASCII, whatever the meta
/// has, so that it can stand in any header.
pub(in crate::grip) fn meta_header<'a>(
    name: &str,
    meta: impl Iterator<Item = (&'a String, Option<&'a str>)>,
) -> Header {
    let object: Value = meta.map(|(key, value)| (key.clone(), value)).collect();
    let mut json = String::new();
    for c in object.to_string().chars() {
        if matches!(c, ' '..='~') {
            json.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(json, "\\u{unit:04x}");
        }
    }
    Header {
        name: name.to_owned(),
        value: json.into(),
    }
}
