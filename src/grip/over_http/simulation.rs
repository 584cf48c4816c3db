//! A seeded simulation of client, session and a model of a backend that accepts what it likes,
//! fails, asks for keep-alives, closes and vanishes.
//!
//! `GRIPD_SEEDS=N` runs more seeds than a normal test run does.

use super::*;
use crate::grip::{
    format::MessageKind,
    ws_events::{CONTENT_TYPE, Event, decode, encode},
};

#[test]
fn what_is_said_arrives_once_and_in_order_or_the_session_ends() {
    let seeds = std::env::var("GRIPD_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(400);
    let (mut whole, mut ended) = (0, 0);
    for seed in 1..=seeds {
        let run = || (World::new(seed).talk(), World::new(seed).anything());
        match std::panic::catch_unwind(run) {
            Ok((true, ())) => whole += 1,
            Ok((false, ())) => ended += 1,
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(
        whole > seeds / 2 && ended > 0,
        "{whole} whole, {ended} ended"
    );
}

const BUFFER: usize = 400;

/// A message as the model knows it.
type Said = (MessageKind, Vec<u8>);

struct World {
    random: u64,
    now: Duration,
    session: Session,
    /// The request under way.
    request: Option<Request>,
    /// What the client said, and what the backend has of it.
    said: Vec<Said>,
    heard: Vec<Said>,
    /// The last of what the backend has is not whole yet.
    partial: bool,
    /// What the backend said in answers, with pongs for what it did not answer; and what of it the
    /// client has.
    answered: Vec<Said>,
    got: Vec<Said>,
    /// CLOSE events that it has, and whether it ever asked for keep-alives.
    closes: usize,
    keeps_alive: bool,
    /// The client was sent a close frame.
    closed: bool,
    end: Option<End>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            now: Duration::ZERO,
            session: Session::new(Rules {
                buffer: BUFFER,
                one_event: seed.is_multiple_of(3),
                keep_alive_min: Duration::from_secs(20),
            }),
            request: None,
            said: Vec::new(),
            heard: Vec::new(),
            partial: false,
            answered: Vec::new(),
            got: Vec::new(),
            closes: 0,
            keeps_alive: false,
            closed: false,
            end: None,
        };
        world.call(Session::start);
        world.grant();
        world
    }

    /// Nobody closes: all arrives, or the session has ended because of the backend. Was it all?
    fn talk(mut self) -> bool {
        for _ in 0..300 {
            match self.below(20) {
                0..9 => self.speak(),
                9..16 => self.reply(8),
                16 => self.call(Session::refresh),
                17 => {
                    let full = self.below(2) == 0;
                    self.call(|session, out| session.client_full(full, out));
                }
                _ => self.wait(),
            }
        }
        self.finish();
        match &self.end {
            None => {
                assert_eq!(self.heard, self.said);
                assert!(!self.partial && !self.session.is_over());
                assert_eq!(self.got, self.answered);
                true
            }
            Some(End::Fault(Fault::Failed(_) | Fault::Stuck)) => {
                assert!(self.said.starts_with(&self.heard) || self.partial);
                false
            }
            other => panic!("{other:?}"),
        }
    }

    /// Anybody may close or go at any time, and the backend may answer nonsense.
    fn anything(mut self) {
        for _ in 0..150 {
            match self.below(60) {
                0..25 => self.speak(),
                25..46 => self.reply(12),
                46..52 => self.wait(),
                52 => self.call(Session::client_gone),
                53 => self.call(|session, out| session.client_close(Close::default(), out)),
                54 => self.call(|session, out| session.publish_close(Close::default(), out)),
                55 => self.call(Session::detach),
                56 => self.call(Session::refresh),
                _ => {
                    let full = self.below(3) == 0;
                    self.call(|session, out| session.client_full(full, out));
                }
            }
        }
        self.call(Session::client_gone);
        self.finish();
        assert!(self.session.is_over() && self.session.due().is_none());
        let whole = self.heard.len() - usize::from(self.partial);
        assert_eq!(
            self.heard[..whole],
            self.said[..whole],
            "in order, each once"
        );
        assert!(self.answered.starts_with(&self.got), "in order, each once");
        assert!(self.closes <= 1 || self.keeps_alive, "told once");
    }

    /// Lets the backend answer properly until nothing is under way and nothing due.
    fn finish(&mut self) {
        self.call(|session, out| session.client_full(false, out));
        for _ in 0..500 {
            if self.session.is_over() {
                return;
            }
            if self.request.is_some() {
                self.answer(None, &[]);
            } else if self.session.sent.is_some() {
                self.wait();
            } else if self.session.outgoing.keeps_back() {
                self.call(Session::refresh);
            } else {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn call(&mut self, act: impl FnOnce(&mut Session, &mut Vec<Output>)) {
        let over = self.session.is_over();
        let mut out = Vec::new();
        act(&mut self.session, &mut out);
        assert!(!over || out.is_empty(), "{out:?}");
        for output in out {
            self.take(output);
        }
        assert!(self.session.outgoing.size() <= 2 * BUFFER + outgoing::COST);
        let waits = self.session.sent.as_ref().is_some_and(|sent| sent.waits);
        assert_eq!(
            self.session.sent.is_some() && !waits,
            self.request.is_some()
        );
    }

    fn take(&mut self, output: Output) {
        if !matches!(output, Output::Request(_)) {
            assert_eq!(self.end, None, "{output:?}");
        }
        match output {
            Output::Request(request) => {
                assert_eq!(self.request, None, "two requests");
                self.request = Some(request);
            }
            Output::Open(_) => assert!(self.said.is_empty()),
            Output::Reject(refusal) => panic!("{refusal:?}"),
            Output::Message(message) => {
                assert!(!self.closed);
                self.got.push((message.kind, message.content.to_vec()));
            }
            Output::Pong(content) => {
                assert!(!self.closed);
                self.got.push((MessageKind::Pong, content.to_vec()));
            }
            Output::Close(_) => {
                assert!(!self.closed, "two close frames");
                self.closed = true;
            }
            Output::End(end) => self.end = Some(end),
        }
    }

    /// The client says something, if it is read.
    fn speak(&mut self) {
        if self.session.client != Client::Open || !self.session.wants_reading() {
            return;
        }
        let kind = match self.below(6) {
            0 => MessageKind::Ping,
            1 => MessageKind::Pong,
            2 => MessageKind::Binary,
            _ => MessageKind::Text,
        };
        let size = if self.below(4) == 0 {
            0
        } else {
            self.below(60)
        };
        let content = format!("{}:{}", self.said.len(), "x".repeat(size));
        let content = if size == 0 { String::new() } else { content }.into_bytes();
        if self.session.phase == Phase::Over {
            return;
        }
        self.said.push((kind, content.clone()));
        let content = Bytes::from(content);
        self.call(|session, out| session.client_message(Message { kind, content }, out));
    }

    fn wait(&mut self) {
        if let Some(due) = self.session.due() {
            self.now = self.now.max(due);
            let now = self.now;
            self.call(|session, out| session.tick(now, out));
        }
    }

    fn grant(&mut self) {
        self.request = None;
        let headers = [header("Content-Type", CONTENT_TYPE)];
        self.respond(&headers, b"OPEN\r\n");
    }

    /// What becomes of the request under way. The bigger `wildness`, the more goes wrong.
    fn reply(&mut self, wildness: usize) {
        if self.request.is_none() {
            return;
        }
        let failure = match self.below(1000 / wildness) {
            0..10 => Some(Failure::Unreached),
            10..13 => Some(Failure::Unread),
            13 if self.below(8) == 0 => Some(Failure::Other),
            _ => None,
        };
        if let Some(failure) = failure {
            self.request = None;
            let (jitter, now) = (u32::try_from(self.below(1 << 31)).unwrap(), self.now);
            return self.call(|session, out| session.failed(failure, jitter, now, out));
        }
        let mut events = Vec::new();
        for _ in 0..self.below(3) {
            let kind = if self.below(5) == 0 {
                MessageKind::Pong
            } else {
                MessageKind::Text
            };
            let content = Bytes::from(format!("{}", self.below(1000)));
            events.push(Event::Message(Message { kind, content }));
        }
        if wildness > 10 && self.below(30) == 0 {
            events.push(Event::Close(Close::default()));
        } else if wildness > 10 && self.below(60) == 0 {
            events.push(Event::Disconnect);
        }
        let share = (self.below(3) == 0).then(|| self.below(101));
        self.answer(share, &events);
    }

    /// The backend answers, and accepts `share` percent of the contents.
    fn answer(&mut self, share: Option<usize>, events: &[Event]) {
        let request = self.request.take().unwrap();
        let offered = decode(&request.body).unwrap();
        let mut headers = vec![header("Content-Type", CONTENT_TYPE)];
        let bytes: usize = offered.iter().map(|event| content(event).len()).sum();
        assert!(request.replayed <= bytes as u64);
        let accepted = bytes * share.unwrap_or(100) / 100;
        if share.is_some() {
            headers.push(header("Content-Bytes-Accepted", &accepted.to_string()));
            let interval = ["0", "25"][self.below(2)];
            self.keeps_alive |= interval == "25";
            headers.push(header("Keep-Alive-Interval", interval));
        }
        let gone = self.session.farewell.is_disconnect();
        let pings = self.hear(&offered, accepted);
        // What the client may still be told, it must be.
        let open = matches!(self.session.client, Client::Open | Client::Detached);
        let is_pong =
            |event: &Event| matches!(event, Event::Message(m) if m.kind == MessageKind::Pong);
        let deaf = self.session.client == Client::Detached && offered.iter().any(is_close)
            || matches!(self.session.client, Client::Told | Client::Gone)
            || gone;
        if !deaf {
            if open && !events.iter().any(is_pong) {
                self.answered
                    .extend(pings.into_iter().map(|ping| (MessageKind::Pong, ping)));
            }
            for event in events {
                if let Event::Message(message) = event {
                    self.answered.push((message.kind, message.content.to_vec()));
                }
            }
        }
        let mut body = Vec::new();
        for event in events {
            encode(event, &mut body);
        }
        self.respond(&headers, &body);
    }

    /// Takes `accepted` bytes of what was offered; returns the pings that are through.
    fn hear(&mut self, offered: &[Event], mut accepted: usize) -> Vec<Vec<u8>> {
        let mut pings = Vec::new();
        for event in offered {
            let Event::Message(message) = event else {
                self.closes += usize::from(is_close(event));
                continue;
            };
            let (kind, size) = (message.kind, message.content.len());
            let taken = size.min(accepted);
            if std::mem::take(&mut self.partial) {
                let last = self.heard.last_mut().unwrap();
                assert_eq!(last.0, kind, "the rest of a message");
                last.1.extend_from_slice(&message.content[..taken]);
            } else if taken == size || taken > 0 {
                self.heard.push((kind, message.content[..taken].to_vec()));
            } else {
                return pings;
            }
            if taken < size {
                self.partial = true;
                return pings;
            }
            accepted -= taken;
            if kind == MessageKind::Ping {
                pings.push(self.heard.last().unwrap().1.clone());
            }
        }
        pings
    }

    fn respond(&mut self, headers: &[Header], body: &[u8]) {
        let (now, body) = (self.now, Bytes::copy_from_slice(body));
        let answer = Answer {
            code: 200,
            headers,
            body: &body,
        };
        self.call(|session, out| session.response(&answer, now, out));
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % bound as u64).unwrap()
    }
}

fn is_close(event: &Event) -> bool {
    matches!(event, Event::Close(_))
}

fn content(event: &Event) -> &[u8] {
    match event {
        Event::Message(message) => &message.content,
        _ => &[],
    }
}

fn header(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}
