//! Which events were read before: a log and its copy, or a file and the journal, have the same.
//!
//! **What counts as the same**: the identifier and the content. Whoever may write to the log could otherwise hide an event behind one of
//! his own that has its identifier.

use crate::Event;
use crate::trail::stable;
use portcullis_event::field;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// So many events are remembered by their numbers in a stream, and so many others.
const NUMBERED_MAX: usize = 16_000_000;
const OTHERS_MAX: usize = 200_000;

/// The events that were read.
#[derive(Default)]
pub struct Seen {
    /// By stream, spans of numbers that follow each other: the first number, and the hash of each event's content.
    streams: HashMap<u64, BTreeMap<u64, VecDeque<u32>>>,
    numbered: usize,
    others: HashSet<u64>,
    /// Of the content: nobody can choose one with the hash of another.
    hasher: RandomState,
    /// How many events were there before.
    pub again: u64,
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
        let numbered = id.rsplit_once('-').and_then(|(stream, number)| Some((stream, number.parse().ok()?)));
        let Some((stream, number)) = numbered else { return self.is_new_other(host, id, content) };
        match self.earlier(stable((host, stream)), number, content) {
            Some(earlier) if earlier == content => false,
            Some(_) => self.is_new_other(host, id, content),
            None => true,
        }
    }

    fn is_new_other(&mut self, host: &str, id: &str, content: u32) -> bool {
        self.is_new_hash(self.hasher.hash_one((host, id, content)))
    }

    fn is_new_hash(&mut self, other: u64) -> bool {
        if self.others.len() < OTHERS_MAX { self.others.insert(other) } else { !self.others.contains(&other) }
    }

    /// The content of the event with this number that was read before; remembers this one where there is none.
    fn earlier(&mut self, stream: u64, number: u64, content: u32) -> Option<u32> {
        let spans = self.streams.entry(stream).or_default();
        let before = spans.range_mut(..=number).next_back();
        if let Some((first, span)) = before {
            match usize::try_from(number - first) {
                Ok(at) if at < span.len() => return span.get(at).copied(),
                Ok(at) if at == span.len() && self.numbered < NUMBERED_MAX => {
                    let first = *first;
                    span.push_back(content);
                    self.numbered += 1;
                    let next = number.checked_add(1).and_then(|next| spans.remove(&next));
                    if let (Some(next), Some(span)) = (next, spans.get_mut(&first)) {
                        span.extend(next);
                    }
                    return None;
                }
                _ => {}
            }
        }
        if self.numbered < NUMBERED_MAX {
            let mut span = number.checked_add(1).and_then(|next| spans.remove(&next)).unwrap_or_default();
            span.push_front(content);
            spans.insert(number, span);
            self.numbered += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_stream_are_spans() {
        let mut seen = Seen::default();
        for number in [1, 2, 3, 7, 6, 9, 8, 4, 5, u64::MAX, u64::MAX - 1] {
            let content = number as u32 ^ 77;
            assert!(seen.is_new_content("h", &format!("ab-{number}"), content), "{number}");
            assert!(!seen.is_new_content("h", &format!("ab-{number}"), content), "{number}");
            assert!(seen.is_new_content("h", &format!("cd-{number}"), content), "another stream's {number}");
        }
        assert_eq!(seen.streams.values().map(BTreeMap::len).collect::<Vec<_>>(), [2, 2]);
        assert!(seen.is_new_content("h", "x", 1) && !seen.is_new_content("h", "x", 1));
        assert!(seen.is_new_content("i", "x", 1), "another host's");
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
