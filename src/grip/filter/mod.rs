//! The filters a subscription may name (GRIP `filter=`, JSON `filters`), and what they do to an
//! item on its way to one subscriber, or to a response. Unknown names have no effect.
//!
//! A list of filters is run in its order until one drops the item, fails, or must ask the backend;
//! then the caller asks, and resumes behind it. Source: GRIP's filters as Pushpin has them. Not
//! here: the check of an item's `content-filters`, and what follows from an outcome; that is
//! [`delivery`](super::delivery)'s.

mod ask;
mod content;
mod error;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(super) use self::ask::meta_header;
use self::{
    ask::Answered,
    content::{build_id, value, var_subst},
};
pub use self::{
    ask::{Ask, Reply},
    content::response_content,
    error::FilterError,
    template::{FormatError, FormatFault, GROWTH_LIMIT},
};
use super::channel::Meta;

/// A filter gripd knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filter {
    /// `build-id`: puts a rendered id into the content.
    BuildId,
    /// `http-check`: asks the backend whether to deliver.
    HttpCheck,
    /// `http-modify`: asks the backend whether to deliver, and for the content.
    HttpModify,
    /// `require-sub`: delivers only to who is also subscribed to another channel.
    RequireSub,
    /// `skip-self`: not to the sender.
    SkipSelf,
    /// `skip-users`: not to the users listed.
    SkipUsers,
    /// `var-subst`: replaces variables of the subscription meta in the content.
    VarSubst,
}

impl Filter {
    /// The filter of this exact name, or `None` if gripd knows no such filter.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "build-id" => Self::BuildId,
            "http-check" => Self::HttpCheck,
            "http-modify" => Self::HttpModify,
            "require-sub" => Self::RequireSub,
            "skip-self" => Self::SkipSelf,
            "skip-users" => Self::SkipUsers,
            "var-subst" => Self::VarSubst,
            _ => return None,
        })
    }

    /// Its name, as instructs and items spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuildId => "build-id",
            Self::HttpCheck => "http-check",
            Self::HttpModify => "http-modify",
            Self::RequireSub => "require-sub",
            Self::SkipSelf => "skip-self",
            Self::SkipUsers => "skip-users",
            Self::VarSubst => "var-subst",
        }
    }

    /// It may change the content of an item: an item's `content-filters` must list exactly these.
    pub fn changes_content(self) -> bool {
        matches!(self, Self::BuildId | Self::HttpModify | Self::VarSubst)
    }
}

/// What filters may ask about all subscriptions of one session. Names are without prefix.
pub trait Subscriptions {
    /// Is the session subscribed to this channel?
    fn is_subscribed(&self, name: &str) -> bool;

    /// The id of the last item the session had on this channel, as far as it is known. Not asked
    /// about the channel of the item at hand, whose own id counts.
    fn prev_id(&self, name: &str) -> Option<&str>;
}

/// An item on its way to a subscription: what filters may know of both.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    /// The subscription's channel, without prefix.
    pub(super) channel: &'a str,
    /// The item's id.
    pub(super) id: Option<&'a str>,
    /// Meta of the subscription.
    pub(super) sub_meta: &'a Meta,
    /// Meta of the item.
    pub(super) pub_meta: &'a BTreeMap<String, String>,
    /// The item's content, if what it asks for has any. Without it the filters that change content
    /// do nothing.
    pub(super) content: Option<&'a Bytes>,
    /// All subscriptions of the session.
    pub(super) subscriptions: &'a dyn Subscriptions,
}

/// What a list of filters comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The backend has to be asked.
    Ask(Ask),
    /// The item is not for this subscriber.
    Drop,
    /// It is, with this content instead of its own if there is some here.
    Pass(Option<Bytes>),
}

/// Runs `filters` in order.
pub(super) fn run(filters: &[Filter], case: &Case<'_>) -> Result<Outcome, FilterError> {
    run_from(0, None, filters, case)
}

/// Goes on behind the filter that asked. `filters` and `case` must be those of [`run`].
pub(super) fn resume(
    ask: Ask,
    reply: &Reply<'_>,
    filters: &[Filter],
    case: &Case<'_>,
) -> Result<Outcome, FilterError> {
    let behind = ask.index + 1;
    match ask.answered(reply)? {
        Answered::Drop => Ok(Outcome::Drop),
        Answered::Pass(changed) => run_from(behind, changed, filters, case),
    }
}

fn run_from(
    first: usize,
    mut changed: Option<Bytes>,
    filters: &[Filter],
    case: &Case<'_>,
) -> Result<Outcome, FilterError> {
    for (index, &filter) in filters.iter().enumerate().skip(first) {
        let content = changed.as_ref().or(case.content);
        let drop = match filter {
            Filter::BuildId => {
                changed = case.replaced(content, |content| build_id(content, case))?;
                false
            }
            Filter::VarSubst => {
                changed = case.replaced(content, |content| var_subst(content, case.sub_meta))?;
                false
            }
            Filter::HttpCheck | Filter::HttpModify => {
                let content = content.filter(|_| filter.changes_content()).cloned();
                let ask = Ask::new(index, filter, content, changed, case)?;
                return Ok(Outcome::Ask(ask));
            }
            Filter::RequireSub => case.lacks_required(),
            Filter::SkipSelf => case.is_sender(),
            Filter::SkipUsers => case.is_listed(),
        };
        if drop {
            return Ok(Outcome::Drop);
        }
    }
    Ok(Outcome::Pass(changed))
}

impl Case<'_> {
    /// New content. What comes out as it was stays the item's own, which all subscribers share.
    fn replaced(
        &self,
        content: Option<&Bytes>,
        replace: impl Fn(&Bytes) -> Result<Bytes, FilterError>,
    ) -> Result<Option<Bytes>, FilterError> {
        let new = content.map(replace).transpose()?;
        Ok(new.filter(|new| self.content != Some(new)))
    }

    fn lacks_required(&self) -> bool {
        let required = self.pub_meta.get("require_sub");
        required.is_some_and(|name| !self.subscriptions.is_subscribed(name))
    }

    fn is_sender(&self) -> bool {
        let sender = self.pub_meta.get("sender").map(String::as_str);
        self.user().is_some_and(|user| sender == Some(user))
    }

    fn is_listed(&self) -> bool {
        let Some((user, list)) = self.user().zip(self.pub_meta.get("skip_users")) else {
            return false;
        };
        list.split(',').any(|other| other.trim() == user)
    }

    /// The subscriber, if it has a name.
    fn user(&self) -> Option<&str> {
        value(self.sub_meta, "user").filter(|user| !user.is_empty())
    }

    /// The id that stands for a channel in `id_format`: the item's own for its channel.
    fn id_of(&self, name: &str) -> Option<&str> {
        if name == self.channel {
            self.id
        } else {
            self.subscriptions.prev_id(name)
        }
    }
}
