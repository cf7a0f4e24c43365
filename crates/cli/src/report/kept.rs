//! The events that the page shows of each incident, found by a second reading.
//!
//! **Memory** is bounded for each incident. The first events of its steps come before all others: an attacker who does much does not
//! hide what he did first.

use crate::log::{self, Event, Selection};
use portcullis_event::field;
use portcullis_story::{Incident, Index, Members};
use std::collections::HashSet;
use std::rc::Rc;

/// So many incidents have more events than the others.
const FIRST: usize = 20;
/// So many events, and so many bytes of them, are kept of each of the first incidents, and of each other one.
const MOST: [(usize, usize); 2] = [(40, 1 << 20), (4, 64 << 10)];

/// The events of each incident, in the order of time, and how many more there are.
#[derive(Default)]
pub struct Kept(Vec<(Vec<Event>, usize)>);

impl Kept {
    /// Reads the log once more.
    pub fn read(selection: &Selection, incidents: &[Incident]) -> Result<Kept, String> {
        let mut keeper = Keeper::of(incidents);
        selection.read_again(&mut |event| keeper.take(event))?;
        Ok(keeper.done())
    }

    /// Those of an incident, by its place.
    pub fn of(&self, place: usize) -> (&[Event], usize) {
        self.0.get(place).map_or((&[], 0), |(events, more)| (events, *more))
    }
}

/// Chooses among events.
pub struct Keeper {
    members: Members,
    index: Index,
    incidents: Vec<Own>,
}

#[derive(Default)]
struct Own {
    steps: HashSet<Rc<str>>,
    of_steps: Vec<Event>,
    others: Vec<Event>,
    bytes: usize,
    all: usize,
}

impl Keeper {
    /// For these incidents.
    pub fn of(incidents: &[Incident]) -> Keeper {
        let own = |incident: &Incident| Own {
            steps: incident.steps.iter().map(|step| Rc::clone(&step.event)).collect(),
            ..Own::default()
        };
        Keeper {
            members: Members::default(),
            index: Index::new(incidents),
            incidents: incidents.iter().map(own).collect(),
        }
    }

    /// Takes an event.
    pub fn take(&mut self, event: Event) {
        let Some(place) = self.members.within(&event, &self.index) else { return };
        let (most, bytes) = MOST[usize::from(place >= FIRST)];
        let own = &mut self.incidents[place];
        own.all += 1;
        if own.bytes + event.weight() > bytes {
            return;
        }
        // Of an event that is the first of its step, its copy is not.
        let is_of_step = own.steps.remove(event.text(field::EVENT_ID));
        let list = if is_of_step { &mut own.of_steps } else { &mut own.others };
        if list.len() < most {
            own.bytes += event.weight();
            list.push(event);
        }
    }

    /// What is kept.
    pub fn done(self) -> Kept {
        let chosen = |(place, own): (usize, Own)| {
            let (most, _) = MOST[usize::from(place >= FIRST)];
            let mut events: Vec<Event> = own.of_steps.into_iter().chain(own.others).take(most).collect();
            let more = own.all - events.len();
            events.sort_by_key(Event::nanoseconds);
            (log::together(events, false), more)
        };
        Kept(self.incidents.into_iter().enumerate().map(chosen).collect())
    }
}
