//! The supervisor's own records: which program a process runs, for which request. The key is the process number and the start time. A
//! process could change its environment, so the records do not depend on it.
//!
//! A hook announces each program without the library before the process executes it. The supervisor records the programs that it lets
//! proceed. A process forked from one with a record has the same record. The number of records is limited, and no worker can use up
//! those of others: if all are in use, a new record displaces one of the worker with most records, and of that worker one of the site
//! with most. A process whose record was displaced is evaluated by the strictest policy.

use super::subject;
use crate::memory::StringBuf;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use portcullis_request::wire::WIRE_MAX;

/// The most records at a time.
const RECORDS: usize = 1024;
/// How many records are checked for an exited process, each time that a place is needed or a second has passed.
const LOOKED_AT: usize = 128;
const CHAIN_MAX: usize = 256;

/// The process number; 0 for a free place.
struct Key {
    pid: AtomicU32,
    worker: AtomicU32,
    start: AtomicU64,
    site: AtomicU32,
    /// 1 if it can be made again: it is a copy of the parent's, or was read from a guarded process.
    is_copy: AtomicU32,
}

/// Whose share of the places a record uses.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Owner {
    worker: u32,
    /// A hash that identifies a site of the server.
    site: u32,
}

impl Owner {
    /// The owner for a worker's descendant that acts for a request.
    pub fn of(worker: u32, request: &[u8]) -> Owner {
        let request = portcullis_request::wire::read(request);
        Owner { worker, site: request.map_or(0, |request| site_of(request.document_root.bytes())) }
    }
}

/// Tells one site of the server's from another, by its document root, which is not the client's to choose. FNV-1a.
pub fn site_of(root: &[u8]) -> u32 {
    let hash = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    root.iter().fold(0x811c_9dc5, hash)
}

/// What is on record: in memory that each judge hands on to the next.
struct Body {
    /// Device and inode of the files that its program may be: the former one, and the evaluated one. Zeros: any.
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

/// The files that a process's program may be, by device and inode; zeros if unknown.
pub type Images = [(u64, u64); 2];

/// A copy of a record.
pub struct Record {
    pub owner: Owner,
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
    /// Whether the process runs another program than those: the file was replaced after the evaluation.
    pub fn is_replaced(&self, pid: u32) -> bool {
        let is_known = self.images.iter().all(|image| *image != (0, 0));
        is_known && super::subject::image_of(pid).is_some_and(|now| !self.images.contains(&now))
    }
}

impl Key {
    fn owner(&self) -> Owner {
        Owner { worker: self.worker.load(Ordering::Relaxed), site: self.site.load(Ordering::Relaxed) }
    }
}

/// How many owners are counted separately; others are counted together.
const BUCKETS: usize = 1024;

/// The counter of an owner.
pub fn bucket(number: u32) -> usize {
    number as usize % BUCKETS
}

/// The owner with most places; the requesting one if no other has more.
pub fn crowd(owners: impl Iterator<Item = u32>, own: u32) -> usize {
    let mut counts = [0_u16; BUCKETS];
    for owner in owners {
        if let Some(count) = counts.get_mut(bucket(owner)) {
            *count = count.saturating_add(1);
        }
    }
    let of = |bucket: usize| counts.get(bucket).copied().unwrap_or(0);
    let own = bucket(own);
    (0..BUCKETS).fold(own, |most, other| if of(other) > of(most) { other } else { most })
}

impl Records {
    fn place(&self, pid: u32, start: u64) -> Option<usize> {
        let is = |key: &Key| key.pid.load(Ordering::Relaxed) == pid && key.start.load(Ordering::Relaxed) == start;
        self.keys.iter().position(is)
    }

    /// The record of a process.
    pub fn of(&self, pid: u32, start: u64) -> Option<Record> {
        let place = self.place(pid, start)?;
        let (key, body) = self.keys.get(place).zip(self.bodies.get(place))?;
        let image = |[device, inode]: &[AtomicU64; 2]| (device.load(Ordering::Relaxed), inode.load(Ordering::Relaxed));
        let images = body.images.each_ref().map(image);
        let mut record = Record { owner: key.owner(), images, request: StringBuf::new(), chain: StringBuf::new() };
        copy(&body.request, &body.request_len, &mut record.request);
        copy(&body.chain, &body.chain_len, &mut record.chain);
        Some(record)
    }

    /// Records a process, and replaces its former record.
    pub fn put(&self, pid: u32, start: u64, owner: Owner, request: &[u8], chain: &[u8], images: Images) {
        self.write((pid, start), (owner, false), request, chain, images);
    }

    /// Records a process with a record that can be made again.
    pub fn copy(&self, pid: u32, start: u64, record: &Record, images: Images) {
        self.write((pid, start), (record.owner, true), record.request.bytes(), record.chain.bytes(), images);
    }

    fn write(
        &self,
        (pid, start): (u32, u64),
        (owner, is_copy): (Owner, bool),
        request: &[u8],
        chain: &[u8],
        images: Images,
    ) {
        let free = || self.keys.iter().position(|key| key.pid.load(Ordering::Relaxed) == 0);
        let place = self.place(pid, start).or_else(free).or_else(|| {
            self.forget_ended();
            free().or_else(|| self.displaced(owner, is_copy))
        });
        let Some((key, body)) = place.and_then(|place| self.keys.get(place).zip(self.bodies.get(place))) else {
            return;
        };
        // While it is written, it belongs to no process: the judge may die here.
        key.pid.store(0, Ordering::Release);
        for ([device, inode], (new_device, new_inode)) in body.images.iter().zip(images) {
            device.store(new_device, Ordering::Relaxed);
            inode.store(new_inode, Ordering::Relaxed);
        }
        put(&body.request, &body.request_len, request);
        put(&body.chain, &body.chain_len, chain);
        key.worker.store(owner.worker, Ordering::Relaxed);
        key.site.store(owner.site, Ordering::Relaxed);
        key.is_copy.store(is_copy.into(), Ordering::Relaxed);
        key.start.store(start, Ordering::Relaxed);
        key.pid.store(pid, Ordering::Release);
    }

    /// The place of the record that a new one of this owner displaces if all are in use.
    fn displaced(&self, owner: Owner, is_copy: bool) -> Option<usize> {
        let owners = || self.keys.iter().map(Key::owner);
        let worker = crowd(owners().map(|other| other.worker), owner.worker);
        let of_worker = || owners().filter(|other| bucket(other.worker) == worker);
        let own = if bucket(owner.worker) == worker { owner.site } else { 0 };
        let site = crowd(of_worker().map(|other| other.site), own);
        let is_own = bucket(owner.worker) == worker && bucket(owner.site) == site;
        // It can be made again.
        if is_copy && is_own {
            return None;
        }
        let hand = self.hand.load(Ordering::Relaxed) as usize;
        let found = |copies: bool| {
            (0..RECORDS).map(|step| hand.wrapping_add(step) % RECORDS).find(|place| {
                self.keys.get(*place).is_some_and(|key| {
                    let other = key.owner();
                    let is = bucket(other.worker) == worker && bucket(other.site) == site;
                    is && (!copies || key.is_copy.load(Ordering::Relaxed) != 0)
                })
            })
        };
        let place = found(true).or_else(|| found(false))?;
        // The next search begins behind it.
        self.hand.store((place as u32).wrapping_add(1), Ordering::Relaxed);
        Some(place)
    }

    /// Frees the places of exited processes; checks some of the records each time.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;

    fn records() -> &'static Records {
        let at = sys::mmap(None, size_of::<Records>()).expect("memory");
        // SAFETY: a zeroed mapping of that size, never unmapped; zero bytes are valid atomics.
        unsafe { &*at.cast::<Records>() }
    }

    /// All places are taken by as many of each of these, the last ones by copies.
    fn fill(records: &Records, of: &[(Owner, usize)], copies: usize) {
        let owners = of.iter().flat_map(|(owner, count)| core::iter::repeat_n(owner, *count));
        for (place, (key, owner)) in records.keys.iter().zip(owners).enumerate() {
            key.pid.store(1, Ordering::Relaxed);
            key.worker.store(owner.worker, Ordering::Relaxed);
            key.site.store(owner.site, Ordering::Relaxed);
            key.is_copy.store((place >= RECORDS - copies).into(), Ordering::Relaxed);
        }
    }

    #[test]
    fn who_has_most_makes_room() {
        let records = records();
        let of = |worker, site| Owner { worker, site };
        let displaced =
            |owner, is_copy| records.displaced(owner, is_copy).map(|place| (records.keys[place].owner(), place));
        fill(records, &[(of(7, 1), 10), (of(7, 2), 600), (of(8, 1), RECORDS - 610)], 500);
        // Another worker's, the same worker's for another site, and its own.
        let most = |owner, is_copy| displaced(owner, is_copy).expect("a place");
        for (owner, is_copy) in
            [(of(9, 1), false), (of(9, 1), true), (of(8, 1), false), (of(7, 1), true), (of(7, 2), false)]
        {
            let (whose, place) = most(owner, is_copy);
            assert_eq!(whose, of(7, 2), "{owner:?}");
            assert!(place >= RECORDS - 500, "a copy goes first: {place}");
        }
        assert_ne!(most(of(9, 1), false).1, most(of(9, 1), false).1);
        assert_eq!(displaced(of(7, 2), true), None, "it is found by what it was forked from");
        // Without copies, one that was judged.
        fill(records, &[(of(7, 1), RECORDS)], 0);
        assert_eq!(most(of(8, 1), false).0, of(7, 1));
        assert_eq!(most(of(7, 1), false).0, of(7, 1));
    }
}
