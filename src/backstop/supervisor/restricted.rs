//! Records which processes are in a Landlock domain, by their own call or their parent's. The kernel does not report it.
//!
//! There is a place for every possible process number, so many processes cannot fill the table, and a process that restricts itself changes
//! nothing for processes that do not descend from it. If the parents of a process have exited, only its worker is known. Then the process
//! counts as restricted if any process below that worker is.

use super::subject;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// PID_MAX_LIMIT: process numbers are below it (include/linux/threads.h). Only pages that are written use memory.
const PROCESSES: usize = 1 << 22;

/// For each process number, the start time of the restricted process; 0 for none.
pub struct Restricted([AtomicU32; PROCESSES]);

/// The start time of a worker's first restricted process; 0 for none.
pub struct RestrictedSince(AtomicU64);

impl RestrictedSince {
    /// A new worker has the place.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn note(&self, start: u64) {
        let first = self.0.load(Ordering::Relaxed);
        if first == 0 || start < first {
            self.0.store(start.max(1), Ordering::Relaxed);
        }
    }

    /// Whether something forked at `start` may come from one that was restricted.
    fn may_have(&self, start: Option<u64>) -> bool {
        let first = self.0.load(Ordering::Relaxed);
        first != 0 && start.is_none_or(|start| start >= first)
    }
}

/// A start time as it is stored: ticks modulo 497 days, never 0.
fn kept(start: u64) -> u32 {
    (start as u32).max(1)
}

impl Restricted {
    /// Records a process that restricts itself.
    pub fn restrict(&self, pid: u32, since: &RestrictedSince) {
        // A process that has exited makes no call.
        let Some(start) = subject::start_of(pid) else { return };
        since.note(start);
        if let Some(place) = self.0.get(pid as usize) {
            place.store(kept(start), Ordering::Relaxed);
        }
    }

    fn has(&self, pid: u32, start: Option<u64>) -> bool {
        let on_record = self.0.get(pid as usize).map_or(0, |place| place.load(Ordering::Relaxed));
        on_record != 0 && start.is_none_or(|start| kept(start) == on_record)
    }

    /// Whether a process is restricted, or may descend from a restricted one.
    pub fn may_have(&self, pid: u32, worker: u32, since: &RestrictedSince) -> bool {
        let start = subject::start_of(pid);
        if !since.may_have(start) {
            return false;
        }
        let mut ancestor = pid;
        for _ in 0..subject::ANCESTORS {
            if self.has(ancestor, subject::start_of(ancestor)) {
                // Its children may outlive it.
                self.restrict(pid, since);
                return true;
            }
            if ancestor == worker {
                return false;
            }
            match subject::parent_of(ancestor) {
                Some(parent) if parent > 1 => ancestor = parent,
                _ => return true,
            }
        }
        true
    }
}
