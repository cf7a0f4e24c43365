//! The events of an incident, found by reading the log once more.

use crate::Event;
use crate::incident::Incident;
use crate::resolve::Resolver;
use crate::seen::Seen;

/// Finds the events of incidents, in the order in which the log was read before.
#[derive(Default)]
pub struct Members {
    resolver: Resolver,
    seen: Seen,
}

impl Members {
    /// Which one of the incidents an event is a part of; `None` for none, and for an event that was read before.
    pub fn of(&mut self, event: &Event, incidents: &[&Incident]) -> Option<usize> {
        if !self.seen.is_new(event) || event.is_of_guard() {
            return None;
        }
        let key = self.resolver.resolve(event, event.nanoseconds().unwrap_or(0)).key;
        incidents.iter().position(|incident| incident.has(&key))
    }
}
