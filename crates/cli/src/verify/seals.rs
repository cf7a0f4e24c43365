//! The seals of events: which chains are whole, and which events were changed.

use super::{SHOWN, gaps_text, push};
use crate::log::Event;
use portcullis_event::seal::{self, Key};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The most forks between the first process of a tree and one that seals; a name has no room for more.
const DEPTH_MAX: usize = seal::NAME_MAX / 2;

/// How many events later at most a lost one is counted: threads write at the same time.
const LATE: u64 = 16;

/// The process of an event: its tree, and which of each parent's forks led to it.
type Chain = (u64, Vec<u32>);

/// What was seen under an index: how many events of the process were lost by then, and the digest.
type Seen = (u64, u64);

/// The seals of all events, up to a bound.
pub struct Seals {
    master: Result<Key, String>,
    seen: HashMap<Chain, HashMap<u64, Seen>>,
    count: usize,
    max: usize,
    pub is_full: bool,
    /// Events that look sealed and were changed, or sealed with another key.
    pub broken: usize,
    /// The first of their ids.
    pub shown: Vec<String>,
    /// Events without a seal, of programs that have no key.
    unsealed: usize,
    /// Events without a seal, of processes that have one usually: when each was, in seconds since 1970.
    bare: Vec<i64>,
    /// When the first sealed event was.
    since: Option<i64>,
    /// Sealed events, where there is no key to check them.
    pub unchecked: usize,
}

impl Seals {
    pub fn new(master: Result<Key, String>, max: usize) -> Seals {
        Seals {
            master,
            seen: HashMap::new(),
            count: 0,
            max,
            is_full: false,
            broken: 0,
            shown: Vec::new(),
            unsealed: 0,
            bare: Vec::new(),
            since: None,
            unchecked: 0,
        }
    }

    /// Why there is no key; nothing where there is one.
    pub fn lack(&self) -> Option<&str> {
        self.master.as_ref().err().map(String::as_str)
    }

    pub fn take(&mut self, event: &Event) {
        let claims = event.value().pointer("/portcullis/seal").is_some();
        let Some((covered, digest)) = event.line().and_then(seal::split).filter(|_| claims) else {
            match claims {
                true => self.break_seal(event),
                false if has_no_key(event) => self.unsealed += 1,
                false => self.bare.push(event.seconds().unwrap_or(i64::MAX)),
            }
            return;
        };
        let at = event.seconds().unwrap_or(i64::MAX);
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        let Ok(master) = self.master else {
            self.unchecked += 1;
            return;
        };
        let Some((chain, index, lost)) = place(event) else { return self.break_seal(event) };
        let root = chain.1.iter().fold(seal::tree(master, chain.0), |root, fork| seal::child(root, *fork));
        if seal::digest(seal::event(root, index), covered) != digest {
            return self.break_seal(event);
        }
        let is_full = self.count >= self.max;
        match self.seen.entry(chain).or_default().entry(u64::from(index)) {
            // Another sink has the same line. Whoever had the key may have sealed two.
            Entry::Occupied(seen) if seen.get().1 == digest => {}
            Entry::Occupied(_) => self.break_seal(event),
            Entry::Vacant(_) if is_full => self.is_full = true,
            Entry::Vacant(free) => {
                free.insert((lost, digest));
                self.count += 1;
            }
        }
    }

    /// How many events without a seal are of processes that seal, since there are seals.
    pub fn bare(&self) -> usize {
        self.since.map_or(0, |since| self.bare.iter().filter(|at| **at >= since).count())
    }

    /// How many events have no seal.
    pub fn without(&self) -> usize {
        self.unsealed + self.bare.len()
    }

    fn break_seal(&mut self, event: &Event) {
        self.broken += 1;
        push(&mut self.shown, event.text("/event/id").chars().take(64).collect());
    }

    /// The chains, in order.
    pub fn chains(&self) -> Vec<Sealed> {
        let mut names: Vec<&Chain> = self.seen.keys().collect();
        names.sort_unstable();
        names.into_iter().filter_map(|name| Sealed::of(name, self.seen.get(name)?)).collect()
    }
}

/// Whether an event is of a program that a worker started: it has no key.
fn has_no_key(event: &Event) -> bool {
    event.text("/portcullis/role") == "descendant" && event.text("/portcullis/layer") != "backstop"
}

/// Where an event stands: its process, its index from 1, and the lost events. Each has one way to be written.
fn place(event: &Event) -> Option<(Chain, u32, u64)> {
    let tree = event.text("/portcullis/seal/tree");
    let name = event.text("/portcullis/seal/process");
    let path: Option<Vec<u32>> = name.split('/').skip(1).map(|part| part.parse().ok()).collect();
    let path = path.filter(|path| path.len() <= DEPTH_MAX && process(path) == name)?;
    let index = u32::try_from(event.number("/portcullis/seal/index")?).ok().filter(|index| *index > 0)?;
    let tree = u64::from_str_radix(tree, 16).ok().filter(|number| tree == format!("{number:016x}"))?;
    Some(((tree, path), index, event.number("/portcullis/seal/lost")?))
}

/// The name of a process.
fn process(path: &[u32]) -> String {
    path.iter().fold("0".to_owned(), |text, fork| format!("{text}/{fork}"))
}

/// What was found of one chain.
pub struct Sealed {
    tree: u64,
    process: String,
    events: usize,
    first: u64,
    last: u64,
    missing: u64,
    lost: u64,
    /// No more are missing before any event than were lost by then.
    is_excused: bool,
    gaps: Vec<(u64, u64)>,
}

impl Sealed {
    fn of(name: &Chain, seen: &HashMap<u64, Seen>) -> Option<Sealed> {
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
        for (at, pair) in all.windows(2).enumerate() {
            let [(before, _), (after, _)] = pair else { continue };
            if *after == before + 1 {
                continue;
            }
            found.missing += after - before - 1;
            push(&mut found.gaps, (before + 1, after - 1));
            // What an event says was sealed when it was written: a later one cannot say more of what was before.
            let soon = all.iter().skip(at + 1).take_while(|(index, _)| *index <= after.saturating_add(LATE));
            let lost = soon.map(|(_, lost)| *lost).max().unwrap_or(0);
            found.is_excused &= found.missing <= lost.saturating_sub(lost_first);
        }
        Some(found)
    }

    fn state(&self) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_event::Line;
    use portcullis_event::seal::Seal;

    const MASTER: Key = [7, 9];
    const TREE: u64 = 0xab;

    /// An event of a worker that was its master's second fork; `index` from 0.
    fn worker(index: u32, lost: u64, detail: &str) -> Vec<u8> {
        let root = seal::child(seal::tree(MASTER, TREE), 2);
        let mut line = Line::new();
        let text = format!("{{\"event\":{{\"id\":\"x-{index}\"}},\"portcullis\":{{\"detail\":\"{detail}\"}}}}\n");
        line.try_extend_from_slice(text.as_bytes()).unwrap();
        let seal = Seal { tree: TREE, chain: b"0/2", index: u64::from(index) + 1, lost };
        assert!(seal::seal(&mut line, seal::event(root, index + 1), &seal));
        line.to_vec()
    }

    fn read(line: &[u8]) -> Event {
        Event::parse(line).unwrap().unwrap().with_line(line)
    }

    fn found(lines: &[Vec<u8>]) -> Seals {
        let mut seals = Seals::new(Ok(MASTER), 100);
        lines.iter().for_each(|line| seals.take(&read(line)));
        seals
    }

    fn edited(line: &[u8], from: &str, to: &str) -> Vec<u8> {
        let text = str::from_utf8(line).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn a_whole_chain_is_whole_in_any_order() {
        let seals = found(&[worker(1, 0, "b"), worker(0, 0, "a"), worker(2, 0, "c"), worker(2, 0, "c")]);
        let chains = seals.chains();
        assert_eq!((seals.broken, seals.without(), chains.len()), (0, 0, 1));
        assert_eq!((chains[0].state(), chains[0].events, chains[0].process.as_str()), ("ok", 3, "0/2"));
    }

    #[test]
    fn each_change_breaks_the_seal() {
        let line = worker(1, 0, "before");
        for (from, to) in [
            ("before", "behind"),
            ("\"index\":2", "\"index\":3"),
            ("\"lost\":0", "\"lost\":1"),
            ("0/2", "0/1"),
            ("0/2", "0/2/1"),
            ("0/2", "1/2"),
            ("0/2", "0/02"),
            ("0/2", "0/+2"),
            ("00ab", "00ac"),
            ("\"digest\":\"", "\"digest\":\"0"),
            ("\"event\"", "\"seal\":{},\"event\""),
        ] {
            let seals = found(&[edited(&line, from, to)]);
            assert_eq!((seals.broken, seals.chains().len()), (1, 0), "{from} {to}");
        }
    }

    #[test]
    fn a_removed_event_is_a_gap_unless_it_was_lost() {
        let seals = found(&[worker(0, 0, ""), worker(4, 0, "")]);
        assert_eq!((seals.chains()[0].state(), seals.chains()[0].missing), ("gap", 3));
        assert!(seals.chains()[0].sentence().contains("3 missing (2-4)"));
        assert_eq!(found(&[worker(0, 0, ""), worker(4, 3, "")]).chains()[0].state(), "dropped");
    }

    /// Whoever takes a worker over seals what it says later, and not what it said before.
    #[test]
    fn a_later_event_excuses_no_earlier_gap() {
        let seals = found(&[worker(0, 0, ""), worker(2, 0, ""), worker(40, u64::MAX, "")]);
        assert_eq!(seals.chains()[0].state(), "gap");
        let threads = found(&[worker(0, 0, ""), worker(2, 0, ""), worker(3, 1, "")]);
        assert_eq!(threads.chains()[0].state(), "dropped");
    }

    #[test]
    fn two_events_with_one_seal_are_found() {
        let seals = found(&[worker(0, 0, "a"), worker(0, 0, "b")]);
        assert_eq!((seals.broken, seals.chains()[0].events), (1, 1));
    }

    #[test]
    fn an_event_without_a_seal_is_no_workers() {
        let bare = |role: &str| format!("{{\"portcullis\":{{\"role\":\"{role}\"}}}}\n").into_bytes();
        assert_eq!(found(&[worker(0, 0, ""), bare("serving")]).bare(), 1);
        let seals = found(&[worker(0, 0, ""), bare("descendant")]);
        assert_eq!((seals.bare(), seals.without()), (0, 1));
        assert_eq!(found(&[bare("serving")]).bare(), 0, "nothing is sealed there");
    }

    #[test]
    fn an_event_that_lost_its_seal_leaves_a_gap() {
        let line = worker(1, 0, "");
        let at = line.windows(8).position(|part| part == b",\"seal\":").unwrap();
        let bare = [&line[..at], b"}}\n"].concat();
        let seals = found(&[worker(0, 0, ""), bare, worker(2, 0, "")]);
        assert_eq!((seals.without(), seals.chains()[0].state()), (1, "gap"));
    }

    #[test]
    fn without_the_key_nothing_is_said_to_be_whole() {
        let mut seals = Seals::new(Err("cannot be read".to_owned()), 100);
        seals.take(&read(&worker(0, 0, "")));
        assert_eq!((seals.unchecked, seals.chains().len(), seals.lack()), (1, 0, Some("cannot be read")));
    }

    #[test]
    fn another_key_breaks_every_seal() {
        let mut seals = Seals::new(Ok([7, 8]), 100);
        seals.take(&read(&worker(0, 0, "")));
        assert_eq!((seals.broken, seals.shown.as_slice()), (1, &["x-0".to_owned()][..]));
    }
}
