//! How the keeper watches the broker: the broker sets a timer before it does what may not end, and the keeper has the same timer.
//!
//! Whoever waits in the kernel for what a caller holds may not end for any signal. So another broker takes its place; what is left of it is
//! counted, and the worker at whose call that was is barred.

use super::{SharedState, subject};
use crate::sys;
use crate::sys::broker::desk::LENT;
use core::sync::atomic::Ordering;

/// How long the broker may wait in what it does for a call, in nanoseconds.
const ACTS: u64 = 100_000_000;
/// How long the broker may take for anything else: to wait for its judge, to write to a disk.
const ALL: u64 = 6_000_000_000;
/// How often is looked whether it waits, at a time at which it should be back, and how often it then has to, in milliseconds and times:
/// once, by chance, anybody does.
const AGAIN: u32 = 4;
const TIMES: u32 = 3;
/// How long is waited for one that was told to end, in milliseconds.
const ENDS: u32 = 20;
/// How often the keeper looks by itself, in milliseconds.
const LOOK: u32 = 60_000;

/// How a broker ended.
pub enum BrokerEnd {
    /// By itself, with this status.
    Ended(i32),
    /// It did not come back, and has ended since, or not.
    Hung,
}

impl SharedState {
    fn set(&self, time: u64) {
        let timer = self.timer.load(Ordering::Relaxed);
        if timer != 0 {
            let until = if time == 0 { 0 } else { sys::since_boot().wrapping_add(time) };
            self.until.store(until, Ordering::Release);
            sys::set_timer(timer, time);
        }
    }

    /// The broker does something for a call.
    pub fn acts(&self) {
        self.set(ACTS);
    }

    /// It does something that takes its time.
    pub fn takes_time(&self) {
        self.set(ALL);
    }

    /// It waits for what comes next.
    pub fn rests(&self) {
        self.set(0);
    }

    /// Waits for the end of a broker, or until it does not come back.
    pub fn watch(&self, broker: usize) -> BrokerEnd {
        let timer = self.timer.load(Ordering::Relaxed);
        let Some(end) = sys::end_of(broker).filter(|_| timer != 0) else {
            return BrokerEnd::Ended(sys::wait_for(broker));
        };
        loop {
            let [has_ended, is_over] = sys::either([end.0, timer], LOOK);
            if has_ended {
                return BrokerEnd::Ended(sys::wait_for(broker));
            }
            if is_over {
                // From here on it says when that is again.
                sys::read(timer, &mut [0; 8]);
                if self.hangs(broker, end.0) {
                    return self.replace(broker, end.0);
                }
            }
        }
    }

    /// Whether it waits where it should be back by now.
    fn hangs(&self, broker: usize, end: i32) -> bool {
        let until = self.until.load(Ordering::Acquire);
        let mut times = 0;
        while until != 0 && sys::since_boot() >= until && self.until.load(Ordering::Acquire) == until {
            times = if subject::waits(broker as u32).0 { times + 1 } else { 0 };
            if times > TIMES {
                return true;
            }
            if sys::either([end], AGAIN)[0] {
                return false;
            }
        }
        false
    }

    /// Tells a broker to end that does not come back, and its judge.
    fn replace(&self, broker: usize, end: i32) -> BrokerEnd {
        self.until.store(0, Ordering::Release);
        let now = sys::since_boot();
        let worker = (self.place.load(Ordering::Relaxed) as usize).wrapping_sub(1);
        sys::kill(broker);
        self.left.bar(worker, now);
        let (judge, start) = (self.judge.0.swap(0, Ordering::AcqRel), self.judge.1.load(Ordering::Acquire));
        if judge != 0 && subject::start_of(judge) == Some(start) {
            sys::kill(judge as usize);
        }
        match sys::either([end], ENDS) {
            [true] => drop(sys::wait_for(broker)),
            [false] => self.left.put(broker as u32, worker),
        }
        self.replaced.store(true, Ordering::Release);
        BrokerEnd::Hung
    }

    /// Closes what a broker that has ended had open. A process of its own does it: that may take as long as others like.
    pub fn close_left_over(&self) {
        // Taken at once: the next broker notes its own there.
        let (mut numbers, mut is_any) = ([0; LENT + 1], false);
        for (number, noted) in numbers.iter_mut().zip(self.lent.iter().chain([&self.channel])) {
            *number = noted.swap(0, Ordering::Relaxed);
            is_any |= *number != 0;
        }
        if !is_any {
            return;
        }
        // SAFETY: the child only makes system calls of `sys`.
        match unsafe { sys::fork_forgotten_with_files() } {
            Ok(0) => {
                for number in numbers.iter().filter(|number| **number != 0) {
                    sys::close(number.wrapping_sub(1));
                }
                sys::exit(0)
            }
            Ok(child) => {
                for _ in 0..ENDS {
                    if !sys::exists(child as u32) {
                        return;
                    }
                    sys::sleep(1_000_000);
                }
                sys::kill(child);
                self.left.put(child as u32, usize::MAX);
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backstop::supervisor::left::Care;

    fn shared() -> &'static SharedState {
        let at = sys::mmap(None, size_of::<SharedState>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        let shared = unsafe { &*at.cast::<SharedState>() };
        let timer = sys::timer().expect("a timer");
        shared.timer.store(timer.0, Ordering::Relaxed);
        core::mem::forget(timer);
        shared.place.store(6, Ordering::Relaxed);
        shared
    }

    /// A broker that does this, and then sleeps for half a second.
    fn broker(shared: &SharedState, does: fn(&SharedState)) -> usize {
        // SAFETY: the child makes system calls alone.
        match unsafe { sys::fork_with_files() } {
            Ok(0) => {
                does(shared);
                sys::sleep(500_000_000);
                sys::exit(0)
            }
            child => child.expect("a child"),
        }
    }

    #[test]
    fn a_broker_that_does_not_come_back_is_replaced() {
        let shared = shared();
        let begun = sys::since_boot();
        assert!(matches!(shared.watch(broker(shared, SharedState::acts)), BrokerEnd::Hung));
        assert!(sys::since_boot() - begun < 450_000_000);
        assert!(!shared.left.may_borrow(5) && shared.left.may_borrow(6));
        assert_eq!(shared.left.care(5, sys::since_boot()), Care::All);
        assert!(shared.replaced.load(Ordering::Relaxed));
    }

    #[test]
    fn a_broker_that_rests_or_writes_is_not() {
        let shared = shared();
        for does in [SharedState::takes_time, SharedState::rests] {
            shared.acts();
            assert!(matches!(shared.watch(broker(shared, does)), BrokerEnd::Ended(0)));
        }
        assert!(shared.left.may_borrow(5));
    }
}
