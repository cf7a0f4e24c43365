//! The events of an incident, found by reading the log once more.

use crate::Event;
use crate::incident::Incident;
use crate::quick::Table;
use crate::resolve::Resolver;
use crate::seen::Seen;
use crate::trail::{Key, MANY};

/// Finds the events of incidents, in the order in which the log was read before.
#[derive(Default)]
pub struct Members {
    resolver: Resolver,
    seen: Seen,
}

impl Members {
    /// Which one of the incidents an event is a part of; `None` for none, and for an event that was read before.
    pub fn of(&mut self, event: &Event, incidents: &[&Incident]) -> Option<usize> {
        let key = self.key(event)?;
        incidents.iter().position(|incident| incident.has(&key))
    }

    /// The same with many incidents.
    pub fn within(&mut self, event: &Event, index: &Index) -> Option<usize> {
        let key = self.key(event)?;
        index.of(&key)
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
