//! What the guard knows of the process that it is loaded into, and of others by /proc.

pub mod environ;
pub mod home;
pub mod left;
pub mod stack;
pub mod state;
pub mod thread;
