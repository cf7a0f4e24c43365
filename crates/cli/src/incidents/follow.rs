//! `portcullis events --incidents --follow`: incidents as they come and grow.

use super::list::List;
use super::{as_json, print_list};
use crate::arguments::Events;
use crate::events::Read;
use crate::events::live::{Beat, Live};
use crate::log::Selection;
use crate::out;
use portcullis_story::{Incident, find};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The width of the word before a line.
const WORD: usize = 6;
/// So many points more are worth a word.
const POINTS: u32 = 10;
/// How often a log that is followed is looked at, at most, and how many times as long as that takes: the longer, the more is in it.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_TIMES: u32 = 10;

/// Prints the list, then each incident that is new, and each that has become graver.
pub fn follow(arguments: &Events) -> Result<Read, String> {
    let live = Live::begin(arguments.selection.clone());
    let (mut story, mut scores) = (Selection::live_story(), Scores::default());
    let (mut is_changed, mut looked) = (false, None::<(Instant, Duration)>);
    loop {
        let beat = live.next();
        let is_quiet = !matches!(beat, Beat::Event(..));
        let end = match beat {
            Beat::Event(event, is_chosen) => {
                is_changed |= story.take(&event, is_chosen).is_new();
                None
            }
            Beat::Quiet => None,
            Beat::End(done) => Some(done),
        };
        // What there was already is one list, however long its reading takes.
        let is_time = looked.map_or(is_quiet, |(at, took)| at.elapsed() >= LOOK.max(took * LOOK_TIMES));
        if is_changed && (is_time || end.is_some()) {
            let began = Instant::now();
            story.so_far(|told| {
                let news = scores.news(find(told));
                match looked {
                    None => {
                        let all: Vec<Incident> = news.iter().map(|(incident, _)| incident.clone()).collect();
                        print_list(arguments, &all, all.len(), told.has_hosts());
                    }
                    Some(_) => news.iter().for_each(|(incident, is_new)| {
                        print_news(arguments, incident, *is_new, told.has_hosts());
                    }),
                }
            });
            (is_changed, looked) = (false, Some((Instant::now(), began.elapsed())));
        }
        if let Some(done) = end {
            return Ok(Read { unreadable: done?, matched: scores.0.len() });
        }
    }
}

fn print_news(arguments: &Events, incident: &Incident, is_new: bool, has_hosts: bool) {
    let word = if is_new { "new" } else { "graver" };
    if arguments.json {
        let mut value = as_json(incident);
        value["change"] = word.into();
        return println!("{}", out::json(&value, false));
    }
    let columns = out::columns().map(|columns| columns.saturating_sub(WORD + 2));
    println!("{word:<WORD$}  {}", List::of(columns, std::slice::from_ref(incident), has_hosts).line(incident));
}

/// How grave an incident is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Grave {
    severity: u8,
    score: u32,
}

impl Grave {
    fn of(incident: &Incident) -> Grave {
        Grave { severity: incident.severity, score: incident.score }
    }

    /// Whether it is graver than another so that somebody should look again: a few points more come with each kind of call.
    fn is_graver(self, other: Grave) -> bool {
        self.severity > other.severity || self.score >= other.score.saturating_add(POINTS)
    }
}

/// How grave each incident was when it was shown, by the names of its trails.
#[derive(Default)]
struct Scores(HashMap<String, Grave>);

impl Scores {
    /// The incidents that are new, or graver than they were shown, and whether they are new.
    fn news(&mut self, incidents: Vec<Incident>) -> Vec<(Incident, bool)> {
        let (mut news, mut scores) = (Vec::new(), HashMap::new());
        for incident in incidents {
            // One that is joined with another is not new.
            let shown: Vec<Grave> = incident.names().filter_map(|name| self.0.get(&name).copied()).collect();
            let before = shown.iter().copied().reduce(|one, other| Grave {
                severity: one.severity.max(other.severity),
                score: one.score.max(other.score),
            });
            let now = Grave::of(&incident);
            let is_news = before.is_none_or(|before| now.is_graver(before));
            // What grows by little, and again by little, is told once it is so much more than it was shown with.
            let known = before.filter(|_| !is_news).unwrap_or(now);
            scores.extend(incident.names().map(|name| (name, known)));
            if is_news {
                news.push((incident, before.is_none()));
            }
        }
        // Those that are no more are forgotten.
        self.0 = scores;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_story::{Event, Story};
    use serde_json::json;

    #[test]
    fn only_what_is_much_graver_is_told_again() {
        let (mut story, mut scores) = (Story::default(), Scores::default());
        let mut told = Vec::new();
        for (number, (rule, command)) in [
            ("shell-spawn", "sh -c id"),
            ("shell-spawn", "sh -c w"),
            ("shell-spawn", "sh -c ls"),
            ("shell-spawn", "sh -c ps"),
            ("shell-spawn", "sh -c env"),
            ("shell-spawn", "sh -c pwd"),
            ("stdio-socket", "sh -i"),
            ("stdio-socket", "sh -i"),
        ]
        .into_iter()
        .enumerate()
        {
            story.take(
                &Event::of(&json!({
                    "@timestamp": format!("2026-11-24T16:25:0{number}Z"), "rule": { "id": rule },
                    "event": { "action": "exec", "outcome": "success", "id": format!("a-{number}") },
                    "client": { "address": "192.88.1.66" }, "url": { "domain": "shop.example" },
                    "process": { "command_line": command },
                    "portcullis": { "request": { "script": "/srv/up.php" }, "chain": "php > sh" },
                })),
                true,
            );
            told.extend(
                scores.news(story.so_far(find)).into_iter().map(|(one, is_new)| (number, one.severity, is_new)),
            );
        }
        // New; ten points more than that; and a graver rule.
        assert_eq!(told, [(0, 47, true), (5, 47, false), (6, 73, false)]);
    }
}
