//! A published item, as the control port's JSON names it, checked field by field.
//!
//! A batch is parsed whole before anything is published. What is parsed here can be sent: header
//! names are tokens, header values, reasons and ids have no control characters, codes are final.
//! Source: the publish format of GRIP (`{"items":[…]}`), as Pushpin takes it.

mod forms;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    format::Formats,
    json::{At, FieldError, Object},
};

/// One published thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The channel it goes to. May be empty.
    pub channel: String,
    /// Its id in the channel. The empty string is an id.
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
pub fn parse_batch(body: &[u8]) -> Result<Vec<Item>, ItemError> {
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
        .map(|(i, value)| item(value, at.index(i)))
        .collect::<Result<_, _>>()?)
}

fn item(value: Value, at: At<'_>) -> Result<Item, FieldError> {
    let mut item = Object::new(value, at)?;
    let channel = item.string("channel")?;
    Ok(Item {
        channel: channel.ok_or_else(|| at.key("channel").missing("a string"))?,
        // It comes back to the backend in a Grip-Last header.
        id: item.clean_string("id")?,
        prev_id: item.string("prev-id")?,
        no_seq: item.boolean("no-seq")?.unwrap_or_default(),
        size: item
            .integer("size", &(0..=i64::MAX), "a number of bytes, 0 or more")?
            .map(i64::unsigned_abs),
        meta: item.string_map("meta")?,
        formats: forms::read(&mut item)?,
    })
}
