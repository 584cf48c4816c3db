//! Does memory stay flat? Millions of deliveries to the same streams, then many clients that come
//! and go with a reset, of each kind in turn; memory and open files of the server before, on the
//! way, when all have left, and some seconds later.
//!
//! No figure of the table: one long run of one server, written to a table of its own.

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

/// Allocators give back what is free after some time.
const REST: Duration = Duration::from_secs(10);

/// Those that come and go. Browsers offer compression, so WebSockets do.
const KINDS: [Hold; 3] = [Hold::Stream, Hold::LongPoll, Hold::Compressed];

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
        self.stop.pause(REST)?;
        self.read(server, format!("{} s of rest", REST.as_secs()), 0)
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
