//! Events of Portcullis read from logs, and the incidents that they are part of.
//!
//! The command reads files and the journal; this crate knows what a line says, and what belongs together.

mod digest;
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
mod trail;

pub use digest::{Bar, Chart, Digest, Level, Row, Table, Timeline};
pub use event::{CONTRADICTED, CUT, Event, Origin};
pub use incident::{Count, Incident, IncidentStep, Outcome, find};
pub use members::{Index, Members};
pub use names::Names;
pub use resolve::{program, site};
pub use score::{Reason, writable_part};
pub use story::{Story, Told, Totals};
