//! The kinds of events of a tree of processes, and how many of each were merged. Shared, without a lock.
//!
//! The table is divided into parts, and where a kind may stand is decided by whose it is: the virtual host decides on the
//! part, the client on the quarter of it. So a flood for one virtual host fills its own part, and one by one client a
//! quarter of that. What finds no place is counted by part and rule; the gravest events are written all the same, up to
//! [`GRAVE_MAX`] for each part.
//!
//! The folder loom/ has this file once more, with fewer places, and tries every order of its steps.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// How long what is alike is merged, in nanoseconds.
const WINDOW: u64 = 10_000_000_000;
/// How many events of a kind are written whole in that time. With [`PART`] it bounds what one virtual host's requests write to
/// about 130 events a second, and the gravest to another 100; journald takes 10,000 of a unit in 30 seconds
/// (journald.conf(5), RateLimitBurst=).
const WHOLE_MAX: u32 = if cfg!(loom) { 1 } else { 10 };
/// How many parts the table has.
const PARTS: usize = if cfg!(loom) { 1 } else { 16 };
/// How many places the kinds of one quarter of a part have.
const QUARTER: usize = if cfg!(loom) { 2 } else { 32 };
/// How many quarters a part has.
const QUARTERS: usize = if cfg!(loom) { 1 } else { 4 };
/// How many kinds of one part are told apart at a time; what is beyond is of one kind with all others of its rule and part.
const PART: usize = QUARTER * QUARTERS;
/// How many kinds are told apart at a time.
const KINDS: usize = PARTS * PART;
/// How many places a kind may have.
const REACH: usize = if cfg!(loom) { 1 } else { 8 };
/// A rule's number and whether it was refused, for what is beyond in one part.
const RULES: usize = if cfg!(loom) { 1 } else { 32 };
/// The same for all parts.
const BEYOND: usize = PARTS * RULES;
/// How many of the gravest events of a part are written whole in a while, though there was no place for their kinds.
pub const GRAVE_MAX: u32 = if cfg!(loom) { 1 } else { 1000 };

/// Of what kind an event is, and whose: hashes with a key, none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// All that makes the kind.
    pub kind: u64,
    /// The virtual host.
    pub host: u64,
    /// The client.
    pub client: u64,
    /// It is one of the gravest.
    pub is_grave: bool,
}

/// The facts that an event about merged events carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeFacts {
    /// The rule's number.
    pub rule: u8,
    /// Whether the calls were refused.
    pub refused: bool,
    /// The virtual host's number; `None` for none.
    pub vhost: Option<u32>,
    /// Of whose policy: the end of its digest.
    pub policy: u16,
}

impl MergeFacts {
    fn packed(self) -> u64 {
        let vhost = self.vhost.map_or(0, |vhost| vhost.wrapping_add(1));
        u64::from(self.policy) << 48 | u64::from(vhost) << 16 | u64::from(self.refused) << 8 | u64::from(self.rule)
    }

    fn of(packed: u64) -> MergeFacts {
        MergeFacts {
            rule: packed as u8,
            refused: packed & 0x100 != 0,
            vhost: ((packed >> 16) as u32).checked_sub(1),
            policy: (packed >> 48) as u16,
        }
    }
}

/// Events that were merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What they were about.
    pub about: MergeFacts,
    /// The number of the event that they are like; 0 where no event is: they were of kinds that were not told apart.
    pub like: u64,
    /// How many they were.
    pub count: u64,
}

/// The count of one kind of events.
#[repr(C)]
struct MergeSlot {
    kind: AtomicU64,
    /// Since when they are counted.
    began: AtomicU64,
    about: AtomicU64,
    /// The number of the first that was written; 0 as long as it has none.
    like: AtomicU64,
    merged: AtomicU64,
    seen: AtomicU32,
}

/// Zeros; loom's atomics are no constants.
macro_rules! zeros {
    ($($constness:tt)?) => {
        impl MergeSlot {
            $($constness)? fn new() -> MergeSlot {
                MergeSlot {
                    kind: AtomicU64::new(0),
                    began: AtomicU64::new(0),
                    about: AtomicU64::new(0),
                    like: AtomicU64::new(0),
                    merged: AtomicU64::new(0),
                    seen: AtomicU32::new(0),
                }
            }
        }
    };
}
#[cfg(not(loom))]
zeros!(const);
#[cfg(loom)]
zeros!();

impl MergeSlot {
    fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.began.load(Ordering::Relaxed)) >= WINDOW
    }

    fn take(&self) -> Option<Merged> {
        let count = self.merged.swap(0, Ordering::Relaxed);
        let about = MergeFacts::of(self.about.load(Ordering::Relaxed));
        (count != 0).then(|| Merged { about, like: self.like.load(Ordering::Relaxed), count })
    }

    /// Begins anew with an event that is written.
    fn first(&self, about: MergeFacts, now: u64) -> MergeDecision<'_> {
        let left = self.take();
        self.like.store(0, Ordering::Relaxed);
        self.about.store(about.packed(), Ordering::Relaxed);
        self.began.store(now, Ordering::Relaxed);
        self.seen.store(1, Ordering::Relaxed);
        MergeDecision::Write(WrittenEvent { slot: Some(self), is_first: true, left })
    }
}

/// Whether an event is written or counted.
pub enum MergeDecision<'t> {
    /// It is written.
    Write(WrittenEvent<'t>),
    /// It is counted.
    Merged,
}

/// An event that is to be written.
pub struct WrittenEvent<'t> {
    slot: Option<&'t MergeSlot>,
    is_first: bool,
    /// What of its kind, or of the one that had its place, was merged before: to be said now.
    pub left: Option<Merged>,
}

impl WrittenEvent<'_> {
    /// An event of no kind.
    pub const ALONE: WrittenEvent<'static> = WrittenEvent { slot: None, is_first: false, left: None };

    /// Takes note of the event's number.
    pub fn written_as(&self, sequence: u64) {
        if let Some(slot) = self.slot.filter(|_| self.is_first) {
            slot.like.store(sequence, Ordering::Relaxed);
        }
    }
}

/// The kinds of a tree of processes. Zero bytes are a valid one.
#[repr(C)]
pub struct Table {
    /// Of the hash that makes kinds; 0 until there is one.
    pub(super) key: AtomicU64,
    /// When the first of what was merged is to be said; 0 for nothing to say.
    pub(super) due: AtomicU64,
    slots: [MergeSlot; KINDS],
    beyond: [MergeSlot; BEYOND],
}

impl Table {
    /// No events.
    #[cfg(loom)]
    pub fn new() -> Table {
        Table {
            key: AtomicU64::new(0),
            due: AtomicU64::new(0),
            slots: std::array::from_fn(|_| MergeSlot::new()),
            beyond: std::array::from_fn(|_| MergeSlot::new()),
        }
    }

    /// No events.
    #[cfg(not(loom))]
    pub const fn new() -> Table {
        Table {
            key: AtomicU64::new(0),
            due: AtomicU64::new(0),
            slots: [const { MergeSlot::new() }; KINDS],
            beyond: [const { MergeSlot::new() }; BEYOND],
        }
    }

    /// Whether something is to be said, sooner or later.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.due.load(Ordering::Relaxed) != 0
    }

    /// What becomes of an event of a kind (not 0) at `now`, in nanoseconds.
    pub fn note(&self, marks: Marks, about: MergeFacts, now: u64) -> Option<MergeDecision<'_>> {
        let Marks { kind, host, client, is_grave } = marks;
        let part = host as usize % PARTS;
        let first = part.wrapping_mul(PART).wrapping_add((client as usize % QUARTERS).wrapping_mul(QUARTER));
        for step in 0..REACH {
            let place = (kind as usize).wrapping_add(step) % QUARTER;
            let slot = self.slots.get(first.wrapping_add(place))?;
            let held = slot.kind.load(Ordering::Relaxed);
            if held == kind {
                return Some(self.count(slot, about, now, WHOLE_MAX));
            }
            if held == 0 || slot.is_over(now) {
                match slot.kind.compare_exchange(held, kind, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return Some(slot.first(about, now)),
                    Err(other) if other == kind => return Some(self.count(slot, about, now, WHOLE_MAX)),
                    Err(_) => {}
                }
            }
        }
        let place = (usize::from(about.rule) << 1 | usize::from(about.refused)) % RULES;
        let slot = self.beyond.get(part.wrapping_mul(RULES).wrapping_add(place))?;
        // A rule's place is no virtual host's.
        let whole = if is_grave { GRAVE_MAX } else { WHOLE_MAX };
        Some(match self.count(slot, MergeFacts { vhost: None, ..about }, now, whole) {
            // The next in this place may be of any other kind: none is like the first.
            MergeDecision::Write(WrittenEvent { left, .. }) => {
                MergeDecision::Write(WrittenEvent { slot: None, is_first: false, left })
            }
            MergeDecision::Merged => MergeDecision::Merged,
        })
    }

    fn count<'t>(&self, slot: &'t MergeSlot, about: MergeFacts, now: u64, whole: u32) -> MergeDecision<'t> {
        let began = slot.began.load(Ordering::Relaxed);
        if now.saturating_sub(began) >= WINDOW
            && slot.began.compare_exchange(began, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            return slot.first(about, now);
        }
        let seen = slot.seen.fetch_add(1, Ordering::Relaxed);
        if seen < whole {
            return MergeDecision::Write(WrittenEvent { slot: Some(slot), is_first: seen == 0, left: None });
        }
        slot.merged.fetch_add(1, Ordering::Relaxed);
        // Either `flush` finds what was counted, or here it is found that nothing is due: else it would wait for ever.
        fence(Ordering::SeqCst);
        if self.due.load(Ordering::Relaxed) == 0 {
            let due = began.saturating_add(WINDOW).max(1);
            let _ = self.due.compare_exchange(0, due, Ordering::Relaxed, Ordering::Relaxed);
        }
        MergeDecision::Merged
    }

    /// Calls `say` with what was merged and whose time is over at `now`; with all of it where `now` is `None`.
    pub fn flush(&self, now: Option<u64>, mut say: impl FnMut(Merged)) {
        self.due.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut next = u64::MAX;
        for slot in self.slots.iter().chain(&self.beyond) {
            if slot.merged.load(Ordering::Relaxed) == 0 {
                continue;
            }
            if now.is_some_and(|now| !slot.is_over(now)) {
                next = next.min(slot.began.load(Ordering::Relaxed).saturating_add(WINDOW));
            } else if let Some(merged) = slot.take() {
                say(merged);
            }
        }
        if next != u64::MAX {
            let _ = self.due.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    const ABOUT: MergeFacts = MergeFacts { rule: 1, refused: true, vhost: Some(9_999), policy: 0xfedc };

    fn of(kind: u64) -> Marks {
        Marks { kind, host: 1, client: 1, is_grave: false }
    }

    fn is_whole(table: &Table, kind: u64, now: u64) -> bool {
        matches!(table.note(of(kind), ABOUT, now), Some(MergeDecision::Write(_)))
    }

    fn flushed(table: &Table, now: Option<u64>) -> Vec<Merged> {
        let mut all = Vec::new();
        table.flush(now, |merged| all.push(merged));
        all
    }

    #[test]
    fn the_first_few_are_written_and_the_others_counted() {
        let table = Box::new(Table::new());
        let Some(MergeDecision::Write(first)) = table.note(of(7), ABOUT, WINDOW) else {
            panic!("the first is written")
        };
        first.written_as(41);
        let written = 1 + (1..1000).filter(|_| is_whole(&table, 7, WINDOW)).count();
        assert_eq!(written, WHOLE_MAX as usize);
        assert!(flushed(&table, Some(WINDOW * 2 - 1)).is_empty(), "its time is not over");
        assert_ne!(table.due.load(Ordering::Relaxed), 0);
        assert_eq!(
            flushed(&table, Some(WINDOW * 2)),
            [Merged { about: ABOUT, like: 41, count: 1000 - u64::from(WHOLE_MAX) }]
        );
        assert!(flushed(&table, None).is_empty(), "it is said once");
    }

    #[test]
    fn the_next_of_a_kind_says_what_was_merged() {
        let table = Box::new(Table::new());
        for _ in 0..WHOLE_MAX + 5 {
            table.note(of(7), ABOUT, WINDOW);
        }
        let Some(MergeDecision::Write(whole)) = table.note(of(7), ABOUT, WINDOW * 2) else {
            panic!("a new time has begun")
        };
        assert_eq!(whole.left.map(|left| left.count), Some(5));
    }

    #[test]
    fn a_flood_of_kinds_has_a_bound_and_adds_up() {
        let table = Box::new(Table::new());
        let (calls, mut written, mut left) = (100_000_u64, 0_u64, 0);
        for kind in 0..calls {
            match table.note(of(kind << 20 | kind | 1), ABOUT, WINDOW) {
                Some(MergeDecision::Write(whole)) => {
                    written += 1;
                    left += whole.left.map_or(0, |left| left.count);
                }
                Some(MergeDecision::Merged) => {}
                None => panic!("no place"),
            }
        }
        assert!(written <= (QUARTER as u64 + 1) * u64::from(WHOLE_MAX), "{written}");
        let said: u64 = flushed(&table, None).iter().map(|merged| merged.count).sum();
        assert_eq!(written + left + said, calls);
    }

    #[test]
    fn a_flood_of_one_host_hides_no_other() {
        let table = Box::new(Table::new());
        for kind in 0..100_000_u64 {
            // By as many clients as there are.
            table.note(Marks { client: kind, ..of(kind << 20 | kind | 1) }, ABOUT, WINDOW);
        }
        for host in 2..=PARTS as u64 {
            for kind in 0..WHOLE_MAX.into() {
                let fate = table.note(Marks { host, ..of((kind + 1) * 7) }, ABOUT, WINDOW);
                assert!(matches!(fate, Some(MergeDecision::Write(_))), "host {host}");
            }
        }
    }

    /// As many hosts as a large server has, each with one event of the same script: every host is named. Where the marks of many
    /// hosts meet, the first events of a rule are still written, so that not one of a hundred such servers counts any.
    #[test]
    #[allow(deprecated)] // The hash of `merge::Kind`.
    fn a_thousand_hosts_are_named() {
        use core::hash::Hasher;
        for server in 0..100 {
            let mark = |what: u64, of: u64| {
                let mut hasher = core::hash::SipHasher::new_with_keys(server, 1);
                hasher.write_u64(what);
                hasher.write_u64(of);
                hasher.finish().max(1)
            };
            let table = Box::new(Table::new());
            let written = |of: u64| {
                let marks = Marks { kind: mark(1, of), host: mark(2, of), client: mark(3, of), is_grave: false };
                matches!(table.note(marks, ABOUT, WINDOW), Some(MergeDecision::Write(_)))
            };
            assert_eq!((0..1000).filter(|host| written(*host)).count(), 1000, "server {server}");
        }
    }

    #[test]
    fn the_gravest_are_written_though_there_is_no_place() {
        let table = Box::new(Table::new());
        for kind in 0..10_000_u64 {
            table.note(of(kind << 20 | kind | 1), MergeFacts { rule: 0, ..ABOUT }, WINDOW);
        }
        let (mut written, mut merged) = (0, 0);
        for kind in 0..10_000_u64 {
            match table.note(Marks { is_grave: true, ..of(1 << 62 | kind << 21 | 3) }, ABOUT, WINDOW) {
                Some(MergeDecision::Write(_)) => written += 1,
                Some(MergeDecision::Merged) => merged += 1,
                None => panic!("no place"),
            }
        }
        assert_eq!((written, written + merged), (GRAVE_MAX, 10_000));
    }

    #[test]
    fn threads_at_once_add_up() {
        let table = Box::new(Table::new());
        let written = AtomicU64::new(0);
        let said = AtomicU64::new(0);
        let (threads, calls) = (4, 20_000_u64);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (table, written, said) = (&table, &written, &said);
                scope.spawn(move || {
                    for call in 0..calls {
                        // Kinds that meet in one place, and a clock that makes them take it from each other.
                        let kind = (call % 40) * QUARTER as u64 + 1;
                        match table.note(of(kind), ABOUT, WINDOW + call * WINDOW / 1000) {
                            Some(MergeDecision::Write(whole)) => {
                                written.fetch_add(1, Ordering::Relaxed);
                                said.fetch_add(whole.left.map_or(0, |left| left.count), Ordering::Relaxed);
                            }
                            Some(MergeDecision::Merged) => {}
                            None => panic!("no place"),
                        }
                        if call % 1000 == thread {
                            table.flush(Some(WINDOW + call * WINDOW / 1000), |merged| {
                                said.fetch_add(merged.count, Ordering::Relaxed);
                            });
                        }
                    }
                });
            }
        });
        table.flush(None, |merged| {
            said.fetch_add(merged.count, Ordering::Relaxed);
        });
        assert_eq!(written.into_inner() + said.into_inner(), threads * calls);
    }

    #[test]
    fn what_it_is_about_is_kept() {
        for about in [
            ABOUT,
            MergeFacts { rule: 9, refused: false, vhost: None, policy: 0 },
            MergeFacts { rule: 0, refused: false, vhost: Some(0), policy: u16::MAX },
        ] {
            assert_eq!(MergeFacts::of(about.packed()), about);
        }
    }
}
