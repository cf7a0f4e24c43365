//! What was found of one process's chain of seals.

use super::{SHOWN, gaps_text, push};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How many events later at most a lost one is counted: threads write at the same time.
pub const LATE: u64 = 16;

/// The process of an event: its tree, and which of each parent's forks led to it.
pub type Chain = (u64, Vec<u32>);

/// What was seen under an index: how many events of the process were lost by then, and the digest.
pub type Seen = (u64, u64);

/// The name of a process.
pub fn process(path: &[u32]) -> String {
    path.iter().fold("0".to_owned(), |text, fork| format!("{text}/{fork}"))
}

/// What was found of one chain.
pub struct Sealed {
    tree: u64,
    pub process: String,
    pub events: usize,
    first: u64,
    last: u64,
    pub missing: u64,
    lost: u64,
    /// No more are missing before any event than were lost by then.
    is_excused: bool,
    gaps: Vec<(u64, u64)>,
}

impl Sealed {
    pub fn of(name: &Chain, seen: &HashMap<u64, Seen>) -> Option<Sealed> {
        let mut all: Vec<(u64, u64)> = seen.iter().map(|(index, (lost, _))| (*index, *lost)).collect();
        all.sort_unstable();
        let (&(first, lost_first), &(last, lost_last)) = (all.first()?, all.last()?);
        let mut found = Sealed {
            tree: name.0,
            process: process(&name.1),
            events: all.len(),
            first,
            last,
            missing: 0,
            lost: lost_last.saturating_sub(lost_first),
            is_excused: true,
            gaps: Vec::new(),
        };
        // The least that an event or one behind it counts, by its place.
        let mut least_from: Vec<u64> = all.iter().map(|(_, lost)| *lost).collect();
        for at in (1..least_from.len()).rev() {
            least_from[at - 1] = least_from[at - 1].min(least_from[at]);
        }
        for (at, pair) in all.windows(2).enumerate() {
            let [(before, _), (after, _)] = pair else { continue };
            if *after == before + 1 {
                continue;
            }
            found.missing += after - before - 1;
            push(&mut found.gaps, (before + 1, after - 1));
            // What an event says was sealed when it was written: a later one cannot say more of what was before.
            let end = all.partition_point(|(index, _)| *index <= after.saturating_add(LATE));
            let soon = all.iter().take(end).skip(at + 1);
            // What was lost stays lost: every later event counts it.
            let kept = least_from.get(end).copied().unwrap_or(u64::MAX);
            let lost = soon.map(|(_, lost)| *lost).max().unwrap_or(0).min(kept);
            found.is_excused &= found.missing <= lost.saturating_sub(lost_first);
        }
        Some(found)
    }

    pub fn state(&self) -> &'static str {
        match self.missing {
            0 => "ok",
            _ if self.is_excused => "dropped",
            _ => "gap",
        }
    }

    pub fn is_whole(&self) -> bool {
        self.state() != "gap"
    }

    pub fn as_json(&self) -> Value {
        json!({
            "seal": { "tree": format!("{:016x}", self.tree), "process": self.process },
            "state": self.state(),
            "events": self.events,
            "first": self.first,
            "last": self.last,
            "missing": self.missing,
            "dropped": self.lost,
            "gaps": self.gaps,
        })
    }

    pub fn sentence(&self) -> String {
        let Sealed { tree, process, events, first, last, missing, lost, .. } = self;
        let events = crate::check::counted(*events, "event");
        let mut out = format!("{tree:016x}  process {process} sealed, {}: {events}, {first} to {last}", self.state());
        if *missing > 0 {
            out += &format!("; {missing} missing ({}), a sink dropped {lost} meanwhile", gaps_text(&self.gaps, SHOWN));
        }
        if *first > 1 {
            out += "; the events before the first are not in what was read";
        }
        out
    }
}
