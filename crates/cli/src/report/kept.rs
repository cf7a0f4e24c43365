//! The events that the page shows of each incident: chosen by what the first reading noted, and read once more.
//!
//! **Memory** is bounded for each incident. The first events of its steps come before all others: an attacker who does much does not
//! hide what he did first.

use crate::log::{self, Event, Selection};
use crate::out;
use portcullis_story::{Incident, Index, Note, Notes};
use std::collections::{HashMap, HashSet};

/// So many incidents have more events than the others.
const FIRST: usize = 20;
/// So many events, and so many bytes of them, are kept of each of the first incidents, and of each other one.
const MOST: [(usize, usize); 2] = [(40, 1 << 20), (4, 64 << 10)];
/// What an event takes beside its line, in bytes, about.
const BESIDE: usize = 3 << 10;

/// The events of each incident, in the order of time, and how many more there are; and why some are missing that would be here.
#[derive(Default)]
pub struct Kept {
    all: Vec<(Vec<Event>, usize)>,
    pub lack: Option<String>,
}

impl Kept {
    /// Reads the lines of the log once more that have events to keep. Without them there is a page still.
    pub fn read(selection: &Selection, incidents: &[Incident], mut notes: Notes) -> Kept {
        let (mut keeper, mut lack) = match Keeper::of(incidents, &mut notes) {
            Ok(keeper) => (keeper, None),
            Err(error) => {
                eprintln!(
                    "portcullis: note: notes of events cannot be kept in {}: {error}; the log is read once more instead; help: TMPDIR \
                     names another directory",
                    out::printable(&portcullis_story::spill_folder().display().to_string())
                );
                Keeper::again(selection, incidents, &notes)
            }
        };
        let lines: HashSet<u64> = keeper.wanted.keys().copied().collect();
        let is_wanted = |line: &[u8]| notes.has_parts() || lines.contains(&notes.line(line));
        if !lines.is_empty()
            && let Err(why) = selection.read_lines_again(&is_wanted, &mut |event| keeper.take(event, &notes))
        {
            lack = lack.or(Some(why));
        }
        Kept { lack, ..keeper.done() }
    }

    /// Those of an incident, by its place.
    pub fn of(&self, place: usize) -> (&[Event], usize) {
        self.all.get(place).map_or((&[], 0), |(events, more)| (events, *more))
    }
}

/// Takes those events out of a log that are kept.
pub struct Keeper {
    /// By their lines: the place of the incident, and the place among its events.
    wanted: HashMap<u64, (usize, usize)>,
    /// How many events each incident has, and those of them that are kept, with their places.
    found: Vec<(usize, Vec<(usize, Event)>)>,
}

/// What is chosen of an incident's events.
#[derive(Default)]
struct Own {
    steps: HashSet<u64>,
    of_steps: Vec<u64>,
    others: Vec<u64>,
    /// What long events of these take.
    long: [usize; 2],
    all: usize,
}

impl Own {
    fn choose(&mut self, note: Note, (most, bytes): (usize, usize)) {
        self.all += 1;
        // Of an event that is the first of its step, its copy is not.
        let is_of_step = self.steps.remove(&note.id);
        let weight = note.length.saturating_add(BESIDE);
        // Long events have room of their own, so that they leave no other out, nor those of steps.
        let is_long = weight > bytes / 2 / most;
        let long = &mut self.long[usize::from(is_of_step)];
        let list = if is_of_step { &mut self.of_steps } else { &mut self.others };
        if list.len() == most || is_long && long.saturating_add(weight) > bytes / 4 {
            return;
        }
        *long += if is_long { weight } else { 0 };
        list.push(note.line);
    }
}

/// How many events, and how many bytes of them, are kept of the incident at a place.
fn most(place: usize) -> (usize, usize) {
    MOST[usize::from(place >= FIRST)]
}

/// Nothing is chosen yet.
fn unchosen(incidents: &[Incident]) -> Vec<Own> {
    let own = |incident: &Incident| Own {
        steps: incident.steps.iter().map(|step| Notes::id(&step.event)).collect(),
        ..Own::default()
    };
    incidents.iter().map(own).collect()
}

impl Keeper {
    /// For these incidents, by what was noted of all events. An error of the disk.
    pub fn of(incidents: &[Incident], notes: &mut Notes) -> std::io::Result<Keeper> {
        let mut all = unchosen(incidents);
        notes.each(&Index::new(incidents), &mut |place, note| all[place].choose(note, most(place)))?;
        Ok(Keeper::chosen(all))
    }

    /// The same by reading the log once more; and why not all of it could be read.
    fn again(selection: &Selection, incidents: &[Incident], notes: &Notes) -> (Keeper, Option<String>) {
        let (mut all, mut again, index) = (unchosen(incidents), notes.again(), Index::new(incidents));
        let read = selection.read_every_again(&mut |event, is_chosen| {
            if let Some((place, note)) = again.of(&event, &index).filter(|_| is_chosen) {
                all[place].choose(note, most(place));
            }
        });
        (Keeper::chosen(all), read.err())
    }

    fn chosen(all: Vec<Own>) -> Keeper {
        let mut keeper = Keeper { wanted: HashMap::new(), found: Vec::new() };
        for (place, own) in all.into_iter().enumerate() {
            let chosen = own.of_steps.into_iter().chain(own.others).take(most(place).0);
            keeper.wanted.extend(chosen.enumerate().map(|(rank, line)| (line, (place, rank))));
            keeper.found.push((own.all, Vec::new()));
        }
        keeper
    }

    /// Takes an event, the first time that it is read.
    pub fn take(&mut self, event: Event, notes: &Notes) {
        if let Some((place, rank)) = self.wanted.remove(&notes.line(event.line().as_bytes())) {
            self.found[place].1.push((rank, event));
        }
    }

    /// What is kept.
    pub fn done(self) -> Kept {
        let sorted = |(all, mut found): (usize, Vec<(usize, Event)>)| {
            found.sort_by_key(|(rank, event)| (event.nanoseconds(), *rank));
            let events: Vec<Event> = found.into_iter().map(|(_, event)| event).collect();
            let more = all - events.len();
            (log::together(events, false), more)
        };
        Kept { all: self.found.into_iter().map(sorted).collect(), lack: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_event::field;
    use portcullis_story::{Story, find};
    use serde_json::json;

    fn line(number: usize, command: &str) -> String {
        let event = json!({
            "@timestamp": format!("2026-11-24T16:25:{number:02}Z"), "rule": { "id": "shell-spawn" },
            "event": { "id": format!("ab-{number}"), "action": "exec", "outcome": "success" },
            "client": { "address": "192.0.2.7" }, "process": { "command_line": command },
            "portcullis": { "request": { "script": "/srv/a.php" } },
        });
        event.to_string()
    }

    /// The identifiers of the events that are kept of the only incident of a log, and how many more it has.
    fn kept(log: &str) -> (Vec<String>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, log).unwrap();
        let selection = Selection { files: vec![path], ..Selection::default() };
        let (mut story, mut notes) = (Story::default(), Notes::default());
        let taken = selection.read_every(false, &mut |event, is_chosen| {
            let taken = story.take(&event, is_chosen);
            if is_chosen {
                notes.take(&event, taken);
            }
        });
        assert!(taken.is_ok());
        let incidents = find(&story.told());
        assert_eq!(incidents.len(), 1);
        let kept = Kept::read(&selection, &incidents, notes);
        let (events, more) = kept.of(0);
        (events.iter().map(|event| event.text(field::EVENT_ID).to_owned()).collect(), more)
    }

    #[test]
    fn events_come_by_time_each_once_and_the_others_are_counted() {
        let (most, _) = MOST[0];
        let log: Vec<String> = (0..most + 10).rev().map(|number| line(number, "id") + "\n  ").collect();
        let (found, more) = kept(&(log.concat() + &log.concat()));
        assert_eq!((found.len(), more), (most, 10));
        assert!(found.contains(&"ab-49".to_owned()), "the one that was read first is that of the step");
        assert!(found.is_sorted_by_key(|id| id[3..].parse::<usize>().unwrap()), "{found:?}");
    }

    #[test]
    fn long_events_leave_no_other_out() {
        let (_, bytes) = MOST[0];
        let long = (0..9).map(|number| line(number, &format!("id {}", "x".repeat(bytes / 5))) + "\n");
        let log: String = long.chain([line(30, "w"), line(31, "uptime")]).collect();
        let (found, more) = kept(&(log + "\n"));
        assert!(found.contains(&"ab-0".to_owned()), "{found:?}");
        assert!(found.ends_with(&["ab-30".to_owned(), "ab-31".to_owned()]), "{found:?}");
        assert!(more > 0, "{found:?}");
    }

    /// What stands behind half an event, or behind another one, has no line of its own.
    #[test]
    fn an_event_in_a_line_with_others_is_kept() {
        let (one, two, three) = (line(1, "id"), line(2, "w"), line(3, "uptime"));
        let log = format!("{one}\n{}{two}\n{three}{}\n", &one[..40], line(4, "ls"));
        assert_eq!(kept(&log), (["ab-1", "ab-2", "ab-3", "ab-4"].map(str::to_owned).to_vec(), 0));
    }
}
