//! The filters a subscription may name (GRIP `filter=`, JSON `filters`), and what they do to an
//! item on its way to one subscriber, or to a response. Unknown names have no effect.
//!
//! A list of filters is [`run`] in its order until one drops the item, fails, or must ask the
//! backend; then the caller asks, and [`resume`]s. Source: GRIP's filters as Pushpin has them.

mod ask;
mod content;
mod error;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::{ask::Answered, content::value};
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

/// An item on its way to a subscription: what filters may know of both.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The subscription's channel, without prefix.
    pub channel: &'a str,
    /// The item's id.
    pub id: Option<&'a str>,
    /// Meta of the subscription.
    pub sub_meta: &'a Meta,
    /// Meta of the item.
    pub pub_meta: &'a BTreeMap<String, String>,
    /// The item's content, if what it asks for has any.
    pub content: Option<&'a Bytes>,
    /// All subscriptions of the session.
    pub subscriptions: &'a dyn Subscriptions,
}

/// What filters may ask about all subscriptions of one session. Names are without prefix.
pub trait Subscriptions {
    /// Is the session subscribed to this channel?
    fn is_subscribed(&self, name: &str) -> bool;

    /// The id of the last item the session had on this channel, as far as it is known. Not asked
    /// about the channel of the item at hand, whose own id counts.
    fn prev_id(&self, name: &str) -> Option<&str>;
}

/// What a list of filters comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend has to be asked; [`resume`] with its answer.
    Ask(Ask),
    /// The item is not for this subscriber.
    Drop,
    /// It is, with this content instead of its own if there is some here.
    Pass(Option<Bytes>),
}

/// Runs `filters`, in order. Those that change content do nothing where there is none.
///
/// # Errors
/// A filter could not be applied; see [`FilterError`].
pub fn run(filters: &[Filter], case: &Case<'_>) -> Result<Outcome, FilterError> {
    run_from(0, None, filters, case)
}

/// Goes on behind the filter that asked. `filters` and `case` must be those of [`run`].
///
/// # Errors
/// As [`run`], and for an answer that is neither yes nor no or is too big.
pub fn resume(
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
        let new = match (filter, content) {
            (Filter::BuildId, Some(content)) => content::build_id(content, case)?,
            (Filter::VarSubst, Some(content)) => content::var_subst(content, case.sub_meta)?,
            (Filter::BuildId | Filter::VarSubst, None) => continue,
            (Filter::HttpCheck | Filter::HttpModify, content) => {
                let content = content.filter(|_| filter == Filter::HttpModify);
                return Ok(Outcome::Ask(Ask {
                    index,
                    filter,
                    url: value(case.sub_meta, "url")
                        .ok_or(FilterError::NoUrl)?
                        .to_owned(),
                    body: content.cloned().unwrap_or_default(),
                    replaces: content.is_some(),
                    changed,
                }));
            }
            (Filter::RequireSub | Filter::SkipSelf | Filter::SkipUsers, _) => {
                if case.drops(filter) {
                    return Ok(Outcome::Drop);
                }
                continue;
            }
        };
        // Content that stays as it is can be shared by all subscribers.
        if Some(&new) != content {
            changed = Some(new);
        }
    }
    Ok(Outcome::Pass(changed))
}

impl Case<'_> {
    /// The rules of the filters that only look at meta and subscriptions.
    fn drops(&self, filter: Filter) -> bool {
        let user = value(self.sub_meta, "user").filter(|user| !user.is_empty());
        let given = |name| self.pub_meta.get(name).map(String::as_str);
        match filter {
            Filter::RequireSub => {
                given("require_sub").is_some_and(|name| !self.subscriptions.is_subscribed(name))
            }
            Filter::SkipSelf => user.is_some() && user == given("sender"),
            Filter::SkipUsers => {
                let mut users = given("skip_users").unwrap_or_default().split(',');
                user.is_some_and(|user| users.any(|other| other.trim() == user))
            }
            _ => false,
        }
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

impl std::fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut case = f.debug_struct("Case");
        case.field("channel", &self.channel).field("id", &self.id);
        case.finish_non_exhaustive()
    }
}
