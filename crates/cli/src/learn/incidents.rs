//! Which events belong to an intrusion: those that share a request, a tree of programs, a script or a client with an event that no
//! application causes.
//!
//! **Why by incident**: an intruder's connection and command look like anybody's. What tells them is what else the same request did.
//!
//! **Bounds**: a record of an event has a fixed size; texts are held once, by [`Names`], up to a bound.

use portcullis_story::Names;
use std::collections::{HashMap, HashSet};

/// The most that texts and records may take, in bytes, about.
const HELD_MAX: usize = if cfg!(test) { 1 << 20 } else { 160 << 20 };
/// Whether more is held than may be: texts, and so many bytes beside them.
pub fn is_full(names: &Names, beside: usize) -> bool {
    names.held() + beside > HELD_MAX
}

/// Whose an event is, in numbers of [`Names`]; 0 where that is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose {
    /// `http.request.id`
    pub request: u32,
    /// Of a program that the server started: its stream.
    pub stream: u32,
    /// Likewise: its process, by host, number and day.
    pub process: u32,
    /// The process that started that.
    pub parent: u32,
    /// The script of its request.
    pub script: u32,
    /// The client of its request.
    pub client: u32,
    /// The programs that led to it.
    pub chain: u32,
}

/// What an event is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its request, or the programs that this started.
    Request,
    /// Its script.
    Script,
    /// Its client.
    Client,
}

/// Why an event is a part of an incident: through what, and the rule that fired there.
#[derive(Clone, Copy, Debug)]
pub struct Taint {
    /// What it shares with that event.
    pub part: Part,
    /// The number of that event's reason.
    pub reason: u32,
}

/// The intrusions of a log.
pub struct Incidents {
    /// What each number belongs to.
    above: Vec<u32>,
    groups: HashMap<u32, u32>,
    scripts: HashMap<u32, u32>,
    clients: HashMap<u32, u32>,
}

impl Incidents {
    /// `all`: each event, and the number of the reason why no application causes it; 0 where one may.
    pub fn find(all: &[(Whose, u32)], names: &Names) -> Incidents {
        let mut incidents = Incidents {
            above: (0..u32::try_from(names.len()).unwrap_or(u32::MAX)).collect(),
            groups: HashMap::new(),
            scripts: HashMap::new(),
            clients: HashMap::new(),
        };
        let started: HashSet<u32> = all.iter().map(|(whose, _)| whose.process).filter(|&number| number != 0).collect();
        for (whose, _) in all {
            // The parent of the first program is the worker, which serves other requests, too.
            let parent = if started.contains(&whose.parent) { whose.parent } else { 0 };
            let known = [whose.request, whose.stream, whose.process, parent].into_iter().filter(|&number| number != 0);
            let known: Vec<u32> = known.collect();
            for pair in known.windows(2) {
                incidents.join(pair[0], pair[1]);
            }
        }
        for (whose, reason) in all.iter().filter(|(_, reason)| *reason != 0) {
            if let Some(group) = incidents.group(whose) {
                incidents.groups.entry(group).or_insert(*reason);
            }
            incidents.spread(whose, *reason);
        }
        // A request that was taken from an event is still that of another one of the same tree.
        for (whose, _) in all {
            if let Some(reason) = incidents.group(whose).and_then(|group| incidents.groups.get(&group).copied()) {
                incidents.spread(whose, reason);
            }
        }
        incidents
    }

    fn spread(&mut self, whose: &Whose, reason: u32) {
        if whose.script != 0 {
            self.scripts.entry(whose.script).or_insert(reason);
        }
        if whose.client != 0 {
            self.clients.entry(whose.client).or_insert(reason);
        }
    }

    fn top(&mut self, mut number: u32) -> u32 {
        while self.above[number as usize] != number {
            let next = self.above[self.above[number as usize] as usize];
            self.above[number as usize] = next;
            number = next;
        }
        number
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.top(one), self.top(other));
        self.above[one as usize] = other;
    }

    /// The request, or the tree of programs, that an event is of.
    pub fn group(&mut self, whose: &Whose) -> Option<u32> {
        let known = [whose.request, whose.stream, whose.process].into_iter().find(|&number| number != 0)?;
        Some(self.top(known))
    }

    /// What makes an event a part of an intrusion, the closest first.
    pub fn of(&mut self, whose: &Whose) -> Option<Taint> {
        let group = self.group(whose);
        let by = [
            (Part::Request, group.and_then(|group| self.groups.get(&group))),
            (Part::Script, self.scripts.get(&whose.script)),
            (Part::Client, self.clients.get(&whose.client)),
        ];
        by.into_iter().find_map(|(part, reason)| Some(Taint { part, reason: *reason? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_anything_with_a_grave_event_is_withheld() {
        let mut names = Names::default();
        let [request, other, script, client, stream, child, parent, reason] =
            ["r", "o", "s", "c", "t", "p", "q", "why"].map(|text| names.number(text));
        let grave = Whose { request, script, client, ..Whose::default() };
        let all = [
            (grave, reason),
            (Whose { request, ..Whose::default() }, 0),
            (Whose { request: other, script, ..Whose::default() }, 0),
            (Whose { request: other, client, ..Whose::default() }, 0),
            // A program of that request, whose own request was taken away.
            (Whose { request, stream, process: child, ..Whose::default() }, 0),
            (Whose { process: parent, parent: child, ..Whose::default() }, 0),
            (Whose { request: other, ..Whose::default() }, 0),
        ];
        let mut incidents = Incidents::find(&all, &names);
        let parts: Vec<_> = all.iter().map(|(whose, _)| incidents.of(whose).map(|taint| taint.part)).collect();
        let request = Some(Part::Request);
        assert_eq!(parts, [request, request, Some(Part::Script), Some(Part::Client), request, request, None]);
    }

    #[test]
    fn programs_of_one_worker_are_no_tree() {
        let mut names = Names::default();
        let [one, other, worker, reason] = ["1", "2", "w", "why"].map(|text| names.number(text));
        let of = |process| Whose { process, parent: worker, ..Whose::default() };
        let mut incidents = Incidents::find(&[(of(one), reason), (of(other), 0)], &names);
        assert!(incidents.of(&of(one)).is_some() && incidents.of(&of(other)).is_none());
    }
}
