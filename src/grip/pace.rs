//! How fast publishers may publish: a token bucket that holds them back, then refuses them.
//!
//! Pure: times are passed in, counted from whatever beginning the caller chose.

use std::time::Duration;

/// A token bucket. A token is one item for one channel; `rate` come in each second, and `burst`
/// are kept while nobody publishes.
///
/// A batch goes out as one, so it waits until its tokens are there, or, if it is larger than
/// `burst`, until the bucket is full; what it takes beyond that is owed, and who comes next waits
/// for it. So no batch is too large, and the mean still keeps to the rate.
#[derive(Debug)]
pub struct Pace {
    rate: u64,
    burst: u64,
    /// When the bucket is full again. All there is to know: at any time before that, as many
    /// tokens are missing as come in until then.
    full: Duration,
}

impl Pace {
    /// `rate`: items per second, 0: no limit. `burst`: items that may come at once.
    pub fn new(rate: u64, burst: u64) -> Self {
        Self {
            rate,
            burst,
            full: Duration::ZERO,
        }
    }

    /// Takes the tokens for `count` items. Returns how long they have to wait before they are
    /// published: zero, mostly, and at most `patience`.
    ///
    /// # Errors
    /// They would wait longer than `patience`: after how long they would not have to wait at all,
    /// if nobody else came. Nothing was taken.
    pub fn take(
        &mut self,
        now: Duration,
        count: u64,
        patience: Duration,
    ) -> Result<Duration, Duration> {
        if self.rate == 0 || count == 0 {
            return Ok(Duration::ZERO);
        }
        let may_be_missing = self.time_for(self.burst - count.min(self.burst));
        let missing = self.full.saturating_sub(now);
        let wait = missing.saturating_sub(may_be_missing);
        if wait > patience {
            return Err(wait);
        }
        self.full = self.full.max(now).saturating_add(self.time_for(count));
        Ok(wait)
    }

    /// How long `count` tokens take to come in.
    fn time_for(&self, count: u64) -> Duration {
        let nanos = u128::from(count) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_burst_goes_at_once_and_then_the_rate_counts() {
        let mut pace = Pace::new(10, 5);
        for (now, count, patience, want) in [
            (ms(0), 5, ms(0), Ok(ms(0))),
            (ms(0), 1, ms(99), Err(ms(100))),
            (ms(0), 1, ms(100), Ok(ms(100))),
            (ms(0), 1, ms(1000), Ok(ms(200))),
            // Refused ones have taken nothing.
            (ms(0), 2, ms(399), Err(ms(400))),
            (ms(300), 1, ms(0), Ok(ms(0))),
            // Five at most are kept, however long nobody comes.
            (ms(9000), 6, ms(0), Ok(ms(0))),
            (ms(9000), 1, ms(0), Err(ms(200))),
        ] {
            assert_eq!(pace.take(now, count, patience), want, "{now:?} {count}");
        }
    }

    #[test]
    fn a_batch_larger_than_the_burst_waits_for_a_full_bucket_and_is_owed() {
        let mut pace = Pace::new(10, 5);
        assert_eq!(pace.take(ms(0), 1, ms(0)), Ok(ms(0)));
        assert_eq!(pace.take(ms(0), 1000, ms(99)), Err(ms(100)));
        assert_eq!(pace.take(ms(0), 1000, ms(100)), Ok(ms(100)));
        assert_eq!(pace.take(ms(0), 1, ms(0)), Err(ms(99_700)));
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let mut pace = Pace::new(0, 0);
        assert_eq!(pace.take(ms(0), u64::MAX, ms(0)), Ok(ms(0)));
        assert_eq!(pace.take(ms(0), u64::MAX, ms(0)), Ok(ms(0)));
    }

    #[test]
    fn nothing_costs_nothing() {
        let mut pace = Pace::new(1, 1);
        assert_eq!(pace.take(ms(0), 3, ms(0)), Ok(ms(0)));
        assert_eq!(pace.take(ms(0), 0, ms(0)), Ok(ms(0)));
    }

    proptest! {
        /// Within any span, no more goes out than burst, rate, and the last batch allow.
        #[test]
        fn the_rate_is_kept(
            rate in 1..2000_u64, burst in 1..100_u64, patience in 0..3000_u64,
            batches in prop::collection::vec((0..500_u64, 1..300_u64), 1..60),
        ) {
            let mut pace = Pace::new(rate, burst);
            let (mut now, mut sent): (Duration, Vec<(Duration, u64)>) = (ms(0), vec![]);
            for (later, count) in batches {
                now += ms(later);
                if let Ok(wait) = pace.take(now, count, ms(patience)) {
                    prop_assert!(wait <= ms(patience));
                    sent.push((now + wait, count));
                }
            }
            for first in 0..sent.len() {
                let mut total = 0;
                for (at, count) in &sent[first..] {
                    // What is owed for a batch is paid after it, so the last does not count.
                    let came = at.saturating_sub(sent[first].0).as_nanos() * u128::from(rate);
                    let rounding = u128::from(rate) * 60;
                    let most = u128::from(burst) * 1_000_000_000 + came + rounding;
                    prop_assert!(u128::from(total) * 1_000_000_000 <= most);
                    total += count;
                }
            }
        }

        /// Whoever comes back when it was told to is served, if nobody was faster.
        #[test]
        fn coming_back_helps(rate in 1..2000_u64, burst in 0..100_u64, first: u32, count: u32) {
            let mut pace = Pace::new(rate, burst);
            prop_assert!(pace.take(ms(0), first.into(), ms(0)).is_ok());
            if let Err(later) = pace.take(ms(0), count.into(), ms(0)) {
                prop_assert_eq!(pace.take(later, count.into(), ms(0)), Ok(ms(0)));
            }
        }
    }
}
