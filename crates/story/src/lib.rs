//! Events of Portcullis read from logs, and the incidents that they are part of.
//!
//! The command reads files and the journal; this crate knows what a line says, and what belongs together.

mod event;
mod parse;

pub use event::{CONTRADICTED, CUT, Event, Origin};
