//! The built library inside the real servers.

mod harness;

mod matrix;
