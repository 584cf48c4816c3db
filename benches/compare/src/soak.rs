//! Does memory stay flat? Millions of deliveries to the same streams, then many clients that come
//! and go with a reset, of each kind in turn; memory and open files of the server before, on the
//! way, when all have left, and some seconds later.
//!
//! No figure of the table: one long run of one server, written to a table of its own, with what is
//! to be thought of it ([`Verdict`]).

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    clients::Fleet,
    figure::thousands,
    pass::{BURST, publish},
    procfs,
    publish::Publisher,
    servers::Server,
    stop::Stop,
    wire::{Hold, ITEM_LEN, Item},
};

/// Streams that get the deliveries, and clients that come and go at a time.
const CLIENTS: usize = 1000;

/// Readings on the way of each half.
const READINGS: usize = 10;

/// Allocators give back what is free after some time; after the second pause idle connections to
/// the backend have ended, too.
const RESTS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(50)];

/// Those that come and go. Browsers offer compression, so WebSockets do.
const KINDS: [Hold; 3] = [Hold::Stream, Hold::LongPoll, Hold::Compressed];

/// How much more memory counts as the same: pages are taken in groups.
const ALLOWED: f64 = 1.05;

/// How much more a server may keep when many have come and gone than before, when it had served a
/// few: threads keep some of what they used for the next time.
const KEPT: f64 = 2.0;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// Deliveries, half of them one item at a time, half in bursts.
    pub deliveries: usize,
    /// Clients that come and go.
    pub cycles: usize,
}

impl Amount {
    /// All, or a tenth.
    pub fn new(quick: bool) -> Self {
        let part = if quick { 10 } else { 1 };
        Self {
            deliveries: 10_000_000 / part,
            cycles: 200_000 / part,
        }
    }
}

/// What a server's processes take at some moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was done before.
    pub after: String,
    /// Clients held.
    pub clients: usize,
    /// PSS in bytes.
    pub pss: u64,
    /// Open files of its first process.
    pub files: usize,
}

/// What is to be thought of two readings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// A sentence with both.
    pub text: String,
    /// The second is not above what the first allows.
    pub good: bool,
}

/// A run, and what it found so far: the readings stay when it is stopped.
#[derive(Debug)]
pub struct Soak<'a> {
    /// When not to go on.
    pub stop: &'a Stop,
    /// In their order.
    pub readings: Vec<Reading>,
}

impl Soak<'_> {
    /// Does all of it with a fresh server.
    ///
    /// # Errors
    /// The server fails; the run is to stop.
    pub fn run(&mut self, server: &Server, amount: Amount) -> Result<()> {
        self.steps(server, amount)
            .with_context(|| format!("its last words:\n{}", server.last_words()))
    }

    fn steps(&mut self, server: &Server, amount: Amount) -> Result<()> {
        self.read(server, "the start".into(), 0)?;
        self.deliver(server, amount.deliveries)?;
        self.come_and_go(server, amount.cycles)?;
        let mut rested = Duration::ZERO;
        for rest in RESTS {
            self.stop.pause(rest)?;
            rested += rest;
            self.read(server, format!("{} s of rest", rested.as_secs()), 0)?;
        }
        Ok(())
    }

    /// What is to be thought of a whole run; empty before it is one.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let [_start, first, delivered @ .., rest] = &self.readings[..] else {
            return Vec::new();
        };
        if delivered.len() != 2 * READINGS + RESTS.len() {
            return Vec::new();
        }
        let (last, half) = (
            &delivered[READINGS - 1],
            &delivered[READINGS + READINGS / 2],
        );
        let (left, gone) = (&delivered[READINGS], &delivered[2 * READINGS]);
        vec![
            Verdict::of("deliveries take nothing", first, last, ALLOWED),
            Verdict::of(
                "coming and going takes no more and more",
                half,
                gone,
                ALLOWED,
            ),
            Verdict::of("what was taken is given back", left, rest, KEPT),
        ]
    }

    /// Deliveries to the same streams, which leave then.
    fn deliver(&mut self, server: &Server, deliveries: usize) -> Result<()> {
        let item = Item {
            hold: Hold::Stream,
            len: ITEM_LEN,
        };
        let mut fleet = Fleet::new(server, Hold::Stream)?;
        let mut publisher = Publisher::new(server.door, server.control);
        fleet.grow(CLIENTS, self.stop)?;
        for count in [1, BURST] {
            publish(&mut fleet, &mut publisher, item, count, self.stop)?;
        }
        self.read(server, "the first deliveries".into(), CLIENTS)?;
        let half = deliveries / READINGS / 2 / CLIENTS;
        for part in 1..=READINGS {
            for _ in 0..half {
                publish(&mut fleet, &mut publisher, item, 1, self.stop)?;
            }
            for _ in 0..half / BURST as usize {
                publish(&mut fleet, &mut publisher, item, BURST, self.stop)?;
            }
            let done = thousands(deliveries / READINGS * part);
            self.read(server, format!("{done} deliveries"), CLIENTS)?;
        }
        drop(fleet);
        self.read(server, "all have left".into(), 0)
    }

    /// Clients of each kind in turn that come, are held, and leave with a reset.
    fn come_and_go(&mut self, server: &Server, cycles: usize) -> Result<()> {
        let mut kinds = KINDS.into_iter().cycle();
        for part in 1..=READINGS {
            for _ in 0..cycles / READINGS / CLIENTS {
                let kind = kinds.next().unwrap_or(Hold::Stream);
                Fleet::new(server, kind)?.grow(CLIENTS, self.stop)?;
            }
            let done = thousands(cycles / READINGS * part);
            self.read(server, format!("{done} came and left"), 0)?;
        }
        Ok(())
    }

    /// Waits until the server is quiet, and reads.
    fn read(&mut self, server: &Server, after: String, clients: usize) -> Result<()> {
        let pid = server.pid();
        procfs::settled(pid, self.stop)?;
        let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let reading = Reading {
            after,
            clients,
            pss: procfs::pss(pid)?,
            files,
        };
        eprintln!("{}", reading.line());
        self.readings.push(reading);
        Ok(())
    }

    /// Writes `soak.md` and `soak.json` into `dir`, and returns the table.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn write(&self, dir: &Path, machine: &Value) -> Result<String> {
        let mut table =
            String::from("| after | clients | PSS, KiB | open files |\n|---|---|---|---|\n");
        for reading in &self.readings {
            let _ = writeln!(table, "{}", reading.line());
        }
        for Verdict { text, good } in self.verdicts() {
            let answer = if good { "yes" } else { "NO" };
            let _ = writeln!(table, "\n{text}: {answer}");
        }
        let readings = self.readings.iter().map(|one| {
            json!({ "after": one.after, "clients": one.clients, "pss": one.pss, "files": one.files })
        });
        let all = json!({ "machine": machine, "readings": readings.collect::<Vec<_>>() });
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        fs::write(dir.join("soak.md"), &table)?;
        fs::write(dir.join("soak.json"), format!("{all:#}\n"))?;
        Ok(table)
    }
}

impl Verdict {
    fn of(claim: &str, before: &Reading, after: &Reading, allowed: f64) -> Self {
        let ratio = after.pss as f64 / before.pss.max(1) as f64;
        Self {
            text: format!(
                "{claim} ({} is {ratio:.2} times {}, {allowed:.2} allowed)",
                after.after, before.after
            ),
            good: ratio <= allowed,
        }
    }
}

impl Reading {
    /// A row of the table.
    fn line(&self) -> String {
        let kilobytes = thousands(usize::try_from(self.pss / 1024).unwrap_or(usize::MAX));
        let clients = thousands(self.clients);
        format!(
            "| {} | {clients} | {kilobytes} | {} |",
            self.after, self.files
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pss = fn(u64) -> u64;

    fn soak(stop: &Stop, readings: impl Iterator<Item = u64>) -> Soak<'_> {
        let reading = |(index, pss)| Reading {
            after: format!("step {index}"),
            clients: 0,
            pss,
            files: 0,
        };
        Soak {
            stop,
            readings: readings.enumerate().map(reading).collect(),
        }
    }

    #[test]
    fn growth_is_seen_in_each_part() {
        let stop = Stop::watch(Duration::from_secs(1)).unwrap();
        // The start, the first deliveries, ten tenths, all have left, ten tenths, two rests.
        let flat = |_| 100;
        let deliveries = |index| if index >= 11 { 106 } else { 100 };
        let cycles = |index| 100 + 2 * index;
        let kept = |index| if index == 24 { 201 } else { 100 };
        let cases: [(Pss, _); 4] = [
            (flat, [true, true, true]),
            (deliveries, [false, true, true]),
            (cycles, [false, false, true]),
            (kept, [true, true, false]),
        ];
        for (pss, expected) in cases {
            let verdicts = soak(&stop, (0..25).map(pss)).verdicts();
            let found: Vec<bool> = verdicts.iter().map(|one| one.good).collect();
            assert_eq!(found, expected, "{verdicts:?}");
        }
        assert!(soak(&stop, (0..24).map(flat)).verdicts().is_empty());
    }
}
