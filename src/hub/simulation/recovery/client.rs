//! A client of the simulation: what its session asks for and tells, and whether what it got is what
//! it must have got.

use super::{
    super::{Ask, Bytes, Duration, Framing, Mode, PipeEnd, Shard},
    Client, KEEP_ALIVE, ORDERED, Overflow,
};
use crate::grip::{channel::Channel, delivery::Standing};

impl Client {
    /// Its subscriptions by an instruct that says how far it is.
    pub(super) fn ask(&self, heads: &[u64]) -> Ask<'static> {
        let pairs = self.channels.iter().zip(heads);
        let channels = pairs.map(|(channel, head)| {
            let channel = Channel {
                name: format!("c{channel}"),
                prev_id: (*channel < ORDERED).then(|| head.to_string()),
                filters: self
                    .checks
                    .then(|| "http-check".into())
                    .into_iter()
                    .collect(),
            };
            let meta = [("url".to_owned(), Some("/check".to_owned()))].into();
            let standing = Standing::of(&channel, &std::sync::Arc::new(meta), &Bytes::new());
            (channel.name, standing)
        });
        Ask {
            channels: channels.collect(),
            framing: Framing::Bare,
            timeout: Duration::from_secs(5),
            keep_alive: Some(&KEEP_ALIVE),
            link: (self.mode == Mode::Stream).then_some(Duration::from_secs(3)),
            overflow: self.overflow,
            ..Ask::of(self.mode, &[])
        }
    }

    /// What its session tells the backend.
    pub(super) fn last(&self, shard: &Shard<PipeEnd>) -> Vec<u64> {
        let told = shard.last_ids(self.slot);
        let ids = self.channels.iter().map(|channel| {
            let name = format!("c{channel}");
            let id = told.iter().find(|(own, _)| *own == name);
            id.map_or(0, |(_, id)| id.parse().unwrap())
        });
        ids.collect()
    }

    /// The numbers it has got of a channel.
    pub(super) fn got(&self, channel: usize) -> Vec<u64> {
        let received = self.pipe.0.borrow().received.clone();
        let text = String::from_utf8(received).unwrap().replace('~', "");
        let mut rest = &*text;
        let mut got = Vec::new();
        while let Some((token, behind)) = rest.split_once(']') {
            let token = token.strip_prefix('[').expect("part of an item");
            let (own, number) = token.split_once('#').expect("part of an item");
            if own == format!("c{channel}") {
                got.push(number.parse().unwrap());
            }
            rest = behind;
        }
        assert!(rest.is_empty() || rest.starts_with('['), "part of an item");
        got
    }

    /// `made`: what there is by now, when all has come to rest.
    pub(super) fn judge(&self, made: Option<&[u64]>, rough: bool) {
        for (place, channel) in self.channels.iter().enumerate() {
            let whole = made.filter(|_| !self.cut).map(|made| made[*channel]);
            if self.mode == Mode::Response {
                assert!(whole.is_none_or(|whole| whole == self.has[place]));
                continue;
            }
            let got = self.got(*channel);
            let complete = if *channel == ORDERED {
                self.expected.clone()
            } else {
                let upto = whole.unwrap_or_else(|| got.last().copied().unwrap_or_default());
                (self.start[place] + 1..=upto).collect()
            };
            // The backend knows nothing of items without ids: to ask it is no help there.
            let may_skip = self.overflow == Overflow::Latest || rough && *channel == ORDERED;
            let context = format!("c{channel}: got {got:?} of {complete:?}");
            assert!(got.is_sorted_by(|one, next| one < next), "{context}");
            if may_skip && got != complete {
                assert!(got.iter().all(|one| complete.contains(one)), "{context}");
                let newest = got.last() == complete.last();
                assert!(
                    whole.is_none() || *channel == ORDERED || newest,
                    "{context}"
                );
            } else if whole.is_some() {
                assert_eq!(got, complete, "c{channel}");
            } else {
                assert!(complete.starts_with(&got), "{context}");
            }
        }
    }
}

pub(super) fn token(channel: usize, number: u64) -> String {
    format!("[c{channel}#{number}]")
}
