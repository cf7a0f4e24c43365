//! `portcullis events --incidents --follow`: incidents as they come and grow.

use super::{as_json, line, print_list};
use crate::arguments::Events;
use crate::events::Read;
use crate::events::live::{Beat, Live};
use crate::out;
use portcullis_story::{Incident, Story, find};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often a log that is followed is looked at, at most, and how many times as long as that takes: the longer, the more is in it.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_TIMES: u32 = 10;

/// Prints the list, then each incident that is new, and each that has become graver.
pub fn follow(arguments: &Events) -> Result<Read, String> {
    let live = Live::begin(arguments.selection.clone());
    let (mut story, mut scores) = (Story::default(), Scores::default());
    let (mut is_changed, mut looked) = (false, None::<(Instant, Duration)>);
    loop {
        let beat = live.next();
        let is_quiet = !matches!(beat, Beat::Event(..));
        let end = match beat {
            Beat::Event(event, is_chosen) => {
                is_changed |= story.take(&event, is_chosen);
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
                    Some(_) => news.iter().for_each(|(incident, is_new)| print_news(arguments, incident, *is_new)),
                }
            });
            (is_changed, looked) = (false, Some((Instant::now(), began.elapsed())));
        }
        if let Some(done) = end {
            return Ok(Read { unreadable: done?, matched: scores.0.len() });
        }
    }
}

fn print_news(arguments: &Events, incident: &Incident, is_new: bool) {
    let word = if is_new { "new" } else { "graver" };
    if arguments.json {
        let mut value = as_json(incident);
        value["change"] = word.into();
        return println!("{}", out::json(&value, false));
    }
    println!("{word:<6}  {}", line(incident, true));
}

/// The score that each incident was shown with, by the names of its trails.
#[derive(Default)]
struct Scores(HashMap<String, u32>);

impl Scores {
    /// The incidents that are new, or graver than they were shown, and whether they are new.
    fn news(&mut self, incidents: Vec<Incident>) -> Vec<(Incident, bool)> {
        let (mut news, mut scores) = (Vec::new(), HashMap::new());
        for incident in incidents {
            // One that is joined with another is not new.
            let before = incident.names().filter_map(|name| self.0.get(&name).copied()).max();
            let score = before.unwrap_or(0).max(incident.score);
            scores.extend(incident.names().map(|name| (name, score)));
            if before.is_none_or(|before| incident.score > before) {
                news.push((incident, before.is_none()));
            }
        }
        // Those that are no more are forgotten.
        self.0 = scores;
        news
    }
}
