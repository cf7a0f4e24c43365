//! Events of Portcullis read from logs, and the incidents that they are part of.
//!
//! [`log`] reads files and the journal event by event; [`Story`] takes them, and [`find`] gives the incidents.

#![forbid(unsafe_code)]

mod clock;
mod common;
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
mod value;

pub use clock::End;
pub use common::{Common, Of};
pub use digest::{Bar, Chart, Digest, Level, Row, Table, Timeline};
pub use event::{CONTRADICTED, CUT, Event, Origin};
pub use id::{DIGITS, DIGITS_MIN, Named, named, telling};
pub use incident::{Brief, Count, Found, Incident, IncidentStep, Outcome, find, find_first};
pub use members::{Again, Index, Members, Note, Notes};
pub use names::Names;
pub use ordinary::{Kind, Ordinary};
pub use recent::Recent;
pub use resolve::{CONTAINED, program, site};
pub use score::{Reason, writable_part};
pub use seen::Seen;
pub use spill::{Spill, folder as spill_folder};
pub use story::{About, Story, Taken, Told, Totals};
pub use value::{chain, delimited};
