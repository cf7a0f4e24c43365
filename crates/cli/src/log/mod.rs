//! The log: events out of files, rotated and compressed ones included, or out of the journal, and the choice among them.

mod file;
mod journal;
mod lines;
mod selection;
mod time;
mod whereabouts;

pub use file::read_from as file_from;
pub use journal::read_from as journal_from;
pub use portcullis_story::{CUT, Event, Origin};
pub use selection::{Probes, Selection, rules};
pub use time::{Moment, moment, text as time_text, to_a_second};
pub use whereabouts::locate;

use crate::check;
use crate::probes::Left;
use portcullis_event::field;
use selection::of_policy;
use std::collections::{BTreeSet, HashMap};

/// How many lines that are no events are complained of, each; of the others, their number is said.
const UNREADABLE_SHOWN: usize = 20;
/// How many bytes of events are held at once. A report takes about twice as many.
const ALL_MAX: usize = 512 << 20;

/// How many virtual hosts of events are remembered to tell a name that none has.
const VHOSTS_MAX: usize = 20_000;

impl Selection {
    /// Calls `each` with the chosen events, as they are written; gives how many lines were no events.
    pub fn read(&self, follow: bool, each: &mut dyn FnMut(Event)) -> Result<usize, String> {
        self.read_every(follow, &mut |event, is_chosen| {
            if is_chosen {
                each(event);
            }
        })
    }

    /// Calls `each` with every event, and whether it is among those that are chosen.
    pub fn read_every(&self, follow: bool, each: &mut dyn FnMut(Event, bool)) -> Result<usize, String> {
        let mut left = self.probes.left();
        let (mut all, mut chosen) = (0_usize, 0_usize);
        let unreadable = self.read_but(&mut left, follow, &mut |event, is_chosen| {
            all += 1;
            chosen += usize::from(is_chosen);
            each(event, is_chosen);
        })?;
        if let Some(note) = left.note() {
            eprintln!("portcullis: note: {note}");
        }
        if chosen == 0 && !self.is_for_program {
            eprintln!("portcullis: note: {}", self.nothing(all));
        }
        Ok(unreadable)
    }

    /// Calls `each` with the chosen events once more: what is to be said of the log was said the first time.
    pub fn read_again(&self, each: &mut dyn FnMut(Event)) -> Result<(), String> {
        self.read_lines(&mut self.probes.left(), false, true, &mut |event, is_chosen| {
            if is_chosen {
                each(event);
            }
        })?;
        Ok(())
    }

    /// What is said where no event is chosen, of as many as were read: silence would say as much of a place where there is nothing to read.
    fn nothing(&self, read: usize) -> String {
        let from = match self.files.as_slice() {
            [] => "the journal".to_owned(),
            files => {
                let names: Vec<String> =
                    files.iter().map(|file| crate::out::printable(&file.display().to_string())).collect();
                crate::modes::some(&names, names.len())
            }
        };
        match read {
            0 => format!("no event: {from} was read, and has none"),
            _ => format!("no event matched, of {} in {from}", check::counted(read, "event")),
        }
    }

    /// The same without what is left out.
    pub fn read_but(&self, left: &mut Left, follow: bool, each: &mut dyn FnMut(Event, bool)) -> Result<usize, String> {
        self.read_lines(left, follow, false, each)
    }

    fn read_lines(
        &self,
        left: &mut Left,
        follow: bool,
        is_quiet: bool,
        each: &mut dyn FnMut(Event, bool),
    ) -> Result<usize, String> {
        if let (Some(since), Some(until)) = (&self.since, &self.until)
            && since.text() > until.text()
        {
            return Err("--since is after --until: no event is between them; help: exchange them".to_owned());
        }
        let (mut unreadable, mut others) = (0, 0);
        let mut vhosts = BTreeSet::new();
        let mut parsed = |parsed: Result<Event, String>, place: &dyn Fn() -> String| match parsed {
            // Of a probe nothing is learnt, and it is part of no incident.
            Ok(mut event) => {
                if left.out(&mut event) {
                    return;
                }
                let is_chosen = self.has(&event);
                if !self.vhost.is_empty() && vhosts.len() < VHOSTS_MAX && !vhosts.contains(event.vhost()) {
                    vhosts.insert(event.vhost().to_owned());
                }
                each(event, is_chosen);
            }
            Err(error) => {
                unreadable += 1;
                // Whoever fills the log with rubbish is not to fill the terminal.
                if unreadable <= UNREADABLE_SHOWN && !is_quiet {
                    crate::complain(format_args!("{}: not an event: {error}", place()));
                }
            }
        };
        match self.files.as_slice() {
            [] => journal::read(self.since.as_ref(), follow, &mut |event| {
                parsed(event, &|| "an entry of the journal".to_owned());
            })?,
            files => {
                // Files that are followed are all open.
                for (part, files) in files.chunks(if follow { files.len() } else { 1 }).enumerate() {
                    others += file::read_all(files, self.rotated, follow, &mut |path, number, line| {
                        Event::each_in(line, |event, _| {
                            let event = event.map(|event| event.read_in(Origin::File(part)));
                            parsed(event, &|| format!("{}:{number}", path.display()));
                        });
                    })?;
                }
            }
        }
        if unreadable > UNREADABLE_SHOWN && !is_quiet {
            let (more, are) = (
                unreadable - UNREADABLE_SHOWN,
                if unreadable == UNREADABLE_SHOWN + 1 { "is no event" } else { "are no events" },
            );
            crate::complain(format_args!("{} {are}", check::counted(more, "more line")));
        }
        if !is_quiet {
            self.note_vhosts(&vhosts)?;
        }
        Ok(unreadable + others)
    }

    /// Notes a virtual host of which no event is. One that is neither in the events nor in the configuration is an error: its name may
    /// be mistyped. `seen`: those of all events.
    fn note_vhosts(&self, seen: &BTreeSet<String>) -> Result<(), String> {
        let without = self.vhost.iter().filter(|name| seen.len() < VHOSTS_MAX && !seen.contains(of_policy(name)));
        for name in without {
            if of_policy(name).is_empty() {
                eprintln!("portcullis: note: no events without a virtual host");
            } else if self.configured.contains(name) {
                eprintln!("portcullis: note: no events of {}", crate::out::printable(name));
            } else {
                return Err(format!(
                    "{}; help: --vhost takes the `name` of a virtual host, not its server name",
                    check::no_vhost(name, seen.union(&self.configured))
                ));
            }
        }
        Ok(())
    }

    /// All chosen events, in the order of time. What was merged is added to the event that it is like; where that is not
    /// among them, it stays an event of its own, unless the choice is one of requests, of which it knows nothing.
    pub fn all(&self) -> Result<(Vec<Event>, usize), String> {
        let mut events = Vec::new();
        let mut left = ALL_MAX;
        let unreadable = self.read(false, &mut |event| {
            left = left.saturating_sub(event.weight());
            if left > 0 {
                events.push(event);
            }
        })?;
        if left == 0 {
            return Err(format!(
                "there are more than {} MiB of events, which are not held at once; help: choose with --since, --until, --vhost, \
                 --rule or --client",
                ALL_MAX >> 20
            ));
        }
        events.sort_by(|one, other| one.text(field::TIMESTAMP).cmp(other.text(field::TIMESTAMP)));
        Ok((together(events, self.is_of_requests()), unreadable))
    }
}

/// Adds what was merged to the events that it is like.
pub(crate) fn together(events: Vec<Event>, of_requests: bool) -> Vec<Event> {
    let (merged, mut events): (Vec<Event>, Vec<Event>) = events.into_iter().partition(Event::is_of_merged);
    if merged.is_empty() {
        return events;
    }
    let places: HashMap<String, usize> =
        events.iter().enumerate().map(|(place, event)| (event.text(field::EVENT_ID).to_owned(), place)).collect();
    let mut others = Vec::new();
    for event in merged {
        match places.get(event.text(field::LIKE)).filter(|_| !event.text(field::LIKE).is_empty()) {
            Some(&place) => events[place].add(event.count()),
            None if of_requests => {}
            None => others.push(event),
        }
    }
    if !others.is_empty() {
        events.extend(others);
        events.sort_by(|one, other| one.text(field::TIMESTAMP).cmp(other.text(field::TIMESTAMP)));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_merged_is_added_to_what_it_is_like() {
        let event = |id: &str| Event::of(&json!({ "event": { "id": id, "action": "exec" }, "portcullis": {} }));
        let merged = |like: &str, count: u64| {
            Event::of(&json!({ "event": { "action": "merged" }, "portcullis": { "like": like, "repeated": count } }))
        };
        let events = vec![event("a-1"), event("a-2"), merged("a-1", 5), merged("b-9", 7), merged("a-1", 2)];
        let counts: Vec<usize> = together(events.clone(), false).iter().map(Event::count).collect();
        assert_eq!(counts, [8, 1, 7], "nothing is left out");
        assert_eq!(together(events, true).len(), 2);
    }
}
