//! The client's response of an instruct: what is taken off the backend's answer before it is
//! relayed.

use bytes::Bytes;

use super::{Header, InstructError, Response, headers::Draft};
use crate::grip::{
    HOP_BY_HOP, status,
    text::{is_clean, is_grip, is_token, same, shown},
};

/// Refuses what could not be written to a client as it is.
pub(super) fn check(response: &Response) -> Result<(), InstructError> {
    if !is_clean(response.reason.as_bytes()) {
        return Err(InstructError::Reason);
    }
    let mut headers = response.headers.iter();
    match headers.find(|h| !is_token(&h.name) || !is_clean(&h.value)) {
        None => Ok(()),
        Some(header) => Err(InstructError::Header {
            name: shown(&header.name),
        }),
    }
}

/// The response of the header form: the backend's own, cleaned.
pub(super) fn client(response: Response, draft: &Draft) -> Response {
    let Response {
        code,
        reason,
        mut headers,
        body,
    } = response;
    drop_hop_by_hop(&mut headers);
    headers.retain(|h| !is_grip(&h.name) && !same(&h.name, "Content-Encoding"));
    if !draft.expose.is_empty() {
        headers.retain(|h| draft.expose.iter().any(|name| same(name, &h.name)));
    }
    let (code, reason) = draft.status.clone().unwrap_or((code, reason));
    Response {
        code,
        reason,
        headers,
        body,
    }
}

/// The response of the JSON form before its `response` field: nothing of the backend's own.
pub(super) fn blank(draft: &Draft) -> Response {
    let ok = || (200, status::reason(200).to_owned());
    let (code, reason) = draft.status.clone().unwrap_or_else(ok);
    Response {
        code,
        reason,
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

/// Removes what belongs to one connection (RFC 9110 7.6.1, also what `Connection` names) and the
/// framing, which gripd writes itself.
pub(super) fn drop_hop_by_hop(headers: &mut Vec<Header>) {
    let named: Vec<String> = headers
        .iter()
        .filter(|h| same(&h.name, "Connection"))
        .flat_map(|h| h.value.split(|&b| b == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned())
        .collect();
    headers.retain(|h| {
        !HOP_BY_HOP.iter().any(|name| same(name, &h.name))
            && !named.iter().any(|name| same(name, &h.name))
    });
}
