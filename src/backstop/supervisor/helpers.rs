//! Processes that act in the place of a caller, on what the caller shares: whoever has the socket, the file or the memory as well decides
//! how long that takes, and not even SIGKILL ends who waits for a lock. So the broker never does it itself.
//!
//! There is a bound on them, and each ends with the call that it waits for, or is counted until it has. No site may take what others
//! need: it has at most as many as are left free; and of those that one site can have, the same holds for each worker. What finds no place
//! is `Unknown`, which the policy decides.

use super::subject;
use crate::sys::{self, Reply};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// The most helpers at a time.
const HELPERS: usize = 128;
/// Of these, for one site, and below one worker: a site is what a worker's memory says, which native code in it can change.
const OF_ONE: usize = 64;
/// How often is looked whether their callers wait, and where one finds no place, in nanoseconds.
const LOOK: u64 = 100_000_000;
const LOOK_FOR_PLACE: u64 = 20_000_000;

/// The number of one that is about to be made.
const TAKEN: u32 = u32::MAX;

/// What one says, and to whom: its broker waits for it, has it, or does not wait any more; then, or at once, it answers the call, or
/// nobody wants to know.
const HEARD: u32 = 1;
const SAID: u32 = 2;
const ANSWERS: u32 = 3;
const UNHEARD: u32 = 4;
/// It has answered the call, and ends.
const ENDS: u32 = 5;

/// One of them, by its number and start; the number is 0 for a free place.
pub struct Helper {
    pid: AtomicU32,
    start: AtomicU64,
    /// The call that it is for.
    listener: AtomicI32,
    id: AtomicU64,
    site: AtomicU32,
    worker: AtomicU32,
    ears: AtomicU32,
}

/// The helpers, in memory that the keeper, the broker and they themselves share.
pub struct Helpers {
    looked: AtomicU64,
    all: [Helper; HELPERS],
}

impl Helper {
    fn is_there(&self) -> bool {
        self.pid.load(Ordering::Acquire) != 0
    }

    /// Whether it is to say what has come of it to its broker; else that does not wait any more.
    pub fn says(&self) -> bool {
        self.ears.compare_exchange(HEARD, SAID, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether it is to answer the call.
    pub fn answers(&self) -> bool {
        self.ears.load(Ordering::Acquire) == ANSWERS
    }

    /// It has answered.
    pub fn ends(&self) {
        self.ears.store(ENDS, Ordering::Release);
    }

    /// Whether it has nothing more to do.
    fn is_done(&self) -> bool {
        matches!(self.ears.load(Ordering::Acquire), SAID | ENDS)
    }

    /// Its broker does not wait for it any more: from now on it answers the call, or nobody hears it. False where it has said it.
    pub fn leave(&self, answers: bool) -> bool {
        let ears = if answers { ANSWERS } else { UNHEARD };
        self.ears.compare_exchange(HEARD, ears, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// It has begun, with this number.
    pub fn begin(&self, pid: u32) {
        self.start.store(subject::start_of(pid).unwrap_or(0), Ordering::Relaxed);
        self.pid.store(pid, Ordering::Release);
    }

    /// It could not begin.
    pub fn free(&self) {
        self.pid.store(0, Ordering::Release);
    }

    /// Whether it waits in the kernel, not only for a processor.
    pub fn waits(&self) -> bool {
        subject::waits(self.pid.load(Ordering::Relaxed)).0
    }

    /// Ends it where its caller does not wait any more; answers that where it has ended itself. Its place is free once it has ended.
    fn look(&self) {
        let pid = self.pid.load(Ordering::Relaxed);
        // Of a broker that died meanwhile.
        if pid == TAKEN {
            return self.free();
        }
        let (listener, id) = (self.listener.load(Ordering::Relaxed), self.id.load(Ordering::Relaxed));
        // Another process with its number has another start time.
        let lives = subject::start_of(pid).unwrap_or(0) == self.start.load(Ordering::Relaxed) && sys::exists(pid);
        match lives {
            true if self.ears.load(Ordering::Acquire) == UNHEARD || !sys::still_waits(listener, id) => {
                sys::kill(pid as usize);
            }
            true => {}
            false => {
                if self.answers() && sys::still_waits(listener, id) {
                    sys::reply(listener, id, Reply::Result(-i64::from(libc::EACCES)));
                }
                self.free();
            }
        }
    }
}

impl Helpers {
    /// Ends those whose callers have ended, at most once per interval; true if there are any helpers.
    pub fn look(&self, now: u64) -> bool {
        if now.wrapping_sub(self.looked.load(Ordering::Relaxed)) >= LOOK {
            self.looked.store(now, Ordering::Relaxed);
            self.look_at_all();
        }
        self.all.iter().any(Helper::is_there)
    }

    fn look_at_all(&self) {
        self.all.iter().filter(|helper| helper.is_there()).for_each(Helper::look);
    }

    fn look_at_done(&self) {
        self.all.iter().filter(|helper| helper.is_there() && helper.is_done()).for_each(Helper::look);
    }

    fn have_room(&self, site: u32, worker: u32) -> bool {
        let there = || self.all.iter().filter(|helper| helper.is_there());
        let is_sites = |helper: &&Helper| helper.site.load(Ordering::Relaxed) == site;
        let is_workers = |helper: &&Helper| helper.worker.load(Ordering::Relaxed) == worker;
        let of_site = there().filter(is_sites).count();
        let of_both = there().filter(is_sites).filter(is_workers).count();
        of_site < HELPERS.saturating_sub(there().count())
            && of_both < OF_ONE.saturating_sub(of_site)
            && there().filter(is_workers).count() < OF_ONE
    }

    /// Whether there is a place for one more.
    pub fn have_place(&self, site: u32, worker: u32) -> bool {
        let has_room = || self.have_room(site, worker);
        let has_after = |look: &dyn Fn()| {
            look();
            has_room()
        };
        has_room() || has_after(&|| self.look_at_done()) || {
            let now = sys::since_boot();
            let is_due = now.wrapping_sub(self.looked.load(Ordering::Relaxed)) >= LOOK_FOR_PLACE;
            is_due
                && has_after(&|| {
                    self.looked.store(now, Ordering::Relaxed);
                    self.look_at_all();
                })
        }
    }

    /// Takes a place for one that acts for a call: its broker waits for what it says, or it answers the call.
    pub fn take(&self, (listener, id): (i32, u64), (site, worker): (u32, u32), is_heard: bool) -> Option<&Helper> {
        let has_place = self.have_place(site, worker);
        let place = self.all.iter().find(|helper| has_place && !helper.is_there())?;
        place.start.store(0, Ordering::Relaxed);
        place.listener.store(listener, Ordering::Relaxed);
        place.id.store(id, Ordering::Relaxed);
        place.site.store(site, Ordering::Relaxed);
        place.worker.store(worker, Ordering::Relaxed);
        place.ears.store(if is_heard { HEARD } else { ANSWERS }, Ordering::Relaxed);
        place.pid.store(TAKEN, Ordering::Release);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helpers() -> &'static Helpers {
        let at = sys::mmap(None, size_of::<Helpers>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        unsafe { &*at.cast::<Helpers>() }
    }

    /// Takes all that a site gets below these workers; how many.
    fn fill(helpers: &Helpers, site: u32, workers: core::ops::Range<u32>) -> usize {
        let mut count = 0;
        for worker in workers {
            while helpers.have_room(site, worker) {
                let place = helpers.all.iter().find(|helper| !helper.is_there()).expect("a place");
                place.site.store(site, Ordering::Relaxed);
                place.worker.store(worker, Ordering::Relaxed);
                place.pid.store(1, Ordering::Release);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn no_site_takes_what_others_need() {
        let helpers = helpers();
        assert_eq!([0, 1, 2].map(|worker| fill(helpers, 1, worker..worker + 1)), [32, 16, 8]);
        assert!(helpers.have_room(1, 3), "another worker of the site's");
        let taken: Vec<usize> = (2..6).map(|site| fill(helpers, site, 100 * site..100 * site + 8)).collect();
        assert_eq!(taken, [36, 18, 9, 5]);
        assert!(helpers.have_room(100, 3));
    }

    #[test]
    fn what_one_says_is_heard_or_answers_once() {
        let helpers = helpers();
        let one = helpers.take((-1, 1), (1, 1), true).expect("a place");
        assert!(one.says() && !one.leave(true) && !one.answers());
        let other = helpers.take((-1, 2), (1, 1), true).expect("a place");
        assert!(other.leave(true) && !other.says() && other.answers());
        let unheard = helpers.take((-1, 3), (1, 1), true).expect("a place");
        assert!(unheard.leave(false) && !unheard.says() && !unheard.answers());
    }
}
