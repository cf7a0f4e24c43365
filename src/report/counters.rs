//! Counters that a process shares with all that are forked from it, and the beacon by which `portcullis status` finds
//! them, the policy in force and the role in the memory of a guarded process.

use crate::policy::in_force;
use crate::process::state;
use crate::report::merge::{self, Table};
use crate::sys;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use portcullis_policy::beacon::{self, SHARDS};

/// What the processes of one tree count. Its layout is that of `portcullis_policy::beacon`.
#[repr(C)]
pub struct Counters {
    /// Names them.
    pub stream: AtomicU64,
    /// Events so far.
    pub sequence: AtomicU64,
    /// Of these, the ones that a sink did not take.
    pub dropped: AtomicU64,
    /// What events have said of the backstop, as a bit each.
    pub backstop: AtomicU64,
    /// What is known of requests: the bits behind `beacon::REQUESTS`.
    requests: AtomicU64,
    shards: [Shard; SHARDS],
    /// The kinds of events that are merged.
    pub merged: Table,
    /// The last line of the log's file has no end.
    pub cut: AtomicBool,
    /// The backstop's supervisor: the number of its group of processes, or who is starting one.
    pub supervisor: AtomicU64,
}

/// What some of the processes count, so that two workers seldom write to one line of the cache.
#[repr(C, align(64))]
struct Shard {
    decisions: AtomicU64,
    audits: AtomicU64,
    denials: AtomicU64,
    merged: AtomicU64,
}

const _: () = assert!(
    offset_of!(Counters, stream) == beacon::STREAM
        && offset_of!(Counters, sequence) == beacon::SEQUENCE
        && offset_of!(Counters, dropped) == beacon::DROPPED
        && offset_of!(Counters, requests) == beacon::REQUESTS
        && offset_of!(Counters, shards) == beacon::FIRST_SHARD
        && size_of::<Shard>() == beacon::SHARD_SIZE
        && offset_of!(Counters, merged) == beacon::COUNTERS_SIZE
        && offset_of!(Shard, decisions) == beacon::DECISIONS
        && offset_of!(Shard, audits) == beacon::AUDITS
        && offset_of!(Shard, denials) == beacon::DENIALS
        && offset_of!(Shard, merged) == beacon::MERGED
);

impl Counters {
    const fn new() -> Counters {
        Counters {
            stream: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            backstop: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            shards: [const { Shard::new() }; SHARDS],
            merged: Table::new(),
            cut: AtomicBool::new(false),
            supervisor: AtomicU64::new(0),
        }
    }
}

impl Shard {
    const fn new() -> Shard {
        Shard {
            decisions: AtomicU64::new(0),
            audits: AtomicU64::new(0),
            denials: AtomicU64::new(0),
            merged: AtomicU64::new(0),
        }
    }
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static OWN: Counters = Counters::new();
static SHARED: AtomicPtr<Counters> = AtomicPtr::new(core::ptr::null_mut());
/// Which shard this process counts in.
static SHARD: AtomicU32 = AtomicU32::new(0);

/// Somebody has used the process's own.
static USED: AtomicBool = AtomicBool::new(false);

/// The counters, where there has been an event. Most programs end without one, and need not touch their memory for it.
#[inline]
pub fn used() -> Option<&'static Counters> {
    let shared = !SHARED.load(Ordering::Acquire).is_null();
    (shared || USED.load(Ordering::Relaxed)).then(in_force)
}

/// Those that are shared with forks, or the process's own; without a stream as yet, where there has been no event.
#[inline]
pub fn in_force() -> &'static Counters {
    let shared = SHARED.load(Ordering::Acquire);
    // SAFETY: null, or a zeroed mapping that stays for ever; zero bytes are valid counters.
    unsafe { shared.as_ref() }.unwrap_or(&OWN)
}

/// The counters.
pub fn counters() -> &'static Counters {
    let counters = in_force();
    if counters.stream.load(Ordering::Relaxed) == 0 {
        USED.store(true, Ordering::Relaxed);
        let _ = counters.stream.compare_exchange(0, sys::fresh_number(), Ordering::Relaxed, Ordering::Relaxed);
    }
    counters
}

#[inline]
fn shard() -> Option<&'static Shard> {
    in_force().shards.get(SHARD.load(Ordering::Relaxed) as usize)
}

/// Counts an action that was decided on.
#[inline]
pub fn decision() {
    if let Some(shard) = shard() {
        shard.decisions.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts an event: of an action that went ahead, or of one that was refused.
pub fn event(refused: bool) {
    if let Some(shard) = shard() {
        let counter = if refused { &shard.denials } else { &shard.audits };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sets a bit of what is known of requests and sinks; whether it was not set before. Once all have it, none writes.
#[inline(always)]
fn note(bit: u64) -> bool {
    let requests = &in_force().requests;
    requests.load(Ordering::Relaxed) & bit == 0 && requests.fetch_or(bit, Ordering::Relaxed) & bit == 0
}

/// A connection was accepted.
#[inline(always)]
pub fn accepted() {
    state::note_requests_in(&in_force().requests);
    note(beacon::ACCEPTED);
}

/// A connection was served without a read that was seen; whether it is the first, and no request was recognised before.
pub fn unseen() -> bool {
    in_force().requests.load(Ordering::Relaxed) & beacon::RECOGNISED == 0 && note(beacon::UNSEEN)
}

/// Only a container's standard error has taken an event, or nothing has.
pub fn unsent(is_in_container: bool) {
    note(if is_in_container { beacon::IN_CONTAINER } else { beacon::NOWHERE });
}

/// Counts an event that was merged.
pub fn merged() {
    if let Some(shard) = shard() {
        shard.merged.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many events were merged.
pub fn all_merged() -> u64 {
    in_force().shards.iter().fold(0, |sum, shard| sum.wrapping_add(shard.merged.load(Ordering::Relaxed)))
}

/// Gives this process a shard of its own, as far as there are any; for a process that begins to serve.
pub fn spread() {
    SHARD.store(sys::gettid() % SHARDS as u32, Ordering::Relaxed);
}

/// Shares the counters over every fork from now on; without memory for that, each process counts by itself. Where many
/// programs are started, most end without a fork and without an event: so this is not done before it is needed.
pub fn share() {
    if !SHARED.load(Ordering::Acquire).is_null() {
        return;
    }
    let Some(at) = sys::mmap(None, size_of::<Counters>()) else { return };
    let shared = at.cast::<Counters>();
    // SAFETY: a new zeroed mapping of that size, which nobody else has yet; zero bytes are valid counters.
    let new = unsafe { &*shared };
    new.stream.store(OWN.stream.load(Ordering::Relaxed), Ordering::Relaxed);
    new.sequence.store(OWN.sequence.load(Ordering::Relaxed), Ordering::Relaxed);
    new.supervisor.store(OWN.supervisor.load(Ordering::Relaxed), Ordering::Relaxed);
    new.requests.store(OWN.requests.load(Ordering::Relaxed), Ordering::Relaxed);
    new.dropped.store(OWN.dropped.load(Ordering::Relaxed), Ordering::Relaxed);
    for (to, from) in new.shards.iter().zip(&OWN.shards) {
        to.decisions.store(from.decisions.load(Ordering::Relaxed), Ordering::Relaxed);
        to.audits.store(from.audits.load(Ordering::Relaxed), Ordering::Relaxed);
        to.denials.store(from.denials.load(Ordering::Relaxed), Ordering::Relaxed);
        to.merged.store(from.merged.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    if SHARED.compare_exchange(core::ptr::null_mut(), shared, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        sys::munmap(at, size_of::<Counters>());
    }
    // What the process has merged by itself is not taken over.
    merge::say_all_of(&OWN.merged);
}

/// What `portcullis status` looks for in the library's data: a mark, the version, and where the rest lies.
#[repr(C)]
struct Beacon {
    magic: [u8; 16],
    version: [u8; 16],
    role: *const AtomicU8,
    policy: *const AtomicPtr<u8>,
    shared: *const AtomicPtr<Counters>,
    own: *const Counters,
}

// SAFETY: nobody writes to it; what it points to are statics that may be shared.
unsafe impl Sync for Beacon {}

const _: () = assert!(
    offset_of!(Beacon, version) == beacon::VERSION
        && offset_of!(Beacon, role) == beacon::ROLE_AT
        && offset_of!(Beacon, policy) == beacon::POLICY_AT
        && offset_of!(Beacon, shared) == beacon::SHARED_AT
        && offset_of!(Beacon, own) == beacon::OWN_AT
        && size_of::<Beacon>() == beacon::SIZE
);

#[used]
static BEACON: Beacon = Beacon {
    magic: beacon::MAGIC,
    version: version(),
    role: &raw const state::ROLE,
    policy: &raw const in_force::POLICY,
    shared: &raw const SHARED,
    own: &raw const OWN,
};

const fn version() -> [u8; 16] {
    let text = env!("CARGO_PKG_VERSION").as_bytes();
    let mut out = [0; 16];
    let mut at = 0;
    while at < text.len() && at < out.len() {
        out[at] = text[at];
        at += 1;
    }
    out
}
