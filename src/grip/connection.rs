//! Ids of client connections: a backend learns a connection's id with its request
//! (`Grip-Connection`), and a publisher may close that one connection by it.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
};

/// The id of a client connection, of this run of gripd and no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionId(u64);

/// Gives ids to the connections of one shard.
#[derive(Debug)]
pub struct ConnectionIds {
    shard: u64,
    next: Cell<u64>,
}

impl ConnectionIds {
    /// Ids for shard number `shard`. They begin anywhere, so that an id that a backend kept from
    /// an earlier run names nobody.
    pub fn new(shard: usize) -> Self {
        Self {
            shard: shard as u64 & SHARD,
            next: Cell::new(RandomState::new().hash_one(shard) >> SHARD_BITS),
        }
    }

    /// A new id.
    pub fn next(&self) -> ConnectionId {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        ConnectionId(number << SHARD_BITS | self.shard)
    }
}

impl ConnectionId {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_ours)?;
        Some(Self(number))
    }

    /// The shard whose connection it is.
    pub fn shard(self) -> usize {
        usize::try_from(self.0 & SHARD).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// As many bits as the most threads there may be (`threads`) need.
const SHARD_BITS: u32 = 10;
const SHARD: u64 = (1 << SHARD_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_shard_and_is_no_others() {
        let ids = ConnectionIds::new(5);
        let (one, other) = (ids.next(), ids.next());
        assert_ne!(one, other);
        assert_eq!(ConnectionId::parse(&one.to_string()), Some(one));
        assert_eq!(one.shard(), 5);
        for bad in [
            "",
            "5",
            "+000000000000005",
            "00000000000000005",
            "000000000000000g",
        ] {
            assert_eq!(ConnectionId::parse(bad), None, "{bad}");
        }
    }
}
