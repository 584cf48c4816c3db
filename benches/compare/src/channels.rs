//! Many channels of one stream each: what a publish costs, with its `POST`, when hardly anything is
//! delivered. One item at a time to each channel in turn, many in one request, always to the same
//! channel beside one or beside many, and to a channel without subscribers.
//!
//! The publisher sends the next request when the last is answered, on one connection where the
//! server keeps it, and does not sleep meanwhile ([`Publisher::watch`]). A round ends when every
//! stream has what was published to it. The floor is told with each command to whom it is to write.

use anyhow::Result;

use crate::{
    clients::Fleet,
    figure::{Figure, thousands},
    pass::{Bench, timed},
    publish::Publisher,
    servers::Server,
    wire::{Hold, ITEM_LEN, Item},
};

/// Items of a request that has many.
const BATCH: usize = 100;

/// Publishes of a round to the same channel, or to nobody.
const ROUND: usize = 200;

const ITEM: Item = Item {
    hold: Hold::Own,
    len: ITEM_LEN,
};

impl Bench<'_> {
    /// CPU time per publish: always to one channel, first as the only one, then beside the others;
    /// to each of these; and to nobody.
    pub(crate) fn channels(&mut self, server: &Server) -> Result<()> {
        let pid = server.pid();
        let mut publisher = Publisher::new(server.door, server.control);
        let mut one = Fleet::new(server, Hold::Own)?;
        publisher.open(0..1)?;
        self.fill(pid, &mut one, 1)?;
        self.publish_same(pid, &mut one, &mut publisher, 1)?;
        let many = self.load.sizes(Hold::Own).last().copied().unwrap_or(1);
        let mut fleet = Fleet::numbered_from(1, server, Hold::Own)?;
        publisher.open(1..=many)?;
        self.fill(pid, &mut fleet, many)?;
        self.publish_same(pid, &mut one, &mut publisher, many)?;
        self.publish_each(pid, &mut fleet, &mut publisher, 1)?;
        if self.kind.bursts() {
            self.publish_each(pid, &mut fleet, &mut publisher, BATCH)?;
        }
        // A number that no client has.
        self.publish_nobody(pid, &mut publisher, many, many + 1)?;
        self.note_lost(&fleet, Hold::Own);
        Ok(())
    }

    /// Always to the channel of the only stream of `fleet`, while there are so many channels.
    fn publish_same(
        &mut self,
        pid: u32,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        channels: usize,
    ) -> Result<()> {
        let requests = vec![publisher.request_to(ITEM, &[0]); ROUND];
        let items = u32::try_from(ROUND)?;
        let micros = self.publish_all(pid, &requests, publisher, Some((fleet, items)))?;
        let each = micros / ROUND as f64;
        self.sample(Hold::Own, Figure::PublishSame, thousands(channels), each);
        Ok(())
    }

    /// To the channels of `fleet` in turn, so many in one request.
    fn publish_each(
        &mut self,
        pid: u32,
        fleet: &mut Fleet,
        publisher: &mut Publisher,
        batch: usize,
    ) -> Result<()> {
        let channels = fleet.len();
        let numbers: Vec<_> = (1..=channels).collect();
        let requests: Vec<_> = numbers
            .chunks(batch)
            .map(|numbers| publisher.request_to(ITEM, numbers))
            .collect();
        let micros = self.publish_all(pid, &requests, publisher, Some((fleet, 1)))?;
        let figure = if batch == 1 {
            Figure::PublishEach
        } else {
            Figure::PublishBatch
        };
        let each = micros / channels as f64;
        self.sample(Hold::Own, figure, thousands(channels), each);
        Ok(())
    }

    /// To a channel of this number, which no client has, while there are so many channels.
    fn publish_nobody(
        &mut self,
        pid: u32,
        publisher: &mut Publisher,
        channels: usize,
        number: usize,
    ) -> Result<()> {
        let requests = vec![publisher.request_to(ITEM, &[number]); ROUND];
        let micros = self.publish_all(pid, &requests, publisher, None)?;
        let each = micros / ROUND as f64;
        self.sample(Hold::Own, Figure::PublishNobody, thousands(channels), each);
        Ok(())
    }

    /// CPU time in µs of a round of these requests, after which each client of the fleet must have
    /// got so many items more.
    fn publish_all(
        &mut self,
        pid: u32,
        requests: &[Vec<u8>],
        publisher: &mut Publisher,
        mut to: Option<(&mut Fleet, u32)>,
    ) -> Result<f64> {
        let stop = self.stop;
        let mut round = || {
            if let Some((fleet, items)) = &mut to {
                fleet.expect(*items);
            }
            timed(|| {
                for request in requests {
                    publisher.connect()?;
                    publisher.send(request)?;
                    publisher.watch()?;
                    publisher.finish()?;
                }
                to.as_mut().map_or(Ok(()), |(fleet, _)| fleet.wait(stop))
            })
        };
        round()?;
        Ok(self.rounds(pid, 1, round)?.micros)
    }
}
