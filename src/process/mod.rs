//! What the guard knows of the process that it is loaded into, and of others by /proc.

pub mod files;
pub mod state;
