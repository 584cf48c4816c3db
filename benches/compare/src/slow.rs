//! One stream among many that never reads: what it costs the server, and what it costs the others.
//!
//! Bursts of large items go to all of them, first without the slow reader, then with it; at last the
//! rest of what it is to miss goes to a channel that only it has besides, which spares the time to
//! bring 200 MB to everybody. The others must get everything, as in every other part. What becomes
//! of the slow one is the server's choice and is told in a note: gripd ends it at
//! `limits.connection_buffer`, the floor drops what does not fit into its socket.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Socket, Type};

use crate::{
    channel,
    clients::Fleet,
    figure::{Figure, thousands},
    pass::{BURST, Bench, publish},
    procfs,
    publish::Publisher,
    servers::Server,
    stop::Stop,
    wire::{self, Hold, Item, LARGE_LEN},
};

/// The server has so long to begin the slow reader's stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of all bursts one in so many goes to all.
const SHARED: u32 = 10;

/// The slow reader's number, and so the channel that only it has.
const NUMBER: usize = 0;

const ITEM: Item = Item {
    hold: Hold::Stream,
    len: LARGE_LEN,
};

impl Bench<'_> {
    /// Memory growth while one stream never reads, and CPU time per delivery to the others.
    pub(crate) fn slow(&mut self, server: &Server) -> Result<()> {
        let (pid, stop) = (server.pid(), self.stop);
        let mut fleet = Fleet::new(server, Hold::Stream)?;
        let mut publisher = Publisher::new(server.door, server.control);
        self.fill(pid, &mut fleet, self.load.smallest())?;
        // Buffers grow to what bursts need: no cost of the slow reader.
        publish(&mut fleet, &mut publisher, ITEM, BURST, stop)?;
        let burst = || publish(&mut fleet, &mut publisher, ITEM, BURST, stop);
        let without = self.rounds(pid, 2, burst)?.micros;
        procfs::settled(pid, stop)?;
        let before = procfs::pss(pid)?;
        let mut reader = SlowReader::open(server.clients)?;
        publisher.forgive();
        let bursts = self.load.slow_bursts;
        let burst = || publish(&mut fleet, &mut publisher, ITEM, BURST, stop);
        let with = self.rounds_of(pid, bursts / SHARED, Duration::ZERO, burst)?;
        let most = self.flood(pid, &mut publisher, bursts - bursts / SHARED)?;
        let deliveries = fleet.len() as f64 * f64::from(BURST);
        let size = thousands(fleet.len());
        let hold = Hold::Stream;
        let grown = most.saturating_sub(before) as f64 / 1e6;
        self.sample(hold, Figure::SlowGrowth, size.clone(), grown);
        let (with, without) = (with.micros / deliveries, without / deliveries);
        self.sample(hold, Figure::SlowDelivery, size.clone(), with);
        self.sample(hold, Figure::SlowWithout, size, without);
        self.note_lost(&fleet, hold);
        self.note_slow(&mut reader)
    }

    /// So many bursts for the slow reader alone; returns the most memory seen.
    fn flood(&self, pid: u32, publisher: &mut Publisher, bursts: u32) -> Result<u64> {
        let request = publisher.request_to(ITEM, &[NUMBER; BURST as usize]);
        let mut most = procfs::pss(pid)?;
        for _ in 0..bursts {
            self.stop.check()?;
            publisher.connect()?;
            publisher.send(&request)?;
            publisher.finish()?;
            most = most.max(procfs::pss(pid)?);
        }
        procfs::settled(pid, self.stop)?;
        Ok(most.max(procfs::pss(pid)?))
    }

    fn note_slow(&mut self, reader: &mut SlowReader) -> Result<()> {
        let published = f64::from(self.load.slow_bursts * BURST) * LARGE_LEN as f64 / 1e6;
        let end = if reader.was_ended(self.stop)? {
            "ended by the server"
        } else {
            "kept"
        };
        self.notes.push(format!(
            "pass {}, {}: the reader that did not read {published:.1} MB was {end}",
            self.pass, self.kind
        ));
        Ok(())
    }
}

/// A stream's client that reads its opening, and no more.
#[derive(Debug)]
struct SlowReader {
    socket: TcpStream,
}

impl SlowReader {
    fn open(server: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_linger(Some(Duration::ZERO))?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into())?;
        socket.connect_timeout(&server.into(), PATIENCE)?;
        let mut socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(PATIENCE))?;
        let own = channel::target(channel::OWN, NUMBER);
        let both = channel::target_and_all(channel::OWN, NUMBER);
        let head = String::from_utf8(Hold::Own.browser_head(NUMBER))?;
        socket.write_all(head.replacen(&own, &both, 1).as_bytes())?;
        let mut opening = [0; 4096];
        let mut read = 0;
        while wire::marks(&opening[..read]) == 0 {
            match socket
                .read(&mut opening[read..])
                .context("the slow reader's opening")?
            {
                0 => bail!("the slow reader was not held"),
                n => read += n,
            }
        }
        Ok(Self { socket })
    }

    /// Reads after all, until nothing comes for a while: had the server ended the stream?
    fn was_ended(&mut self, stop: &Stop) -> Result<bool> {
        self.socket
            .set_read_timeout(Some(Duration::from_millis(300)))?;
        let mut buf = vec![0; 1 << 20];
        loop {
            stop.check()?;
            match self.socket.read(&mut buf) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading what the slow reader missed"),
            }
        }
    }
}
