//! Events of Portcullis read from logs, and the incidents that they are part of.
//!
//! The command reads files and the journal; this crate knows what a line says, and what belongs together.

mod distinct;
mod event;
mod incident;
mod members;
mod names;
mod parse;
mod recent;
mod resolve;
mod score;
mod seen;
mod shape;
mod story;
mod title;
mod trail;

pub use event::{CONTRADICTED, CUT, Event, Origin};
pub use incident::{Count, Incident, IncidentStep, Outcome, find, named};
pub use members::Members;
pub use names::Names;
pub use resolve::{program, site};
pub use score::{Reason, writable_part};
pub use story::{Story, Told, Totals};
