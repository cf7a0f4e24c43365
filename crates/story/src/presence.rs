//! When something was there, in a few bytes: which of at most 64 equal parts of its time.

/// The shortest part, as a power of two of nanoseconds: about a millisecond.
const SHIFT_MIN: u8 = 20;
const PARTS: i64 = u64::BITS as i64;

/// Which parts of a time something was there in. The order in which moments are added changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// A bit for each part, from the first one on.
    parts: u64,
    /// The number of the first part, counted from 1970.
    first: i64,
    /// How long a part is, as a power of two.
    shift: u8,
}

impl Presence {
    /// Adds a moment: nanoseconds since 1970.
    pub fn add(&mut self, when: i64) {
        if self.parts == 0 {
            *self = Presence { parts: 1, first: when >> SHIFT_MIN, shift: SHIFT_MIN };
            return;
        }
        loop {
            let part = when >> self.shift;
            let last = self.first + i64::from(63 - self.parts.leading_zeros());
            if self.first.max(part).max(last) - self.first.min(part) < PARTS {
                if part < self.first {
                    self.parts <<= self.first - part;
                    self.first = part;
                }
                self.parts |= 1 << (part - self.first);
                return;
            }
            self.double();
        }
    }

    /// Makes each part twice as long.
    fn double(&mut self) {
        let first = self.first >> 1;
        let parts = self.numbers().fold(0, |parts, part| parts | 1 << ((part >> 1) - first));
        (self.parts, self.first, self.shift) = (parts, first, self.shift + 1);
    }

    /// The numbers of its parts.
    fn numbers(&self) -> impl Iterator<Item = i64> {
        let Presence { parts, first, .. } = *self;
        (0..PARTS).filter(move |place| parts >> place & 1 == 1).map(move |place| first + place)
    }

    /// Which ones of so many equal parts of a time it was there in, a bit each; what was at another time is left out.
    pub fn within(&self, (from, to): (i64, i64), count: u32) -> u64 {
        let (from, to, length) = (i128::from(from), i128::from(to), 1_i128 << self.shift);
        let all = (to - from).max(0) + 1;
        let begins = self.numbers().map(|part| i128::from(part) << self.shift);
        begins.filter(|begin| *begin <= to && begin + length > from).fold(0, |found, begin| {
            let middle = (begin + length / 2).clamp(from, to);
            found | 1 << ((middle - from) * i128::from(count) / all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_always_there_is_in_every_part() {
        let hour = 3600 * 1_000_000_000_i64;
        let (from, to) = (1_790_000_000_000_000_000, 1_790_000_000_000_000_000 + 24 * hour);
        let (mut always, mut once) = (Presence::default(), Presence::default());
        (0..=24).for_each(|at| always.add(from + at * hour));
        (0..500).for_each(|at| once.add(from + 5 * hour + at * 1_000_000_000));
        assert_eq!(always.within((from, to), 16).count_ones(), 16);
        assert!(once.within((from, to), 16).count_ones() <= 2, "{once:?}");
        assert_eq!(once.within((to, to + hour), 16), 0, "at another time");
        assert_eq!(Presence::default().within((from, to), 16), 0);
    }

    proptest! {
        #[test]
        fn no_order_and_no_moment_matters(mut moments in prop::collection::vec(any::<i64>(), 1..40), from: i64, to: i64) {
            let of = |moments: &[i64]| {
                let mut presence = Presence::default();
                moments.iter().for_each(|when| presence.add(*when));
                presence
            };
            let forth = of(&moments);
            prop_assert!(forth.within((from.min(to), from.max(to)), 16) < 1 << 16);
            prop_assert_eq!(forth.within((i64::MIN, i64::MAX), 64).count_ones() > 0, true);
            moments.reverse();
            prop_assert_eq!(of(&moments), forth);
            moments.sort_unstable();
            prop_assert_eq!(of(&moments), forth);
        }
    }
}
