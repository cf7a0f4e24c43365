//! Which events are of one request, or of one tree of programs.
//!
//! An event names its request; a program that was started without one is found by its stream, its process or the process above it.
//!
//! **Memory** does not grow with the log: a request is its own group, and of streams and processes the last ones are remembered. A
//! program that runs on after so many others is no part of its tree any more, unless its events name the request.

use portcullis_story::Recent;
use std::collections::HashMap;

/// So many streams and so many processes are remembered at least.
const REMEMBERED: usize = 200_000;
/// So many groups are put together before the log is too much.
const JOINED_MAX: usize = 500_000;

/// Whose an event is, as hashes; 0 where that is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose {
    /// `http.request.id`
    pub request: u64,
    /// Of a program that the server started: its stream.
    pub stream: u64,
    /// Likewise: its process, by host, number and day.
    pub process: u64,
    /// The process that started that.
    pub parent: u64,
}

/// The groups of the events so far.
pub struct Groups {
    /// The group of each stream and process.
    known: Recent<u64>,
    /// The group of a program whose parent was not seen yet, by the parent.
    waiting: Recent<u64>,
    /// What each group became a part of.
    above: HashMap<u64, u64>,
}

impl Default for Groups {
    fn default() -> Groups {
        Groups::remembering(REMEMBERED)
    }
}

impl Groups {
    fn remembering(count: usize) -> Groups {
        Groups { known: Recent::new(count * 2), waiting: Recent::new(count), above: HashMap::new() }
    }

    /// The group of an event; 0 where nothing of it is known.
    pub fn of(&mut self, whose: &Whose) -> u64 {
        let Whose { request, stream, process, parent } = *whose;
        // The parent of the first program is the worker, which serves other requests, too: it is no program of a group.
        let earlier = [stream, process, parent].map(|node| if node == 0 { None } else { self.known.get(node) });
        let child = if process == 0 { None } else { self.waiting.get(process) };
        let first = [request].into_iter().chain(earlier.into_iter().flatten()).chain([stream, process]);
        let group = first.into_iter().find(|node| *node != 0).unwrap_or(0);
        if group == 0 {
            return 0;
        }
        earlier.into_iter().flatten().chain(child).for_each(|other| self.join(other, group));
        for node in [stream, process] {
            // A program that goes on is not forgotten.
            if node != 0 {
                self.known.insert(node, group);
            }
        }
        if parent != 0 && earlier[2].is_none() {
            self.waiting.insert(parent, group);
        }
        group
    }

    /// Says that no event comes any more.
    pub fn end(&mut self) {
        (self.known, self.waiting) = (Recent::new(0), Recent::new(0));
    }

    /// The group that a group became a part of, or itself.
    pub fn whole(&self, group: u64) -> u64 {
        let mut at = group;
        while let Some(above) = self.above.get(&at) {
            at = *above;
        }
        at
    }

    fn join(&mut self, one: u64, other: u64) {
        let (one, other) = (self.whole(one), self.whole(other));
        // The order of the numbers makes no circle, and the depth stays small, as they are hashes.
        if one != other {
            self.above.insert(one.max(other), one.min(other));
        }
    }

    /// Whether more was put together than is held.
    pub fn is_full(&self) -> bool {
        self.above.len() > JOINED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(groups: &Groups, found: &[u64]) -> bool {
        found.iter().all(|group| groups.whole(*group) == groups.whole(found[0]))
    }

    #[test]
    fn a_tree_is_one_group_in_any_order() {
        let of = |request, stream, process, parent| Whose { request, stream, process, parent };
        let worker = 50;
        let tree = [of(900, 1, 10, worker), of(0, 2, 20, 10), of(0, 3, 30, 20), of(0, 3, 0, 0), of(900, 0, 0, 0)];
        for turn in 0..tree.len() {
            let mut groups = Groups::default();
            let mut events = tree.to_vec();
            events.rotate_left(turn);
            let found: Vec<u64> = events.iter().map(|whose| groups.of(whose)).collect();
            assert!(same(&groups, &found), "{turn}: {found:?}");
            let other = groups.of(&of(901, 4, 40, worker));
            assert!(!same(&groups, &[found[0], other]), "programs of one worker are no tree");
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut groups = Groups::remembering(10);
        let of = |process, parent| Whose { process, parent, ..Whose::default() };
        let first = groups.of(&of(1, 0));
        let late = groups.of(&of(2, 1));
        assert!(same(&groups, &[first, late]));
        for process in 100..200 {
            groups.of(&of(process, 0));
        }
        let later = groups.of(&of(3, 1));
        assert!(!same(&groups, &[first, later]));
        assert_eq!(groups.of(&Whose::default()), 0);
    }
}
