//! Lets one thread of a process at a time into what popen and system share, as the locks inside libc do.
//!
//! No decision waits for it: the program has been judged, and libc's own popen and system wait in the same places.
//! **After fork**: the turn holds the number of a process, so a child that was forked while another thread had it takes it.

use crate::sys;
use core::sync::atomic::{AtomicU32, Ordering};

/// A lock that belongs to a process; 0 where nobody holds it.
pub struct Turn(AtomicU32);

/// Ends the turn when it goes out of scope.
pub struct TurnGuard<'t>(&'t AtomicU32);

/// Set while threads may sleep until the turn is free. Process numbers are below 2^22.
const AWAITED: u32 = 1 << 31;

impl Turn {
    /// A free one.
    pub const fn new() -> Turn {
        Turn(AtomicU32::new(0))
    }

    /// Waits for the turn.
    pub fn take(&self) -> TurnGuard<'_> {
        let own = sys::getpid();
        let mut mine = own;
        loop {
            let holder = self.0.load(Ordering::Relaxed);
            if holder & !AWAITED != own {
                // Free, or left behind by a thread of the process that this one was forked from.
                if self.0.compare_exchange_weak(holder, mine, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return TurnGuard(&self.0);
                }
                continue;
            }
            let awaited = own | AWAITED;
            let marked = holder == awaited
                || self.0.compare_exchange(holder, awaited, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if marked {
                sys::futex_wait(&self.0, awaited);
                // Others may be asleep too.
                mine = awaited;
            }
        }
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        if self.0.swap(0, Ordering::Release) & AWAITED != 0 {
            sys::futex_wake(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::UnsafeCell;

    struct Sum(UnsafeCell<u64>);
    // SAFETY: the test changes it only in its turn.
    unsafe impl Sync for Sum {}

    #[test]
    fn one_at_a_time() {
        static TURN: Turn = Turn::new();
        static SUM: Sum = Sum(UnsafeCell::new(0));
        let threads = (0..8).map(|_| {
            std::thread::spawn(|| {
                for _ in 0..2000 {
                    let _held = TURN.take();
                    // SAFETY: the turn is this thread's.
                    unsafe { *SUM.0.get() += 1 };
                }
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().expect("a thread"));
        // SAFETY: the threads have ended.
        assert_eq!(unsafe { *SUM.0.get() }, 16_000);
    }

    #[test]
    fn a_turn_that_another_process_had_is_free() {
        let turn = Turn(AtomicU32::new(1 | AWAITED));
        drop(turn.take());
        assert_eq!(turn.0.load(Ordering::Relaxed), 0);
    }
}
