//! Which processes have given up rights by Landlock, or were forked from one that has: the kernel does not say.
//!
//! There is a place for every number that a process can have, so that no crowd of them fills it: whoever restricts itself
//! changes nothing for what does not descend from it. Of a process whose parents have ended nobody knows what it was forked
//! from; only the worker is known, and no worker under which nobody has restricted itself has such a process.

use super::subject;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// PID_MAX_LIMIT: no number of a process is as high (include/linux/threads.h). Of the memory, what is written to is used.
const PROCESSES: usize = 1 << 22;

/// Of each number when the process began that has restricted itself; 0 for none.
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

/// As it is kept: the ticks of 497 days, of which none is 0.
fn kept(start: u64) -> u32 {
    (start as u32).max(1)
}

impl Restricted {
    /// Puts a process on record that restricts itself.
    pub fn restrict(&self, pid: u32, since: &RestrictedSince) {
        // One that has ended makes no call.
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

    /// Whether a process has restricted itself, or may come from one that has.
    pub fn may_have(&self, pid: u32, worker: u32, since: &RestrictedSince) -> bool {
        let start = subject::start_of(pid);
        if !since.may_have(start) {
            return false;
        }
        let mut ancestor = pid;
        for _ in 0..subject::ANCESTORS {
            if self.has(ancestor, subject::start_of(ancestor)) {
                // Its own children outlive it, perhaps.
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
