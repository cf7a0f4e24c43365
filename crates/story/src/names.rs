//! Texts, each held once: one after the other in one buffer.

use crate::quick::Quick;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// What a text takes beside its own bytes, in bytes, about: where it ends, and its places in a table that is half full.
const BESIDE: usize = 22;

/// Texts by their numbers; number 0 is the empty one.
#[derive(Default)]
pub struct Names {
    /// With a half of each hash: a table that grows reads no text.
    numbers: HashTable<(u32, u32)>,
    hasher: Quick,
    buffer: String,
    /// Where the text of each number ends, without the empty one.
    ends: Vec<u32>,
}

impl Names {
    /// The number of a text; 0 where there is no room for it: 4 GiB of texts are held.
    pub fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let half = self.hasher.hash_one(text) as u32;
        let is_it = |(known, number): &(u32, u32)| *known == half && self.text(*number) == text;
        if let Some((_, number)) = self.numbers.find(spread(half), is_it) {
            return *number;
        }
        let end = u32::try_from(self.buffer.len() + text.len());
        let (Ok(number), Ok(end)) = (u32::try_from(self.len()), end) else { return 0 };
        self.buffer.push_str(text);
        self.ends.push(end);
        self.numbers.insert_unique(spread(half), (half, number), |(half, _)| spread(*half));
        number
    }

    /// The text of a number.
    #[must_use]
    pub fn text(&self, number: u32) -> &str {
        text_of(&self.buffer, &self.ends, number)
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() + 1
    }

    /// Whether there is none but the empty one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What they take, in bytes, about.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len() + self.ends.len() * BESIDE
    }
}

/// A half of a hash in both halves: a table takes the place from the lower bits, and tells those of a place apart by the highest.
fn spread(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}

fn text_of<'b>(buffer: &'b str, ends: &[u32], number: u32) -> &'b str {
    let Some(last) = (number as usize).checked_sub(1) else { return "" };
    let start = last.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end as usize);
    ends.get(last).and_then(|end| buffer.get(start..*end as usize)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_one_number() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..5000).map(|at| format!("{}\u{e9}{at}", "x".repeat(at % 7))).collect();
        let numbers: Vec<u32> = texts.iter().map(|text| names.number(text)).collect();
        assert_eq!(numbers, (1..=5000).collect::<Vec<u32>>());
        for (text, number) in texts.iter().zip(numbers) {
            assert_eq!(names.text(number), text);
            assert_eq!(names.number(text), number);
        }
        assert_eq!(names.number(""), 0);
        assert_eq!((names.text(0), names.text(9999), names.len()), ("", "", 5001));
    }
}
