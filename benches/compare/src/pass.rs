//! One pass of one server, as a list of steps.
//!
//! Several runs, each with a fresh server, so that one does not change what the other finds.
//! **Held** grows streams, long-polls or WebSockets from size to size and never publishes: memory
//! and set-up. **Delivery** publishes at each size, in a closed loop: one item (or a burst of 100 in
//! one request), then the next when every client has it. In an **exchange** clients do something
//! themselves: WebSockets say something, or long-polls ask again. Requests that are only passed on
//! have [a module of their own](crate::proxying).

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    clients::Fleet,
    figure::{Figure, Sample, least_squares, parted, thousands},
    http2,
    load::{Load, Part},
    machine::Busy,
    procfs,
    publish::Publisher,
    servers::{Dress, Kind, Server},
    stop::Stop,
    wire::{Hold, ITEM_LEN, Item, LARGE_LEN},
};

/// Items in a burst.
pub const BURST: u32 = 100;

/// The first rounds at a size, not counted: buffers grow and sockets find their sizes.
const WARM_UP: u32 = 2;

/// A long-poll counts as held again when its server does nothing for so long.
const QUIET: Duration = Duration::from_millis(20);

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

/// What some rounds took.
pub(crate) struct Measured {
    /// CPU time of the server in µs, by round.
    pub(crate) micros: f64,
    /// Each round in ms, rising.
    latency: Vec<f64>,
}

impl Bench<'_> {
    /// Measures one part with a fresh server.
    ///
    /// # Errors
    /// The server fails; the run is to stop. Samples found until then stay.
    pub fn run(&mut self, part: Part) -> Result<()> {
        let server = Server::start(self.kind, self.program, Dress::of(part), self.stop)?;
        match part {
            Part::Held(hold) => self.hold(&server, hold),
            Part::Delivery(hold) => self.deliver(&server, hold),
            Part::Exchange(hold) => self.exchange(&server, hold),
            Part::Channels => self.channels(&server),
            Part::Slow => self.slow(&server),
            Part::Proxy(proxying) => self.proxy(&server, proxying),
        }
        .with_context(|| format!("its last words:\n{}", server.last_words()))
    }

    /// Memory and set-up of clients that only wait.
    fn hold(&mut self, server: &Server, hold: Hold) -> Result<()> {
        let pid = server.pid();
        let mut fleet = Fleet::new(server, hold)?;
        fleet.begin(self.stop)?;
        let mut cpu = procfs::settled(pid, self.stop)?;
        let mut points: Vec<(f64, f64)> = Vec::new();
        for &size in self.load.sizes(hold) {
            let opened = (size - fleet.len()) as f64;
            let busy = Busy::start(pid);
            fleet.grow(size, self.stop)?;
            self.others.extend(busy.others());
            let after = procfs::settled(pid, self.stop)?;
            // Again those that ended meanwhile.
            fleet.grow(size, self.stop)?;
            let micros = after.since(&cpu).as_secs_f64() * 1e6 / opened;
            self.sample(hold, Figure::SetUp, thousands(size), micros);
            cpu = after;
            let point = (size as f64, procfs::pss(pid)? as f64);
            if let Some(last) = points.last() {
                let slope = (point.1 - last.1) / (point.0 - last.0);
                let from = thousands(self.load.sizes(hold)[points.len() - 1]);
                let size = format!("{from} to {}", thousands(size));
                self.sample(hold, Figure::Held, size, slope);
            }
            points.push(point);
        }
        self.note_lost(&fleet, hold);
        if let Some(slope) = least_squares(&points) {
            self.sample(hold, Figure::Held, "least squares".into(), slope);
        }
        if hold == Hold::Http2 {
            self.part_connections();
        }
        Ok(())
    }

    /// What of a stream over HTTP/2 is the connection's, if those that share theirs were measured
    /// before.
    fn part_connections(&mut self) {
        let here = |sample: &&Sample| {
            (sample.pass, sample.server, sample.figure) == (self.pass, self.kind, Figure::Held)
        };
        let of = |hold| {
            self.samples
                .iter()
                .filter(here)
                .filter(move |one| one.hold == hold)
        };
        let mut found = Vec::new();
        for alone in of(Hold::Http2) {
            if let Some(shared) = of(Hold::Http2Shared).find(|shared| shared.size == alone.size) {
                let (stream, connection) = parted(alone.value, shared.value, http2::SHARED);
                found.push((Figure::HeldStream, alone.size.clone(), stream));
                found.push((Figure::HeldConnection, alone.size.clone(), connection));
            }
        }
        for (figure, size, value) in found {
            self.sample(Hold::Http2, figure, size, value);
        }
    }

    /// CPU time per delivery, alone and in bursts, and latency.
    fn deliver(&mut self, server: &Server, hold: Hold) -> Result<()> {
        let pid = server.pid();
        let mut fleet = Fleet::new(server, hold)?;
        let mut publisher = Publisher::new(server.door, server.control);
        procfs::settled(pid, self.stop)?;
        let empty = procfs::pss(pid)?;
        for &size in self.load.sizes(hold) {
            self.fill(pid, &mut fleet, size)?;
            self.deliver_alone(pid, &mut fleet, &mut publisher, hold)?;
            if self.kind.bursts() && self.load.bursts(hold, size) {
                self.deliver_bursts(pid, &mut fleet, &mut publisher, hold)?;
            }
        }
        if hold.is_socket() && (hold == Hold::Compressed) != (fleet.compressed() > 0) {
            bail!("{} compressed messages came to {hold}", fleet.compressed());
        }
        self.note_lost(&fleet, hold);
        procfs::settled(pid, self.stop)?;
        let grown = procfs::pss(pid)?.saturating_sub(empty) as f64;
        let each = grown / fleet.len() as f64;
        self.sample(hold, Figure::HeldAfter, thousands(fleet.len()), each);
        Ok(())
    }

    /// One item at a time, small ones and large ones.
    fn deliver_alone(
        &mut self,
        pid: u32,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        hold: Hold,
    ) -> Result<()> {
        let size = thousands(fleet.len());
        for (figure, len) in [
            (Figure::Delivery, ITEM_LEN),
            (Figure::DeliveryLarge, LARGE_LEN),
        ] {
            // More channels make no item larger.
            if (hold, figure) == (Hold::Rooms, Figure::DeliveryLarge) {
                continue;
            }
            let (item, stop) = (Item { hold, len }, self.stop);
            let mut round = || publish(fleet, publisher, item, 1, stop);
            for _ in 0..WARM_UP {
                round()?;
            }
            let measured = self.rounds(pid, self.load.rounds, round)?;
            let each = measured.micros / fleet.len() as f64;
            self.sample(hold, figure, size.clone(), each);
            if (hold, figure) == (Hold::Stream, Figure::Delivery)
                && let (Some(longest), middle) = (measured.latency.last(), measured.middle())
            {
                self.sample(hold, Figure::LatencyMedian, size.clone(), middle);
                self.sample(hold, Figure::LatencyMax, size.clone(), *longest);
            }
        }
        Ok(())
    }

    fn deliver_bursts(
        &mut self,
        pid: u32,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        hold: Hold,
    ) -> Result<()> {
        let (len, stop) = (ITEM_LEN, self.stop);
        let item = Item { hold, len };
        let measured = self.rounds(pid, 1, || publish(fleet, publisher, item, BURST, stop))?;
        let size = thousands(fleet.len());
        let each = measured.micros / fleet.len() as f64 / f64::from(BURST);
        self.sample(hold, Figure::Burst, size.clone(), each);
        if hold == Hold::Stream {
            self.sample(hold, Figure::LatencyBurst, size, measured.middle());
        }
        Ok(())
    }

    /// CPU time for what clients do themselves.
    fn exchange(&mut self, server: &Server, hold: Hold) -> Result<()> {
        let pid = server.pid();
        let stop = self.stop;
        let mut fleet = Fleet::new(server, hold)?;
        let mut publisher = Publisher::new(server.door, server.control);
        fleet.begin(self.stop)?;
        self.fill(pid, &mut fleet, self.load.smallest())?;
        let mut round = || match hold {
            Hold::LongPoll => cycle(pid, &mut fleet, &mut publisher, stop),
            _ => timed(|| fleet.talk(stop)),
        };
        round()?;
        let measured = self.rounds(pid, 1, round)?;
        self.note_lost(&fleet, hold);
        let each = measured.micros / fleet.len() as f64;
        self.sample(hold, Figure::Exchange, thousands(fleet.len()), each);
        Ok(())
    }

    pub(crate) fn fill(&self, pid: u32, fleet: &mut Fleet, size: usize) -> Result<()> {
        fleet.grow(size, self.stop)?;
        procfs::settled(pid, self.stop)?;
        // Again those that ended meanwhile.
        fleet.grow(size, self.stop)
    }

    /// Rounds for the time of the load, and no fewer than `least`.
    pub(crate) fn rounds(
        &mut self,
        pid: u32,
        least: u32,
        round: impl FnMut() -> Result<Duration>,
    ) -> Result<Measured> {
        self.rounds_of(pid, least, self.load.time, round)
    }

    /// Rounds for so long, and no fewer than `least`.
    pub(crate) fn rounds_of(
        &mut self,
        pid: u32,
        least: u32,
        time: Duration,
        mut round: impl FnMut() -> Result<Duration>,
    ) -> Result<Measured> {
        let busy = Busy::start(pid);
        let before = procfs::cpu(pid);
        let start = Instant::now();
        let mut latency = Vec::new();
        while latency.len() < least as usize || start.elapsed() < time {
            latency.push(round()?.as_secs_f64() * 1e3);
        }
        self.others.extend(busy.others());
        // A thread's time is complete when it sleeps.
        self.stop.pause(Duration::from_millis(50))?;
        let spent = procfs::cpu(pid).since(&before).as_secs_f64() * 1e6;
        latency.sort_by(f64::total_cmp);
        Ok(Measured {
            micros: spent / latency.len() as f64,
            latency,
        })
    }

    pub(crate) fn note_lost(&mut self, fleet: &Fleet, hold: Hold) {
        if fleet.lost() > 0 {
            self.notes.push(format!(
                "pass {}, {}: the server ended or refused {} of {} {hold} while they were set up; \
                 they were opened again",
                self.pass,
                self.kind,
                fleet.lost(),
                fleet.len()
            ));
        }
    }

    /// Notes a value.
    pub(crate) fn sample(&mut self, hold: Hold, figure: Figure, size: String, value: f64) {
        self.samples.push(Sample {
            pass: self.pass,
            server: self.kind,
            hold,
            figure,
            size,
            value,
        });
    }
}

impl Measured {
    /// The middle latency; 0 for none.
    fn middle(&self) -> f64 {
        let middle = self.latency.get(self.latency.len() / 2);
        middle.copied().unwrap_or(0.0)
    }
}

/// One publish, until the last client has it and the publisher its answer.
pub(crate) fn publish(
    fleet: &mut Fleet,
    publisher: &mut Publisher,
    item: Item,
    count: u32,
    stop: &Stop,
) -> Result<Duration> {
    let request = publisher.request(item, count);
    publisher.connect()?;
    fleet.expect(count);
    let took = timed(|| {
        publisher.send(&request)?;
        fleet.wait(stop)
    })?;
    publisher.finish()?;
    Ok(took)
}

/// One publish that answers each long-poll, until each has asked again and is held.
fn cycle(pid: u32, fleet: &mut Fleet, publisher: &mut Publisher, stop: &Stop) -> Result<Duration> {
    let item = Item {
        hold: Hold::LongPoll,
        len: ITEM_LEN,
    };
    let took = publish(fleet, publisher, item, 1, stop)?;
    procfs::quiet(pid, QUIET, stop)?;
    Ok(took)
}

pub(crate) fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
