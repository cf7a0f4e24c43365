//! Processes of the supervisor's that were told to end and have not: they wait in the kernel for what a caller holds, and no signal ends
//! that. They are counted, and a worker for whose calls there are too many has its next calls judged by less.

use super::members::MEMBERS;
use super::subject;
use crate::sys;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// At a time, and for the calls of one worker, which also has no more than are left free.
const LEFT: usize = 64;
const OF_WORKER: usize = 8;
/// From so many on, a worker's calls are judged without their arguments; with all of them, without looking at their process.
const CAREFUL: usize = 4;
/// How often is looked which have ended, in nanoseconds.
const LOOK: u64 = 5_000_000;
/// For how long nothing is borrowed for a worker at whose call the broker did not come back; from the second time on, its processes are not
/// looked at either. In nanoseconds.
const BARRED: u64 = 10_000_000_000;

struct Place {
    pid: AtomicU32,
    start: AtomicU64,
    worker: AtomicU32,
}

/// Until when a worker is barred, and how often that was done.
struct Bar {
    until: AtomicU64,
    times: AtomicU8,
}

/// How much of a worker's call is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Care {
    All,
    /// Not at its arguments.
    Some,
    /// Not at its process's memory.
    Least,
}

/// All of them, in memory that each broker hands on to the next.
pub struct Left {
    looked: AtomicU64,
    all: [Place; LEFT],
    bars: [Bar; MEMBERS],
}

impl Place {
    fn is_there(&self) -> bool {
        self.pid.load(Ordering::Relaxed) != 0
    }

    fn lives(&self) -> bool {
        let (pid, start) = (self.pid.load(Ordering::Relaxed), self.start.load(Ordering::Relaxed));
        // A process that has ended, and that nobody has waited for, waits for nothing.
        subject::start_of(pid) == Some(start) && !subject::is_zombie(pid)
    }
}

impl Left {
    /// Takes note of one, told to end at a call of the worker with this place.
    pub fn put(&self, pid: u32, worker: usize) {
        let Some(start) = subject::start_of(pid) else { return };
        let Some(place) = self.all.iter().find(|place| !place.is_there()) else { return };
        place.start.store(start, Ordering::Relaxed);
        place.worker.store(worker as u32, Ordering::Relaxed);
        place.pid.store(pid, Ordering::Relaxed);
    }

    /// The broker did not come back from a call of the worker with this place.
    pub fn bar(&self, worker: usize, now: u64) {
        if let Some(bar) = self.bars.get(worker) {
            let times = if now < bar.until.load(Ordering::Relaxed) { bar.times.load(Ordering::Relaxed) } else { 0 };
            bar.times.store(times.saturating_add(1), Ordering::Relaxed);
            bar.until.store(now.saturating_add(BARRED), Ordering::Relaxed);
        }
    }

    /// Another worker has this place.
    pub fn forget(&self, worker: usize) {
        if let Some(bar) = self.bars.get(worker) {
            bar.until.store(0, Ordering::Relaxed);
        }
        // What is left over of another's is none of its own.
        for place in self.all.iter().filter(|place| place.worker.load(Ordering::Relaxed) == worker as u32) {
            place.worker.store(u32::MAX, Ordering::Relaxed);
        }
    }

    /// How often a worker was barred, if it is.
    fn barred(&self, worker: usize, now: u64) -> u8 {
        let bar = self.bars.get(worker).filter(|bar| now < bar.until.load(Ordering::Relaxed));
        bar.map_or(0, |bar| bar.times.load(Ordering::Relaxed))
    }

    /// Whether descriptors may be borrowed for its calls.
    pub fn may_borrow(&self, worker: usize) -> bool {
        self.barred(worker, sys::since_boot()) == 0
    }

    /// How much of its next call is looked at.
    pub fn care(&self, worker: usize, now: u64) -> Care {
        if now.wrapping_sub(self.looked.load(Ordering::Relaxed)) >= LOOK {
            self.looked.store(now, Ordering::Relaxed);
            for place in self.all.iter().filter(|place| place.is_there() && !place.lives()) {
                place.pid.store(0, Ordering::Relaxed);
            }
        }
        let there = || self.all.iter().filter(|place| place.is_there());
        let free = LEFT.saturating_sub(there().count());
        let own = there().filter(|place| place.worker.load(Ordering::Relaxed) == worker as u32).count();
        match self.barred(worker, now) {
            2.. => Care::Least,
            _ if own >= OF_WORKER.min(free) => Care::Least,
            _ if own >= CAREFUL => Care::Some,
            _ => Care::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left() -> &'static Left {
        let at = sys::mmap(None, size_of::<Left>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        unsafe { &*at.cast::<Left>() }
    }

    #[test]
    fn a_worker_with_too_many_is_looked_at_less() {
        let (left, own, now) = (left(), std::process::id(), sys::since_boot());
        for count in 0..OF_WORKER {
            let wanted = if count < CAREFUL { Care::All } else { Care::Some };
            assert_eq!(left.care(7, now), wanted, "{count}");
            left.put(own, 7);
        }
        assert_eq!((left.care(7, now), left.care(8, now)), (Care::Least, Care::All));
        left.forget(7);
        assert_eq!(left.care(7, now), Care::All, "another worker with its place");
        // However many workers there are, the next has a place.
        for worker in 8..17 {
            while left.care(worker, now) != Care::Least {
                left.put(own, worker);
            }
        }
        assert!(left.all.iter().filter(|place| !place.is_there()).count() >= 1);
        left.all.iter().for_each(|place| place.start.store(1, Ordering::Relaxed));
        assert_eq!(left.care(7, now + LOOK), Care::All, "all have ended");
    }

    #[test]
    fn a_worker_is_barred_for_some_time() {
        let (left, now) = (left(), sys::since_boot());
        assert!(left.may_borrow(3));
        left.bar(3, now);
        assert!(!left.may_borrow(3) && left.may_borrow(4));
        assert_eq!(left.care(3, now), Care::All);
        left.bar(3, now + 1);
        assert_eq!(left.care(3, now + 1), Care::Least);
        assert_eq!(left.barred(3, now + 1 + BARRED), 0);
        left.bar(3, now + 1 + BARRED);
        assert_eq!(left.barred(3, now + 2 + BARRED), 1);
    }
}
