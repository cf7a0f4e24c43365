//! The events of incidents: found by reading the log once more, or noted while it is read first.

use crate::Event;
use crate::incident::Incident;
use crate::quick::Table;
use crate::resolve::Resolver;
use crate::seen::Seen;
use crate::spill::Spill;
use crate::story::Taken;
use crate::trail::{Key, MANY, stable};
use portcullis_event::field;
use std::hash::{BuildHasher, RandomState};
use std::io;

/// Finds the events of incidents, in the order in which the log was read before.
#[derive(Default)]
pub struct Members {
    resolver: Resolver,
    seen: Seen,
}

impl Members {
    /// Whether an event is a part of an incident; false for one that was read before. Events that were not chosen tell whose others are.
    pub fn is_of(&mut self, event: &Event, incident: &Incident) -> bool {
        self.key(event).is_some_and(|key| incident.has(&key))
    }

    fn key(&mut self, event: &Event) -> Option<Key> {
        if !self.seen.is_new(event) || event.is_of_guard() {
            return None;
        }
        Some(self.resolver.resolve(event, event.nanoseconds().unwrap_or(0)).key)
    }
}

/// Whose incident each trail is.
pub struct Index(Table<Key, usize>);

impl Index {
    /// That of some incidents.
    #[must_use]
    pub fn new(incidents: &[Incident]) -> Index {
        let mut places = Table::default();
        for (place, incident) in incidents.iter().enumerate() {
            for key in incident.keys() {
                places.entry(*key).or_insert(place);
            }
        }
        Index(places)
    }

    fn of(&self, key: &Key) -> Option<usize> {
        let [host, site, script, _] = *key;
        [*key, [host, site, script, MANY], [host, 0, 0, MANY]].iter().find_map(|key| self.0.get(key)).copied()
    }
}

/// How many bytes a note has, and how many bytes of notes are held in memory.
const NOTE: usize = 56;
const NOTES_MAX: usize = 4 << 20;

/// What is to be known of each event to choose among those of incidents, once these are found. The events themselves are read again.
///
/// **Memory** does not grow with the log: beyond a bound, notes are in a file. Where that takes no more, [`Notes::again`] finds the same
/// in another reading of the log.
pub struct Notes {
    /// Of lines: nobody can choose one with the hash of another.
    hasher: RandomState,
    all: Spill<NOTE>,
    /// Why not all could be kept.
    failed: Option<io::Error>,
    has_parts: bool,
}

/// Finds the events of incidents in another reading, with the same notes.
pub struct Again {
    members: Members,
    hasher: RandomState,
}

/// What is known of an event.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// The hash of its line; see [`Notes::line`].
    pub line: u64,
    /// The hash of its identifier, as [`Notes::id`] has it.
    pub id: u64,
    /// How long its line is, in bytes.
    pub length: usize,
}

impl Default for Notes {
    fn default() -> Notes {
        Notes { hasher: RandomState::new(), all: Spill::bounded(NOTES_MAX), failed: None, has_parts: false }
    }
}

impl Note {
    fn of(event: &Event, hasher: &RandomState) -> Note {
        let line = event.line();
        Note { line: hash(hasher, line.as_bytes()), id: Notes::id(event.text(field::EVENT_ID)), length: line.len() }
    }
}

/// The hash of a line, without blanks around it.
fn hash(hasher: &RandomState, line: &[u8]) -> u64 {
    hasher.hash_one(line.trim_ascii())
}

impl Again {
    /// The place of the incident that an event is a part of, and its note; `None` for none, and for an event that was read before.
    pub fn of(&mut self, event: &Event, index: &Index) -> Option<(usize, Note)> {
        let place = index.of(&self.members.key(event)?)?;
        Some((place, Note::of(event, &self.hasher)))
    }
}

impl Notes {
    /// Notes an event that a story took.
    pub fn take(&mut self, event: &Event, taken: Taken) {
        let Taken::Call([host, site, script, client]) = taken else { return };
        self.has_parts |= event.is_of_part();
        if self.failed.is_some() {
            return;
        }
        let Note { line, id, length } = Note::of(event, &self.hasher);
        let all = [host, site, script, client, line, id, length as u64];
        let mut note = [0; NOTE];
        note.as_chunks_mut::<8>().0.iter_mut().zip(all).for_each(|(to, number)| *to = number.to_le_bytes());
        self.failed = self.all.push(&note).err();
    }

    /// What finds the same notes in another reading of all events, in the same order.
    #[must_use]
    pub fn again(&self) -> Again {
        Again { members: Members::default(), hasher: self.hasher.clone() }
    }

    /// The hash of a line, without blanks around it.
    #[must_use]
    pub fn line(&self, line: &[u8]) -> u64 {
        hash(&self.hasher, line)
    }

    /// The hash of an identifier.
    #[must_use]
    pub fn id(id: &str) -> u64 {
        stable(id)
    }

    /// Whether an event stands in a line that has more than it, so that the line has another hash.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// Calls `each` with the place of its incident and the note of each event that is a part of one, in order. An error of the disk.
    pub fn each(&mut self, index: &Index, each: &mut dyn FnMut(usize, Note)) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.all.each(&mut |note| {
            let mut all = [0; NOTE / 8];
            note.as_chunks::<8>().0.iter().zip(&mut all).for_each(|(from, to)| *to = u64::from_le_bytes(*from));
            let [host, site, script, client, line, id, length] = all;
            if let Some(place) = index.of(&[host, site, script, client]) {
                each(place, Note { line, id, length: usize::try_from(length).unwrap_or(usize::MAX) });
            }
        })
    }
}
