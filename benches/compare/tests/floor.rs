//! Every part of a pass before the floor, with a handful of clients: clients, floor and publisher
//! understand each other, each item is counted, and each figure gets a row of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{collections::HashSet, path::Path, time::Duration};

use compare::{
    figure::{Figure, Sample},
    load::{Load, Part},
    pass::Bench,
    report::Report,
    servers::Kind,
    stop::Stop,
    wire::Hold,
};
use serde_json::json;

fn samples(parts: &[Part]) -> Vec<Sample> {
    let load = Load {
        sizes: vec![20, 40],
        burst_up_to: 100,
        rounds: 3,
        slow_bursts: 40,
        time: Duration::ZERO,
    };
    let stop = Stop::watch(Duration::from_mins(2)).unwrap();
    let mut samples = Vec::new();
    for part in parts.iter().filter(|part| part.suits(Kind::Floor)) {
        let mut bench = Bench {
            pass: 1,
            kind: Kind::Floor,
            program: Path::new(env!("CARGO_BIN_EXE_floor")),
            load: &load,
            stop: &stop,
            samples: &mut samples,
            others: &mut Vec::new(),
            notes: &mut Vec::new(),
        };
        bench.run(*part).unwrap();
    }
    samples
}

#[test]
fn every_part_gives_its_figures() {
    let samples = samples(&Part::ALL);
    let sizes = |figure, hold| {
        let those = (samples.iter()).filter(|one| (one.figure, one.hold) == (figure, hold));
        those.map(|one| one.size.as_str()).collect::<Vec<_>>()
    };
    for hold in [Hold::Stream, Hold::LongPoll, Hold::Compressed, Hold::Rooms] {
        assert_eq!(sizes(Figure::Held, hold), ["20 to 40"]);
        assert_eq!(sizes(Figure::SetUp, hold), ["20", "40"]);
    }
    for hold in [Hold::Stream, Hold::WebSocket, Hold::Compressed, Hold::Rooms] {
        assert_eq!(sizes(Figure::HeldAfter, hold), ["40"]);
        assert_eq!(sizes(Figure::Delivery, hold), ["20", "40"]);
    }
    for hold in [Hold::Stream, Hold::WebSocket, Hold::Compressed] {
        assert_eq!(sizes(Figure::DeliveryLarge, hold), ["20", "40"]);
    }
    assert_eq!(sizes(Figure::Burst, Hold::Stream), ["20", "40"]);
    assert_eq!(sizes(Figure::Burst, Hold::WebSocket), ["20"]);
    for hold in [Hold::LongPoll, Hold::WebSocket] {
        assert_eq!(sizes(Figure::Exchange, hold), ["20"]);
    }
    assert_eq!(sizes(Figure::PublishSame, Hold::Own), ["1", "40"]);
    for figure in [
        Figure::PublishEach,
        Figure::PublishBatch,
        Figure::PublishNobody,
    ] {
        assert_eq!(sizes(figure, Hold::Own), ["40"]);
    }
    for figure in [
        Figure::SlowGrowth,
        Figure::SlowDelivery,
        Figure::SlowWithout,
    ] {
        assert_eq!(sizes(figure, Hold::Stream), ["20"]);
    }
    let spent = samples.iter().filter(|one| one.figure.base().is_some());
    assert!(spent.into_iter().all(|one| one.value > 0.0), "{samples:?}");
    every_row_is_told_apart(samples);
}

fn every_row_is_told_apart(samples: Vec<Sample>) {
    let count = samples.len();
    let report = Report {
        samples,
        others: Vec::new(),
        notes: Vec::new(),
        machine: json!({}),
        servers: vec![Kind::Floor],
        settings: json!({}),
    };
    let text = report.markdown();
    let rows = text.lines().skip(2).take_while(|line| !line.is_empty());
    let names: HashSet<_> = rows.map(|row| row.rsplitn(3, " |").last()).collect();
    assert_eq!(names.len(), count, "{text}");
}
