//! A published item, as the control port's JSON names it, checked field by field.
//!
//! A batch is parsed whole before anything is published. What is parsed here can be sent: header
//! names are tokens, header values, reasons and ids have no control characters, codes are final.
//! Source: the publish format of GRIP (`{"items":[…]}`), as Pushpin takes it. Beyond Pushpin:
//! `channels`, a list of channels that one item goes to, and `connection` with `"action":"close"`,
//! which ends one connection.

mod forms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::{
    format::Formats,
    json::{At, FieldError, Object},
    sequence::Ids,
};

/// Most channels that one item names in `channels`.
pub const CHANNELS_LIMIT: usize = 1000;

/// One entry of a batch.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every entry is an item, which moves on into a shared place at once"
)]
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// To be delivered to the subscribers of its channels.
    Item(Item),
    /// One connection is to be ended.
    Close {
        /// Its id.
        connection: String,
    },
}

/// One published thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The channels it goes to, each once and at least one. A name may be empty.
    pub channels: Vec<String>,
    /// Its id in each of its channels. The empty string is an id.
    pub id: Option<String>,
    /// The id of the item before it.
    pub prev_id: Option<String>,
    /// Delivered at once, whatever the order of ids.
    pub no_seq: bool,
    /// Size the publisher counts it with, in bytes.
    pub size: Option<u64>,
    /// Publish meta, for filters.
    pub meta: BTreeMap<String, String>,
    /// Its forms.
    pub formats: Formats,
}

impl Item {
    /// What it says of its place in its channels.
    pub fn ids(&self) -> Ids<'_> {
        Ids {
            id: self.id.as_deref(),
            prev_id: self.prev_id.as_deref(),
            no_seq: self.no_seq,
        }
    }
}

/// Why a batch was refused. The publisher's fault; nothing of the batch may be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The body is not JSON, or nested deeper than 127 levels.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Json {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// The body is JSON of another type.
    #[error("the body must be a JSON object with a list of items, {{\"items\":[…]}}")]
    Shape,
    /// A field is missing, or not what it must be; its path begins with `items[N]`, N from 0.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// Parses the body of a publish request. `{"items":[]}` is a batch too.
///
/// # Errors
/// The first fault; it names the item's index and the field, and says what is allowed.
pub fn parse_batch(body: &[u8]) -> Result<Vec<Entry>, ItemError> {
    let value: Value = serde_json::from_slice(body).map_err(|e| ItemError::Json {
        line: e.line(),
        column: e.column(),
    })?;
    if !value.is_object() {
        return Err(ItemError::Shape);
    }
    let root = At::Root;
    let at = root.key("items");
    let items = Object::new(value, root)?.list("items")?;
    let items = items.ok_or_else(|| at.missing("a list of items"))?;
    let items = items.into_iter().enumerate();
    Ok(items
        .map(|(i, value)| entry(value, at.index(i)))
        .collect::<Result<_, _>>()?)
}

fn entry(value: Value, at: At<'_>) -> Result<Entry, FieldError> {
    let mut object = Object::new(value, at)?;
    let channels = channels(&mut object)?;
    if !channels.is_empty() {
        return Ok(Entry::Item(item(&mut object, channels)?));
    }
    let connection = object.string("connection")?;
    let connection = connection.ok_or_else(|| at.key("channel").missing(A_TARGET))?;
    match object.string("action")?.as_deref() {
        Some("close") => Ok(Entry::Close { connection }),
        Some(other) => Err(at.key("action").wrong_value(other, CLOSE)),
        None => Err(at.key("action").missing(CLOSE)),
    }
}

const A_TARGET: &str = "a string, unless there is channels or connection";
const CLOSE: &str = "'close', for a connection";

/// The channels of `channel` and `channels`, each once.
fn channels(object: &mut Object<'_>) -> Result<Vec<String>, FieldError> {
    let mut names: Vec<_> = object.string("channel")?.into_iter().collect();
    let Some(list) = object.strings("channels")? else {
        return Ok(names);
    };
    let count = list.len();
    if !(1..=CHANNELS_LIMIT).contains(&count) {
        let (at, found) = (object.at(), format!("a list of {count}"));
        let allowed = "a list of 1 to 1000 channel names";
        return Err(at.key("channels").wrong_value(&found, allowed));
    }
    names.extend(list);
    let mut known = HashSet::new();
    names.retain(|name| known.insert(name.clone()));
    Ok(names)
}

fn item(object: &mut Object<'_>, channels: Vec<String>) -> Result<Item, FieldError> {
    Ok(Item {
        channels,
        // It comes back to the backend in a Grip-Last header.
        id: object.clean_string("id")?,
        prev_id: object.string("prev-id")?,
        no_seq: object.boolean("no-seq")?.unwrap_or_default(),
        size: object
            .integer("size", &(0..=i64::MAX), "a number of bytes, 0 or more")?
            .map(i64::unsigned_abs),
        meta: object.string_map("meta")?,
        formats: forms::read(object)?,
    })
}
