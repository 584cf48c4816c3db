//! One pass of one server, as a list of steps.
//!
//! Two runs, each with a fresh server, so that one does not change what the other finds. **Held**
//! grows the streams from size to size and never publishes: memory and set-up. **Delivery**
//! publishes at each size, in a closed loop: one item (or a burst of 100 in one request), then the
//! next when every stream has it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    clients::Fleet,
    machine::Busy,
    procfs,
    publish::Publisher,
    report::{Figure, Sample},
    servers::{Kind, Server},
    stop::Stop,
};

/// Items in a burst.
pub const BURST: u32 = 100;

/// The first publishes at a size, not counted: buffers grow and sockets find their sizes.
const WARM_UP: u32 = 2;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Load {
    /// Numbers of streams, rising.
    pub sizes: Vec<usize>,
    /// Largest number of streams for bursts.
    pub burst_up_to: usize,
    /// Fewest publishes at each size.
    pub rounds: u32,
    /// Publishes go on for this long.
    pub time: Duration,
}

/// What one pass measures with.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The pass, from 1.
    pub pass: u32,
    /// Which server.
    pub kind: Kind,
    /// Its program.
    pub program: &'a Path,
    /// How much.
    pub load: &'a Load,
    /// When not to go on.
    pub stop: &'a Stop,
    /// Where figures go as they are found.
    pub samples: &'a mut Vec<Sample>,
    /// Share of the machine that other programs used, in percent, by measurement.
    pub others: &'a mut Vec<f64>,
    /// What a reader must know of.
    pub notes: &'a mut Vec<String>,
}

impl Bench<'_> {
    /// Memory and set-up of streams that only wait.
    ///
    /// # Errors
    /// The server fails; the run is to stop. Samples found until then stay.
    pub fn held(&mut self) -> Result<()> {
        let server = Server::start(self.kind, self.program, self.stop)?;
        self.hold(&server)
            .with_context(|| format!("its last words:\n{}", server.last_words()))
    }

    fn hold(&mut self, server: &Server) -> Result<()> {
        let pid = server.pid();
        let mut fleet = Fleet::new(server.clients)?;
        let mut cpu = procfs::settled(pid, self.stop)?;
        let mut points: Vec<(f64, f64)> = Vec::new();
        for &size in &self.load.sizes {
            let opened = (size - fleet.len()) as f64;
            let busy = Busy::start(pid);
            fleet.grow(size, self.stop)?;
            self.others.extend(busy.others());
            let after = procfs::settled(pid, self.stop)?;
            // Again those that ended meanwhile.
            fleet.grow(size, self.stop)?;
            let micros = after.since(&cpu).as_secs_f64() * 1e6 / opened;
            self.sample(Figure::SetUp, thousands(size), micros);
            cpu = after;
            let point = (size as f64, procfs::pss(pid)? as f64);
            if let Some(last) = points.last() {
                let slope = (point.1 - last.1) / (point.0 - last.0);
                let from = thousands(self.load.sizes[points.len() - 1]);
                self.sample(
                    Figure::Held,
                    format!("{from} to {}", thousands(size)),
                    slope,
                );
            }
            points.push(point);
        }
        self.note_lost(&fleet);
        if let Some(slope) = least_squares(&points) {
            self.sample(Figure::Held, "least squares".into(), slope);
        }
        Ok(())
    }

    /// CPU time per delivery, alone and in bursts, and latency.
    ///
    /// # Errors
    /// The server fails; the run is to stop. Samples found until then stay.
    pub fn delivery(&mut self) -> Result<()> {
        let server = Server::start(self.kind, self.program, self.stop)?;
        self.deliver(&server)
            .with_context(|| format!("its last words:\n{}", server.last_words()))
    }

    fn deliver(&mut self, server: &Server) -> Result<()> {
        let pid = server.pid();
        let mut fleet = Fleet::new(server.clients)?;
        let mut publisher = Publisher::new(server.door, server.control);
        procfs::settled(pid, self.stop)?;
        let empty = procfs::pss(pid)?;
        for &size in &self.load.sizes {
            fleet.grow(size, self.stop)?;
            procfs::settled(pid, self.stop)?;
            fleet.grow(size, self.stop)?;
            for _ in 0..WARM_UP {
                self.round(&mut fleet, &mut publisher, 1)?;
            }
            let (micros, mut latency) = self.rounds(pid, &mut fleet, &mut publisher, 1)?;
            self.sample(Figure::Delivery, thousands(size), micros);
            latency.sort_by(f64::total_cmp);
            self.sample(
                Figure::LatencyMedian,
                thousands(size),
                latency[latency.len() / 2],
            );
            self.sample(
                Figure::LatencyMax,
                thousands(size),
                latency[latency.len() - 1],
            );
            if size <= self.load.burst_up_to {
                let (micros, mut latency) = self.rounds(pid, &mut fleet, &mut publisher, BURST)?;
                self.sample(Figure::Burst, thousands(size), micros);
                self.sample(Figure::LatencyBurst, thousands(size), middle(&mut latency));
            }
        }
        self.note_lost(&fleet);
        procfs::settled(pid, self.stop)?;
        let grown = procfs::pss(pid)?.saturating_sub(empty) as f64;
        self.sample(
            Figure::HeldAfter,
            thousands(fleet.len()),
            grown / fleet.len() as f64,
        );
        Ok(())
    }

    /// Publishes for the time of the load; returns CPU µs per delivery and each latency in ms.
    fn rounds(
        &mut self,
        pid: u32,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        items: u32,
    ) -> Result<(f64, Vec<f64>)> {
        let rounds = if items == 1 { self.load.rounds } else { 1 };
        let busy = Busy::start(pid);
        let before = procfs::cpu(pid);
        let start = Instant::now();
        let mut latency = Vec::new();
        while latency.len() < rounds as usize || start.elapsed() < self.load.time {
            let took = self.round(fleet, publisher, items)?;
            latency.push(took.as_secs_f64() * 1e3);
        }
        self.others.extend(busy.others());
        // A thread's time is complete when it sleeps.
        self.stop.pause(Duration::from_millis(50))?;
        let spent = procfs::cpu(pid).since(&before).as_secs_f64() * 1e6;
        let deliveries = latency.len() as f64 * f64::from(items) * fleet.len() as f64;
        Ok((spent / deliveries, latency))
    }

    /// One publish, until the last stream has it and the publisher its answer.
    fn round(&self, fleet: &mut Fleet, publisher: &mut Publisher, items: u32) -> Result<Duration> {
        let request = publisher.request(items);
        publisher.connect()?;
        fleet.expect(items);
        let start = Instant::now();
        publisher.send(&request)?;
        fleet.wait(self.stop)?;
        let took = start.elapsed();
        publisher.finish()?;
        Ok(took)
    }

    fn note_lost(&mut self, fleet: &Fleet) {
        if fleet.lost() > 0 {
            self.notes.push(format!(
                "pass {}, {}: the server ended {} of {} streams while they were set up; they \
                 were opened again",
                self.pass,
                self.kind,
                fleet.lost(),
                fleet.len()
            ));
        }
    }

    fn sample(&mut self, figure: Figure, size: String, value: f64) {
        self.samples.push(Sample {
            pass: self.pass,
            server: self.kind,
            figure,
            size,
            value,
        });
    }
}

/// The middle one; 0 for none.
fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The slope of the straight line that is nearest to `points`; none with fewer than two.
fn least_squares(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 2 {
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
fn thousands(number: usize) -> String {
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
        assert_eq!(least_squares(&points[..1]), None);
    }

    #[test]
    fn numbers_have_commas() {
        let cases = [(1, "1"), (999, "999"), (1000, "1,000"), (15_000, "15,000")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
    }
}
