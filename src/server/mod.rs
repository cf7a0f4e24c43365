//! What the server itself opened before it served: its listeners, its pools, its rings.

pub mod listeners;
pub mod local_listeners;
pub mod pools;
pub mod rings;
