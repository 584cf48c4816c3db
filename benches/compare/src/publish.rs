//! Publishing: to gripd on a connection that is kept, to Pushpin's control port with a connection
//! for each request (it closes them), to the floor by telling it a number.
//!
//! Blocking, with a timeout: the load generator publishes, then reads all streams, then reads the
//! answer to the publish.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::wire;

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

    /// What [`Self::send`] sends to publish `items` items.
    pub fn request(&self, items: u32) -> Vec<u8> {
        match self.door {
            Door::Floor => items.to_be_bytes().to_vec(),
            Door::HttpClose => wire::publish_request(items as usize, false),
            Door::HttpKeepAlive => wire::publish_request(items as usize, true),
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
        let kept = read_answer(stream)?;
        if self.door == Door::HttpClose || !kept {
            self.stream = None;
        }
        Ok(())
    }
}

/// Reads one HTTP answer and checks that it is a 200; true when the connection stays.
fn read_answer(stream: &mut impl Read) -> Result<bool> {
    let mut answer = Vec::new();
    let mut buf = [0; 4096];
    loop {
        let end = memchr::memmem::find(&answer, b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") && !head.starts_with("http/1.0 200") {
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
            assert_eq!(read_answer(&mut text.as_bytes()).is_ok(), good, "{text:?}");
        }
    }
}
