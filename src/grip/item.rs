//! A published item, as the control port's JSON names it, checked field by field.

use std::collections::BTreeMap;

use super::format::Formats;

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
