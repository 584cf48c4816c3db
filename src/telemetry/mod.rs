//! What gripd tells about itself: logs, counters, and warnings that repeat without flooding them.

pub mod access;
mod core;
pub mod counters;
mod fields;
pub mod limit;
pub mod logs;
pub mod metrics;
pub mod minutes;
mod sink;
