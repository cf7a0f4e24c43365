//! Which process does what for which request: the supervisor's own records, by the process's number and start. What a process
//! says of itself in its environment it can change.
//!
//! A hook announces each program in which the guard will not be, before the process executes it; the supervisor itself takes
//! note of the programs that it lets pass. A process forked from one on record has that one's. There is a bound on them: what
//! finds no place is judged by the strictest policy.

use super::subject;
use crate::memory::StringBuf;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use portcullis_request::wire::WIRE_MAX;

/// Processes on record at a time.
const RECORDS: usize = 1024;
/// Records that are looked through for one whose process has ended, each time that one is wanted or a second has passed.
const LOOKED_AT: usize = 128;
const CHAIN_MAX: usize = 256;

/// Whose record it is; 0 for a free place.
struct Key {
    pid: AtomicU32,
    start: AtomicU64,
}

/// What is on record: in memory that each judge hands on to the next.
struct Body {
    /// Device and inode of each file that its program may be: the one before, and the one that was judged. Zeros: any.
    images: [[AtomicU64; 2]; 2],
    request_len: AtomicU32,
    chain_len: AtomicU32,
    request: [AtomicU8; WIRE_MAX],
    chain: [AtomicU8; CHAIN_MAX],
}

/// The records.
pub struct Records {
    hand: AtomicU32,
    keys: [Key; RECORDS],
    bodies: [Body; RECORDS],
}

/// The files that a process's program may be, by device and inode; zeros where that is not known.
pub type Images = [(u64, u64); 2];

/// A copy of a record.
pub struct Record {
    pub images: Images,
    pub request: StringBuf<{ WIRE_MAX + 1 }>,
    pub chain: StringBuf<{ CHAIN_MAX + 1 }>,
}

fn copy<const N: usize>(from: &[AtomicU8], len: &AtomicU32, into: &mut StringBuf<N>) {
    for byte in from.iter().take(len.load(Ordering::Relaxed) as usize) {
        into.push(&[byte.load(Ordering::Relaxed)]);
    }
}

fn put(to: &[AtomicU8], len: &AtomicU32, from: &[u8]) {
    let from = from.get(..to.len()).unwrap_or(from);
    to.iter().zip(from).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
    len.store(from.len() as u32, Ordering::Relaxed);
}

impl Record {
    /// Whether the process's program is one that may not be: another was put in the place of what was judged.
    pub fn is_replaced(&self, pid: u32) -> bool {
        let is_known = self.images.iter().all(|image| *image != (0, 0));
        is_known && super::subject::image_of(pid).is_some_and(|now| !self.images.contains(&now))
    }
}

impl Records {
    fn place(&self, pid: u32, start: u64) -> Option<usize> {
        let is = |key: &Key| key.pid.load(Ordering::Relaxed) == pid && key.start.load(Ordering::Relaxed) == start;
        self.keys.iter().position(is)
    }

    /// The record of a process.
    pub fn of(&self, pid: u32, start: u64) -> Option<Record> {
        let body = self.bodies.get(self.place(pid, start)?)?;
        let image = |[device, inode]: &[AtomicU64; 2]| (device.load(Ordering::Relaxed), inode.load(Ordering::Relaxed));
        let images = body.images.each_ref().map(image);
        let mut record = Record { images, request: StringBuf::new(), chain: StringBuf::new() };
        copy(&body.request, &body.request_len, &mut record.request);
        copy(&body.chain, &body.chain_len, &mut record.chain);
        Some(record)
    }

    /// Puts a process on record, over what there is of it.
    pub fn put(&self, pid: u32, start: u64, request: &[u8], chain: &[u8], images: Images) {
        let free = || self.keys.iter().position(|key| key.pid.load(Ordering::Relaxed) == 0);
        let place = self.place(pid, start).or_else(free).or_else(|| {
            self.forget_ended();
            free()
        });
        let Some((key, body)) = place.and_then(|place| self.keys.get(place).zip(self.bodies.get(place))) else {
            return;
        };
        // While it is written it is nobody's: the judge may die here.
        key.pid.store(0, Ordering::Release);
        for ([device, inode], (new_device, new_inode)) in body.images.iter().zip(images) {
            device.store(new_device, Ordering::Relaxed);
            inode.store(new_inode, Ordering::Relaxed);
        }
        put(&body.request, &body.request_len, request);
        put(&body.chain, &body.chain_len, chain);
        key.start.store(start, Ordering::Relaxed);
        key.pid.store(pid, Ordering::Release);
    }

    /// Frees places of processes that have ended, of some of them each time.
    pub fn forget_ended(&self) {
        for _ in 0..LOOKED_AT {
            let hand = self.hand.fetch_add(1, Ordering::Relaxed) as usize % RECORDS;
            let Some(key) = self.keys.get(hand) else { return };
            let pid = key.pid.load(Ordering::Relaxed);
            if pid != 0 && subject::start_of(pid) != Some(key.start.load(Ordering::Relaxed)) {
                key.pid.store(0, Ordering::Relaxed);
            }
        }
    }
}
