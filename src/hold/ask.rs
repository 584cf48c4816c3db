//! What a filter asks the backend about one item for one subscriber (`http-check`,
//! `http-modify`). Only this session waits for the answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{start::Context, terms::Terms};
use crate::{
    forward::{Collected, Fetch, Priority, collect},
    grip::{BODY_LIMIT, filter, instruct::Header},
    hub::Question,
};

/// A backend's reply.
#[derive(Debug)]
pub(super) struct Reply {
    code: u16,
    action: Option<Bytes>,
    body: Bytes,
}

impl Reply {
    /// No answer, or none in time.
    fn none() -> Self {
        Self {
            code: 502,
            action: None,
            body: Bytes::new(),
        }
    }

    pub(super) fn as_reply(&self) -> filter::Reply<'_> {
        filter::Reply {
            code: self.code,
            action: self.action.as_deref(),
            body: self.body.clone(),
        }
    }
}

/// Asks. `last`: the newest id of each channel.
pub(super) async fn ask(
    question: &Question,
    terms: &Terms,
    last: Vec<(String, String)>,
    context: &Context,
) -> Reply {
    let Some(home) = &terms.home else {
        return Reply::none();
    };
    let Ok(url) = home.url.join(&question.ask.url) else {
        return Reply::none();
    };
    let fetch = Fetch {
        last,
        headers: question.headers.iter().filter_map(header).collect(),
        timeout: Some(TIMEOUT),
        ..Fetch::post(home, url, question.ask.body.clone())
    };
    let asked = async {
        let permit = context.forwarder.budget().enter(home, Priority::High).await;
        let answer = context.forwarder.fetch(&fetch).await.ok()?;
        drop(permit);
        collect(answer, BODY_LIMIT).await.ok()
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(Some(collected)) => reply(&collected),
        Ok(None) | Err(_) => Reply::none(),
    }
}

fn reply(collected: &Collected) -> Reply {
    let response = &collected.response;
    let mut headers = response.headers.iter();
    let action = headers.find(|header| header.name.eq_ignore_ascii_case("Action"));
    Reply {
        code: response.code,
        action: action.map(|header| header.value.clone()),
        body: response.body.clone(),
    }
}

fn header(header: &Header) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
    let value = HeaderValue::from_maybe_shared(header.value.clone()).ok()?;
    Some((name, value))
}

/// How long a filter waits for its answer, all in all.
const TIMEOUT: Duration = Duration::from_secs(10);
