//! The time of an event, as far as it can be trusted: what the journal says, or the place of its line in the file.
//!
//! **Why**: whoever may write to a log writes any time into a line, but puts it behind those that are there. So no line is earlier than
//! the latest one before it, of the same host in the same file, and none is later than the file was written.
//!
//! A file of which the first lines go back in time was sorted by somebody: its lines are taken at their word.

use crate::Origin;
use crate::quick::Table;
use std::time::SystemTime;

/// Earlier times are those of a machine whose clock was not set: 2020-01-01.
const EARLIEST: i64 = 1_577_836_800 * 1_000_000_000;
/// So many lines show which way a file goes.
const FIRST: u32 = 32;
/// So many hosts of files have a clock; of the others, each line is the latest.
const CLOCKS_MAX: usize = 100_000;

/// When an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By its own word, within bounds: nanoseconds since 1970. `None` where it does not say.
    pub said: Option<i64>,
    /// Not before that.
    pub certain: i64,
}

/// The latest time of each host in each file.
pub struct Clocks {
    latest: Table<(usize, u64), Clock>,
    end: End,
}

/// Up to when there can be events: nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The log was last written then.
    At(i64),
    /// It is written now; the last time at which somebody looked at the clock.
    Now(i64),
}

impl Default for Clocks {
    fn default() -> Clocks {
        Clocks::until(End::At(i64::MAX))
    }
}

impl End {
    /// A time that is not later.
    fn bound(&mut self, at: i64) -> i64 {
        match self {
            End::At(end) => at.min(*end),
            End::Now(looked) => {
                if at > *looked {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    *looked = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
                }
                at.min(*looked)
            }
        }
    }
}

#[derive(Default)]
struct Clock {
    latest: i64,
    /// The last line, how many there were, and how many of them went back.
    last: i64,
    lines: u32,
    back: u32,
}

impl Clock {
    /// Whether the first lines mostly went back.
    fn goes_back(&self) -> bool {
        self.lines >= FIRST && self.back * 4 > FIRST * 3
    }

    fn take(&mut self, said: Option<i64>) -> i64 {
        let Some(said) = said else { return if self.lines == 0 { i64::MAX } else { self.latest } };
        if self.lines < FIRST {
            self.back += u32::from(said < self.last);
            self.lines += 1;
            self.last = said;
        }
        self.latest = self.latest.max(said);
        if self.goes_back() { said } else { self.latest }
    }
}

impl Clocks {
    /// Clocks of a log that ends so.
    pub fn until(end: End) -> Clocks {
        Clocks { latest: Table::default(), end }
    }

    /// When an event of a host was that was read there and has this time; see [`crate::Event::nanoseconds`].
    pub fn moment(&mut self, origin: Origin, said: Option<i64>, host: u64) -> Moment {
        let part = match (origin, said) {
            (Origin::Journal(_), Some(received)) => return Moment { said, certain: received },
            (Origin::Journal(_), None) => return Moment { said, certain: i64::MAX },
            (Origin::File(part), _) => part,
        };
        let said = said.filter(|at| *at >= EARLIEST).map(|at| self.end.bound(at));
        let key = (part, host);
        if self.latest.len() >= CLOCKS_MAX && !self.latest.contains_key(&key) {
            return Moment { said, certain: i64::MAX };
        }
        let certain = self.latest.entry(key).or_default().take(said);
        Moment { said, certain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 1_790_000_000 * SECOND;

    const FILE: Origin = Origin::File(0);

    fn certain(clocks: &mut Clocks, seconds: i64) -> i64 {
        (clocks.moment(FILE, Some(DAY + seconds * SECOND), 1).certain - DAY) / SECOND
    }

    #[test]
    fn no_line_is_earlier_than_those_before_it() {
        let mut clocks = Clocks::until(End::At(DAY + 1000 * SECOND));
        assert_eq!([5, 7, 6, -90_000, 8].map(|at| certain(&mut clocks, at)), [5, 7, 7, 7, 8]);
        assert_eq!(certain(&mut clocks, -DAY / SECOND + 1), 8, "1970");
        assert_eq!(clocks.moment(FILE, None, 1), Moment { said: None, certain: DAY + 8 * SECOND });
        // What is made up is not later than the file.
        assert_eq!([90_000, 9].map(|at| certain(&mut clocks, at)), [1000, 1000]);
        let other = clocks.moment(FILE, Some(DAY), 2);
        assert_eq!((other.said, other.certain), (Some(DAY), DAY), "another host");
        let received = clocks.moment(Origin::Journal(DAY), Some(DAY), 1);
        assert_eq!((received.said, received.certain), (Some(DAY), DAY), "the journal's word");
    }

    #[test]
    fn nothing_comes_from_the_future() {
        let now = || i64::try_from(SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_nanos()).expect("a time");
        let mut clocks = Clocks::until(End::Now(0));
        for ahead in [-3600, 3600, i64::MAX / SECOND / 2] {
            let (before, at) = (now(), now().saturating_add(ahead * SECOND));
            let said = clocks.moment(FILE, Some(at), 1).said.expect("a time");
            assert!(said == at || ahead > 0 && (before..=now()).contains(&said), "{ahead}");
        }
    }

    #[test]
    fn the_lines_of_a_file_that_goes_back_are_taken_at_their_word() {
        let mut clocks = Clocks::default();
        let found: Vec<i64> = (0..100).rev().map(|at| certain(&mut clocks, at)).collect();
        assert_eq!(found[..31], [99; 31]);
        assert_eq!(found[31..], (0..=68).rev().collect::<Vec<i64>>());
        // One that goes back later goes on.
        let mut clocks = Clocks::default();
        assert!((0..100).all(|at| certain(&mut clocks, at) == at));
        assert!((0..100).rev().all(|at| certain(&mut clocks, at) == 99));
    }
}
