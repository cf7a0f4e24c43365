//! Reads logs event by event: files, rotated and compressed ones included, pipes, and systemd's journal.
//!
//! ```no_run
//! use portcullis_story::log::{Item, Log};
//! let log = Log::of_files(vec!["/var/log/portcullis/events.jsonl".into()]);
//! let mut events = 0;
//! log.read(&mut |item| match item {
//!     Item::Event(_) => events += 1,
//!     Item::Wrong { place, why } => panic!("{place}: {why}"),
//!     Item::Skipped { .. } | Item::Unreadable(_) => {}
//! })?;
//! # Ok::<(), portcullis_story::log::Error>(())
//! ```
//!
//! **Invariants**: memory does not grow with the log. Nothing is passed over silently: what is no event comes as an [`Item`], or is the
//! [`Error`]. Nothing is printed.

mod copies;
mod decode;
mod error;
mod file;
mod journal;
mod lines;

pub use copies::Copies;
pub use error::Error;
pub use file::read_from as file_from;
pub use journal::read_from as journal_from;

use crate::{Event, Origin};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a log has.
pub enum Item<'i> {
    /// An event.
    Event(Event),
    /// A line, or an entry of the journal, that is no event.
    Wrong {
        /// Where it is.
        place: Place<'i>,
        /// Why it is none.
        why: String,
    },
    /// Bytes of a file that are not lines of events: zeros, and what is longer than an event can be.
    Skipped {
        /// The file.
        path: &'i Path,
        /// How many.
        bytes: u64,
    },
    /// A file that a log was rotated to and that cannot be read; the others are.
    Unreadable(Error),
}

/// Where something is in a log.
#[derive(Clone, Copy)]
pub enum Place<'p> {
    /// The number of the line in a file, from 1.
    Line(&'p Path, u64),
    /// Somewhere in the journal.
    Journal,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(path, number) => write!(out, "{}:{number}", path.display()),
            Place::Journal => out.write_str("an entry of the journal"),
        }
    }
}

/// How much was read so far; another thread may look.
#[derive(Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// In bytes, as they are on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A log: the journal, or files one after the other.
#[derive(Default)]
pub struct Log<'l> {
    /// The files; without one, it is the journal.
    pub files: Vec<PathBuf>,
    /// Whether each file comes after those that it was rotated to.
    pub rotated: bool,
    /// Of the journal, what it received from this second since 1970 on.
    pub since: Option<i64>,
    /// Where pipes are kept, to be read a second time.
    pub copies: Option<&'l Copies>,
    /// Of files, the lines that are read; the others are passed over as if they were not there.
    pub wanted: Option<Wanted<'l>>,
    /// What counts the bytes that are read.
    pub meter: Meter,
}

/// Whether a line of a file is to be read.
pub type Wanted<'w> = &'w dyn Fn(&[u8]) -> bool;

impl Log<'_> {
    /// The files, one after the other.
    #[must_use]
    pub fn of_files(files: Vec<PathBuf>) -> Log<'static> {
        Log { files, ..Log::default() }
    }

    /// How many bytes there are on the disk; `None` for the journal and for pipes.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        if self.files.is_empty() {
            return None;
        }
        let size = |path: &Path| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
        let with_older = |path: &PathBuf| {
            let older = if self.rotated { file::rotations(path).unwrap_or_default() } else { Vec::new() };
            older.iter().chain([path]).map(|path| size(path)).sum::<Option<u64>>()
        };
        self.files.iter().map(with_older).sum()
    }

    /// Calls `each` with all that the log has.
    pub fn read(&self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), Error> {
        match self.files.is_empty() {
            true => journal::read(self.since, false, each),
            false => file::read_all(self, false, each),
        }
    }

    /// The same, and then with what comes; returns only with an error.
    pub fn follow(&self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), Error> {
        match self.files.is_empty() {
            true => journal::read(self.since, true, each),
            false => file::read_all(self, true, each),
        }
    }
}

/// Calls `each` with what a line of a file has.
fn events_of(part: usize, path: &Path, number: u64, line: &[u8], each: &mut dyn FnMut(Item<'_>)) {
    Event::each_in(line, |event, _| {
        each(match event {
            Ok(event) => Item::Event(event.read_in(Origin::File(part))),
            Err(why) => Item::Wrong { place: Place::Line(path, number), why },
        });
    });
}
