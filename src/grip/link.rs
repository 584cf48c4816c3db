//! Links of an instruct (`Grip-Link`): where to go on, and whom to tell when the client has gone.

use std::time::Duration;

/// `rel=next`: the stream goes on with the answer of this address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextLink {
    /// Address, absolute or relative to the current one, as the backend wrote it.
    pub uri: String,
    /// Fetched again after this long without news. Default 120 s.
    pub timeout: Duration,
}

/// The links of one instruct. The last of each kind wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Address to go on with.
    pub next: Option<NextLink>,
    /// Address told (by `POST`) when the client has gone.
    pub gone: Option<String>,
}
