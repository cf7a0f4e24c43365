//! Prepares what a started program gets: its environment, the context, and descriptors.

pub mod context;
pub mod environment;
pub mod handed;
