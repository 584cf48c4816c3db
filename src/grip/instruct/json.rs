//! The JSON form of an instruct, `application/grip-instruct`, laid over what the headers said.

use std::{ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use super::{
    Header, InstructError, KeepAlive, KeepAliveMode, Mode, Response,
    headers::{Draft, KEEP_ALIVE_DEFAULT},
    response::{blank, drop_hop_by_hop},
};
use crate::grip::{
    channel::Channel,
    json::{At, FieldError, Object},
    status,
    text::same,
};

/// Is this the content type of the JSON form? Parameters are ignored, case is not.
pub(super) fn is_json_instruct(content_type: &[u8]) -> bool {
    content_type.split(|&b| b == b';').next() == Some(b"application/grip-instruct")
}

/// [`is_json_instruct`] of a whole answer.
pub(super) fn is_json_answer(headers: &[Header]) -> bool {
    let header = headers.iter().find(|h| same(&h.name, "Content-Type"));
    header.is_some_and(|h| is_json_instruct(&h.value))
}

/// Reads the body of `answer` into `draft` and returns the client's response.
pub(super) fn overlay(draft: &mut Draft, answer: &Response) -> Result<Response, InstructError> {
    if answer.code != 200 {
        return Err(InstructError::JsonStatus { code: answer.code });
    }
    let value: Value = serde_json::from_slice(&answer.body).map_err(|e| InstructError::Json {
        line: e.line(),
        column: e.column(),
    })?;
    if !value.is_object() {
        return Err(InstructError::JsonObject);
    }
    let root = At::Root;
    let mut instruct = Object::new(value, root)?;
    if let Some(value) = instruct.take("hold") {
        hold(draft, Object::new(value, root.key("hold"))?)?;
    }
    let mut client = blank(draft);
    if let Some(value) = instruct.take("response") {
        response(&mut client, Object::new(value, root.key("response"))?)?;
    }
    Ok(client)
}

fn hold(draft: &mut Draft, mut hold: Object<'_>) -> Result<(), InstructError> {
    let at = hold.at();
    draft.hold = Some(match hold.string("mode")?.as_deref() {
        None | Some("response") => Mode::Response,
        Some("stream") => Mode::Stream,
        Some(other) => {
            let allowed = "'response' or 'stream'";
            return Err(at.key("mode").wrong_value(other, allowed).into());
        }
    });
    let list_at = at.key("channels");
    let list = hold.list("channels")?;
    let list = list.ok_or_else(|| list_at.missing("a list of channels"))?;
    for (i, value) in list.into_iter().enumerate() {
        draft.channels.add(channel(value, list_at.index(i))?)?;
    }
    if let Some(seconds) = seconds(&mut hold)? {
        draft.timeout = Some(seconds);
    }
    if let Some(value) = hold.take("keep-alive") {
        keep_alive(draft, Object::new(value, at.key("keep-alive"))?)?;
    }
    let meta = hold.string_map("meta")?.into_iter();
    draft
        .meta
        .extend(meta.map(|(name, value)| (name, Some(value))));
    Ok(())
}

/// Names and ids come back to the backend in `Grip-Last` headers, so they must fit there.
fn channel(value: Value, at: At<'_>) -> Result<Channel, FieldError> {
    let mut channel = Object::new(value, at)?;
    let name = channel.clean_string("name")?;
    Ok(Channel {
        name: name.ok_or_else(|| at.key("name").missing("a string"))?,
        prev_id: channel.clean_string("prev-id")?,
        filters: channel.strings("filters")?.unwrap_or_default(),
    })
}

fn seconds(object: &mut Object<'_>) -> Result<Option<Duration>, FieldError> {
    let allowed = "a whole number of seconds from 0 to 2147483647";
    let seconds = object.integer("timeout", &SECONDS, allowed)?;
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs())))
}

const SECONDS: RangeInclusive<i64> = 0..=i32::MAX as i64;

/// Takes over what a `Grip-Keep-Alive` header said, its mode always. Without one the mode is
/// `interval`.
fn keep_alive(draft: &mut Draft, mut object: Object<'_>) -> Result<(), FieldError> {
    let data = object.bytes("content-bin", "content")?;
    let timeout = seconds(&mut object)?;
    let known = draft.keep_alive.get_or_insert(KeepAlive {
        data: Bytes::new(),
        mode: KeepAliveMode::Interval,
        timeout: KEEP_ALIVE_DEFAULT,
    });
    if let Some(data) = data {
        known.data = data;
    }
    if let Some(timeout) = timeout {
        known.timeout = timeout;
    }
    Ok(())
}

/// `Grip-*` names stay, unlike in the header form: whoever writes them here wants them sent.
fn response(client: &mut Response, mut response: Object<'_>) -> Result<(), FieldError> {
    let allowed = "a status code from 200 to 999";
    if let Some(code) = response.integer("code", &(200..=999), allowed)? {
        client.code = u16::try_from(code).unwrap_or(client.code);
        status::reason(client.code).clone_into(&mut client.reason);
    }
    let reason = response.clean_string("reason")?;
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        client.reason = reason;
    }
    client.headers = response.headers("headers")?;
    drop_hop_by_hop(&mut client.headers);
    client.body = response.bytes("body-bin", "body")?.unwrap_or_default();
    Ok(())
}
