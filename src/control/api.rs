//! What the control port answers to a request that may pass: `POST /publish`, `POST /recover`, the
//! two health checks, and a word on what this port is.
//!
//! Publishing: the body is parsed and checked as a whole, handed to the hub, and answered when
//! the hub has put the items in order; not when they have been written. All or nothing: an item
//! that is wrong, too many items for `grip.publish_rate`, or a hub without room, refuses the batch.

use std::{sync::atomic::Ordering, time::Duration};

use serde::Serialize;

use super::{
    Context,
    accept::{self, Form},
    answer::Answer,
    head::Head,
};
use crate::{
    grip::item::{self, Entry, ItemError},
    hub::{Busy, Receipt, Status},
    telemetry::{counters, metrics},
};

/// Answers one request. Not cancelled while it runs: a publisher that leaves early has still
/// published.
pub(super) async fn answer(head: &Head<'_>, body: Vec<u8>, context: &Context) -> Answer {
    match (head.path, head.method) {
        ("", _) => Answer::text(200, ABOUT),
        ("/publish" | "/recover", "POST") => match accept::negotiate(&head.accept) {
            None => Answer::text(406, NOT_ACCEPTABLE),
            Some(form) if head.path == "/publish" => publish(body, form, context).await,
            Some(form) => recover(form, context),
        },
        ("/publish" | "/recover", method) => not_allowed(method, "POST"),
        ("/livez", "GET" | "HEAD") => Answer::text(200, "alive"),
        ("/readyz", "GET" | "HEAD") => ready(context.ready.load(Ordering::Acquire)),
        ("/metrics", "GET" | "HEAD") => metrics(context),
        ("/livez" | "/readyz" | "/metrics", method) => not_allowed(method, "GET, HEAD"),
        _ => Answer::text(404, NOT_FOUND),
    }
}

const ABOUT: &str = concat!(
    "gripd ",
    env!("CARGO_PKG_VERSION"),
    ": control port. POST /publish takes items for channels; POST /recover has all held clients \
     look for what they missed; GET /livez and GET /readyz tell how gripd is; GET /metrics counts. Clients connect to \
     another port.",
);
const NOT_ACCEPTABLE: &str =
    "Not Acceptable. Supported formats are text/plain and application/json.";
const NOT_FOUND: &str =
    "Not Found. This is the control port: POST /publish, POST /recover, GET /livez, GET /readyz.";
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

fn metrics(context: &Context) -> Answer {
    Answer::metrics(page(context, &context.settings.metrics.proxy_prefix))
}

/// The page of metrics. `prefix`: stands before the names that Pushpin has, too.
pub(super) fn page(context: &Context, prefix: &str) -> String {
    let hub = &context.hub;
    let gauges = [
        (counters::CHANNELS, hub.channels()),
        (counters::QUEUED_ITEMS, hub.queued_items()),
        (counters::QUEUED_BYTES, hub.queued_bytes()),
    ];
    metrics::page(prefix, &gauges)
}

fn recover(form: Form, context: &Context) -> Answer {
    context.hub.recover();
    match form {
        Form::Text => Answer::text(200, "Updated"),
        Form::Json => Answer::json(200, r#"{"message":"Updated"}"#),
    }
}

async fn publish(body: Vec<u8>, form: Form, context: &Context) -> Answer {
    let entries = match parse(body).await {
        Ok(Ok(entries)) => entries,
        Ok(Err(error)) => return Answer::text(400, error.to_string()),
        Err(error) => {
            tracing::error!(%error, "parsing a publish failed");
            return Answer::text(500, "Parsing failed; this is a fault of gripd.");
        }
    };
    if let Err(later) = context.pace(entries.iter().map(count).sum()).await {
        return too_fast(context.settings.grip.publish_rate, later);
    }
    let names = Names::of(&entries, form);
    match context.hub.publish(entries).await {
        Ok(receipts) => {
            names.log(&receipts);
            published(&names, &receipts, form)
        }
        Err(Busy) => Answer::text(503, BUSY).with("Retry-After", "1"),
    }
}

/// What an entry counts against `grip.publish_rate`: one for each channel.
fn count(entry: &Entry) -> usize {
    match entry {
        Entry::Close { .. } => 1,
        Entry::Item(item) => item.channels.len(),
    }
}

fn too_fast(rate: usize, later: Duration) -> Answer {
    let seconds = later.as_millis().div_ceil(1000).max(1);
    let sentence = format!(
        "Too fast: {rate} items a second may be published (grip.publish_rate); nothing of this \
         was. Try again in {seconds} s."
    );
    Answer::text(503, sentence).with("Retry-After", seconds.to_string())
}

async fn parse(body: Vec<u8>) -> Result<Result<Vec<Entry>, ItemError>, tokio::task::JoinError> {
    if body.len() <= PARSED_IN_PLACE {
        return Ok(item::parse_batch(&body));
    }
    tokio::task::spawn_blocking(move || item::parse_batch(&body)).await
}

/// Where each entry goes, and its id, kept only if somebody will read them: the hub takes the
/// entries.
struct Names(Vec<(Name, Option<String>)>);

/// Where an entry goes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Channel(String),
    Channels(Vec<String>),
    Connection(String),
}

impl Names {
    fn of(entries: &[Entry], form: Form) -> Self {
        if form == Form::Text && !tracing::enabled!(tracing::Level::DEBUG) {
            return Self(Vec::new());
        }
        let names = entries.iter().map(|entry| match entry {
            Entry::Close { connection } => (Name::Connection(connection.clone()), None),
            Entry::Item(item) => {
                let name = match &*item.channels {
                    [one] => Name::Channel(one.clone()),
                    many => Name::Channels(many.to_vec()),
                };
                (name, item.id.clone())
            }
        });
        Self(names.collect())
    }

    fn log(&self, receipts: &[Receipt]) {
        for ((to, id), receipt) in self.0.iter().zip(receipts) {
            let (id, connections) = (id.as_deref(), receipt.connections);
            tracing::debug!(?to, id, connections, "published");
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
            .map(|((to, _), receipt)| Line {
                to,
                status: status(to, receipt.status),
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

fn status(to: &Name, status: Status) -> &'static str {
    match (status, to) {
        (Status::Sent, _) => "sent",
        (Status::NoSubscribers, Name::Connection(_)) => "no-connection",
        (Status::NoSubscribers, _) => "no-subscribers",
        (Status::Waiting, _) => "waiting",
        (Status::Duplicate, _) => "duplicate",
        (Status::SamePrevId, _) => "dropped: another item waits for the same prev-id",
        (Status::TooManyWaiting, _) => "dropped: too many items of the channel wait",
    }
}

/// The JSON answer to a publish.
#[derive(Serialize)]
struct Published<'a> {
    message: &'static str,
    items: Vec<Line<'a>>,
}

/// What became of one entry.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    to: &'a Name,
    status: &'static str,
    connections: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_answer_tells_what_became_of_each_item() {
        let names = Names(vec![
            (Name::Channel("a\"b".into()), None),
            (Name::Channels(vec![String::new(), "c".into()]), None),
            (Name::Connection("d".into()), None),
        ]);
        let receipts = [
            (Status::Sent, 3),
            (Status::NoSubscribers, 0),
            (Status::NoSubscribers, 0),
        ]
        .map(|(status, connections)| Receipt {
            status,
            connections,
        });
        assert_eq!(
            published(&names, &receipts, Form::Json),
            Answer::json(
                200,
                "{\"message\":\"Published\",\"items\":[\
                 {\"channel\":\"a\\\"b\",\"status\":\"sent\",\"connections\":3},\
                 {\"channels\":[\"\",\"c\"],\"status\":\"no-subscribers\",\"connections\":0},\
                 {\"connection\":\"d\",\"status\":\"no-connection\",\"connections\":0}]}"
            )
        );
        assert_eq!(
            published(&names, &receipts, Form::Text),
            Answer::text(200, "Published")
        );
    }
}
