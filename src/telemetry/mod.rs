//! What gripd tells about itself: logs, counters, and warnings that repeat without flooding them.

pub mod access;
pub mod counters;
pub mod limit;
pub mod logs;
pub mod metrics;
mod sink;
