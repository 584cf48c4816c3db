//! The command line.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{
    load::{Load, Part},
    servers::Kind,
    wire::Hold,
};

/// What `--help` prints.
pub const HELP: &str = "\
Measures what held streams, long-polls and WebSockets cost: PSS bytes for each, CPU time per
set-up, per delivery and per round trip, latency; and what requests cost that are only passed on.
Servers: the floor (a program that only writes), gripd, Debian's pushpin and, for streams and
WebSockets, Debian's nchan, in turn; for requests that are only passed on Debian's nginx and haproxy.

benches/run [OPTION]...

  --quick          up to 2,000 clients, one pass; some 3 minutes after building, at most 4
  --only NAME      only this server (floor, gripd, pushpin, nchan, nginx, haproxy), these
                   figures (held, delivery, exchange, channels, slow, proxy) or these clients
                   (streams, long-polls, websockets, tls, http2, subscriptions); may be given more
                   than once
  --passes N       passes over all servers (7; with --quick 1); pushpin is in the first 3 only
  --streams A,B    numbers of clients (1000,5000,15000; with --quick 500,2000); those up to 5,000
                   are also the numbers of channels, of streams over TLS and over
                   HTTP/2 and of WebSockets of many channels
  --soak           none of the figures, but gripd's memory (or that of --only) over 10,000,000
                   deliveries and 200,000 clients that come and go; with --quick a tenth
  --minutes N      stop after so many minutes, with what there is (150; with --quick 4)
  --help           this

Environment: GRIPD_BIN, PUSHPIN_BIN, NGINX_BIN and HAPROXY_BIN name other programs; GRIPD_...
settings reach gripd.
Results: target/bench/results.md and target/bench/results.json, written after every step; those
of --soak: soak.md and soak.json there.
Exit code: 0 complete, 1 something failed or was interrupted, 2 wrong use.
";

/// What to measure.
#[derive(Clone, Debug)]
pub struct Args {
    /// Servers, in the order of a pass.
    pub servers: Vec<Kind>,
    /// What is measured, in the order of a pass.
    pub parts: Vec<Part>,
    /// Passes over all servers.
    pub passes: u32,
    /// How much in each.
    pub load: Load,
    /// How long the run may take, builds left out.
    pub limit: Duration,
    /// `--quick`.
    pub quick: bool,
    /// `--soak`: none of the figures, but whether memory stays flat.
    pub soak: bool,
}

impl Args {
    /// Reads arguments; `None` when help is asked for.
    ///
    /// # Errors
    /// An argument is not known or has no value that makes sense.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut arguments = arguments.collect::<Vec<_>>().into_iter();
        let mut only = Vec::new();
        let (mut quick, mut soak) = (false, false);
        let (mut passes, mut streams, mut minutes) = (None, None, None);
        while let Some(argument) = arguments.next() {
            let (name, attached) = match argument.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = || {
                attached
                    .clone()
                    .or_else(|| arguments.next())
                    .with_context(|| format!("{name} needs a value"))
            };
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => quick = true,
                "--soak" => soak = true,
                "--only" => only.extend(value()?.split(',').map(str::to_owned)),
                "--passes" => passes = Some(number(&name, &value()?, 1, 100)?),
                "--streams" => streams = Some(sizes(&value()?)?),
                "--minutes" => minutes = Some(number(&name, &value()?, 1, 600)?),
                other => bail!("unknown argument {other}"),
            }
        }
        let mut args = Self::sized(quick, streams);
        args.passes = passes.unwrap_or(args.passes);
        if let Some(minutes) = minutes {
            args.limit = Duration::from_secs(60 * u64::from(minutes));
        }
        args.narrow(&only)?;
        args.soak = soak;
        if soak && args.servers.len() == Kind::ALL.len() {
            args.servers = vec![Kind::Gripd];
        }
        Ok(Some(args))
    }

    fn sized(quick: bool, streams: Option<Vec<usize>>) -> Self {
        let default: &[usize] = if quick {
            &[500, 2000]
        } else {
            &[1000, 5000, 15_000]
        };
        Self {
            servers: Kind::ALL.to_vec(),
            parts: Part::ALL.to_vec(),
            passes: if quick { 1 } else { 7 },
            load: Load {
                sizes: streams.unwrap_or_else(|| default.to_vec()),
                // A burst is 100 deliveries to each stream: most of the time with Pushpin.
                burst_up_to: if quick { 2000 } else { usize::MAX },
                rounds: if quick { 3 } else { 5 },
                // Some 20 MB, 200 MB.
                slow_bursts: if quick { 50 } else { 500 },
                time: Duration::from_millis(if quick { 300 } else { 2000 }),
            },
            limit: Duration::from_secs(60 * if quick { 4 } else { 150 }),
            quick,
            soak: false,
        }
    }

    fn narrow(&mut self, only: &[String]) -> Result<()> {
        let (mut servers, mut figures, mut holds) = (Vec::new(), Vec::new(), Vec::new());
        for name in only {
            match name.as_str() {
                "held" | "delivery" | "exchange" | "channels" | "slow" | "proxy" => {
                    figures.push(name.as_str());
                }
                "streams" | "long-polls" | "websockets" | "tls" | "http2" | "subscriptions" => {
                    holds.push(name.as_str());
                }
                other => {
                    let known = Kind::ALL.into_iter().find(|kind| kind.name() == other);
                    servers.push(known.with_context(|| {
                        format!(
                            "--only {other}: allowed are floor, gripd, pushpin, nchan, nginx, \
                             haproxy, held, delivery, exchange, channels, slow, proxy, streams, \
                             long-polls, websockets, tls, http2, subscriptions"
                        )
                    })?);
                }
            }
        }
        if !servers.is_empty() {
            self.servers.retain(|kind| servers.contains(kind));
        }
        self.parts.retain(|part| {
            (figures.is_empty() || figures.contains(&figure(*part)))
                && (holds.is_empty() || hold(*part).is_some_and(|hold| holds.contains(&hold)))
        });
        let (servers, parts) = (&mut self.servers, &mut self.parts);
        servers.retain(|kind| parts.iter().any(|part| part.suits(*kind)));
        parts.retain(|part| servers.iter().any(|kind| part.suits(*kind)));
        if self.parts.is_empty() {
            bail!("--only {}: none is measured of the other", only.join(","));
        }
        Ok(())
    }
}

/// What `--only` calls a part by its figures.
fn figure(part: Part) -> &'static str {
    match part {
        Part::Held(_) => "held",
        Part::Delivery(_) => "delivery",
        Part::Exchange(_) => "exchange",
        Part::Channels => "channels",
        Part::Slow => "slow",
        Part::Proxy(_) => "proxy",
    }
}

/// What `--only` calls a part by its clients, if it has any that are held.
fn hold(part: Part) -> Option<&'static str> {
    part.hold().map(|hold| match hold {
        Hold::Stream | Hold::Own => "streams",
        Hold::LongPoll => "long-polls",
        Hold::WebSocket | Hold::Compressed => "websockets",
        Hold::Secure => "tls",
        Hold::Http2 | Hold::Http2Shared => "http2",
        Hold::Rooms => "subscriptions",
    })
}

fn number(name: &str, text: &str, least: u32, most: u32) -> Result<u32> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => bail!("{name} {text}: a number from {least} to {most} is needed"),
    }
}

fn sizes(text: &str) -> Result<Vec<usize>> {
    let mut sizes = Vec::new();
    for part in text.split(',') {
        sizes.push(number("--streams", part, 1, 1_000_000)? as usize);
    }
    if sizes.windows(2).any(|pair| pair[0] >= pair[1]) {
        bail!("--streams {text}: each number must be above the one before");
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<Args>> {
        Args::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_takes_servers_and_figures() {
        let args = parsed("--quick --only pushpin,floor --only=held")
            .unwrap()
            .unwrap();
        assert_eq!(args.servers, [Kind::Floor, Kind::Pushpin]);
        assert!(args.quick && args.parts.iter().all(|part| figure(*part) == "held"));
        assert_eq!((args.parts.len(), args.passes), (4, 1));
        assert_eq!(args.limit, Duration::from_mins(4));
        let args = parsed("--only websockets,delivery").unwrap().unwrap();
        let both = [Hold::WebSocket, Hold::Compressed].map(Part::Delivery);
        assert_eq!((args.servers.len(), args.passes), (4, 7));
        assert_eq!(args.parts, both);
        let args = parsed("--streams 10,20 --minutes 3").unwrap().unwrap();
        assert_eq!(args.load.sizes, [10, 20]);
        assert_eq!((args.servers.len(), args.limit.as_secs()), (6, 180));
        let args = parsed("--only nginx,gripd").unwrap().unwrap();
        assert_eq!(args.servers, [Kind::Gripd, Kind::Nginx]);
        assert_eq!(args.parts, Part::ALL);
        let args = parsed("--only nginx").unwrap().unwrap();
        assert!(args.parts.iter().all(|part| figure(*part) == "proxy"));
        assert_eq!(args.parts.len(), 3);
    }

    #[test]
    fn wrong_use_is_told() {
        for text in [
            "--only apache",
            "--only nginx,held",
            "--only proxy,streams",
            "--only",
            "--only exchange,streams",
            "--passes 0",
            "--streams 5,5",
            "--streams x",
            "-q",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
        assert!(parsed("--help").unwrap().is_none());
    }

    #[test]
    fn a_soak_is_of_gripd_if_nothing_else_is_said() {
        let servers = |text| {
            let args = parsed(text).unwrap().unwrap();
            assert!(args.soak);
            args.servers
        };
        assert_eq!(servers("--soak --quick"), [Kind::Gripd]);
        assert_eq!(servers("--soak --only pushpin"), [Kind::Pushpin]);
    }
}
