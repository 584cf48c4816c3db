//! What an item asks of the subscribers of one mode.

use bytes::Bytes;

use super::{Cause, Decision, Unfit};
use crate::grip::{
    filter::Filter,
    format::{MessageFormat, ResponseContent, ResponseFormat, StreamFormat},
    instruct::Mode,
    item::Item,
};

/// An item's form for one mode, with the actions that come to the same put together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'a> {
    /// The item has no form for this mode.
    Absent,
    Answer(&'a ResponseContent),
    Append {
        content: &'a Bytes,
        content_filters: Option<&'a [String]>,
    },
    End,
    Hint,
    /// An action that means nothing in this mode.
    Idle,
    Refresh,
    Send {
        content: &'a Bytes,
        content_filters: Option<&'a [String]>,
    },
}

impl<'a> Form<'a> {
    /// `recovers`: the subscription knows the id of the last item it had.
    pub(super) fn of(item: &'a Item, mode: Mode, recovers: bool) -> Self {
        match mode {
            Mode::Message => item
                .formats
                .message
                .as_ref()
                .map_or(Self::Absent, |format| message(format, recovers)),
            Mode::Response => item
                .formats
                .response
                .as_ref()
                .map_or(Self::Absent, response),
            Mode::Stream => item.formats.stream.as_ref().map_or(Self::Absent, stream),
        }
    }

    /// Whatever filters say, nothing will come of it.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Absent | Self::Idle)
    }

    /// The content that filters may change. `original`: what a patch is applied to; one that does
    /// not fit has no content, and fails where it is sent.
    pub(super) fn content(&self, original: &[u8]) -> Option<Bytes> {
        match self {
            Self::Answer(content) => content.body.apply(original).ok(),
            Self::Append { content, .. } | Self::Send { content, .. } => Some((*content).clone()),
            Self::Absent | Self::End | Self::Hint | Self::Idle | Self::Refresh => None,
        }
    }

    /// Checks the content filters that the item names, if it does, against a subscription's
    /// filters.
    pub(super) fn mismatch(&self, filters: &[Filter]) -> Option<Unfit> {
        let message = match self {
            Self::Answer(content) => content.content_filters.as_deref(),
            Self::Append {
                content_filters, ..
            }
            | Self::Send {
                content_filters, ..
            } => *content_filters,
            Self::Absent | Self::End | Self::Hint | Self::Idle | Self::Refresh => None,
        }?;
        let filters = filters.iter().filter(|filter| filter.changes_content());
        let subscription = filters.map(|filter| filter.name());
        if subscription.clone().eq(message) {
            return None;
        }
        let subscription: Vec<&str> = subscription.collect();
        Some(Unfit::Mismatch {
            subscription: subscription.join(","),
            message: message.join(",").escape_debug().to_string(),
        })
    }

    /// What comes of it when nothing stands against it. `changed`: content instead of its own.
    pub(super) fn decision(&self, changed: Option<Bytes>) -> Decision {
        match self {
            Self::Answer(_) => Decision::Answer { body: changed },
            // An empty chunk would end the stream.
            Self::Append { content, .. } if changed.as_ref().unwrap_or(content).is_empty() => {
                Decision::Pass
            }
            Self::Append { .. } => Decision::Append { content: changed },
            Self::End => Decision::End,
            Self::Hint => Decision::Recover(Cause::Hint),
            Self::Refresh => Decision::Recover(Cause::Refresh),
            Self::Send { .. } => Decision::Send { content: changed },
            Self::Absent | Self::Idle => Decision::Pass,
        }
    }
}

/// A WebSocket has no next link: a hint means that its backend should be asked only where gaps are
/// noticed too.
fn message(format: &MessageFormat, recovers: bool) -> Form<'_> {
    match format {
        MessageFormat::Send {
            content,
            content_filters,
            ..
        } => Form::Send {
            content,
            content_filters: content_filters.as_deref(),
        },
        MessageFormat::Close { .. } => Form::End,
        MessageFormat::Hint if recovers => Form::Hint,
        MessageFormat::Hint => Form::Idle,
        MessageFormat::Refresh => Form::Refresh,
    }
}

/// A long-poll goes on when an item closes or refreshes.
fn response(format: &ResponseFormat) -> Form<'_> {
    match format {
        ResponseFormat::Send(content) => Form::Answer(content),
        ResponseFormat::Hint => Form::Hint,
        ResponseFormat::Close | ResponseFormat::Refresh => Form::Idle,
    }
}

fn stream(format: &StreamFormat) -> Form<'_> {
    match format {
        StreamFormat::Send {
            content,
            content_filters,
        } => Form::Append {
            content,
            content_filters: content_filters.as_deref(),
        },
        StreamFormat::Close => Form::End,
        StreamFormat::Hint => Form::Hint,
        StreamFormat::Refresh => Form::Idle,
    }
}
