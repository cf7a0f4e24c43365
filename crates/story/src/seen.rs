//! Which events were read before: a log and its copy, or a file and the journal, have the same.
//!
//! **What counts as the same**: the identifier and the content. Whoever may write to the log could otherwise hide an event behind one of
//! his own that has its identifier.
//!
//! **Memory**: a stream that goes on has four bytes for each event, and any other event has about 16. Beyond the bounds, an event is new
//! each time that it is read: none is left out.

use crate::Event;
use crate::quick::{Set, Table};
use crate::recent::Recent;
use crate::trail::stable;
use portcullis_event::field;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// So many events are remembered by their numbers in a stream, and so many others.
const NUMBERED_MAX: usize = 16_000_000;
const OTHERS_MAX: usize = 3_500_000;
/// So many events of a stream follow each other before they are remembered by their numbers.
const RUN: u32 = 16;
/// So many streams are watched for that at least.
const WATCHED: usize = 10_000;

/// The events that were read.
#[derive(Default)]
pub struct Seen {
    /// By stream, spans of numbers that follow each other: the first number, and the hash of each event's content.
    streams: Table<u64, BTreeMap<u64, VecDeque<u32>>>,
    numbered: usize,
    /// Of other streams, the last number, and how many follow each other up to it.
    runs: Runs,
    /// Hashes of the events that are in no span.
    others: Set<u64>,
    /// Of the content: nobody can choose one with the hash of another.
    hasher: RandomState,
    /// How many events were there before.
    pub again: u64,
}

struct Runs(Recent<(u64, u32)>);

impl Default for Runs {
    fn default() -> Runs {
        Runs(Recent::new(WATCHED))
    }
}

/// What the spans of a stream have at a number.
enum Place {
    /// An event with this content.
    Taken(u32),
    /// Nothing, and the span that begins there is followed by the number.
    Behind(u64),
    /// Nothing.
    Free,
}

impl Seen {
    /// Whether an event is new.
    pub fn is_new(&mut self, event: &Event) -> bool {
        let content = self.hasher.hash_one((event.line(), event.contradicted()));
        let is_new = match event.text(field::EVENT_ID) {
            // Another version may have no identifiers. Two events of one nanosecond that are the same are one; without a time, they may be two.
            "" => event.text(field::TIMESTAMP).is_empty() || self.is_new_hash(content),
            id => self.is_new_content(event.text(field::HOST_HOSTNAME), id, content as u32),
        };
        self.again += u64::from(!is_new);
        is_new
    }

    /// Two hosts may have streams of one name: a copy of a machine has.
    fn is_new_content(&mut self, host: &str, id: &str, content: u32) -> bool {
        let other = self.hasher.hash_one((host, id, content));
        let numbered = id.rsplit_once('-').and_then(|(stream, number)| Some((stream, number.parse().ok()?)));
        let Some((stream, number)) = numbered else { return self.is_new_hash(other) };
        let stream = stable((host, stream));
        match self.place(stream, number) {
            Place::Taken(earlier) if earlier == content => false,
            Place::Taken(_) => self.is_new_hash(other),
            _ if self.others.contains(&other) => false,
            Place::Behind(first) if self.numbered < NUMBERED_MAX => {
                self.add_behind(stream, first, number, content);
                true
            }
            _ if self.goes_on(stream, number) && self.numbered < NUMBERED_MAX => {
                self.streams.entry(stream).or_default().insert(number, [content].into());
                self.numbered += 1;
                true
            }
            _ => self.is_new_hash(other),
        }
    }

    fn is_new_hash(&mut self, other: u64) -> bool {
        if self.others.len() < OTHERS_MAX { self.others.insert(other) } else { !self.others.contains(&other) }
    }

    fn place(&self, stream: u64, number: u64) -> Place {
        let before = self.streams.get(&stream).and_then(|spans| spans.range(..=number).next_back());
        let Some((first, span)) = before else { return Place::Free };
        match usize::try_from(number - first) {
            Ok(at) if at < span.len() => Place::Taken(span[at]),
            Ok(at) if at == span.len() => Place::Behind(*first),
            _ => Place::Free,
        }
    }

    /// Adds a number behind a span, which may meet the next one then.
    fn add_behind(&mut self, stream: u64, first: u64, number: u64, content: u32) {
        let Some(spans) = self.streams.get_mut(&stream) else { return };
        let next = number.checked_add(1).and_then(|next| spans.remove(&next));
        if let Some(span) = spans.get_mut(&first) {
            span.push_back(content);
            span.extend(next.into_iter().flatten());
            self.numbered += 1;
        }
    }

    /// Whether a number is one of many that follow each other.
    fn goes_on(&mut self, stream: u64, number: u64) -> bool {
        let run = match self.runs.0.get(stream) {
            Some((last, run)) if last.checked_add(1) == Some(number) => run + 1,
            _ => 1,
        };
        self.runs.0.insert(stream, (number, run));
        run >= RUN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_new(seen: &mut Seen, stream: &str, number: u64) -> bool {
        seen.is_new_content("h", &format!("{stream}-{number}"), number as u32 ^ 77)
    }

    #[test]
    fn numbers_that_follow_each_other_are_spans() {
        let mut seen = Seen::default();
        let parts = [500..700, 1..300, 300..500, 700..710, u64::MAX - 40..u64::MAX];
        for number in parts.into_iter().flatten().chain([u64::MAX]) {
            assert!(is_new(&mut seen, "ab", number), "{number}");
            assert!(!is_new(&mut seen, "ab", number), "{number}");
        }
        for number in (1..710).rev() {
            assert!(!is_new(&mut seen, "ab", number), "{number}");
            assert!(is_new(&mut seen, "cd", number), "another stream's {number}");
        }
        let lengths = |stream: &str| -> Vec<usize> {
            seen.streams.get(&stable(("h", stream))).into_iter().flatten().map(|(_, span)| span.len()).collect()
        };
        // The first ones of each run are among the others; those of the first 500 meet the span behind them.
        assert_eq!(lengths("ab").len(), 3, "{:?}", lengths("ab"));
        assert!(lengths("cd").is_empty(), "they did not follow each other");
        assert!(seen.is_new_content("h", "x", 1) && !seen.is_new_content("h", "x", 1));
        assert!(seen.is_new_content("i", "x", 1), "another host's");
    }

    /// Each program that is started has a stream of its own, of a few events.
    #[test]
    fn short_streams_and_gaps_take_no_spans() {
        let mut seen = Seen::default();
        for round in 0..2 {
            for at in 0..20_000 {
                assert_eq!(is_new(&mut seen, &format!("s{at}"), 1), round == 0);
                assert_eq!(is_new(&mut seen, "gaps", at * 2), round == 0);
            }
        }
        assert!(seen.streams.is_empty() && seen.others.len() == 40_000);
    }

    #[test]
    fn what_has_no_identifier_is_the_same_if_all_of_it_is() {
        use serde_json::json;
        let mut seen = Seen::default();
        let event = |time: &str, host: &str| {
            Event::of(&json!({ "@timestamp": time, "host": { "hostname": host }, "rule": { "id": "shell-spawn" } }))
        };
        for (time, host, is_new) in
            [("1", "a", true), ("1", "a", false), ("1", "b", true), ("2", "a", true), ("", "a", true), ("", "a", true)]
        {
            assert_eq!(seen.is_new(&event(time, host)), is_new, "{time} {host}");
        }
        assert_eq!(seen.again, 1);
    }

    #[test]
    fn another_content_is_another_event() {
        let mut seen = Seen::default();
        for (id, content, is_new) in
            [("ab-1", 1, true), ("ab-1", 2, true), ("ab-1", 2, false), ("ab-1", 1, false), ("ab-1", 3, true)]
        {
            assert_eq!(seen.is_new_content("h", id, content), is_new, "{id} {content}");
        }
    }
}
