//! Events of Portcullis read from logs, and the incidents that they are part of.
//!
//! [`log`] reads files and the journal event by event; [`Story`] takes them, and [`find`] gives the incidents.

#![forbid(unsafe_code)]

mod digest;
mod distinct;
mod event;
mod id;
mod incident;
mod join;
pub mod log;
mod members;
mod names;
mod ordinary;
mod parse;
mod presence;
mod quick;
mod recent;
mod resolve;
mod score;
mod seen;
mod shape;
mod spill;
mod story;
pub mod time;
mod title;
mod trail;

pub use digest::{Bar, Chart, Digest, Level, Row, Table, Timeline};
pub use event::{CONTRADICTED, CUT, Event, Origin};
pub use id::{DIGITS, DIGITS_MIN, named, telling};
pub use incident::{Brief, Count, Found, Incident, IncidentStep, Outcome, find, find_first};
pub use members::{Again, Index, Members, Note, Notes};
pub use names::Names;
pub use ordinary::{Ordinary, clients};
pub use recent::Recent;
pub use resolve::{program, site};
pub use score::{Reason, writable_part};
pub use seen::Seen;
pub use spill::{Spill, folder as spill_folder};
pub use story::{About, Story, Told, Totals};
