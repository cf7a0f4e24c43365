//! Repeated events are merged: of those that are alike, the first few of a while are written whole, the others are
//! counted, and one event says how many they were. So neither a flood nor a loop fills a log, and nothing is lost.
//!
//! The table is shared by a tree of processes, without a lock. Two that come at once may merge one event too many or too
//! few, or count it with another kind; none is left out of the sum.

mod table;

pub use table::{Marks, MergeDecision, MergeFacts, Merged, Table, WrittenEvent};

use crate::memory::set_once;
use crate::policy::in_force;
use crate::process::stack;
use crate::process::state;
use crate::process::state::Role;
use crate::report::{counters, emit};
use crate::sys;
use core::hash::Hasher;
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_policy::Policy;

/// A hash of the fields in which events of one kind agree.
#[allow(deprecated)] // core has no other keyed hash, and its successor is std's only.
pub struct Fingerprint(core::hash::SipHasher);

impl Fingerprint {
    /// Keyed, so that nobody can make one kind of event pass for another.
    #[allow(deprecated)]
    pub fn new() -> Fingerprint {
        let counters = counters::counters();
        let key = set_once(&counters.merged.key, || sys::random().unwrap_or_else(sys::fresh_number));
        Fingerprint(core::hash::SipHasher::new_with_keys(key, counters.stream.load(Ordering::Relaxed)))
    }

    /// Of which one part is `bytes`.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.write_usize(bytes.len());
        self.0.write(bytes);
    }

    /// Of which one part is `number`.
    pub fn number(&mut self, number: u64) {
        self.0.write_u64(number);
    }

    /// Its mark; never 0.
    pub fn mark(&self) -> u64 {
        self.0.finish().max(1)
    }
}

/// The program has said all: what still comes is written.
static ENDING: AtomicBool = AtomicBool::new(false);

/// What becomes of an event of a kind.
pub fn note(policy: &Policy<'_>, marks: Marks, about: MergeFacts) -> Option<MergeDecision<'static>> {
    if !policy.merges() || ENDING.load(Ordering::Relaxed) {
        return Some(MergeDecision::Write(WrittenEvent::ALONE));
    }
    counters::counters().merged.note(marks, about, sys::since_boot())
}

/// Says what was merged and whose time is over; where a server takes up the next piece of work.
#[inline]
pub fn say_due() {
    let table = &counters::in_force().merged;
    if table.is_due() {
        say(table, false);
    }
}

/// Says all that was merged: the process in which the program began, or a daemon's master, ends or becomes another program.
/// A worker leaves that to those that go on.
#[inline]
pub fn say_all() {
    let Some(counters) = counters::used() else { return };
    let table = &counters.merged;
    if table.is_due() {
        say(table, state::first_pid() == sys::getpid() || state::role() == Role::Master);
    }
}

/// Says all that was merged, whoever asks: a process that will not be able to.
pub fn say_now() {
    if let Some(counters) = counters::used() {
        say_all_of(&counters.merged);
    }
}

/// Says all that was merged, and merges no more: other libraries' destructors may still come.
pub fn end() {
    ENDING.store(true, Ordering::Relaxed);
    say_all();
}

/// Says all that was merged in a table, whoever asks.
pub fn say_all_of(table: &Table) {
    if table.is_due() {
        say(table, true);
    }
}

#[cold]
fn say(table: &Table, all: bool) {
    let now = sys::since_boot();
    if all || table.due.load(Ordering::Relaxed) <= now {
        let policy = in_force::policy();
        stack::on(|| table.flush((!all).then_some(now), |merged| emit::merged(&policy, merged)));
    }
}
