//! Which steps run, in which order, and how long they will take.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    args::Args,
    load::{Load, Part},
    pass::BURST,
    proxying::Proxying,
    servers::Kind,
    wire::Hold,
};

/// One run of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The pass, from 1.
    pub pass: u32,
    /// The server.
    pub kind: Kind,
    /// What is measured.
    pub part: Part,
}

/// All steps of a run: pass by pass, the servers side by side within each, so that a slow drift
/// of the machine meets all of them. Every pass begins with the next server.
pub fn steps(args: &Args) -> Vec<Step> {
    let mut steps = Vec::new();
    for pass in 1..=args.passes {
        for &part in &args.parts {
            let mut servers = args.servers.clone();
            servers.retain(|kind| part.suits(*kind) && pass <= most_passes(*kind));
            let turn = (pass - 1) as usize % servers.len().max(1);
            servers.rotate_left(turn);
            steps.extend(servers.into_iter().map(|kind| Step { pass, kind, part }));
        }
    }
    steps
}

/// Pushpin's steps take most of a pass, and its figures are far enough from the others' to be known
/// after three.
fn most_passes(kind: Kind) -> u32 {
    match kind {
        Kind::Pushpin => 3,
        _ => u32::MAX,
    }
}

/// Guesses what is left: by what each kind of step took, before that by a rough model.
#[derive(Debug, Default)]
pub struct Estimate {
    took: HashMap<(Kind, Part), Duration>,
}

impl Estimate {
    /// Notes that `step` ran from `start` until now.
    pub fn note(&mut self, step: Step, start: Instant) {
        self.took.insert((step.kind, step.part), start.elapsed());
    }

    /// Time for `steps`.
    pub fn of(&self, steps: &[Step], args: &Args) -> Duration {
        let known = |step: &Step| self.took.get(&(step.kind, step.part)).copied();
        steps
            .iter()
            .map(|step| known(step).unwrap_or_else(|| model(*step, args)))
            .sum()
    }
}

/// Seconds as seen on a 2-core machine.
fn model(step: Step, args: &Args) -> Duration {
    let (set_up, delivery) = match step.kind {
        Kind::Floor => (40e-6, 6e-6),
        // Those that only proxy hold nobody.
        Kind::Gripd | Kind::Haproxy | Kind::Nchan | Kind::Nginx => (120e-6, 6e-6),
        Kind::Pushpin => (1.3e-3, 40e-6),
    };
    let load = &args.load;
    let filled = |sizes: &[usize]| {
        let clients = sizes.last().copied().unwrap_or(0) as f64;
        1.5 + clients * set_up + 0.7 * sizes.len() as f64
    };
    let seconds = match step.part {
        Part::Held(hold) => filled(load.sizes(hold)),
        Part::Delivery(hold) => filled(load.sizes(hold)) + deliveries(load, hold, delivery),
        // What a client does itself takes about as long as its set-up did.
        Part::Exchange(_) => {
            let size = load.smallest();
            filled(&[size]) + load.time.as_secs_f64().max(size as f64 * set_up)
        }
        // Five figures, each after a round that does not count.
        Part::Slow => {
            let size = load.smallest();
            let burst = size as f64 * f64::from(BURST) * delivery;
            filled(&[size]) + burst * (f64::from(load.slow_bursts) / 10.0 + 3.0)
        }
        Part::Channels => filled(load.sizes(Hold::Own)) + 8.0 * load.time.as_secs_f64(),
        Part::Proxy(proxying) => {
            let before = match proxying {
                Proxying::Beside => filled(&load.sizes),
                _ => filled(&[]),
            };
            before + proxying.time(load).as_secs_f64()
        }
    };
    Duration::from_secs_f64(seconds)
}

/// Seconds for the publishes at all sizes, if a delivery takes so many.
fn deliveries(load: &Load, hold: Hold, delivery: f64) -> f64 {
    let least = load.time.as_secs_f64();
    let of = |size: &usize| {
        let one = *size as f64 * delivery;
        let burst = if load.bursts(hold, *size) {
            least.max(one * f64::from(BURST))
        } else {
            0.0
        };
        2.0 * least.max(one * f64::from(load.rounds)) + burst
    };
    load.sizes(hold).iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_interleaved_and_begin_in_turn() {
        let args = ["--passes=2", "--only=exchange,websockets"].map(String::from);
        let args = Args::parse(args.into_iter());
        let steps = steps(&args.unwrap().unwrap());
        let order: Vec<_> = steps
            .iter()
            .map(|step| (step.pass, step.kind.name()))
            .collect();
        let wanted = [
            (1, "floor"),
            (1, "gripd"),
            (1, "pushpin"),
            (2, "gripd"),
            (2, "pushpin"),
            (2, "floor"),
        ];
        assert_eq!(order, wanted);
    }

    #[test]
    fn a_long_run_has_pushpin_three_times() {
        let args = ["--passes=5", "--only=slow"].map(String::from);
        let steps = steps(&Args::parse(args.into_iter()).unwrap().unwrap());
        let of = |kind| steps.iter().filter(|step| step.kind == kind).count();
        assert_eq!((of(Kind::Pushpin), of(Kind::Gripd)), (3, 5));
    }

    #[test]
    fn only_those_that_compress_are_asked_to() {
        let args = ["--passes=1", "--only=delivery,websockets"].map(String::from);
        let steps = steps(&Args::parse(args.into_iter()).unwrap().unwrap());
        let of = |hold| {
            let those = steps.iter().filter(|step| step.part.hold() == Some(hold));
            those.map(|step| step.kind.name()).collect::<Vec<_>>()
        };
        assert_eq!(of(Hold::WebSocket), ["floor", "gripd", "pushpin", "nchan"]);
        assert_eq!(of(Hold::Compressed), ["floor", "gripd"]);
    }

    #[test]
    fn those_that_only_proxy_hold_nobody() {
        let steps = steps(
            &Args::parse(["--quick".to_owned()].into_iter())
                .unwrap()
                .unwrap(),
        );
        let of = |part| {
            let those = steps.iter().filter(|step| step.part == part);
            those.map(|step| step.kind.name()).collect::<Vec<_>>()
        };
        let grips = ["floor", "gripd", "pushpin"];
        assert_eq!(of(Part::Held(Hold::LongPoll)), grips);
        let held = ["floor", "gripd", "pushpin", "nchan"];
        assert_eq!(of(Part::Held(Hold::Stream)), held);
        assert_eq!(of(Part::Delivery(Hold::Http2)), ["gripd", "nchan"]);
        let all = ["floor", "gripd", "pushpin", "nginx", "haproxy"];
        assert_eq!(of(Part::Proxy(Proxying::Page)), all);
        assert_eq!(of(Part::Proxy(Proxying::Upload)), all[1..]);
        assert_eq!(of(Part::Proxy(Proxying::Beside)), ["gripd"]);
    }
}
