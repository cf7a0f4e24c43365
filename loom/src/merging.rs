//! The table of merged events: whatever the order, what was written and what is said add up to the calls, and what is still
//! to be said is known to be. In the model a kind is written once and then counted, and there are two places.

use super::table::{MergeFacts, MergeDecision, Marks, Table};
use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

/// When an event comes; the next time begins at twice that.
const NOW: u64 = 10_000_000_000;
const ABOUT: MergeFacts = MergeFacts { rule: 0, refused: false, vhost: None, policy: 0 };

/// An event of a kind: one for each that was written, and what was merged before and is said with it.
fn note(table: &Table, kind: u64, now: u64) -> u64 {
    match table.note(Marks { kind, host: 1, client: 1, is_grave: false }, ABOUT, now) {
        Some(MergeDecision::Write(whole)) => {
            whole.written_as(1);
            1 + whole.left.map_or(0, |left| left.count)
        }
        Some(MergeDecision::Merged) => 0,
        None => panic!("no place"),
    }
}

fn flush(table: &Table, now: Option<u64>) -> u64 {
    let mut said = 0;
    table.flush(now, |merged| said += merged.count);
    said
}

/// Runs two threads on one table; they give what they wrote and said of `calls` events.
fn model(calls: u64, one: fn(&Table) -> u64, other: fn(&Table) -> u64) {
    let mut all = loom::model::Builder::new();
    // Every order in which a thread is interrupted at most twice; more of them take hours.
    all.preemption_bound = Some(2);
    all.check(move || {
        let table = Arc::new(Table::new());
        let threads = [one, other].map(|work| {
            let table = Arc::clone(&table);
            thread::spawn(move || work(&table))
        });
        let done: u64 = threads.map(|thread| thread.join().unwrap()).iter().sum();
        let due = table.due.load(Ordering::Relaxed) != 0;
        let left = flush(&table, None);
        assert_eq!(done + left, calls);
        assert!(due || left == 0, "{left} wait for ever");
    });
}

#[test]
fn two_of_one_kind_add_up() {
    let twice = |table: &Table| note(table, 1, NOW) + note(table, 1, NOW);
    model(4, twice, twice);
}

#[test]
fn a_kind_that_takes_anothers_place_adds_up() {
    model(
        4,
        |table| note(table, 1, NOW) + note(table, 1, NOW),
        |table| note(table, 3, NOW * 2) + note(table, 3, NOW * 2),
    );
}

#[test]
fn the_next_time_begins_while_another_counts() {
    model(4, |table| note(table, 1, NOW) + note(table, 1, NOW), |table| note(table, 1, NOW) + note(table, 1, NOW * 2));
}

#[test]
fn what_is_merged_while_it_is_said_is_said_later() {
    model(3, |table| note(table, 1, NOW) + note(table, 1, NOW) + note(table, 1, NOW), |table| flush(table, None));
    model(3, |table| note(table, 1, NOW) + note(table, 1, NOW) + note(table, 1, NOW), |table| flush(table, Some(NOW * 2)));
    model(3, |table| note(table, 1, NOW) + note(table, 1, NOW) + note(table, 1, NOW), |table| flush(table, Some(NOW)));
}
