//! The pause before a judge that died is replaced: none if it had run for long, otherwise twice the last pause.

use crate::sys;

/// The first pause and the longest, in nanoseconds.
const FIRST: usize = 10_000_000;
const LONGEST: usize = 640_000_000;
/// A judge that ran this long, in nanoseconds, did not die at its start.
const LONG: u64 = 1_000_000_000;

/// The pauses of one keeper.
#[derive(Default)]
pub struct Pause {
    next: usize,
    begun: u64,
}

impl Pause {
    /// Notes that a judge starts.
    pub fn begin(&mut self) {
        self.begun = sys::since_boot();
    }

    /// Notes that it has died; returns the pause.
    pub fn take(&mut self) {
        let length = self.after(sys::since_boot().wrapping_sub(self.begun));
        if length > 0 {
            sys::sleep(length);
        }
    }

    fn after(&mut self, lived: u64) -> usize {
        let now = if lived >= LONG { 0 } else { self.next };
        self.next = now.wrapping_mul(2).clamp(FIRST, LONGEST);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_longer_up_to_a_bound() {
        let mut pause = Pause::default();
        let pauses: Vec<usize> = [0; 9].into_iter().map(|lived| pause.after(lived) / 1_000_000).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 320, 640, 640]);
        assert_eq!(pause.after(LONG), 0);
        assert_eq!(pause.after(LONG - 1) / 1_000_000, 10);
    }
}
