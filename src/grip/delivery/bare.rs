//! The decision without ids and filters, as the shard makes it until it keeps each subscription's
//! [`Standing`](super::Standing).

use bytes::Bytes;

use crate::grip::{
    channel::Channel,
    format::{ResponseContent, ResponseFormat, StreamFormat},
    item::Item,
};

/// What happens to one subscriber because of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision<'a> {
    /// The long-poll is answered with this.
    Answer(&'a ResponseContent),
    /// These bytes are appended to the stream.
    Append(&'a Bytes),
    /// The stream is ended properly.
    End,
    /// Nothing.
    Pass,
}

/// How a subscription stands to every item of its channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// A filter that guards content is on the channel and is not evaluated: nothing of an item
    /// may reach this subscriber (fail closed).
    pub withheld: bool,
}

impl Standing {
    /// The standing of a subscription to `channel`.
    ///
    /// `require-sub` protects content from subscribers that lack another channel, so as long as it
    /// is not evaluated nothing is delivered through it.
    pub fn of(channel: &Channel) -> Self {
        Self {
            withheld: channel.filters.iter().any(|filter| filter == "require-sub"),
        }
    }
}

/// What a held stream gets of `item`.
///
/// `hint` needs a next link and is passed over without one; `refresh` means nothing to a stream.
pub fn to_stream(item: &Item, standing: Standing) -> Decision<'_> {
    match &item.formats.stream {
        _ if standing.withheld => Decision::Pass,
        Some(StreamFormat::Send { content, .. }) if content.is_empty() => Decision::Pass,
        Some(StreamFormat::Send { content, .. }) => Decision::Append(content),
        Some(StreamFormat::Close) => Decision::End,
        Some(StreamFormat::Hint | StreamFormat::Refresh) | None => Decision::Pass,
    }
}

/// What a long-poll gets of `item`. `close` and `refresh` mean nothing to it: it goes on.
pub fn to_response(item: &Item, standing: Standing) -> Decision<'_> {
    match &item.formats.response {
        _ if standing.withheld => Decision::Pass,
        Some(ResponseFormat::Send(content)) => Decision::Answer(content),
        Some(ResponseFormat::Hint | ResponseFormat::Close | ResponseFormat::Refresh) | None => {
            Decision::Pass
        }
    }
}
