//! What seals say of changed logs.

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
    Event::parse(line).unwrap().unwrap()
}

/// When the key was made: nanoseconds since 1970.
const MADE: i64 = 1_790_000_000_000_000_000;
const BEFORE: &str = "2026-09-21T14:13:19.999999999Z";
const AFTER: &str = "2026-09-21T14:13:20.000000000Z";

fn stored(is_told: bool) -> Stored {
    Stored { key: MASTER, made: MADE, is_told }
}

fn found(lines: &[Vec<u8>]) -> Seals {
    let mut seals = Seals::new(Ok(stored(true)), true, 100);
    lines.iter().for_each(|line| seals.take(&read(line)));
    seals
}

/// An event without a seal.
fn bare(role: &str, time: &str) -> Vec<u8> {
    format!("{{\"@timestamp\":\"{time}\",\"portcullis\":{{\"role\":\"{role}\"}}}}\n").into_bytes()
}

/// An event that the journal received so many nanoseconds after the key was made.
fn received(line: &[u8], later: i64) -> Event {
    read(line).read_in(Origin::Journal(MADE + later))
}

fn unsealed(missing: usize, older: usize, says_older: usize, says_descendant: usize) -> Unsealed {
    Unsealed { missing, older, says_older, says_descendant }
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
    assert_eq!((seals.broken, seals.unsealed(), chains.len()), (0, Unsealed::default(), 1));
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

/// What was lost stays lost: one event that alone counts some excuses nothing.
#[test]
fn what_is_counted_as_lost_once_is_no_excuse() {
    let lines = |lost: u64| -> Vec<Vec<u8>> {
        let later = (11..60).map(|index| worker(index, lost, ""));
        (0..4).map(|index| worker(index, 0, "")).chain([worker(10, 6, "")]).chain(later).collect()
    };
    let state = |lost| found(&lines(lost)).chains()[0].state();
    assert_eq!((state(0), state(5), state(6)), ("gap", "gap", "dropped"));
}

#[test]
fn two_events_with_one_seal_are_found() {
    let seals = found(&[worker(0, 0, "a"), worker(0, 0, "b")]);
    assert_eq!((seals.broken, seals.chains()[0].events), (1, 1));
}

#[test]
fn what_ought_to_have_a_seal_is_what_root_says() {
    let sealed = || worker(0, 0, "");
    for (what, lines, expected) in [
        ("a server's", vec![sealed(), bare("serving", AFTER)], unsealed(1, 0, 0, 0)),
        ("before the first sealed one", vec![bare("serving", AFTER), sealed()], unsealed(1, 0, 0, 0)),
        ("no seal at all", vec![bare("serving", AFTER)], unsealed(1, 0, 0, 0)),
        ("an impossible time", vec![bare("serving", "2026-99"), sealed()], unsealed(1, 0, 0, 0)),
        ("a time that is set back, behind a sealed one", vec![sealed(), bare("serving", BEFORE)], unsealed(1, 0, 0, 0)),
        ("a time before the key", vec![bare("serving", BEFORE), sealed()], unsealed(0, 0, 1, 0)),
        ("its role", vec![sealed(), bare("descendant", AFTER)], unsealed(0, 0, 0, 1)),
    ] {
        assert_eq!(found(&lines).unsealed(), expected, "{what}");
    }
}

#[test]
fn the_journal_says_how_old_an_event_is() {
    let mut seals = found(&[]);
    for (line, later) in [
        (bare("serving", BEFORE), 0),
        (bare("serving", AFTER), -1),
        (bare("descendant", AFTER), -1),
        (bare("descendant", BEFORE), 1),
    ] {
        seals.take(&received(&line, later));
    }
    assert_eq!(seals.unsealed(), unsealed(1, 2, 0, 1));
    assert!(seals.is_without_any());
    let mut old = found(&[]);
    old.take(&received(&bare("serving", AFTER), -1));
    assert!(!old.is_without_any(), "no server could seal it");
}

#[test]
fn without_any_seal_where_root_asks_for_them_nothing_is_well() {
    for line in [bare("serving", AFTER), bare("serving", BEFORE), bare("descendant", AFTER)] {
        assert!(found(&[line]).is_without_any());
    }
    assert!(!found(&[]).is_without_any(), "an empty log");
    assert!(!found(&[worker(0, 0, "")]).is_without_any());
    let mut unasked = Seals::new(Ok(stored(true)), false, 100);
    unasked.take(&read(&bare("serving", AFTER)));
    assert!(!unasked.is_without_any() && unasked.unsealed() == unsealed(0, 0, 1, 0));
}

/// A copy of a key that has no time within is as old as what it sealed.
#[test]
fn a_copied_key_is_no_younger_than_the_first_seal() {
    let mut seals = Seals::new(Ok(Stored { made: i64::MAX, ..stored(false) }), true, 100);
    seals.take(&received(&worker(0, 0, ""), 0));
    seals.take(&received(&bare("serving", BEFORE), 1));
    seals.take(&received(&bare("serving", AFTER), -1));
    assert_eq!(seals.unsealed(), unsealed(1, 1, 0, 0));
}

#[test]
fn each_line_counts_and_no_forged_one_costs_much() {
    let bare = read(&bare("descendant", AFTER));
    let mut seals = found(&[]);
    (0..=100).for_each(|_| seals.take(&bare));
    assert!(seals.is_full);

    let (deep, line) = (format!("0{}", "/9".repeat(DEPTH_MAX - 1)), worker(0, 0, ""));
    let forged = read(&edited(&line, "0/2", &deep));
    let mut seals = Seals::new(Ok(stored(true)), true, usize::MAX);
    seals.take(&read(&line));
    (0..2 * WASTED_MAX / DEPTH_MAX).for_each(|_| seals.take(&forged));
    assert!(seals.wasted <= WASTED_MAX + DEPTH_MAX && seals.passed_over > 0 && seals.broken > 0);
    seals.take(&read(&worker(1, 0, "")));
    assert_eq!(seals.chains()[0].events, 2, "a process that is known is looked at to the end");
}

#[test]
fn an_event_that_lost_its_seal_leaves_a_gap() {
    let line = worker(1, 0, "");
    let at = line.windows(8).position(|part| part == b",\"seal\":").unwrap();
    let bare = [&line[..at], b"}}\n"].concat();
    let seals = found(&[worker(0, 0, ""), bare, worker(2, 0, "")]);
    assert_eq!((seals.unsealed(), seals.chains()[0].state()), (unsealed(1, 0, 0, 0), "gap"));
}

#[test]
fn without_the_key_nothing_is_said_to_be_whole() {
    let mut seals = Seals::new(Err("cannot be read".to_owned()), true, 100);
    seals.take(&read(&worker(0, 0, "")));
    assert_eq!((seals.unchecked, seals.chains().len(), seals.lack()), (1, 0, Some("cannot be read")));
}

#[test]
fn another_key_breaks_every_seal() {
    let mut seals = Seals::new(Ok(Stored { key: [7, 8], ..stored(true) }), true, 100);
    seals.take(&read(&worker(0, 0, "")));
    assert_eq!((seals.broken, seals.shown.as_slice()), (1, &["x-0".to_owned()][..]));
}
