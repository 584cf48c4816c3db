//! What the control port answers to a request that may pass: `POST /publish`, the two health
//! checks, and a word on what this port is.
//!
//! Publishing: the body is parsed and checked as a whole, handed to the hub, and answered when
//! the hub has put the items in order; not when they have been written. All or nothing: an item
//! that is wrong, or a hub without room, refuses the batch.

use std::sync::atomic::Ordering;

use serde::Serialize;

use super::{
    Context,
    accept::{self, Form},
    answer::Answer,
    head::Head,
};
use crate::{
    grip::item::{self, Item, ItemError},
    hub::{Busy, Receipt, Status},
};

/// Answers one request. Not cancelled while it runs: a publisher that leaves early has still
/// published.
pub(super) async fn answer(head: &Head<'_>, body: Vec<u8>, context: &Context) -> Answer {
    match (head.path, head.method) {
        ("", _) => Answer::text(200, ABOUT),
        ("/publish", "POST") => match accept::negotiate(&head.accept) {
            Some(form) => publish(body, form, context).await,
            None => Answer::text(406, NOT_ACCEPTABLE),
        },
        ("/publish", method) => not_allowed(method, "POST"),
        ("/livez", "GET" | "HEAD") => Answer::text(200, "alive"),
        ("/readyz", "GET" | "HEAD") => ready(context.ready.load(Ordering::Acquire)),
        ("/livez" | "/readyz", method) => not_allowed(method, "GET, HEAD"),
        _ => Answer::text(404, NOT_FOUND),
    }
}

const ABOUT: &str = concat!(
    "gripd ",
    env!("CARGO_PKG_VERSION"),
    ": control port. POST /publish takes items for channels; GET /livez and GET /readyz tell how \
     gripd is. Clients connect to another port.",
);
const NOT_ACCEPTABLE: &str =
    "Not Acceptable. Supported formats are text/plain and application/json.";
const NOT_FOUND: &str =
    "Not Found. This is the control port: POST /publish, GET /livez, GET /readyz.";
const BUSY: &str = "Busy: too much is waiting to be delivered; nothing was published \
                    (limits.publish_buffer, timeouts.publish).";

/// Bodies above this many bytes are parsed off the runtime, which has other connections to serve.
/// A batch of this size takes a few hundred microseconds.
const PARSED_IN_PLACE: usize = 64 << 10;

fn not_allowed(method: &str, allow: &'static str) -> Answer {
    Answer::text(405, format!("Method not allowed: {method}.")).with("Allow", allow)
}

fn ready(ready: bool) -> Answer {
    if ready {
        Answer::text(200, "ready")
    } else {
        Answer::text(503, "Not ready: gripd is starting or stopping.")
    }
}

async fn publish(body: Vec<u8>, form: Form, context: &Context) -> Answer {
    let items = match parse(body).await {
        Ok(Ok(items)) => items,
        Ok(Err(error)) => return Answer::text(400, error.to_string()),
        Err(error) => {
            tracing::error!(%error, "parsing a publish failed");
            return Answer::text(500, "Parsing failed; this is a fault of gripd.");
        }
    };
    let names = Names::of(&items, form);
    match context.hub.publish(items).await {
        Ok(receipts) => {
            names.log(&receipts);
            published(&names, &receipts, form)
        }
        Err(Busy) => Answer::text(503, BUSY).with("Retry-After", "1"),
    }
}

async fn parse(body: Vec<u8>) -> Result<Result<Vec<Item>, ItemError>, tokio::task::JoinError> {
    if body.len() <= PARSED_IN_PLACE {
        return Ok(item::parse_batch(&body));
    }
    tokio::task::spawn_blocking(move || item::parse_batch(&body)).await
}

/// Channel and id of each item, kept only if somebody will read them: the hub takes the items.
struct Names(Vec<(String, Option<String>)>);

impl Names {
    fn of(items: &[Item], form: Form) -> Self {
        if form == Form::Text && !tracing::enabled!(tracing::Level::DEBUG) {
            return Self(Vec::new());
        }
        let names = items
            .iter()
            .map(|item| (item.channel.clone(), item.id.clone()));
        Self(names.collect())
    }

    fn log(&self, receipts: &[Receipt]) {
        for ((channel, id), receipt) in self.0.iter().zip(receipts) {
            let (id, connections) = (id.as_deref(), receipt.connections);
            tracing::debug!(channel, id, connections, "published");
        }
    }
}

/// The answer to a publish that went well.
fn published(names: &Names, receipts: &[Receipt], form: Form) -> Answer {
    if form == Form::Text {
        return Answer::text(200, "Published");
    }
    let items = names.0.iter().zip(receipts);
    let document = Published {
        message: "Published",
        items: items
            .map(|((channel, _), receipt)| Line {
                channel,
                status: match receipt.status {
                    Status::Sent => "sent",
                    Status::NoSubscribers => "no-subscribers",
                },
                connections: receipt.connections,
            })
            .collect(),
    };
    match serde_json::to_string(&document) {
        Ok(document) => Answer::json(200, document),
        Err(error) => {
            tracing::error!(%error, "a publish answer could not be written");
            Answer::text(200, "Published")
        }
    }
}

/// The JSON answer to a publish.
#[derive(Serialize)]
struct Published<'a> {
    message: &'static str,
    items: Vec<Line<'a>>,
}

/// What became of one item.
#[derive(Serialize)]
struct Line<'a> {
    channel: &'a str,
    status: &'static str,
    connections: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_answer_tells_what_became_of_each_item() {
        let names = Names(vec![("a\"b".into(), None), (String::new(), None)]);
        let receipts = [(Status::Sent, 3), (Status::NoSubscribers, 0)].map(|(status, n)| Receipt {
            status,
            connections: n,
        });
        assert_eq!(
            published(&names, &receipts, Form::Json),
            Answer::json(
                200,
                "{\"message\":\"Published\",\"items\":[\
                 {\"channel\":\"a\\\"b\",\"status\":\"sent\",\"connections\":3},\
                 {\"channel\":\"\",\"status\":\"no-subscribers\",\"connections\":0}]}"
            )
        );
        assert_eq!(
            published(&names, &receipts, Form::Text),
            Answer::text(200, "Published")
        );
    }
}
