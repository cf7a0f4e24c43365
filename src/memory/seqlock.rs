//! A few words that are written and read as one, without a lock: a place is written by whoever makes its version odd, and a
//! reader that finds the version odd or changed takes it for empty. Nobody waits: where two meet, one goes without.
//!
//! The folder loom/ has this file once more, and tries every order of its steps.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// The words; zeros as long as nothing was written.
pub struct Words<const N: usize> {
    /// Odd while they are written; 0 where they never were.
    version: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> Words<N> {
    /// Nothing.
    #[cfg(not(loom))]
    pub const fn new() -> Words<N> {
        Words { version: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; N] }
    }

    /// Nothing.
    #[cfg(loom)]
    pub fn new() -> Words<N> {
        Words { version: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// What `look` finds in the words, which it has to load; `None` where they were written meanwhile.
    #[inline(always)]
    pub fn read<R>(&self, look: impl FnOnce(&[AtomicU64; N]) -> R) -> Option<R> {
        let version = self.version.load(Ordering::Acquire);
        let found = look(&self.words);
        fence(Ordering::Acquire);
        (version & 1 == 0 && self.version.load(Ordering::Relaxed) == version).then_some(found)
    }

    /// Writes them; false where another thread does just now, whose words stay.
    pub fn write(&self, words: impl IntoIterator<Item = u64>) -> bool {
        let version = self.version.load(Ordering::Relaxed);
        let odd = version | 1;
        if version & 1 != 0
            || self.version.compare_exchange(version, odd, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return false;
        }
        fence(Ordering::Release);
        for (to, from) in self.words.iter().zip(words) {
            to.store(from, Ordering::Relaxed);
        }
        self.version.store(odd.wrapping_add(1), Ordering::Release);
        true
    }
}
