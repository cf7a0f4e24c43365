//! Which events belong to an intrusion: those that share a request, a tree of programs, a script or a client with an event that no
//! application causes.
//!
//! **Why by incident**: an intruder's connection and command look like anybody's. What tells them is what else the same request did.

use std::collections::HashMap;

/// So many requests of intrusions are told apart.
const REQUESTS_MAX: usize = 1_000_000;

/// Whose an event is: its group, as a number that no other has, and its script and client, as numbers of names; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shared {
    /// The request, or the programs that it started.
    pub group: u64,
    /// The script of the request.
    pub script: u32,
    /// The client of the request.
    pub client: u32,
}

/// What an event is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Its request, or the programs that this started.
    Request,
    /// Its script.
    Script,
    /// Its client.
    Client,
}

/// Why an event is a part of an incident: through what, and the number of the reason of the event there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taint {
    /// What it shares with that event.
    pub part: Part,
    /// The number of that event's reason.
    pub reason: u32,
}

/// The intrusions of a log: it is read for [`Incidents::begin`] first, then for [`Incidents::spread`].
#[derive(Default)]
pub struct Incidents {
    groups: HashMap<u64, u32>,
    scripts: HashMap<u32, u32>,
    clients: HashMap<u32, u32>,
}

impl Incidents {
    /// Takes an event that no application causes, for this reason.
    pub fn begin(&mut self, shared: &Shared, reason: u32) {
        if shared.group != 0 {
            self.groups.entry(shared.group).or_insert(reason);
        }
        self.note(shared, reason);
    }

    /// Takes any event: a request that was taken from one is still that of another one of the same tree.
    pub fn spread(&mut self, shared: &Shared) {
        if let Some(reason) = self.groups.get(&shared.group).copied() {
            self.note(shared, reason);
        }
    }

    fn note(&mut self, shared: &Shared, reason: u32) {
        if shared.script != 0 {
            self.scripts.entry(shared.script).or_insert(reason);
        }
        if shared.client != 0 {
            self.clients.entry(shared.client).or_insert(reason);
        }
    }

    /// What makes an event a part of an intrusion, the closest first.
    pub fn of(&self, shared: &Shared) -> Option<Taint> {
        let by = [
            (Part::Request, self.groups.get(&shared.group)),
            (Part::Script, self.scripts.get(&shared.script)),
            (Part::Client, self.clients.get(&shared.client)),
        ];
        by.into_iter().find_map(|(part, reason)| Some(Taint { part, reason: *reason? }))
    }

    /// Whether there is more than is held.
    pub fn is_full(&self) -> bool {
        self.groups.len() > REQUESTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_anything_with_a_grave_event_is_withheld() {
        let [request, other] = [1, 2];
        let [script, client, reason] = [3, 4, 5];
        let all = [
            (Shared { group: request, script, client }, reason),
            (Shared { group: request, script: 7, ..Shared::default() }, 0),
            (Shared { group: other, script, client: 0 }, 0),
            (Shared { group: other, script: 0, client }, 0),
            (Shared { group: other, script: 7, client: 0 }, 0),
            (Shared { group: other, script: 0, client: 0 }, 0),
            (Shared::default(), 0),
        ];
        let mut incidents = Incidents::default();
        all.iter().filter(|(_, reason)| *reason != 0).for_each(|(shared, reason)| incidents.begin(shared, *reason));
        all.iter().for_each(|(shared, _)| incidents.spread(shared));
        let parts: Vec<_> = all.iter().map(|(shared, _)| incidents.of(shared).map(|taint| taint.part)).collect();
        let [request, script] = [Some(Part::Request), Some(Part::Script)];
        assert_eq!(parts, [request, request, script, Some(Part::Client), script, None, None]);
    }
}
