//! Publishes the lines of standard input, each an item, as they come: what came together goes
//! together, and nothing waits for a line that is not there yet.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::{
    error::Error,
    input::{INPUT, Lines},
    item::Maker,
    send::Publisher,
    subscriptions,
};

/// Items for one post, and the lines they come from.
#[derive(Default)]
struct Batch {
    items: Vec<String>,
    lines: Option<(u64, u64)>,
}

/// What was published so far.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    items: u64,
    /// How many subscriptions they met, as far as the control port tells.
    met: Option<u64>,
}

/// Publishes until the input ends. Returns what there is to say then.
///
/// # Errors
/// A line cannot be read, or makes no item, or is refused; what stood before it is published.
pub(super) fn publish(
    maker: &Maker<'_>,
    publisher: &Publisher,
    limit: u64,
) -> Result<String, Error> {
    let mut lines = Lines::of(io::stdin().lock(), limit);
    let mut total = Total::default();
    let mut progress = Progress::new();
    let mut end = None;
    while end.is_none() {
        let mut batch = Batch::default();
        end = batch.gather(&mut lines, maker).transpose();
        if !batch.items.is_empty() {
            let receipts = publisher.publish(&batch.items);
            let receipts = receipts.map_err(|error| total.stopped(error.at(batch.place())))?;
            total.items += batch.items.len() as u64;
            for receipt in &receipts.items {
                *total.met.get_or_insert_default() += receipt.connections;
            }
            progress.tell(total);
        }
    }
    drop(progress);
    match end {
        Some(Err(error)) => Err(total.stopped(error)),
        _ => Ok(total.told()),
    }
}

impl Batch {
    /// Waits for a line, and takes those that came with it. `Some`: the input has ended.
    ///
    /// # Errors
    /// A line cannot be read, or makes no item; those before it are in the batch.
    fn gather(
        &mut self,
        lines: &mut Lines<impl io::Read>,
        maker: &Maker<'_>,
    ) -> Result<Option<()>, Error> {
        let mut bytes = 0;
        while bytes < BYTES && self.items.len() < ITEMS {
            if !self.items.is_empty() && !lines.is_ready() {
                break;
            }
            let Some(line) = lines.next()? else {
                return Ok(Some(()));
            };
            if maker.is_blank(&line) {
                continue;
            }
            let number = lines.read();
            let made = maker.items(&line);
            let made = made.map_err(|error| error.at(format_args!("{INPUT}, line {number}")))?;
            bytes += made.iter().map(String::len).sum::<usize>();
            self.items.extend(made);
            let (first, _) = self.lines.unwrap_or((number, number));
            self.lines = Some((first, number));
        }
        Ok(None)
    }

    /// The lines, as errors name them.
    fn place(&self) -> String {
        match self.lines {
            Some((first, last)) if first < last => format!("{INPUT}, lines {first} to {last}"),
            Some((line, _)) => format!("{INPUT}, line {line}"),
            None => INPUT.into(),
        }
    }
}

impl Total {
    /// An error, and what was published before it.
    fn stopped(self, error: Error) -> Error {
        let before = match self.items {
            0 => "nothing was published before".into(),
            1 => "1 item was published before".into(),
            items => format!("{items} items were published before"),
        };
        let more = match &*error.more {
            "" => before,
            more => format!("{more}; {before}"),
        };
        error.with(more)
    }

    fn told(self) -> String {
        let met = self.met.map(|met| format!(": {}", subscriptions(met)));
        let items = match self.items {
            1 => "1 item".into(),
            items => format!("{items} items"),
        };
        format!("Published {items}{}\n", met.unwrap_or_default())
    }
}

/// Tells a person who waits how far it is.
struct Progress {
    /// Is there a person, and nothing else on the screen?
    wanted: bool,
    next: Instant,
    told: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            wanted: io::stderr().is_terminal() && !io::stdin().is_terminal(),
            next: Instant::now() + PAUSE,
            told: false,
        }
    }

    fn tell(&mut self, total: Total) {
        let now = Instant::now();
        if self.wanted && now >= self.next {
            self.next = now + PAUSE;
            self.told = true;
            // Nobody left to tell when the terminal is gone.
            let _ = write!(io::stderr(), "\r{} items published", total.items);
        }
    }
}

impl Drop for Progress {
    /// Leaves the line to what is said next.
    fn drop(&mut self) {
        if self.told {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Most items of one post, and the bytes after which no more are added: well below what control
/// ports take.
const ITEMS: usize = 100;
const BYTES: usize = 64 << 10;

/// Between two words on progress.
const PAUSE: Duration = Duration::from_millis(250);
