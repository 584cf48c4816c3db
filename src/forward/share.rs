//! Equal fetches made once: when many held clients follow the same link at the same time, one
//! request serves them all.
//!
//! What is shared must be for each of them alone to have asked, or one user's data would reach
//! another: method, whole URL, route and every `Grip-Last` are equal. Only what is under way is
//! shared, nothing is kept; an answer that is large or of unknown length is for the first one
//! only, and everybody else asks for himself.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use http::Method;
use http_body::Body as _;
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    task::spawn_local,
};

use super::{Body, Failure, Fetch, Forwarder, Location, Priority, collect};
use crate::{
    grip::{BODY_LIMIT, instruct::Response},
    routes::grammar::Route,
};

/// The answer to a fetch that may have been shared.
#[derive(Debug)]
pub enum Fetched {
    /// All of it, decoded. Others may have the same.
    Whole(Arc<Response>),
    /// Larger, or of unknown length: for this one alone.
    Streaming {
        /// Its head; the body is empty.
        head: Response,
        /// Its body, read no faster than it is asked for.
        body: Body,
    },
}

/// What fetches came to, for whoever waits on another's.
#[derive(Clone, Debug)]
enum News {
    Waiting,
    Done(Result<Arc<Response>, Arc<Failure>>),
    /// It cannot be shared after all.
    Alone,
}

/// The fetches under way, of all threads.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<Key, Arc<watch::Sender<News>>>>);

/// All that must be equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    method: Method,
    url: Location,
    /// The route by its address, which `Lead` keeps from being used again.
    route: usize,
    /// By gripd's own routes, or to a host elsewhere, with or without the deny list.
    abroad: Option<bool>,
    /// As a set.
    last: Vec<(String, String)>,
}

/// A fetch that others may join.
struct Lead {
    key: Key,
    news: Arc<watch::Sender<News>>,
    forwarder: Rc<Forwarder>,
    _route: Arc<Route>,
}

/// One's part in a fetch.
enum Part {
    Leads(Arc<watch::Sender<News>>),
    Follows(watch::Receiver<News>),
}

impl Forwarder {
    /// Fetches, together with whoever fetches the same at this moment. With a priority the fetch
    /// takes from the budget of its backend, once for all who share it.
    ///
    /// A fetch goes on for the others when the one who began it has left, and ends when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// A [`Failure`], which was logged once. An error status is an answer.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the fetch to the others.
    pub async fn fetch_shared(
        self: &Rc<Self>,
        fetch: Fetch,
        priority: Option<Priority>,
    ) -> Result<Fetched, Arc<Failure>> {
        let Some(key) = Key::of(&fetch) else {
            return self.fetch_alone(&fetch, priority).await;
        };
        match self.common.shares.join(&key) {
            Part::Leads(news) => {
                // The leader listens too, so that the fetch ends with its last listener.
                let _listens = news.subscribe();
                let lead = Lead {
                    key,
                    news,
                    forwarder: Rc::clone(self),
                    _route: Arc::clone(&fetch.home.route),
                };
                let (give, given) = oneshot::channel();
                let own = fetch.clone();
                spawn_local(async move { lead.run(&own, priority, give).await });
                if let Ok(result) = given.await {
                    return result;
                }
            }
            Part::Follows(mut news) => {
                let heard = news.wait_for(|news| !matches!(news, News::Waiting)).await;
                if let Ok(News::Done(result)) = heard.as_deref() {
                    return result.clone().map(Fetched::Whole);
                }
            }
        }
        self.fetch_alone(&fetch, priority).await
    }

    async fn fetch_alone(
        &self,
        fetch: &Fetch,
        priority: Option<Priority>,
    ) -> Result<Fetched, Arc<Failure>> {
        let _permit = match priority {
            Some(priority) => Some(self.common.budget.enter(&fetch.home, priority).await),
            None => None,
        };
        let answer = self.fetch(fetch).await?;
        let length = answer.body.size_hint().exact();
        if length.is_some_and(|length| length <= BODY_LIMIT as u64) {
            let collected = collect(answer, BODY_LIMIT).await?;
            return Ok(Fetched::Whole(Arc::new(collected.response)));
        }
        let (head, body) = answer.open()?;
        Ok(Fetched::Streaming { head, body })
    }
}

impl Key {
    /// `None`: it says more than can be compared.
    fn of(fetch: &Fetch) -> Option<Self> {
        if !fetch.headers.is_empty() || !fetch.body.is_empty() {
            return None;
        }
        let mut last = fetch.last.clone();
        last.sort();
        last.dedup();
        Some(Self {
            method: fetch.method.clone(),
            url: fetch.url.clone(),
            route: Arc::as_ptr(&fetch.home.route).addr(),
            abroad: (!fetch.is_at_home()).then(|| fetch.is_untrusted()),
            last,
        })
    }
}

impl Shares {
    fn join(&self, key: &Key) -> Part {
        let mut under_way = self.0.lock();
        if let Some(news) = under_way.get(key) {
            return Part::Follows(news.subscribe());
        }
        let news = Arc::new(watch::Sender::new(News::Waiting));
        under_way.insert(key.clone(), Arc::clone(&news));
        Part::Leads(news)
    }

    /// Lets nobody else join; with `only_deserted`, if nobody listens.
    fn close(&self, key: &Key, news: &Arc<watch::Sender<News>>, only_deserted: bool) -> bool {
        let mut under_way = self.0.lock();
        if only_deserted && news.receiver_count() > 0 {
            return false;
        }
        // Another may have begun the same since this one was closed.
        if under_way.get(key).is_some_and(|own| Arc::ptr_eq(own, news)) {
            under_way.remove(key);
        }
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// How many wait, those who lead included.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let under_way = self.0.lock();
        under_way.values().map(|news| news.receiver_count()).sum()
    }
}

impl Lead {
    /// Fetches, unless everybody leaves before the end.
    async fn run(
        self,
        fetch: &Fetch,
        priority: Option<Priority>,
        give: oneshot::Sender<Result<Fetched, Arc<Failure>>>,
    ) {
        let result = tokio::select! {
            result = self.forwarder.fetch_alone(fetch, priority) => result,
            () = self.deserted() => return,
        };
        self.close(false);
        let news = match &result {
            Ok(Fetched::Whole(response)) => News::Done(Ok(Arc::clone(response))),
            Ok(Fetched::Streaming { .. }) => News::Alone,
            Err(failure) => News::Done(Err(Arc::clone(failure))),
        };
        self.news.send_replace(news);
        // Who led may have left; then a streaming body is dropped, which closes its connection.
        let _ = give.send(result);
    }

    async fn deserted(&self) {
        loop {
            self.news.closed().await;
            if self.close(true) {
                return;
            }
        }
    }

    fn close(&self, only_deserted: bool) -> bool {
        let shares = &self.forwarder.common.shares;
        shares.close(&self.key, &self.news, only_deserted)
    }
}

impl Drop for Lead {
    /// When a thread stops, its fetches stop: the followers then ask for themselves.
    fn drop(&mut self) {
        self.close(false);
    }
}
