//! Which events were read before: a log and its copy, or a file and the journal, have the same.

use crate::trail::stable;
use std::collections::{BTreeMap, HashMap, HashSet};

/// So many events whose identifier is no number in a stream are remembered.
const OTHERS_MAX: usize = 200_000;
/// So many spans of numbers are remembered. A span is many events, since a stream counts its own.
const SPANS_MAX: usize = 1_000_000;

/// The identifiers of events, as spans of numbers in each stream.
#[derive(Default)]
pub struct Seen {
    /// The spans by stream: first number, last number.
    streams: HashMap<u64, BTreeMap<u64, u64>>,
    spans: usize,
    others: HashSet<u64>,
    /// How many events were there before.
    pub again: u64,
}

impl Seen {
    /// Whether an event with this identifier, `STREAM-NUMBER`, is new.
    pub fn is_new(&mut self, id: &str) -> bool {
        let is_new = match id.rsplit_once('-').and_then(|(stream, number)| Some((stream, number.parse().ok()?))) {
            _ if id.is_empty() => true,
            Some((stream, number)) => self.is_new_in(stable(stream), number),
            None if self.others.len() < OTHERS_MAX => self.others.insert(stable(id)),
            None => !self.others.contains(&stable(id)),
        };
        self.again += u64::from(!is_new);
        is_new
    }

    fn is_new_in(&mut self, stream: u64, number: u64) -> bool {
        let spans = self.streams.entry(stream).or_default();
        let before = spans.range(..=number).next_back().map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let after = number.checked_add(1).and_then(|next| spans.get(&next).copied().map(|last| (next, last)));
        let last = after.map_or(number, |(_, last)| last);
        if let Some((next, _)) = after {
            spans.remove(&next);
            self.spans -= 1;
        }
        match before.filter(|(_, before)| before.checked_add(1) == Some(number)) {
            Some((first, _)) => drop(spans.insert(first, last)),
            None if self.spans < SPANS_MAX => {
                spans.insert(number, last);
                self.spans += 1;
            }
            None => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_stream_are_spans() {
        let mut seen = Seen::default();
        for number in [1, 2, 3, 7, 6, 9, 8, 4, 5, u64::MAX, u64::MAX - 1] {
            assert!(seen.is_new(&format!("ab-{number}")), "{number}");
            assert!(!seen.is_new(&format!("ab-{number}")), "{number}");
            assert!(seen.is_new(&format!("cd-{number}")), "another stream's {number}");
        }
        assert_eq!(seen.spans, 4);
        assert!(seen.is_new("") && seen.is_new("") && seen.is_new("x") && !seen.is_new("x"));
        assert_eq!(seen.again, 12);
    }
}
