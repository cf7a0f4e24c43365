//! The seals of events: which events were changed, and which ought to have a seal.
//!
//! What ought to have one is said by root alone: whether seals are asked for, when the key was made, when the journal received an event.
//! What an event says of itself excuses nothing that these contradict. Where they say nothing, it is counted as its own word.

use super::chain::{Chain, Sealed, Seen, process};
use super::push;
use crate::log::{Event, Origin};
use crate::seal_key::Stored;
use portcullis_event::field;
use portcullis_event::seal::{self, Key};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// The most forks between the first process of a tree and one that seals; a name has no room for more.
const DEPTH_MAX: usize = seal::NAME_MAX / 2;

/// How many steps to the keys of processes are made that lead to no valid seal; a step is a thousandth of a millisecond or two.
const WASTED_MAX: usize = 30_000;

/// A process of which an event has a valid seal.
struct Process {
    root: Key,
    seen: HashMap<u64, Seen>,
}

/// An event without a seal.
struct Bare {
    /// When it was, in nanoseconds since 1970.
    at: i64,
    /// The journal says when it was.
    is_vouched: bool,
    /// It says that it is of a program that a worker started: that has no key.
    is_descendant: bool,
    /// A sealed event is before it in its file.
    is_behind: bool,
}

/// How many events have no seal, by what that means.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unsealed {
    /// Those that ought to have one.
    pub missing: usize,
    /// Those that the journal received before the key was made.
    pub older: usize,
    /// Those that say so of themselves.
    pub says_older: usize,
    /// Those that say that they are of a program without a key.
    pub says_descendant: usize,
}

/// The seals of all events, up to a bound.
pub struct Seals {
    master: Result<Stored, String>,
    /// Root asks for seals.
    pub is_due: bool,
    processes: HashMap<Chain, Process>,
    /// The files that have a sealed event.
    sealed_files: HashSet<usize>,
    count: usize,
    max: usize,
    pub is_full: bool,
    wasted: usize,
    /// Events that look sealed and were changed, or sealed with another key.
    pub broken: usize,
    /// The first of their ids.
    pub shown: Vec<String>,
    bare: Vec<Bare>,
    /// When the first sealed event was, by its own word: a valid one, where there is a key.
    first: Option<i64>,
    /// Sealed events, where there is no key to check them.
    pub unchecked: usize,
    /// Sealed events that were not looked at, since too many others were broken.
    pub passed_over: usize,
}

impl Seals {
    pub fn new(master: Result<Stored, String>, is_due: bool, max: usize) -> Seals {
        Seals {
            master,
            is_due,
            processes: HashMap::new(),
            sealed_files: HashSet::new(),
            count: 0,
            max,
            is_full: false,
            wasted: 0,
            broken: 0,
            shown: Vec::new(),
            bare: Vec::new(),
            first: None,
            unchecked: 0,
            passed_over: 0,
        }
    }

    /// Why there is no key; nothing where there is one.
    pub fn lack(&self) -> Option<&str> {
        self.master.as_ref().err().map(String::as_str)
    }

    pub fn take(&mut self, event: &Event) {
        self.count += 1;
        self.is_full |= self.count > self.max;
        if self.is_full {
            return;
        }
        let claims = event.has_seal();
        let Some((covered, digest)) = seal::split(event.line().as_bytes()).filter(|_| claims) else {
            match claims {
                true => self.break_seal(event),
                false => self.take_bare(event),
            }
            return;
        };
        let Ok(Stored { key: master, .. }) = self.master else {
            self.unchecked += 1;
            self.note_sealed(event);
            return;
        };
        let Some((chain, index, lost)) = place(event) else { return self.break_seal(event) };
        let known = self.processes.get(&chain).map(|process| process.root);
        if known.is_none() && self.wasted >= WASTED_MAX {
            self.passed_over += 1;
            return;
        }
        let derive = || chain.1.iter().fold(seal::tree(master, chain.0), |root, fork| seal::child(root, *fork));
        let root = known.unwrap_or_else(derive);
        if seal::digest(seal::event(root, index), covered) != digest {
            self.wasted += if known.is_none() { chain.1.len() + 1 } else { 0 };
            return self.break_seal(event);
        }
        let process = self.processes.entry(chain).or_insert_with(|| Process { root, seen: HashMap::new() });
        match process.seen.entry(u64::from(index)) {
            // Another sink has the same line. Whoever had the key may have sealed two.
            Entry::Occupied(seen) if seen.get().1 == digest => {}
            Entry::Occupied(_) => return self.break_seal(event),
            Entry::Vacant(free) => drop(free.insert((lost, digest))),
        }
        self.note_sealed(event);
    }

    fn note_sealed(&mut self, event: &Event) {
        let at = event.nanoseconds().unwrap_or(i64::MAX);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        if let Origin::File(file) = event.origin() {
            self.sealed_files.insert(file);
        }
    }

    fn take_bare(&mut self, event: &Event) {
        let (is_vouched, is_behind) = match event.origin() {
            Origin::Journal(_) => (true, false),
            Origin::File(file) => (false, self.sealed_files.contains(&file)),
        };
        // An event without a valid time is older than nothing.
        let at = event.nanoseconds().unwrap_or(i64::MAX);
        self.bare.push(Bare { at, is_vouched, is_behind, is_descendant: has_no_key(event) });
    }

    /// Since when events have seals, in nanoseconds since 1970. The time of a file without its own in it may be that of a copy.
    pub fn since(&self) -> Option<i64> {
        match &self.master {
            Ok(stored) if self.is_due && stored.is_told => Some(stored.made),
            Ok(stored) if self.is_due => Some(self.first.map_or(stored.made, |first| first.min(stored.made))),
            _ => self.first,
        }
    }

    /// The events without a seal.
    pub fn unsealed(&self) -> Unsealed {
        let since = self.since().unwrap_or(if self.is_due { i64::MIN } else { i64::MAX });
        let mut found = Unsealed::default();
        for bare in &self.bare {
            let is_older = bare.at < since && !bare.is_behind;
            let count = match (is_older, bare.is_vouched, bare.is_descendant) {
                (true, true, _) => &mut found.older,
                (_, _, true) => &mut found.says_descendant,
                (true, false, false) => &mut found.says_older,
                (false, _, false) => &mut found.missing,
            };
            *count += 1;
        }
        found
    }

    /// Whether there ought to be a seal among the events, and no valid one is: all may have been taken away.
    pub fn is_without_any(&self) -> bool {
        self.is_due && self.processes.is_empty() && self.count > self.unsealed().older
    }

    fn break_seal(&mut self, event: &Event) {
        self.broken += 1;
        push(&mut self.shown, event.text(field::EVENT_ID).chars().take(64).collect());
    }

    /// The chains, in order.
    pub fn chains(&self) -> Vec<Sealed> {
        let mut all: Vec<(&Chain, &Process)> = self.processes.iter().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.into_iter().filter_map(|(name, process)| Sealed::of(name, &process.seen)).collect()
    }
}

/// Whether an event says that it is of a program that a worker started: it has no key.
fn has_no_key(event: &Event) -> bool {
    event.text(field::ROLE) == "descendant" && event.text(field::LAYER) != "backstop"
}

/// Where an event stands: its process, its index from 1, and the lost events. Each has one way to be written.
fn place(event: &Event) -> Option<(Chain, u32, u64)> {
    let tree = event.text(field::SEAL_TREE);
    let name = event.text(field::SEAL_PROCESS);
    let path: Option<Vec<u32>> = name.split('/').skip(1).map(|part| part.parse().ok()).collect();
    let path = path.filter(|path| path.len() <= DEPTH_MAX && process(path) == name)?;
    let index = u32::try_from(event.number(field::SEAL_INDEX)?).ok().filter(|index| *index > 0)?;
    let tree = u64::from_str_radix(tree, 16).ok().filter(|number| tree == format!("{number:016x}"))?;
    Some(((tree, path), index, event.number(field::SEAL_LOST)?))
}

#[cfg(test)]
mod tests;
