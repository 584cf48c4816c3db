//! Requests that a server only passes on: small pages, large bodies both ways, and small pages while
//! the same server publishes to many streams.
//!
//! Closed loops: each client asks again as soon as it is answered. CPU time is the server's alone,
//! as in every other part; how long an answer takes also depends on the load generator and its
//! backend, which use the same cores.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{
    clients::Fleet,
    figure::{Figure, thousands},
    load::Load,
    machine::Busy,
    pass::Bench,
    plain::{BODY_LEN, Want},
    procfs,
    publish::Publisher,
    servers::Server,
    wire::{Hold, ITEM_LEN, Item},
};

mod asker;
mod askers;
mod figures;

use askers::Askers;
pub use figures::Proxied;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proxying {
    /// Pages, while an item a second goes to as many streams as there are at most.
    Beside,
    /// Bodies of 10 MB.
    Download,
    /// Small pages, each with its line in gripd's log, which no other part of these has.
    Logged,
    /// Small pages.
    Page,
    /// To hand in bodies of 10 MB.
    Upload,
}

impl Proxying {
    /// Rough time of a step, without that for streams.
    pub fn time(self, load: &Load) -> Duration {
        match self {
            Self::Beside => window(load) * u32::try_from(WINDOWS).unwrap_or(1),
            Self::Download | Self::Upload => load.time + Duration::from_secs(1),
            Self::Logged | Self::Page => load.time + WARM_UP,
        }
    }
}

impl fmt::Display for Proxying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beside => "GETs beside publishes",
            Self::Download => "downloads",
            Self::Logged => "GETs with a log",
            Self::Page => "GETs",
            Self::Upload => "uploads",
        })
    }
}

/// How long pages are asked for in each window.
fn window(load: &Load) -> Duration {
    Duration::from_secs(2).max(load.time * 5 / 2)
}

/// Clients that ask for small pages.
const PAGE_CLIENTS: usize = 64;

/// Clients with large bodies.
const BODY_CLIENTS: usize = 4;

/// Pages that are asked for before anything is counted.
const WARM_UP: Duration = Duration::from_millis(200);

/// Windows of pages, in turn without publishes and with them.
const WINDOWS: usize = 4;

/// The first publish of a window comes after so long, the others a second after the one before.
const FIRST_PUBLISH: Duration = Duration::from_millis(500);

impl Bench<'_> {
    /// Measures requests that are only passed on.
    ///
    /// # Errors
    /// The server fails; the run is to stop.
    pub(crate) fn proxy(&mut self, server: &Server, proxying: Proxying) -> Result<()> {
        match proxying {
            Proxying::Beside => self.beside(server),
            Proxying::Download => self.bodies(server, Want::Download, Proxied::Download),
            Proxying::Logged => {
                let (micros, _) = self.pages(server)?;
                self.proxied(Proxied::Logged, PAGE_CLIENTS.to_string(), micros);
                Ok(())
            }
            Proxying::Page => {
                let (micros, took) = self.pages(server)?;
                for (figure, value) in [
                    (Proxied::Page, micros),
                    (Proxied::PageMedian, percentile(&took, 50)),
                    (Proxied::PageP99, percentile(&took, 99)),
                    (Proxied::PageMax, percentile(&took, 100)),
                ] {
                    self.proxied(figure, PAGE_CLIENTS.to_string(), value);
                }
                Ok(())
            }
            Proxying::Upload => self.bodies(server, Want::Upload, Proxied::Upload),
        }
    }

    /// CPU time per page in µs, and how long each took in ms, rising.
    fn pages(&mut self, server: &Server) -> Result<(f64, Vec<f64>)> {
        let mut askers = Askers::connect(server.clients, Want::Page, PAGE_CLIENTS)?;
        askers.run(WARM_UP, PAGE_CLIENTS, self.stop)?;
        self.asked(server, &mut askers, self.load.time)
    }

    fn bodies(&mut self, server: &Server, want: Want, figure: Proxied) -> Result<()> {
        let mut askers = Askers::connect(server.clients, want, BODY_CLIENTS)?;
        askers.run(Duration::ZERO, 1, self.stop)?;
        let (micros, _) = self.asked(server, &mut askers, self.load.time)?;
        let each = micros * 1e6 / BODY_LEN as f64;
        self.proxied(figure, askers.len().to_string(), each);
        Ok(())
    }

    /// CPU time per request in µs, and how long each took in ms, rising.
    fn asked(
        &mut self,
        server: &Server,
        askers: &mut Askers,
        time: Duration,
    ) -> Result<(f64, Vec<f64>)> {
        let pid = server.pid();
        let busy = Busy::start(pid);
        let before = procfs::cpu(pid);
        let took = askers.run(time, askers.len(), self.stop)?;
        self.others.extend(busy.others());
        // A thread's time is complete when it sleeps.
        self.stop.pause(Duration::from_millis(50))?;
        let spent = procfs::cpu(pid).since(&before).as_secs_f64() * 1e6;
        if askers.lost() > 0 {
            self.notes.push(format!(
                "pass {}, {}: the server ended {} connections of those that ask; they were made \
                 again",
                self.pass,
                self.kind,
                askers.lost()
            ));
        }
        Ok((spent / took.len() as f64, took))
    }

    /// Streams read nothing while pages are measured: what a few items take waits in their sockets,
    /// so that the load generator does not take the cores from the server. They are read, and
    /// counted, after each window.
    fn beside(&mut self, server: &Server) -> Result<()> {
        let streams = self.load.sizes.last().copied().unwrap_or(0);
        let mut fleet = Fleet::new(server, Hold::Stream)?;
        let mut publisher = Publisher::new(server.door, server.control);
        let mut askers = Askers::connect(server.clients, Want::Page, PAGE_CLIENTS)?;
        fleet.grow(streams, self.stop)?;
        procfs::settled(server.pid(), self.stop)?;
        fleet.grow(streams, self.stop)?;
        askers.run(WARM_UP, PAGE_CLIENTS, self.stop)?;
        let time = window(self.load);
        let (mut quiet, mut busy) = (Vec::new(), Vec::new());
        for window in 0..WINDOWS {
            if window % 2 == 0 {
                quiet.extend(self.asked(server, &mut askers, time)?.1);
                continue;
            }
            let (took, items) = self.asked_beside(server, &mut askers, &mut publisher, time)?;
            busy.extend(took);
            fleet.expect(items);
            fleet.wait(self.stop)?;
            procfs::settled(server.pid(), self.stop)?;
        }
        self.compare(quiet, busy, streams);
        Ok(())
    }

    /// One window while items are published; how many were is returned too.
    fn asked_beside(
        &mut self,
        server: &Server,
        askers: &mut Askers,
        publisher: &mut Publisher,
        time: Duration,
    ) -> Result<(Vec<f64>, u32)> {
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let publishing = scope.spawn(|| publish_each_second(publisher, &end));
            let asked = self.asked(server, askers, time);
            end.store(true, Ordering::Relaxed);
            let items = publishing.join();
            let items = items.map_err(|_| anyhow!("the publisher's thread failed"))?;
            Ok((asked?.1, items?))
        })
    }

    fn compare(&mut self, mut quiet: Vec<f64>, mut busy: Vec<f64>, streams: usize) {
        quiet.sort_by(f64::total_cmp);
        busy.sort_by(f64::total_cmp);
        let usual = percentile(&quiet, 50);
        let (without, with) = (percentile(&quiet, 99), percentile(&busy, 99));
        let whole = |took: &[f64]| percentile(&with_unasked(took, usual), 99);
        let size = format!("{PAGE_CLIENTS} beside {} streams", thousands(streams));
        for (figure, value) in [
            (Proxied::BesideQuiet, without),
            (Proxied::BesidePublish, with),
            (Proxied::BesideRatio, with / without),
            (Proxied::BesideUnasked, whole(&busy) / whole(&quiet)),
        ] {
            self.proxied(figure, size.clone(), value);
        }
    }

    fn proxied(&mut self, figure: Proxied, size: String, value: f64) {
        // Nobody is held.
        self.sample(Hold::Stream, Figure::Proxied(figure), size, value);
    }
}

/// Publishes one item a second to all streams until `end`; returns how many.
fn publish_each_second(publisher: &mut Publisher, end: &AtomicBool) -> Result<u32> {
    let item = Item {
        hold: Hold::Stream,
        len: ITEM_LEN,
    };
    let request = publisher.request(item, 1);
    let mut due = Instant::now() + FIRST_PUBLISH;
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        if Instant::now() < due {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        publisher.connect()?;
        publisher.send(&request)?;
        publisher.finish()?;
        count += 1;
        due += Duration::from_secs(1);
    }
    Ok(count)
}

/// The value that so many percent of the rising `values` do not exceed; 0 of none.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let place = (values.len() * percent).div_ceil(100);
    values.get(place.max(1) - 1).copied().unwrap_or(0.0)
}

/// `took` with what clients would have waited had they asked every `usual` ms also while they
/// waited, rising. A client that waits asks nothing, so that long waits are few among all answers
/// however much of the time they take.
fn with_unasked(took: &[f64], usual: f64) -> Vec<f64> {
    let mut all = took.to_vec();
    if usual > 0.0 {
        for one in took {
            let mut left = one - usual;
            while left >= usual {
                all.push(left);
                left -= usual;
            }
        }
    }
    all.sort_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        let cases = [(50, 100.0), (99, 198.0), (100, 200.0)];
        for (percent, value) in cases {
            assert!((percentile(&values, percent) - value).abs() < 1e-9);
        }
        assert!((percentile(&values[..1], 99) - 1.0).abs() < 1e-9);
        assert!(percentile(&[], 99).abs() < 1e-9);
    }

    #[test]
    fn long_waits_count_as_often_as_they_were_met() {
        assert_eq!(
            with_unasked(&[1.0, 1.5, 4.0], 1.0),
            [1.0, 1.0, 1.5, 2.0, 3.0, 4.0]
        );
        assert_eq!(with_unasked(&[1.0, 4.0], 0.0), [1.0, 4.0]);
    }
}
