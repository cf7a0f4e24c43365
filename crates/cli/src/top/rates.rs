//! How many calls there were, by site or by rule, in the last minute, hour and all the time.

use std::collections::HashMap;

/// How long a span is of which the calls are counted together, in seconds, and how many spans there are: an hour.
const SPAN: i64 = 10;
const SPANS: usize = 360;
/// So many names are told apart; the rest is one.
const NAMES_MAX: usize = 1000;
/// What the rest is called.
const OTHERS: &str = "(others)";

/// The calls of one name.
#[derive(Clone)]
pub struct Rate {
    spans: Box<[u64; SPANS]>,
    newest: i64,
    /// All of them.
    pub all: u64,
    /// Those that were blocked.
    pub blocked: u64,
}

impl Default for Rate {
    fn default() -> Rate {
        Rate { spans: Box::new([0; SPANS]), newest: 0, all: 0, blocked: 0 }
    }
}

impl Rate {
    /// Counts calls at a time, in seconds since 1970.
    pub fn add(&mut self, at: i64, calls: u64, blocked: bool) {
        self.all = self.all.saturating_add(calls);
        self.blocked = self.blocked.saturating_add(if blocked { calls } else { 0 });
        let span = at / SPAN;
        if span > self.newest {
            let passed = span.saturating_sub(self.newest).min(SPANS as i64);
            (0..passed).for_each(|back| self.spans[place(span - back)] = 0);
            self.newest = span;
        }
        if span > self.newest - SPANS as i64 {
            let own = &mut self.spans[place(span)];
            *own = own.saturating_add(calls);
        }
    }

    /// How many there were in the last minutes, up to 60.
    pub fn last(&self, now: i64, minutes: i64) -> u64 {
        let now = now / SPAN;
        let oldest = (now - minutes * 60 / SPAN).max(self.newest - SPANS as i64);
        (oldest + 1..=now.min(self.newest)).fold(0, |sum: u64, span| sum.saturating_add(self.spans[place(span)]))
    }
}

fn place(span: i64) -> usize {
    span.rem_euclid(SPANS as i64) as usize
}

/// Rates by name.
#[derive(Default)]
pub struct Rates(HashMap<String, Rate>);

impl Rates {
    /// Counts calls of a name.
    pub fn add(&mut self, name: &str, at: i64, calls: u64, blocked: bool) {
        let name = if self.0.len() < NAMES_MAX || self.0.contains_key(name) { name } else { OTHERS };
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Rate::default());
        }
        if let Some(rate) = self.0.get_mut(name) {
            rate.add(at, calls, blocked);
        }
    }

    /// Those with the most calls lately first.
    pub fn ranked(&self, now: i64) -> Vec<(&str, &Rate)> {
        let mut all: Vec<(&str, &Rate)> = self.0.iter().map(|(name, rate)| (name.as_str(), rate)).collect();
        all.sort_by_cached_key(|(name, rate)| {
            (std::cmp::Reverse((rate.last(now, 1), rate.last(now, 60), rate.all)), (*name).to_owned())
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_ago_is_in_the_sum_alone() {
        let mut rate = Rate::default();
        let now = 1_790_000_000;
        for (ago, calls) in [(4000, 1), (3000, 2), (50, 4), (0, 8), (70, 16)] {
            rate.add(now - ago, calls, ago == 0);
        }
        assert_eq!(
            [rate.last(now, 1), rate.last(now, 10), rate.last(now, 60), rate.all, rate.blocked],
            [12, 28, 30, 31, 8]
        );
        assert_eq!([rate.last(now + 120, 1), rate.last(now + 120, 60), rate.last(now + 7200, 60)], [0, 30, 0]);
        rate.add(now + 7200, 1, false);
        assert_eq!(rate.last(now + 7200, 60), 1, "what is in a place of the ring was before");
        rate.add(i64::MAX, u64::MAX, true);
        rate.add(i64::MIN, u64::MAX, true);
        assert_eq!(rate.all, u64::MAX);
    }

    #[test]
    fn names_have_a_bound() {
        let mut rates = Rates::default();
        (0..5000).for_each(|number| rates.add(&format!("s{number}"), 100, 1, false));
        rates.add("s7", 100, 1, false);
        let ranked = rates.ranked(100);
        assert_eq!((ranked.len(), ranked[0].0, ranked[0].1.all, ranked[1].0), (1001, OTHERS, 4000, "s7"));
    }
}
