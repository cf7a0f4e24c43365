//! Helper processes, which wait in place of a caller: until a connection is established, or a socket has room.
//!
//! Their number is limited in all, for each user and for each worker. Each exits with its call. A call for which there is no free place is
//! `Unknown`, and the policy decides.

use super::subject;
use crate::sys::{self, Reply};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// The most helpers at a time.
const HELPERS: usize = 128;
/// Of these, for processes of one user, and below one worker.
const OF_USER: usize = 96;
const OF_WORKER: usize = 32;
/// The interval at which their callers are checked, in nanoseconds.
const LOOK: u64 = 100_000_000;

/// A helper, by process number and start time; the number is 0 for a free place.
struct Helper {
    pid: AtomicU32,
    start: AtomicU64,
    /// The call that it answers.
    listener: AtomicI32,
    id: AtomicU64,
    user: AtomicU32,
    worker: AtomicU32,
}

/// The helpers, in memory that the keeper and the broker share.
pub struct Helpers {
    looked: AtomicU64,
    all: [Helper; HELPERS],
}

impl Helper {
    fn is_there(&self) -> bool {
        self.pid.load(Ordering::Relaxed) != 0
    }

    /// Ends it if its caller no longer waits; true if it has exited.
    fn look(&self) {
        let pid = self.pid.load(Ordering::Relaxed);
        let (listener, id) = (self.listener.load(Ordering::Relaxed), self.id.load(Ordering::Relaxed));
        // Another process with its number has another start time.
        let lives = subject::start_of(pid).unwrap_or(0) == self.start.load(Ordering::Relaxed) && sys::exists(pid);
        match (sys::still_waits(listener, id), lives) {
            (true, true) => return,
            (true, false) => sys::reply(listener, id, Reply::Result(-i64::from(libc::EACCES))),
            (false, true) => sys::kill(pid as usize),
            (false, false) => {}
        }
        self.pid.store(0, Ordering::Relaxed);
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

    /// Whether there is a place for one more.
    pub fn have_place(&self, user: u32, worker: u32) -> bool {
        let has_place = || {
            let there = || self.all.iter().filter(|helper| helper.is_there());
            let of_user = there().filter(|helper| helper.user.load(Ordering::Relaxed) == user).count();
            let of_worker = there().filter(|helper| helper.worker.load(Ordering::Relaxed) == worker).count();
            of_user < OF_USER && of_worker < OF_WORKER && there().count() < HELPERS
        };
        has_place() || {
            self.look_at_all();
            has_place()
        }
    }

    /// Adds a helper that waits for a call.
    pub fn put(&self, pid: u32, (listener, id): (i32, u64), user: u32, worker: u32) {
        let Some(place) = self.all.iter().find(|helper| !helper.is_there()) else { return };
        place.start.store(subject::start_of(pid).unwrap_or(0), Ordering::Relaxed);
        place.listener.store(listener, Ordering::Relaxed);
        place.id.store(id, Ordering::Relaxed);
        place.user.store(user, Ordering::Relaxed);
        place.worker.store(worker, Ordering::Relaxed);
        place.pid.store(pid, Ordering::Release);
    }
}
