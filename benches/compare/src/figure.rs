//! Figures: what they are called, and the little arithmetic behind them.

use crate::{proxying::Proxied, servers::Kind, wire::Hold};

/// What is measured, in the order of the table; each of one kind of hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Bytes per client that has not been published to.
    Held,
    /// Of these, bytes of a stream, without its share of the connection.
    HeldStream,
    /// And of a connection, without its streams.
    HeldConnection,
    /// Bytes per client after the deliveries, counted from the empty server.
    HeldAfter,
    /// CPU time to set up a client.
    SetUp,
    /// CPU time per delivery, one item at a time.
    Delivery,
    /// The same for large items.
    DeliveryLarge,
    /// CPU time per delivery in bursts.
    Burst,
    /// CPU time per round trip of a WebSocket, or per cycle of a long-poll.
    Exchange,
    /// CPU time per publish to a channel of one stream, one after the other.
    PublishEach,
    /// The same per item, many of them in one request.
    PublishBatch,
    /// CPU time per publish, always to the same channel of one stream.
    PublishSame,
    /// CPU time per publish to a channel without subscribers.
    PublishNobody,
    /// Memory that the server grows by while one reader does not read, in MB.
    SlowGrowth,
    /// CPU time per delivery to the others meanwhile, in bursts of large items.
    SlowDelivery,
    /// The same without that reader.
    SlowWithout,
    /// Publish to the last client's read, the median of a pass.
    LatencyMedian,
    /// The same, the longest of a pass.
    LatencyMax,
    /// The same for all items of a burst, the median of a pass.
    LatencyBurst,
    /// Of requests that are only passed on; of no hold.
    Proxied(Proxied),
}

impl Figure {
    /// In `results.json`.
    pub fn key(self, hold: Hold) -> String {
        let of = match hold {
            Hold::Stream => "",
            Hold::LongPoll => "long_poll_",
            Hold::WebSocket => "websocket_",
            Hold::Compressed => "websocket_deflate_",
            Hold::Own => "channels_",
            Hold::Secure => "tls_",
            Hold::Http2 => "http2_",
            Hold::Http2Shared => "http2_shared_",
            Hold::Rooms => "subscriptions_",
        };
        let figure = match self {
            Self::Held => "held_bytes",
            Self::HeldStream => "stream_bytes",
            Self::HeldConnection => "connection_bytes",
            Self::HeldAfter => "held_bytes_after_traffic",
            Self::SetUp => "set_up_us",
            Self::Delivery => "delivery_us",
            Self::DeliveryLarge => "large_delivery_us",
            Self::Burst => "burst_delivery_us",
            Self::Exchange => "exchange_us",
            Self::PublishEach => "publish_us",
            Self::PublishBatch => "publish_batch_us",
            Self::PublishSame => "publish_same_us",
            Self::PublishNobody => "publish_nobody_us",
            Self::SlowGrowth => "slow_reader_growth_mb",
            Self::SlowDelivery => "slow_reader_delivery_us",
            Self::SlowWithout => "slow_reader_without_us",
            Self::LatencyMedian => "last_client_ms_p50",
            Self::LatencyMax => "last_client_ms_max",
            Self::LatencyBurst => "burst_last_client_ms_p50",
            Self::Proxied(figure) => return figure.key().to_owned(),
        };
        format!("{of}{figure}")
    }

    /// In the table.
    pub fn title(self, hold: Hold) -> String {
        // Browsers offer compression: an idle WebSocket is one that did.
        let one = match hold {
            Hold::Stream | Hold::Own => "stream",
            Hold::Secure => "stream over TLS",
            Hold::Http2 => "stream over HTTP/2, one per connection",
            Hold::Http2Shared => "stream over HTTP/2, 100 per connection",
            Hold::LongPoll => "long-poll",
            Hold::WebSocket | Hold::Compressed => "WebSocket",
            Hold::Rooms => "WebSocket of 20 channels",
        };
        let (delivery, note) = match hold {
            Hold::Stream | Hold::LongPoll | Hold::Own => ("delivery", ""),
            Hold::Secure => ("delivery over TLS", ""),
            Hold::Http2 => ("delivery over HTTP/2", ", one stream per connection"),
            Hold::Http2Shared => ("delivery over HTTP/2", ", 100 streams per connection"),
            Hold::WebSocket => ("frame", ""),
            Hold::Compressed => ("frame", ", deflate agreed"),
            Hold::Rooms => ("frame", ", 20 channels each"),
        };
        match self {
            Self::Held if hold.is_socket() => format!("PSS bytes per idle {one}"),
            Self::Held => format!("PSS bytes per held {one}"),
            Self::HeldStream => "PSS bytes of a stream over HTTP/2, its connection left out".into(),
            Self::HeldConnection => {
                "PSS bytes of a connection of HTTP/2, its streams left out".into()
            }
            Self::HeldAfter if hold == Hold::Compressed => {
                format!("PSS bytes per {one} after traffic, from empty{note}")
            }
            Self::HeldAfter if hold.http2().is_some() => {
                format!("PSS bytes per {one}, after traffic, from empty")
            }
            Self::HeldAfter => format!("PSS bytes per {one} after traffic, from empty"),
            Self::SetUp => format!("CPU µs per set-up of a {one}"),
            Self::Delivery if hold == Hold::Stream => {
                "CPU µs per delivery, one item at a time".into()
            }
            Self::Delivery => format!("CPU µs per {delivery} of 100 bytes{note}"),
            Self::DeliveryLarge => format!("CPU µs per {delivery} of 4 KiB{note}"),
            Self::Burst => format!("CPU µs per {delivery}, bursts of 100{note}"),
            Self::Exchange if hold.is_socket() => "CPU µs per WebSocket round trip".into(),
            Self::Exchange => format!("CPU µs per {one} cycle"),
            Self::PublishEach => {
                "CPU µs per publish to one subscriber, of so many channels, one POST each".into()
            }
            Self::PublishBatch => {
                "CPU µs per publish to one subscriber, of so many channels, 100 per POST".into()
            }
            Self::PublishSame => {
                "CPU µs per publish to one subscriber, always the same, beside so many".into()
            }
            Self::PublishNobody => "CPU µs per publish to nobody, beside so many channels".into(),
            Self::SlowGrowth => "PSS growth in MB while one reader does not read".into(),
            Self::SlowDelivery => {
                "CPU µs per delivery of 4 KiB, bursts of 100, beside that reader".into()
            }
            Self::SlowWithout => "CPU µs per delivery of 4 KiB, bursts of 100, without it".into(),
            Self::LatencyMedian => "publish to last client, ms, p50".into(),
            Self::LatencyMax => "publish to last client, ms, max".into(),
            Self::LatencyBurst => "burst of 100 to last client, ms, p50".into(),
            Self::Proxied(figure) => figure.title().into(),
        }
    }

    /// The server that others are compared with: the floor, nginx for requests that are only passed
    /// on. None for memory: the floor keeps next to none, so that a ratio to it says nothing.
    pub fn base(self) -> Option<Kind> {
        match self {
            Self::Held
            | Self::HeldAfter
            | Self::HeldConnection
            | Self::HeldStream
            | Self::SlowGrowth => None,
            Self::Proxied(figure) => figure.compares().then_some(Kind::Nginx),
            _ => Some(Kind::Floor),
        }
    }

    /// Digits behind the point that mean something.
    pub fn decimals(self) -> usize {
        match self {
            Self::Held | Self::HeldAfter | Self::HeldConnection | Self::HeldStream => 0,
            Self::Exchange
            | Self::LatencyBurst
            | Self::LatencyMax
            | Self::LatencyMedian
            | Self::SetUp
            | Self::SlowGrowth => 1,
            Self::Burst
            | Self::Delivery
            | Self::DeliveryLarge
            | Self::PublishBatch
            | Self::PublishEach
            | Self::PublishNobody
            | Self::PublishSame
            | Self::SlowDelivery
            | Self::SlowWithout => 2,
            Self::Proxied(figure) => figure.decimals(),
        }
    }
}

/// One value of one pass.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The pass, from 1.
    pub pass: u32,
    /// Of which server.
    pub server: Kind,
    /// Of which clients; means nothing of requests that are only passed on.
    pub hold: Hold,
    /// What.
    pub figure: Figure,
    /// At which number of them.
    pub size: String,
    /// The value, in the figure's unit.
    pub value: f64,
}

/// What a stream takes and what its connection takes, if a stream with a connection of its own takes
/// `alone`, and one that shares it with so many others takes `shared`.
pub fn parted(alone: f64, shared: f64, streams: usize) -> (f64, f64) {
    let connection = (alone - shared) / (1.0 - 1.0 / streams as f64);
    (alone - connection, connection)
}

/// The slope of the straight line that is nearest to `points`; none with fewer than three, where
/// it would say nothing new.
pub fn least_squares(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let above: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(above / below)
}

/// `15000` as `15,000`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let points = [(1000.0, 7000.0), (5000.0, 15_000.0), (15_000.0, 35_000.0)];
        assert!((least_squares(&points).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(least_squares(&points[..2]), None);
    }

    #[test]
    fn streams_and_connections_are_told_apart() {
        let (stream, connection) = parted(1000.0 + 20_000.0, 1000.0 + 200.0, 100);
        assert!((stream - 1000.0).abs() < 1e-6, "{stream}");
        assert!((connection - 20_000.0).abs() < 1e-6, "{connection}");
    }

    #[test]
    fn numbers_have_commas() {
        let cases = [(1, "1"), (999, "999"), (1000, "1,000"), (15_000, "15,000")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
    }
}
