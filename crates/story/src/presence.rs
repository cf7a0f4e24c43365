//! When something was there, in a few bytes: since when, and in about how many half hours.
//!
//! **Invariant**: a moment that is added takes nothing away. Whoever adds moments makes nothing look as if it had been there for less.

/// A part of time, in nanoseconds.
const PART: i64 = 1800 * 1_000_000_000;
/// So many parts are told apart. A prime number: what is there once a day, or once a week, is in another part each time.
const PARTS: i64 = 61;

/// When something was there. The order in which moments are added changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Since when: nanoseconds since 1970.
    pub since: i64,
    /// A bit for each part, in turn.
    parts: u64,
}

impl Default for Presence {
    fn default() -> Presence {
        Presence { since: i64::MAX, parts: 0 }
    }
}

impl Presence {
    /// Adds a moment, and since when it is certain.
    pub fn add(&mut self, when: Option<i64>, since: i64) {
        self.since = self.since.min(since);
        if let Some(when) = when {
            self.parts |= 1 << when.div_euclid(PART).rem_euclid(PARTS);
        }
    }

    /// In how many parts it was there: at least so many.
    pub fn parts(&self) -> u32 {
        self.parts.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_half_hours() {
        let count = |moments: &mut dyn Iterator<Item = i64>| {
            let mut presence = Presence::default();
            moments.for_each(|when| presence.add(Some(when), when));
            presence.parts()
        };
        let begin = 1_790_000_000_000_000_000 / PART * PART;
        assert_eq!(count(&mut (0..500).map(|at| begin + at * 1_000_000_000)), 1);
        assert_eq!(count(&mut (0..16).map(|at| begin + at * PART)), 16);
        assert_eq!(count(&mut (0..16).map(|at| begin + at * 48 * PART)), 16, "once a day");
        assert_eq!(count(&mut std::iter::empty()), 0);
    }

    proptest! {
        #[test]
        fn no_order_matters_and_nothing_is_taken_away(mut moments in prop::collection::vec(any::<(i64, i64)>(), 1..40), more: (i64, i64)) {
            let of = |moments: &[(i64, i64)]| {
                let mut presence = Presence::default();
                moments.iter().for_each(|(when, since)| presence.add(Some(*when), *since));
                presence
            };
            let forth = of(&moments);
            moments.reverse();
            prop_assert_eq!(of(&moments), forth);
            moments.push(more);
            let after = of(&moments);
            prop_assert!(after.since <= forth.since && after.parts & forth.parts == forth.parts);
        }
    }
}
