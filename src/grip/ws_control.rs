//! Control messages: what a backend tells gripd about a WebSocket, on that WebSocket.
//!
//! Source: texts that begin with `c:`, of the GRIP protocol; what follows is a JSON object with a
//! `type`. A bad one changes nothing: the caller logs why, and goes on. Beyond Pushpin: `subscribe`
//! takes `prev-id`, the id of the last item the client has, so that gaps are noticed. Not here:
//! which messages are control messages; that is [`extension`](super::extension)'s.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    FILTER_LIMIT,
    channel::Channel,
    format::MessageKind,
    instruct::KeepAliveMode,
    json::{At, FieldError, Object},
    text::shown,
    ws_events::Message,
};

/// What the backend wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Deliver a channel's items. Subscribed already: the new filters, and the new prev-id, count.
    Subscribe(Channel),
    /// Deliver them no longer. Without effect on a channel that the route subscribes to.
    Unsubscribe {
        /// The channel, without the route's prefix. Not empty.
        channel: String,
    },
    /// The backend hears of this client no more; the client keeps what it is subscribed to.
    Detach,
    /// The session's id, for whoever records what its client has had.
    Session {
        /// `None`: it has none any longer. Not empty.
        id: Option<String>,
    },
    /// A variable of the subscription meta, for filters.
    SetMeta {
        /// Its name. Not empty.
        name: String,
        /// Its value. `None`: it is deleted.
        value: Option<String>,
    },
    /// What the client is sent while it is quiet. `None`: nothing any longer.
    KeepAlive(Option<KeepAlive>),
    /// Send this later. One that still waits goes out at once.
    SendDelayed(Delayed),
    /// What waits goes out at once.
    FlushDelayed,
}

/// What a client is sent while it is quiet. Never queued: without use when the client cannot take
/// it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// The message; may be empty.
    pub message: Message,
    /// Restarted by what else is sent, or not.
    pub mode: KeepAliveMode,
    /// At least 1 s, default 55 s. Up to 999 ms are taken off at random.
    pub timeout: Duration,
}

/// A message that is sent later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delayed {
    /// The message; may be empty.
    pub message: Message,
    /// At least 1 s, which is the default.
    pub after: Duration,
}

/// Why a control message is ignored. The backend's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Not JSON.
    #[error("the control message is not valid JSON (column {column})")]
    Json {
        /// Column of the fault, from 1.
        column: usize,
    },
    /// JSON of another type.
    #[error("the control message must be a JSON object with a type")]
    Shape,
    /// A field is missing, or not what it must be.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Too many filters: this one is not only ignored, the connection is closed with 1011. The
    /// text is GRIP's.
    #[error("too many filters for channel '{channel}'")]
    Filters {
        /// The channel, cut short.
        channel: String,
    },
}

/// Reads what follows the `c:`.
///
/// # Errors
/// What is wrong with it, and what is allowed.
pub fn parse(text: &[u8]) -> Result<Control, ControlError> {
    let value: Value = serde_json::from_slice(text).map_err(|error| ControlError::Json {
        column: error.column(),
    })?;
    if !value.is_object() {
        return Err(ControlError::Shape);
    }
    let at = At::Root;
    let mut object = Object::new(value, at)?;
    let kind = object.string("type")?;
    match kind.as_deref() {
        Some("subscribe") => subscribe(&mut object),
        Some("unsubscribe") => Ok(Control::Unsubscribe {
            channel: name(&mut object, "channel")?,
        }),
        Some("detach") => Ok(Control::Detach),
        Some("session") => Ok(Control::Session {
            id: object.string("id")?.filter(|id| !id.is_empty()),
        }),
        Some("set-meta") => set_meta(&mut object),
        Some("keep-alive") => Ok(Control::KeepAlive(keep_alive(&mut object)?)),
        Some("send-delayed") => Ok(Control::SendDelayed(delayed(&mut object)?)),
        Some("flush-delayed") => Ok(Control::FlushDelayed),
        Some(other) => Err(at.key("type").wrong_value(other, TYPES).into()),
        None => Err(at.key("type").missing(TYPES).into()),
    }
}

const TYPES: &str = "'subscribe', 'unsubscribe', 'detach', 'session', 'set-meta', 'keep-alive', \
    'send-delayed' or 'flush-delayed'";
const KEEP_ALIVE: Duration = Duration::from_secs(55);
const DELAY: Duration = Duration::from_secs(1);

/// A string that must be there and must not be empty.
fn name(object: &mut Object<'_>, key: &str) -> Result<String, FieldError> {
    let at = object.at();
    let allowed = "a string, not empty";
    match object.string(key)? {
        Some(name) if name.is_empty() => Err(at.key(key).wrong_value("", allowed)),
        Some(name) => Ok(name),
        None => Err(at.key(key).missing(allowed)),
    }
}

fn subscribe(object: &mut Object<'_>) -> Result<Control, ControlError> {
    let channel = Channel {
        name: name(object, "channel")?,
        prev_id: object.string("prev-id")?,
        filters: object.strings("filters")?.unwrap_or_default(),
    };
    if channel.filters.len() > FILTER_LIMIT {
        return Err(ControlError::Filters {
            channel: shown(&channel.name),
        });
    }
    Ok(Control::Subscribe(channel))
}

fn set_meta(object: &mut Object<'_>) -> Result<Control, ControlError> {
    let at = object.at();
    let name = name(object, "name")?;
    let value = match object.take("value") {
        None | Some(Value::Null) => None,
        Some(Value::String(value)) => Some(value),
        Some(other) => {
            let allowed = "a string, or null to delete it";
            return Err(at.key("value").wrong_type(&other, allowed).into());
        }
    };
    Ok(Control::SetMeta { name, value })
}

fn keep_alive(object: &mut Object<'_>) -> Result<Option<KeepAlive>, FieldError> {
    let kind = message_kind(object)?;
    let Some(content) = content(object)? else {
        return Ok(None);
    };
    let mode = match object.take("mode").as_ref().and_then(Value::as_str) {
        Some("interval") => KeepAliveMode::Interval,
        _ => KeepAliveMode::Idle,
    };
    Ok(Some(KeepAlive {
        message: Message { kind, content },
        mode,
        timeout: timeout(object)?.unwrap_or(KEEP_ALIVE),
    }))
}

/// Without content, the time does not count.
fn delayed(object: &mut Object<'_>) -> Result<Delayed, FieldError> {
    let kind = message_kind(object)?;
    let content = content(object)?;
    let after = match content {
        Some(_) => timeout(object)?,
        None => None,
    };
    Ok(Delayed {
        message: Message {
            kind,
            content: content.unwrap_or_default(),
        },
        after: after.unwrap_or(DELAY),
    })
}

fn message_kind(object: &mut Object<'_>) -> Result<MessageKind, FieldError> {
    let at = object.at();
    Ok(match object.string("message-type")?.as_deref() {
        None | Some("text") => MessageKind::Text,
        Some("binary") => MessageKind::Binary,
        Some("ping") => MessageKind::Ping,
        Some("pong") => MessageKind::Pong,
        Some(other) => {
            let allowed = "'text', 'binary', 'ping' or 'pong'";
            return Err(at.key("message-type").wrong_value(other, allowed));
        }
    })
}

fn content(object: &mut Object<'_>) -> Result<Option<Bytes>, FieldError> {
    object.bytes("content-bin", "content")
}

/// 31 bits of seconds are longer than any connection, and safe to add to a clock.
fn timeout(object: &mut Object<'_>) -> Result<Option<Duration>, FieldError> {
    let range = 0..=i64::from(i32::MAX);
    let seconds = object.integer("timeout", &range, "a number of seconds, 0 or more")?;
    let seconds = seconds.filter(|seconds| *seconds > 0);
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs())))
}
