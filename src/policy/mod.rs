//! The policy of the process: found, compiled where it is missing or old, and mapped.

pub mod compiler;
pub mod handed_down;
pub mod in_force;
pub mod load;
pub mod verdict_cache;
