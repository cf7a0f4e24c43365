//! How many calls there were when, by severity, on a true axis of time.
//!
//! **Memory**: at most [`SPANS_MAX`] spans have calls. Where there are more, the spans become longer. A time that an attacker made up
//! costs one span, and does not make the others longer: empty ones are not held.

use super::Level;
use std::collections::BTreeMap;

/// So many spans with calls are told apart.
const SPANS_MAX: usize = 4096;
/// So many bars a chart has at most.
const BARS_MAX: i64 = 96;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 24 * 3600 * SECOND;
/// How long a span may be; each is a multiple of the one before.
const LENGTHS: [(i64, &str); 14] = [
    (SECOND, "second"),
    (5 * SECOND, "5 seconds"),
    (15 * SECOND, "15 seconds"),
    (60 * SECOND, "minute"),
    (300 * SECOND, "5 minutes"),
    (900 * SECOND, "15 minutes"),
    (3600 * SECOND, "hour"),
    (3 * 3600 * SECOND, "3 hours"),
    (6 * 3600 * SECOND, "6 hours"),
    (DAY, "day"),
    (7 * DAY, "7 days"),
    (28 * DAY, "28 days"),
    (364 * DAY, "364 days"),
    (7280 * DAY, "20 years"),
];
/// The axis leaves out what one call of so many is before or after it, where that makes it shorter by [`SHORTER`] at least.
const OUTSIDE: u64 = 200;
const SHORTER: i64 = 20;

/// Calls of a span: by level, those that went ahead and those that were blocked.
pub type Bar = [[u64; 2]; 4];

/// When calls were.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The place in [`LENGTHS`].
    length: usize,
    spans: BTreeMap<i64, Bar>,
    without_time: u64,
}

/// A timeline to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// How long the time of a bar is, in nanoseconds.
    pub length: i64,
    /// The same in words.
    pub by: &'static str,
    /// When the first bar begins: nanoseconds since 1970.
    pub start: i64,
    /// The bars, one for each time, also where nothing was.
    pub bars: Vec<Bar>,
    /// Calls before and after the axis.
    pub outside: [u64; 2],
    /// Calls of which no time is known.
    pub without_time: u64,
}

impl Timeline {
    pub(super) fn take(&mut self, when: Option<i64>, severity: u8, blocked: bool, calls: u64) {
        let Some(when) = when else { return self.without_time = self.without_time.saturating_add(calls) };
        let mut bar = Bar::default();
        bar[Level::of(severity) as usize][usize::from(blocked)] = calls;
        add(self.spans.entry(when.div_euclid(LENGTHS[self.length].0)).or_default(), &bar);
        while self.spans.len() > SPANS_MAX && self.length + 1 < LENGTHS.len() {
            let spans = std::mem::take(&mut self.spans);
            self.spans = longer(&spans, LENGTHS[self.length + 1].0 / LENGTHS[self.length].0);
            self.length += 1;
        }
    }

    /// The chart; `None` where nothing has a time.
    #[must_use]
    pub fn chart(&self) -> Option<Chart> {
        let (first, last) = self.axis()?;
        let own = LENGTHS[self.length].0;
        let fits = |length: i64| {
            let times = length / own;
            last.div_euclid(times).saturating_sub(first.div_euclid(times)) < BARS_MAX
        };
        let &(length, by) = LENGTHS[self.length..].iter().find(|(length, _)| fits(*length)).or(LENGTHS.last())?;
        let times = length / own;
        let mut outside = [0; 2];
        let (start, end) = (first.div_euclid(times), last.div_euclid(times));
        let mut bars = vec![Bar::default(); usize::try_from(end - start + 1).unwrap_or(1)];
        for (at, bar) in longer(&self.spans, times) {
            match at {
                _ if at < start => outside[0] += sum(&bar),
                _ if at > end => outside[1] += sum(&bar),
                _ => add(&mut bars[(at - start) as usize], &bar),
            }
        }
        let start = start.saturating_mul(length);
        Some(Chart { length, by, start, bars, outside, without_time: self.without_time })
    }

    /// The first and the last span of the axis.
    fn axis(&self) -> Option<(i64, i64)> {
        let (first, last) = (*self.spans.keys().next()?, *self.spans.keys().next_back()?);
        let most = self.spans.values().fold(0_u64, |all, bar| all.saturating_add(sum(bar))) / OUTSIDE;
        let from = inner(self.spans.iter(), most)?;
        let to = inner(self.spans.iter().rev(), most)?;
        let is_shorter = (last - first + 1) / SHORTER > (to - from + 1);
        Some(if from <= to && is_shorter { (from, to) } else { (first, last) })
    }
}

/// The first span behind so many calls.
fn inner<'s>(mut spans: impl Iterator<Item = (&'s i64, &'s Bar)>, mut calls: u64) -> Option<i64> {
    let is_behind = |(_, bar): &(&i64, &Bar)| match calls.checked_sub(sum(bar)) {
        Some(left) => {
            calls = left;
            false
        }
        None => true,
    };
    spans.find(is_behind).map(|(at, _)| *at)
}

fn sum(bar: &Bar) -> u64 {
    bar.iter().flatten().fold(0, |sum, calls| sum.saturating_add(*calls))
}

fn add(bar: &mut Bar, more: &Bar) {
    bar.iter_mut().flatten().zip(more.iter().flatten()).for_each(|(own, more)| *own = own.saturating_add(*more));
}

/// Spans that are so many times as long.
fn longer(spans: &BTreeMap<i64, Bar>, times: i64) -> BTreeMap<i64, Bar> {
    let mut out: BTreeMap<i64, Bar> = BTreeMap::new();
    spans.iter().for_each(|(at, bar)| add(out.entry(at.div_euclid(times)).or_default(), bar));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(times: impl IntoIterator<Item = i64>) -> Chart {
        let mut timeline = Timeline::default();
        times.into_iter().for_each(|time| timeline.take(Some(time), 47, false, 1));
        timeline.chart().expect("a chart")
    }

    fn counted(chart: &Chart) -> u64 {
        chart.bars.iter().map(sum).sum::<u64>() + chart.outside.iter().sum::<u64>()
    }

    #[test]
    fn lengths_nest() {
        assert!(LENGTHS.windows(2).all(|pair| pair[1].0 % pair[0].0 == 0 && pair[1].0 > pair[0].0));
    }

    #[test]
    fn time_in_which_nothing_was_has_its_bars() {
        let hour = 3600 * SECOND;
        let found = chart([0, 1, 40 * hour]);
        assert_eq!((found.by, found.bars.len(), found.start), ("hour", 41, 0));
        assert_eq!((sum(&found.bars[0]), sum(&found.bars[20]), sum(&found.bars[40])), (2, 0, 1));
    }

    #[test]
    fn spans_have_a_bound_and_no_call_is_left_out() {
        let mut timeline = Timeline::default();
        for number in 0..100_000 {
            timeline.take(Some(number * 7 * SECOND), 21, number % 2 == 0, 1);
        }
        assert!(timeline.spans.len() <= SPANS_MAX);
        let found = timeline.chart().expect("a chart");
        assert_eq!(counted(&found), 100_000);
        assert!(found.bars.len() <= BARS_MAX as usize, "{}", found.bars.len());
    }

    #[test]
    fn a_time_that_somebody_made_up_does_not_squeeze_the_others() {
        let minute = 60 * SECOND;
        let now = 30_000 * DAY / 2;
        let times = (0..1000).map(|number| now + number % 60 * minute).chain([0, i64::MAX, i64::MIN]);
        let found = chart(times);
        assert_eq!((found.by, found.bars.len(), found.outside), ("minute", 60, [2, 1]));
        assert_eq!(counted(&found), 1003);
        for time in [i64::MIN, i64::MAX] {
            assert_eq!(chart([time]).bars.len(), 1);
        }
        assert!(chart([i64::MIN, i64::MAX]).bars.len() <= BARS_MAX as usize);
    }
}
