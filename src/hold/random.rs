//! A little chance, so that many clients do not do the same at the same moment.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

/// At random, at least 0 and less than 1. Good for spreading, not for secrets.
pub(super) fn fraction() -> f64 {
    let random = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(random).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

/// 32 random bits, for the same.
pub(super) fn bits() -> u32 {
    u32::try_from(RandomState::new().hash_one(1_u8) >> 32).unwrap_or(0)
}
