//! The forms of an item: `http-response`, `http-stream` and `ws-message`.

use bytes::Bytes;
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use crate::grip::{
    HOP_BY_HOP,
    format::{
        Formats, MessageFormat, MessageKind, ResponseBody, ResponseContent, ResponseFormat,
        StreamFormat,
    },
    instruct::Header,
    json::{At, FieldError, Object},
    text::{is_grip, same, shown},
};

const RESPONSE: &str = "http-response";
const STREAM: &str = "http-stream";
const MESSAGE: &str = "ws-message";

/// Reads `formats`, or, only if that is absent, the forms written directly into the item.
pub(super) fn read(item: &mut Object<'_>) -> Result<Formats, FieldError> {
    let at = item.at();
    let formats_at = at.key("formats");
    let Some(value) = item.take("formats") else {
        let formats = known(item)?;
        if formats == Formats::default() {
            return Err(formats_at.missing(SOME_FORMS));
        }
        return Ok(formats);
    };
    let mut formats = Object::new(value, formats_at)?;
    if formats.is_empty() {
        return Err(formats_at.wrong_value("{}", SOME_FORMS));
    }
    known(&mut formats)
}

const SOME_FORMS: &str = "an object with http-response, http-stream or ws-message";

fn known(forms: &mut Object<'_>) -> Result<Formats, FieldError> {
    Ok(Formats {
        response: form(forms, RESPONSE, response)?,
        stream: form(forms, STREAM, stream)?,
        message: form(forms, MESSAGE, message)?,
    })
}

fn form<T>(
    forms: &mut Object<'_>,
    name: &str,
    read: impl FnOnce(Object<'_>) -> Result<T, FieldError>,
) -> Result<Option<T>, FieldError> {
    let at = forms.at();
    match forms.take(name) {
        None => Ok(None),
        Some(value) => Ok(Some(read(Object::new(value, at.key(name))?)?)),
    }
}

/// What a form asks for, before the rest of it is read.
enum Action {
    Send,
    Hint,
    Close,
    Refresh,
}

fn action(form: &mut Object<'_>) -> Result<Action, FieldError> {
    match form.string("action")?.as_deref() {
        None | Some("send") => Ok(Action::Send),
        Some("hint") => Ok(Action::Hint),
        Some("close") => Ok(Action::Close),
        Some("refresh") => Ok(Action::Refresh),
        Some(other) => {
            let allowed = "'send', 'hint', 'close' or 'refresh'";
            Err(form.at().key("action").wrong_value(other, allowed))
        }
    }
}

fn response(mut form: Object<'_>) -> Result<ResponseFormat, FieldError> {
    match action(&mut form)? {
        Action::Send => Ok(ResponseFormat::Send(response_content(&mut form)?)),
        Action::Hint => Ok(ResponseFormat::Hint),
        Action::Close => Ok(ResponseFormat::Close),
        Action::Refresh => Ok(ResponseFormat::Refresh),
    }
}

fn response_content(form: &mut Object<'_>) -> Result<ResponseContent, FieldError> {
    let code = form.integer("code", &(200..=999), "a status code from 200 to 999")?;
    let reason = form.clean_string("reason")?;
    let mut headers = form.headers("headers")?;
    headers.retain(is_content);
    Ok(ResponseContent {
        code: code
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or(200),
        reason: reason.filter(|reason| !reason.is_empty()),
        headers,
        body: response_body(form)?,
        content_filters: form.strings("content-filters")?,
    })
}

/// GRIP's own headers and those of the connection are gripd's business: an item's are dropped.
fn is_content(header: &Header) -> bool {
    !is_grip(&header.name) && !HOP_BY_HOP.iter().any(|name| same(name, &header.name))
}

fn response_body(form: &mut Object<'_>) -> Result<ResponseBody, FieldError> {
    if let Some(body) = form.bytes("body-bin", "body")? {
        return Ok(ResponseBody::Bytes(body));
    }
    let at = form.at();
    match form.list("body-patch")? {
        Some(list) => Ok(ResponseBody::Patch(patch(list, at.key("body-patch"))?)),
        None => Err(at
            .key("body")
            .missing("a string, unless there is body-bin or body-patch")),
    }
}

fn patch(list: Vec<Value>, at: At<'_>) -> Result<Patch, FieldError> {
    let operations = list.into_iter().enumerate().map(|(i, value)| {
        let at = at.index(i);
        if !value.is_object() {
            return Err(at.wrong_type(&value, "an object with 'op' and 'path'"));
        }
        serde_json::from_value::<PatchOperation>(value).map_err(|e| {
            let allowed = "an operation of JSON Patch (RFC 6902)";
            at.wrong_value(&shown(&e.to_string()), allowed)
        })
    });
    operations.collect::<Result<_, _>>().map(Patch)
}

fn stream(mut form: Object<'_>) -> Result<StreamFormat, FieldError> {
    match action(&mut form)? {
        Action::Send => Ok(StreamFormat::Send {
            content: form
                .bytes("content-bin", "content")?
                .ok_or_else(|| no_content(&form))?,
            content_filters: form.strings("content-filters")?,
        }),
        Action::Hint => Ok(StreamFormat::Hint),
        Action::Close => Ok(StreamFormat::Close),
        Action::Refresh => Ok(StreamFormat::Refresh),
    }
}

fn no_content(form: &Object<'_>) -> FieldError {
    let at = form.at();
    at.key("content")
        .missing("a string, unless there is content-bin")
}

fn message(mut form: Object<'_>) -> Result<MessageFormat, FieldError> {
    match action(&mut form)? {
        Action::Send => message_content(&mut form),
        Action::Hint => Ok(MessageFormat::Hint),
        Action::Close => {
            let allowed = "a close code, 0 or more";
            let code = form.integer("code", &(0..=i64::from(u32::MAX)), allowed)?;
            Ok(MessageFormat::Close {
                code: code.and_then(|code| u32::try_from(code).ok()),
                reason: form.string("reason")?,
            })
        }
        Action::Refresh => Ok(MessageFormat::Refresh),
    }
}

/// Without a type, text is text and base64 is binary. Pings and pongs may be empty.
fn message_content(form: &mut Object<'_>) -> Result<MessageFormat, FieldError> {
    let named = match form.string("type")?.as_deref() {
        None => None,
        Some("text") => Some(MessageKind::Text),
        Some("binary") => Some(MessageKind::Binary),
        Some("ping") => Some(MessageKind::Ping),
        Some("pong") => Some(MessageKind::Pong),
        Some(other) => {
            let allowed = "'text', 'binary', 'ping' or 'pong'";
            return Err(form.at().key("type").wrong_value(other, allowed));
        }
    };
    let binary = form.base64("content-bin")?;
    let kind = named.unwrap_or(match binary {
        Some(_) => MessageKind::Binary,
        None => MessageKind::Text,
    });
    let content = match binary {
        Some(content) => Some(content),
        None => form.string("content")?.map(Bytes::from),
    };
    let may_be_empty = matches!(kind, MessageKind::Ping | MessageKind::Pong);
    Ok(MessageFormat::Send {
        kind,
        content: content
            .or_else(|| may_be_empty.then(Bytes::new))
            .ok_or_else(|| no_content(form))?,
        content_filters: form.strings("content-filters")?,
    })
}
