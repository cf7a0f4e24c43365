//! What was judged becomes an event: who did it, what was decided, merging, counters, and the sinks.

pub mod actor;
pub mod chain;
pub mod counters;
pub mod emit;
pub mod fallback;
pub mod host;
pub mod merge;
pub mod seal;
pub mod sink;
