//! `Grip-Last`: what a repeated request tells of the newest item its client has of each channel.

use std::time::{Duration, Instant};

use http::HeaderValue;

use super::failure::cut;
use crate::telemetry::limit::Every;

/// One `NAME; last-id=ID` for each channel. Nothing is quoted or escaped, as Pushpin does it; a
/// channel that cannot be told of so is left out, with a warning.
pub(super) fn values(last: &[(String, String)]) -> impl Iterator<Item = HeaderValue> {
    last.iter().filter_map(|(channel, id)| {
        let value = HeaderValue::try_from(format!("{channel}; last-id={id}"));
        if value.is_err()
            && let Some(left_out) = UNSENDABLE.hit(Instant::now())
        {
            tracing::warn!(
                channel = ?cut(channel),
                id = ?cut(id),
                left_out = (left_out > 0).then_some(left_out),
                "a channel or an id with control characters cannot be sent as Grip-Last: the \
                 backend is asked without it"
            );
        }
        value.ok()
    })
}

/// A publisher decides how often this happens.
static UNSENDABLE: Every = Every::new(Duration::from_secs(1));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_per_channel_as_it_is() {
        let last = [
            ("a b", "1"),
            ("q\"uo,te;", "x;y"),
            ("ü", ""),
            ("n\nl", "1"),
            ("c", "\0"),
        ];
        let last = last.map(|(channel, id)| (channel.to_owned(), id.to_owned()));
        let told: Vec<_> = values(&last)
            .map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
            .collect();
        assert_eq!(
            told,
            ["a b; last-id=1", "q\"uo,te;; last-id=x;y", "ü; last-id="]
        );
    }
}
