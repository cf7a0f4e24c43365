//! The log, as a verb reads it: what is chosen, what is said of lines that are no events, and how far the reading is.

mod end;
mod selection;
mod unseen;
mod whereabouts;
mod words;

pub use portcullis_story::log::{Item, file_from, journal_from};
pub use portcullis_story::time::{Moment, moment, text as time_text, to_a_second};
pub use portcullis_story::{CUT, Event, Origin};
pub use selection::{Probes, Selection, rules};
pub use whereabouts::locate;

use crate::check;
use crate::probes::Left;
use crate::progress::Progress;
use portcullis_event::field;
use portcullis_story::log::{self, Log, Wanted};
use selection::of_policy;
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use unseen::Unseen;

/// How many lines that are no events are complained of, each; of the others, their number is said.
const UNREADABLE_SHOWN: usize = 20;
/// How many bytes of events are held at once. A report takes about twice as many.
const ALL_MAX: usize = 512 << 20;

/// How many virtual hosts of events are remembered to tell a name that none has.
const VHOSTS_MAX: usize = 20_000;

/// What is read of a log that was read before.
#[derive(Clone, Copy)]
enum Again<'w> {
    All,
    Lines(Wanted<'w>),
}

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
        let mut unseen = Unseen::of(self);
        let unreadable = self.read_but(&mut left, follow, &mut |event, is_chosen| {
            all += 1;
            unseen.look(&event);
            chosen += usize::from(is_chosen);
            each(event, is_chosen);
        })?;
        if let Some(note) = left.note() {
            eprintln!("portcullis: note: {note}");
        }
        if let Some(options) = unseen.done() {
            eprintln!(
                "portcullis: note: no event has {options}, of {} in {}",
                check::counted(all, "event"),
                self.place()
            );
        } else if chosen == 0 && !self.is_for_program {
            eprintln!("portcullis: note: {}", self.nothing(all));
        }
        Ok(unreadable)
    }

    /// Calls `each` with the chosen events once more: what is to be said of the log was said the first time.
    pub fn read_again(&self, each: &mut dyn FnMut(Event)) -> Result<(), String> {
        self.read_every_again(&mut |event, is_chosen| {
            if is_chosen {
                each(event);
            }
        })
    }

    /// The same with all events, and whether each is chosen.
    pub fn read_every_again(&self, each: &mut dyn FnMut(Event, bool)) -> Result<(), String> {
        self.read_lines(&mut self.probes.left(), false, Some(Again::All), each).map(drop)
    }

    /// The same with those that stand in some lines of files, which were not left out the first time; of the journal, with all.
    pub fn read_lines_again(&self, wanted: Wanted<'_>, each: &mut dyn FnMut(Event)) -> Result<(), String> {
        // Which events are of a probe, only all of them tell: where they are shown, they have a mark.
        if self.probes.probes {
            return self.read_again(each);
        }
        self.read_lines(&mut Left::default(), false, Some(Again::Lines(wanted)), &mut |event, is_chosen| {
            if is_chosen {
                each(event);
            }
        })?;
        Ok(())
    }

    /// What is read, in words.
    fn place(&self) -> String {
        match self.files.as_slice() {
            [] => "the journal".to_owned(),
            files => {
                let names: Vec<String> =
                    files.iter().map(|file| crate::out::printable(&file.display().to_string())).collect();
                crate::modes::some(&names, names.len())
            }
        }
    }

    /// What is said where no event is chosen, of as many as were read: silence would say as much of a place where there is nothing to read.
    fn nothing(&self, read: usize) -> String {
        let from = self.place();
        match read {
            0 => format!("no event: {from} was read, and has none"),
            _ => format!("no event matched, of {} in {from}", check::counted(read, "event")),
        }
    }

    /// The same without what is left out.
    pub fn read_but(&self, left: &mut Left, follow: bool, each: &mut dyn FnMut(Event, bool)) -> Result<usize, String> {
        self.read_lines(left, follow, None, each)
    }

    fn read_lines(
        &self,
        left: &mut Left,
        follow: bool,
        again: Option<Again<'_>>,
        each: &mut dyn FnMut(Event, bool),
    ) -> Result<usize, String> {
        let is_quiet = again.is_some();
        if self.rotated && self.files.is_empty() {
            return Err(
                "--rotated is for files, and the journal is read here; help: name the file of events".to_owned()
            );
        }
        let mut vhosts = BTreeSet::new();
        let mut wrong = Complaints { is_quiet, ..Complaints::default() };
        let log = Log {
            files: self.files.clone(),
            rotated: self.rotated,
            since: self.since.as_ref().map(Moment::seconds),
            copies: self.is_read_again.then_some(&self.copies),
            wanted: match again {
                Some(Again::Lines(wanted)) => Some(wanted),
                Some(Again::All) | None => None,
            },
            ..Log::default()
        };
        let mut progress = (!follow).then(|| Progress::of(&log));
        let mut take = |item: Item<'_>| match item {
            // Of a probe nothing is learnt, and it is part of no incident.
            Item::Event(mut event) => {
                progress.iter_mut().for_each(Progress::event);
                if left.out(&mut event) {
                    return;
                }
                let is_chosen = self.has(&event);
                if !self.vhost.is_empty() && vhosts.len() < VHOSTS_MAX && !vhosts.contains(event.vhost()) {
                    vhosts.insert(event.vhost().to_owned());
                }
                each(event, is_chosen);
            }
            other => wrong.take(&other),
        };
        if follow { log.follow(&mut take) } else { log.read(&mut take) }.map_err(|error| explained(&error))?;
        drop(progress);
        let unreadable = wrong.done();
        if !is_quiet {
            self.note_vhosts(&vhosts)?;
        }
        Ok(unreadable)
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

/// What of a log is no event.
#[derive(Default)]
pub struct Complaints {
    lines: usize,
    others: usize,
    is_quiet: bool,
}

impl Complaints {
    /// Says what is wrong, of lines the first few: whoever fills the log with rubbish is not to fill the terminal.
    pub fn take(&mut self, item: &Item<'_>) {
        let text = match item {
            Item::Event(_) => return,
            Item::Wrong { place, why } => {
                self.lines += 1;
                if self.lines > UNREADABLE_SHOWN {
                    return;
                }
                format!("{place}: not an event: {why}")
            }
            Item::Skipped { path, bytes } => {
                self.others += 1;
                format!("{}: {bytes} bytes are not lines of events; skipped", path.display())
            }
            Item::Unreadable(error) => {
                self.others += 1;
                explained(error)
            }
        };
        if !self.is_quiet {
            crate::complain(text);
        }
    }

    /// Says how many more lines there are; gives how much was wrong.
    pub fn done(self) -> usize {
        let more = self.lines.saturating_sub(UNREADABLE_SHOWN);
        if more > 0 && !self.is_quiet {
            let are = if more == 1 { "is no event" } else { "are no events" };
            crate::complain(format_args!("{} {are}", check::counted(more, "more line")));
        }
        self.lines + self.others
    }
}

/// Why a log cannot be read, and what to do.
pub fn explained(error: &log::Error) -> String {
    let help = match error {
        // A single word is rather the name of a unit or of a virtual host.
        log::Error::File { path, error }
            if error.kind() == ErrorKind::NotFound && path.components().count() == 1 && path.extension().is_none() =>
        {
            "; help: name a file of events, or none for the journal; --vhost NAME chooses a virtual host".to_owned()
        }
        log::Error::Journalctl { .. } => "; where events go to a file, name it: portcullis events FILE".to_owned(),
        log::Error::Journal(_) if !crate::install::is_root() => format!("; help: {}", crate::out::as_root()),
        _ => String::new(),
    };
    format!("{error}{help}")
}

/// Adds what was merged to the events that it is like.
pub(crate) fn together(events: Vec<Event>, of_requests: bool) -> Vec<Event> {
    let (merged, mut events): (Vec<Event>, Vec<Event>) = events.into_iter().partition(Event::is_of_merged);
    if merged.is_empty() {
        return events;
    }
    let owned = |(host, id): (&str, &str)| (host.to_owned(), id.to_owned());
    let numbered = events.iter().enumerate();
    let places: HashMap<(String, String), usize> =
        numbered.filter_map(|(place, event)| Some((owned(event.identity()?), place))).collect();
    let mut others = Vec::new();
    for event in merged {
        match event.like().and_then(|like| places.get(&owned(like))) {
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
        // An identifier is one host's: whoever writes events elsewhere chooses any.
        let mut other = event("a-1").value();
        other["host"] = json!({ "hostname": "web2" });
        let counts: Vec<usize> =
            together(vec![event("a-1"), Event::of(&other), merged("a-1", 5)], false).iter().map(Event::count).collect();
        assert_eq!(counts, [6, 1]);
    }
}
