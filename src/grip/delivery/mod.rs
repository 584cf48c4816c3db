//! What one subscriber gets of one item: a pure decision that the shard carries out.
//!
//! Most subscriptions have neither a prev-id nor a filter: [`plain`] decides once for all of them.
//! The others keep a [`Standing`] each. In order: does the item follow what the client has
//! (prev-id), may it be sent with the subscription's content filters, what do the filters say, and
//! only then what the item asks for. Source: GRIP's per-mode meaning of an item's forms and
//! actions. Not here: the order of a channel's items, which all subscribers share.

mod form;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use self::form::Form;
use super::{
    channel::{Channel, Meta},
    filter::{self, Ask, Case, Filter, FilterError, Outcome, Reply, Subscriptions, meta_header},
    instruct::{Header, Mode},
    item::Item,
};

/// What happens to one subscriber because of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The long-poll is answered with the item's response form.
    Answer {
        /// The body to send instead of the item's own.
        body: Option<Bytes>,
    },
    /// Bytes, never empty, are appended to the stream.
    Append {
        /// The bytes to append instead of the item's own, which all others share.
        content: Option<Bytes>,
    },
    /// A filter has to ask the backend first: [`Standing::resume`] with its answer. Until then
    /// nothing else may be decided for this session, so that its order is kept.
    Ask(Ask),
    /// The stream is ended properly; the WebSocket is closed with the form's code and reason.
    End,
    /// Nothing.
    Pass,
    /// The backend has to be asked for what the client lacks. Nothing of the item is sent.
    Recover(Cause),
    /// The message of the item's form goes to the WebSocket.
    Send {
        /// The payload instead of the form's own, which all others share. May be empty.
        content: Option<Bytes>,
    },
    /// The item cannot be sent to this subscriber; its standing has not moved.
    Skip(Unfit),
}

/// Why a client's state has to be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// An item does not follow the last one the client has.
    Gap,
    /// A publisher says that there is news. A stream without a next link ignores it.
    Hint,
    /// A publisher wants the backend of a WebSocket to be asked.
    Refresh,
}

/// Why an item cannot be sent to one subscriber though it is meant for it. The text is GRIP's, and
/// what a client is told where errors tell the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A filter failed.
    #[error("filter error: {0}")]
    Filter(#[from] FilterError),
    /// The item was made for other content filters than the subscription has.
    #[error("content filter mismatch: subscription={subscription} message={message}")]
    Mismatch {
        /// The subscription's content filters, with commas.
        subscription: String,
        /// Those that the item names.
        message: String,
    },
}

/// What a subscription without prev-id and filters gets of `item`: the same for all of one mode.
pub fn plain(item: &Item, mode: Mode) -> Decision {
    let form = Form::of(item, mode, false);
    match form.mismatch(&[]) {
        Some(unfit) => Decision::Skip(unfit),
        None => form.decision(None),
    }
}

/// How a subscription stands to the items of its channel, beyond "everything goes through".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The channel's name, without the route's prefix.
    pub name: Box<str>,
    /// The id of the last item the client has. `None`: not known, and every item follows.
    pub prev_id: Option<String>,
    /// The filters gripd knows, in the order they apply.
    pub filters: Vec<Filter>,
    /// The instruct's meta, shared by the session's subscriptions.
    pub meta: Arc<Meta>,
    /// A long-poll's own response body, to which a `body-patch` applies before content filters do.
    /// Empty when there are none.
    pub original: Bytes,
}

impl Standing {
    /// The standing of a subscription to `channel` by an instruct with this meta and response body;
    /// `None` if it is a plain one.
    pub fn of(channel: &Channel, meta: &Arc<Meta>, body: &Bytes) -> Option<Box<Self>> {
        let filters = channel.filters.iter().map(String::as_str);
        let filters: Vec<Filter> = filters.filter_map(Filter::parse).collect();
        if channel.prev_id.is_none() && filters.is_empty() {
            return None;
        }
        let patched = filters.iter().any(|filter| filter.changes_content());
        Some(Box::new(Self {
            name: channel.name.as_str().into(),
            prev_id: channel.prev_id.clone(),
            filters,
            meta: Arc::clone(meta),
            original: if patched { body.clone() } else { Bytes::new() },
        }))
    }

    /// Decides about `item`, and notes its id if the client is done with it. `subscriptions`: all
    /// of the session, this one included.
    pub fn decide(
        &mut self,
        item: &Item,
        mode: Mode,
        subscriptions: &dyn Subscriptions,
    ) -> Decision {
        let form = Form::of(item, mode, self.prev_id.is_some());
        if !self.is_followed_by(item) {
            return match form {
                // Nothing for this mode is missed by it; the next item that has a form will tell.
                Form::Absent => Decision::Pass,
                _ => Decision::Recover(Cause::Gap),
            };
        }
        if let Some(unfit) = form.mismatch(&self.filters) {
            return Decision::Skip(unfit);
        }
        if form.is_idle() {
            self.advance(item);
            return Decision::Pass;
        }
        let content = form.content(&self.original);
        let outcome = filter::run(
            &self.filters,
            &self.case(item, content.as_ref(), subscriptions),
        );
        self.conclude(item, &form, outcome)
    }

    /// Goes on with the `item` for which the backend was asked. `self`, `mode` and `subscriptions`
    /// must be those of [`Standing::decide`].
    pub fn resume(
        &mut self,
        item: &Item,
        mode: Mode,
        subscriptions: &dyn Subscriptions,
        ask: Ask,
        reply: &Reply<'_>,
    ) -> Decision {
        let form = Form::of(item, mode, self.prev_id.is_some());
        let content = form.content(&self.original);
        let case = self.case(item, content.as_ref(), subscriptions);
        let outcome = filter::resume(ask, reply, &self.filters, &case);
        self.conclude(item, &form, outcome)
    }

    /// The headers `Sub-Meta` and `Pub-Meta` that tell the backend, when a filter asks it, whom and
    /// what it is about.
    pub fn meta_headers(&self, item: &Item) -> [Header; 2] {
        let sub_meta = self.meta.iter();
        let pub_meta = item.meta.iter();
        [
            meta_header("Sub-Meta", sub_meta.map(|(k, v)| (k, v.as_deref()))),
            meta_header("Pub-Meta", pub_meta.map(|(k, v)| (k, Some(v.as_str())))),
        ]
    }

    fn conclude(
        &mut self,
        item: &Item,
        form: &Form<'_>,
        outcome: Result<Outcome, FilterError>,
    ) -> Decision {
        let decision = match outcome {
            Err(error) => return Decision::Skip(error.into()),
            Ok(Outcome::Ask(ask)) => return Decision::Ask(ask),
            Ok(Outcome::Drop) => Decision::Pass,
            Ok(Outcome::Pass(changed)) => form.decision(changed),
        };
        self.advance(item);
        decision
    }

    fn is_followed_by(&self, item: &Item) -> bool {
        self.prev_id.is_none() || self.prev_id == item.prev_id
    }

    /// An item without an id leaves it unknown what the client has.
    fn advance(&mut self, item: &Item) {
        if self.prev_id.is_some() {
            self.prev_id.clone_from(&item.id);
        }
    }

    fn case<'a>(
        &'a self,
        item: &'a Item,
        content: Option<&'a Bytes>,
        subscriptions: &'a dyn Subscriptions,
    ) -> Case<'a> {
        Case {
            channel: &self.name,
            id: item.id.as_deref(),
            sub_meta: &self.meta,
            pub_meta: &item.meta,
            content,
            subscriptions,
        }
    }
}
