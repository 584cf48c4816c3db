//! Which steps run, in which order, and how long they will take.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{args::Args, pass::BURST, servers::Kind};

/// Which of a pass's two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Deliveries.
    Delivery,
    /// Memory and set-up.
    Held,
}

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
        for (part, wanted) in [(Part::Held, args.held), (Part::Delivery, args.delivery)] {
            let mut servers = args.servers.clone();
            let turn = (pass - 1) as usize % servers.len().max(1);
            servers.rotate_left(turn);
            if wanted {
                steps.extend(servers.into_iter().map(|kind| Step { pass, kind, part }));
            }
        }
    }
    steps
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
        Kind::Gripd => (120e-6, 6e-6),
        Kind::Pushpin => (1.3e-3, 40e-6),
    };
    let load = &args.load;
    let streams = load.sizes.last().copied().unwrap_or(0) as f64;
    let mut seconds = 1.5 + streams * set_up + 0.7 * load.sizes.len() as f64;
    if step.part == Part::Delivery {
        for &size in &load.sizes {
            let one = size as f64 * delivery;
            let least = load.time.as_secs_f64();
            seconds += least.max(one * f64::from(load.rounds));
            if size <= load.burst_up_to {
                seconds += least.max(one * f64::from(BURST));
            }
        }
    }
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_interleaved_and_begin_in_turn() {
        let args = Args::parse(["--passes=2", "--only=held"].map(String::from).into_iter());
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
}
