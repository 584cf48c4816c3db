//! A channel as an instruct names it: the topic, where the client stands in it, and its filters.

use std::collections::BTreeMap;

/// Subscription meta of an instruct, for filters. `None` as a value: named without one.
pub type Meta = BTreeMap<String, Option<String>>;

/// One channel of an instruct (`Grip-Channel`, or `hold.channels` of the JSON form).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// The topic's name, without the route's prefix.
    pub name: String,
    /// The id of the last item the client has, if the backend said so. The empty string is an id.
    pub prev_id: Option<String>,
    /// Filter names in the order they apply. Unknown names are kept and have no effect.
    pub filters: Vec<String>,
}
