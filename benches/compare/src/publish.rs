//! Publishing: to gripd on a connection that is kept, to Pushpin's control port with a connection
//! for each request (it closes them), to the floor by telling it what to write, and how often.
//!
//! Blocking, with a timeout: the load generator publishes, then reads all clients, then reads the
//! answer to the publish.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::wire::Item;

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
}

impl Publisher {
    /// Will publish to `addr`.
    pub fn new(door: Door, addr: SocketAddr) -> Self {
        Self {
            door,
            addr,
            stream: None,
        }
    }

    /// What [`Self::send`] sends to publish `item` so many times.
    pub fn request(&self, item: Item, count: u32) -> Vec<u8> {
        match self.door {
            Door::Floor => floor_command(count, &item.written()),
            Door::HttpClose => item.publish_request(count as usize, false),
            Door::HttpKeepAlive => item.publish_request(count as usize, true),
            Door::Nchan => nchan_request(&item.content()),
        }
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

/// What the floor is told: how often to write, and what, behind its length. Numbers have 4 bytes.
fn floor_command(count: u32, piece: &[u8]) -> Vec<u8> {
    let len = u32::try_from(piece.len()).unwrap_or(u32::MAX);
    [&count.to_be_bytes(), &len.to_be_bytes(), piece].concat()
}

/// The first command of `bytes`, as [`Publisher::request`] made it for the floor, and its length;
/// none before it is whole.
pub fn read_floor_command(bytes: &[u8]) -> Option<(u32, &[u8], usize)> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let piece = rest.get(..u32::from_be_bytes(*len) as usize)?;
    Some((u32::from_be_bytes(*count), piece, 8 + piece.len()))
}

/// Publishes the item that nchan's first clients begin with.
pub(crate) fn open(control: SocketAddr) -> Result<()> {
    let mut publisher = Publisher::new(Door::Nchan, control);
    publisher.connect()?;
    publisher.send(&nchan_request(":$ok"))?;
    publisher.finish()
}

/// Streams get each line as `data` by itself.
fn nchan_request(content: &str) -> Vec<u8> {
    let content = content.trim_start_matches("data: ").trim_end();
    let len = content.len();
    format!("POST /publish/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n{content}")
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
        let told = floor_command(7, b"piece");
        for cut in 0..told.len() {
            assert_eq!(read_floor_command(&told[..cut]), None);
        }
        let twice = told.repeat(2);
        assert_eq!(read_floor_command(&twice), Some((7, &b"piece"[..], 13)));
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
