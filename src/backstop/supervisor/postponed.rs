//! Postponed calls, which are evaluated again later. Their judge had to wait for the caller's memory: it is read from a disk, or the
//! caller's own threads keep it locked.
//!
//! Meanwhile other calls are evaluated, also of the same worker. Usually the memory is available the next time. A call that has used its
//! time is evaluated without its arguments.

use super::subject;
use crate::sys::{self, Notice};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long the judge of a call may wait while other calls wait for it, in milliseconds.
pub const SLICE: u32 = 5;
/// The time for other calls, for each unit of time for postponed ones: if other calls arrive, and if none do.
const OTHERS: [u64; 2] = [3, 1];
/// After how long without another call none is expected, in nanoseconds.
const ALONE: u64 = 50_000_000;
/// The most postponed calls at a time, in all and of one worker.
const CALLS: usize = 64;
const OF_WORKER: usize = 4;
/// The judges' time for one call, its time in all, and how long one of its judges may wait, in nanoseconds.
const JUDGED_MAX: u64 = 500_000_000;
const WAITS_MAX: u64 = 20_000_000_000;
const STUCK_MAX: u64 = 5_000_000_000;

/// A postponed call.
pub struct Postponed {
    /// When it was evaluated first; 0 for a free place.
    since: AtomicU64,
    /// The time that its judges have used.
    judged: AtomicU64,
    /// The worker's place.
    place: AtomicU32,
    /// The judge that waited, and when that began.
    judge: (AtomicU32, AtomicU64),
    words: [AtomicU64; 10],
}

impl Postponed {
    fn is_one(&self) -> bool {
        self.since.load(Ordering::Acquire) != 0
    }

    /// The call, and its worker's place.
    pub fn call(&self) -> (Notice, usize) {
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        (Notice::of(&words), self.place.load(Ordering::Relaxed) as usize)
    }

    /// Whether its last judge still waits.
    fn is_stuck(&self) -> bool {
        let (judge, start) = (self.judge.0.load(Ordering::Relaxed), self.judge.1.load(Ordering::Relaxed));
        start != 0 && subject::start_of(judge) == Some(start)
    }

    /// Whether it has used its time.
    pub fn is_late(&self, now: u64) -> bool {
        let waits = now.saturating_sub(self.since.load(Ordering::Relaxed));
        self.judged.load(Ordering::Relaxed) >= JUDGED_MAX
            || waits >= WAITS_MAX
            || (waits >= STUCK_MAX && self.is_stuck())
    }

    /// There is none any more.
    pub fn clear(&self) {
        self.since.store(0, Ordering::Release);
    }
}

/// All postponed calls, in memory that all brokers share.
pub struct Calls {
    /// When the next may be started.
    turn: AtomicU64,
    /// When another call came last.
    asked: AtomicU64,
    all: [Postponed; CALLS],
}

impl Calls {
    fn each(&self) -> impl Iterator<Item = &Postponed> {
        self.all.iter().filter(|call| call.is_one())
    }

    pub fn any(&self) -> bool {
        self.each().next().is_some()
    }

    /// The postponed call of a notice.
    pub fn of(&self, id: u64) -> Option<&Postponed> {
        self.each().find(|call| call.words.first().is_some_and(|word| word.load(Ordering::Relaxed) == id))
    }

    /// Adds a call whose judge has worked on it since `begun`, still waits, and is being ended; false if no place is free.
    pub fn put(&self, place: usize, notice: &Notice, begun: u64, judge: u32) -> bool {
        let is_of = |call: &&Postponed| call.place.load(Ordering::Relaxed) == place as u32;
        let known = self.of(notice.id);
        let free = || {
            let has_room = self.each().filter(is_of).count() < OF_WORKER;
            self.all.iter().find(|call| has_room && !call.is_one())
        };
        let Some(call) = known.or_else(free) else { return false };
        let taken = sys::since_boot().saturating_sub(begun);
        let before = if known.is_some() { call.judged.load(Ordering::Relaxed) } else { 0 };
        call.judged.store(before.saturating_add(taken), Ordering::Relaxed);
        call.words.iter().zip(notice.words()).for_each(|(to, word)| to.store(word, Ordering::Relaxed));
        call.place.store(place as u32, Ordering::Relaxed);
        call.judge.0.store(judge, Ordering::Relaxed);
        call.judge.1.store(subject::start_of(judge).unwrap_or(0), Ordering::Relaxed);
        if known.is_none() {
            call.since.store(begun.max(1), Ordering::Release);
        }
        true
    }

    /// Of those that can be started, the one that has used least time.
    pub fn next(&self, now: u64) -> Option<&Postponed> {
        let ready = self.each().filter(|call| call.is_late(now) || !call.is_stuck());
        ready.min_by_key(|call| call.judged.load(Ordering::Relaxed))
    }

    /// In how many milliseconds the next may be begun.
    pub fn wait(&self, now: u64) -> u32 {
        self.turn.load(Ordering::Relaxed).saturating_sub(now).div_ceil(1_000_000) as u32
    }

    /// Another call has come.
    pub fn ask(&self, now: u64) {
        self.asked.store(now, Ordering::Relaxed);
    }

    /// Adds the time from `begun` to now to one.
    pub fn take(&self, begun: u64) {
        let now = sys::since_boot();
        let is_alone = now.saturating_sub(self.asked.load(Ordering::Relaxed)) > ALONE;
        let [others, alone] = OTHERS;
        let pause = now.saturating_sub(begun).saturating_mul(if is_alone { alone } else { others });
        self.turn.store(now.saturating_add(pause), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> &'static Calls {
        let at = sys::mmap(None, size_of::<Calls>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        unsafe { &*at.cast::<Calls>() }
    }

    fn notice(id: u64) -> Notice {
        Notice::of(&[id, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn others_have_three_parts_of_four_or_half() {
        let calls = calls();
        let now = sys::since_boot();
        assert_eq!(calls.wait(now), 0);
        let part = 1_000_000_000;
        calls.ask(now);
        calls.take(now.saturating_sub(part));
        assert!(calls.wait(now) >= 3_000, "{}", calls.wait(now));
        calls.ask(now.saturating_sub(2 * ALONE));
        calls.take(now.saturating_sub(part));
        assert!((1_000..2_000).contains(&calls.wait(now)), "{}", calls.wait(now));
        assert_eq!(calls.wait(now + 2 * part), 0);
    }

    #[test]
    fn no_worker_has_more_than_its_places() {
        let calls = calls();
        let now = sys::since_boot();
        for id in 1..=OF_WORKER as u64 {
            assert!(calls.put(7, &notice(id), now, 0));
        }
        assert!(!calls.put(7, &notice(100), now, 0));
        // One that is there already stays, and another worker has places of its own.
        assert!(calls.put(7, &notice(1), now, 0) && calls.put(8, &notice(100), now, 0));
        let (next, place) = calls.of(100).expect("it").call();
        assert_eq!((next.id, place), (100, 8));
        calls.of(2).expect("it").clear();
        assert!(calls.put(7, &notice(101), now, 0));
    }

    #[test]
    fn who_had_least_is_next_and_all_have_an_end() {
        let calls = calls();
        let now = sys::since_boot();
        assert!(calls.put(1, &notice(1), now.saturating_sub(300_000_000), 0));
        assert!(calls.put(2, &notice(2), now, 0));
        let next = |now| calls.next(now).map(|call| call.call().0.id);
        assert_eq!(next(now), Some(2));
        // While its judge still waits, it is not started again for some time.
        assert!(calls.put(2, &notice(2), now, std::process::id()));
        assert_eq!(next(now), Some(1));
        let of = |id| calls.of(id).expect("it");
        assert!(!of(2).is_late(now) && of(2).is_late(now + STUCK_MAX) && !of(1).is_late(now + STUCK_MAX));
        assert!(of(1).is_late(now + WAITS_MAX));
        assert!(calls.put(1, &notice(1), now.saturating_sub(300_000_000), 0));
        assert!(of(1).is_late(now), "its judges have had their time");
    }
}
