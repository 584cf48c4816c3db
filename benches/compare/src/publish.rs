//! Publishing: to gripd on a connection that is kept, to Pushpin's control port with a connection
//! for each request (it closes them), to the floor by telling it what to write, and how often.
//!
//! Blocking, with a timeout: the load generator publishes, then reads all clients, then reads the
//! answer to the publish.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{channel, wire::Item};

const PATIENCE: Duration = Duration::from_secs(30);
/// More than any server answers to a publish.
const MAX_ANSWER: usize = 64 * 1024;

/// How a server is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The floor's own.
    Floor,
    /// HTTP, one request per connection.
    HttpClose,
    /// HTTP, the connection is kept.
    HttpKeepAlive,
    /// The same, and a request is the content of one item, whatever count is asked for.
    Nchan,
}

/// A publisher of one server.
#[derive(Debug)]
pub struct Publisher {
    door: Door,
    addr: SocketAddr,
    stream: Option<TcpStream>,
    /// Writes of the floor may fail.
    forgives: bool,
}

impl Publisher {
    /// Will publish to `addr`.
    pub fn new(door: Door, addr: SocketAddr) -> Self {
        Self {
            door,
            addr,
            stream: None,
            forgives: false,
        }
    }

    /// From now on there is a client that does not read: the floor's writes to it fail.
    pub fn forgive(&mut self) {
        self.forgives = true;
    }

    /// What [`Self::send`] sends to publish `item` so many times.
    pub fn request(&self, item: Item, count: u32) -> Vec<u8> {
        match self.door {
            Door::Floor => floor_command(count, &[], &item.written()),
            Door::HttpClose => item.publish_request(count as usize, false),
            Door::HttpKeepAlive => item.publish_request(count as usize, true),
            Door::Nchan => nchan_request(NCHAN_ALL, &item.content()),
        }
    }

    /// What [`Self::send`] sends to publish `item` once to the channel of each of these clients.
    pub fn request_to(&self, item: Item, numbers: &[usize]) -> Vec<u8> {
        let channels: Vec<_> = numbers.iter().copied().map(channel::own).collect();
        match self.door {
            Door::Floor => floor_command(1, numbers, &item.written()),
            Door::HttpClose => item.publish_request_to(&channels, false),
            Door::HttpKeepAlive => item.publish_request_to(&channels, true),
            // It takes one item in a request.
            Door::Nchan => {
                let number = numbers.first().copied().unwrap_or_default();
                nchan_request(&channel::target(NCHAN_OWN, number), &item.content())
            }
        }
    }

    /// Makes channels of clients with these numbers, if the server has none before that: nchan's
    /// clients begin with the last item.
    ///
    /// # Errors
    /// It refuses.
    pub fn open(&mut self, numbers: impl Iterator<Item = usize>) -> Result<()> {
        if self.door != Door::Nchan {
            return Ok(());
        }
        for number in numbers {
            self.connect()?;
            self.send(&nchan_request(
                &channel::target(NCHAN_OWN, number),
                NCHAN_OPENING,
            ))?;
            self.finish()?;
        }
        Ok(())
    }

    /// Makes sure that there is a connection.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn connect(&mut self) -> Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&self.addr, PATIENCE)
                .with_context(|| format!("connecting to the control port {}", self.addr))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Sends a request on the connection.
    ///
    /// # Errors
    /// There is none, or it fails.
    pub fn send(&mut self, request: &[u8]) -> Result<()> {
        let stream = self.stream.as_mut().context("not connected")?;
        stream.write_all(request).context("publishing")
    }

    /// Waits without sleeping until the answer begins. To wake a sleeper on an idle core costs the
    /// server that answers up to twice what a publish to one subscriber does, or nothing, as the
    /// scheduler has it.
    ///
    /// # Errors
    /// It does not come.
    pub fn watch(&mut self) -> Result<()> {
        let stream = self.stream.as_ref().context("not connected")?;
        let end = Instant::now() + PATIENCE;
        stream.set_nonblocking(true)?;
        while let Err(error) = stream.peek(&mut [0]) {
            if error.kind() != io::ErrorKind::WouldBlock || Instant::now() > end {
                return Err(error).context("watching for the answer to a publish");
            }
            thread::yield_now();
        }
        stream.set_nonblocking(false)?;
        Ok(())
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// It does not come, or is not the good one.
    pub fn finish(&mut self) -> Result<()> {
        let stream = self.stream.as_mut().context("not connected")?;
        if self.door == Door::Floor {
            let mut failed = [0; 4];
            stream
                .read_exact(&mut failed)
                .context("the floor's answer")?;
            match u32::from_be_bytes(failed) {
                0 => return Ok(()),
                _ if self.forgives => return Ok(()),
                failed => bail!("{failed} of the floor's writes did not fit: read faster"),
            }
        }
        // Subscribers exist, or none do.
        let good: &[&str] = match self.door {
            Door::Nchan => &["201", "202"],
            _ => &["200"],
        };
        let kept = read_answer(stream, good)?;
        if self.door == Door::HttpClose || !kept {
            self.stream = None;
        }
        Ok(())
    }
}

/// What the floor is told: how often to write, to which clients (their number of numbers, then
/// these), and what, behind its length. Numbers have 4 bytes.
fn floor_command(count: u32, to: &[usize], piece: &[u8]) -> Vec<u8> {
    let four = |number| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = [count.to_be_bytes(), four(to.len())].concat();
    out.extend(to.iter().flat_map(|number| four(*number)));
    out.extend(four(piece.len()));
    out.extend(piece);
    out
}

/// What the floor is told, as [`Publisher::request`] and [`Publisher::request_to`] made it.
#[derive(Debug, PartialEq, Eq)]
pub struct FloorCommand<'a> {
    /// How often to write.
    pub count: u32,
    /// To whom, in 4 bytes each; to all if this is empty.
    to: &'a [u8],
    /// What.
    pub piece: &'a [u8],
    /// Bytes of this command.
    pub len: usize,
}

impl<'a> FloorCommand<'a> {
    /// The first command of `bytes`; none before it is whole.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        let (many, rest) = rest.split_first_chunk()?;
        let (to, rest) = rest.split_at_checked(4 * u32::from_be_bytes(*many) as usize)?;
        let (len, rest) = rest.split_first_chunk()?;
        let piece = rest.get(..u32::from_be_bytes(*len) as usize)?;
        Some(Self {
            count: u32::from_be_bytes(*count),
            to,
            piece,
            len: 12 + to.len() + piece.len(),
        })
    }

    /// Numbers of the clients to write to; none: to all.
    pub fn numbers(&self) -> Option<impl Iterator<Item = usize>> {
        let number = |four: &[u8; 4]| u32::from_be_bytes(*four) as usize;
        let (numbers, _) = self.to.as_chunks();
        (!numbers.is_empty()).then(|| numbers.iter().map(number))
    }
}

/// Publishes the item that nchan's first clients begin with.
pub(crate) fn open(control: SocketAddr) -> Result<()> {
    let mut publisher = Publisher::new(Door::Nchan, control);
    publisher.connect()?;
    publisher.send(&nchan_request(NCHAN_ALL, NCHAN_OPENING))?;
    publisher.finish()
}

/// Where nchan is published to for all clients, for one, and what each begins with.
const NCHAN_ALL: &str = "/publish/";
const NCHAN_OWN: &str = "/publish-own/";
const NCHAN_OPENING: &str = ":$ok";

/// Streams get each line as `data` by itself.
fn nchan_request(target: &str, content: &str) -> Vec<u8> {
    let content = content.trim_start_matches("data: ").trim_end();
    let len = content.len();
    format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n{content}")
        .into_bytes()
}

/// Reads one HTTP answer and checks that its status is a `good` one; true when the connection stays.
fn read_answer(stream: &mut impl Read, good: &[&str]) -> Result<bool> {
    let mut answer = Vec::new();
    let mut buf = [0; 4096];
    loop {
        let end = memchr::memmem::find(&answer, b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let status = head.get(9..12).unwrap_or_default();
            if !head.starts_with("http/1.") || !good.contains(&status) {
                bail!(
                    "publishing was answered: {}",
                    String::from_utf8_lossy(&answer)
                );
            }
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|value| value.trim().parse().ok())
                .context("the answer to a publish has no Content-Length")?;
            if answer.len() >= end + 4 + length {
                return Ok(!head.lines().any(|line| line == "connection: close"));
            }
        }
        match stream
            .read(&mut buf)
            .context("waiting for the answer to a publish")?
        {
            0 => bail!("no answer to a publish"),
            n if answer.len() + n > MAX_ANSWER => bail!("the answer to a publish is too long"),
            n => answer.extend_from_slice(&buf[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Hold;

    #[test]
    fn the_floor_reads_what_it_is_told() {
        for to in [&[][..], &[3], &[0, 4711]] {
            let told = floor_command(7, to, b"piece");
            for cut in 0..told.len() {
                assert_eq!(FloorCommand::read(&told[..cut]), None);
            }
            let twice = told.repeat(2);
            let read = FloorCommand::read(&twice).unwrap();
            assert_eq!((read.count, read.piece), (7, &b"piece"[..]));
            assert_eq!(read.len, told.len());
            let numbers = read.numbers().map(Iterator::collect::<Vec<_>>);
            assert_eq!(numbers.unwrap_or_default(), to);
        }
    }

    #[test]
    fn nchan_adds_what_makes_an_event_by_itself() {
        let item = Item {
            hold: Hold::Stream,
            len: 20,
        };
        let request = Publisher::new(Door::Nchan, ([127, 0, 0, 1], 1).into()).request(item, 1);
        let want = "POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n\
                    xxxxxxxxxxx$";
        assert_eq!(String::from_utf8_lossy(&request), want);
    }

    #[test]
    fn only_a_whole_200_is_good() {
        let cases: [(&str, bool); 5] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false),
            (
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                false,
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", false),
        ];
        for (text, good) in cases {
            assert_eq!(
                read_answer(&mut text.as_bytes(), &["200"]).is_ok(),
                good,
                "{text:?}"
            );
        }
    }
}
