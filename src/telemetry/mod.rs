//! What gripd tells about itself: logs, and warnings that repeat without flooding them.

pub mod counters;
pub mod limit;
pub mod logs;
pub mod metrics;
