//! A descriptor that is kept, with the identity of what it refers to, so that it is never used once it is somebody
//! else's.

use crate::sys::{self, Fd};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Whether a sink accepted an event; the errno if the sink could not be opened.
pub type SinkResult = Result<bool, i32>;

/// How far below the highest number of a descriptor the lowest one is that ever was held.
static DEPTH: AtomicI32 = AtomicI32::new(0);

/// Whether a descriptor may be held: a lower one never was. So says it of a number below 0, of which nobody asks often.
#[inline(always)]
pub fn may_be_held(fd: i32) -> bool {
    i32::MAX.wrapping_sub(fd) <= DEPTH.load(Ordering::Relaxed)
}

/// A descriptor that is kept open for a sink.
pub struct HeldDescriptor {
    /// The descriptor's number and one; 0 for none: what begins as zeros needs no page of the file.
    kept: AtomicI32,
    /// The same of its first number. What shares the memory and not the descriptors, as a vfork child does, may have relocated its own
    /// copy: here it is where it was.
    first: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl HeldDescriptor {
    /// Nothing is held.
    pub const fn new() -> HeldDescriptor {
        HeldDescriptor {
            kept: AtomicI32::new(0),
            first: AtomicI32::new(0),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
        }
    }

    /// The number of which the descriptor is what it was, by `is`.
    fn found(&self, is: impl Fn(&sys::Stat) -> bool) -> Option<(i32, sys::Stat)> {
        let kept = self.kept.load(Ordering::Acquire);
        let first = if kept == 0 { 0 } else { self.first.load(Ordering::Relaxed) };
        let mut numbers = [kept, first].into_iter();
        numbers.find_map(|number| {
            let stat = if number > 0 { sys::fstat_of_sink(number.wrapping_sub(1)) } else { None };
            stat.filter(|stat| is(stat)).map(|stat| (number.wrapping_sub(1), stat))
        })
    }

    /// The descriptor where it still is what it was, and the names that this has.
    fn ours_and_names(&self) -> Option<(i32, u64)> {
        self.found(|stat| self.is(Some(stat.identity))).map(|(fd, stat)| (fd, stat.links))
    }

    /// The descriptor where it still is what it was. A socket's inode is unique while the socket lives.
    pub fn ours(&self) -> Option<i32> {
        self.ours_and_names().map(|(fd, _)| fd)
    }

    /// The descriptor of a file that is held, where that has a name still: what was removed nobody reads any more.
    pub fn file(&self) -> Option<i32> {
        self.ours_and_names().filter(|(_, names)| *names > 0).map(|(fd, _)| fd)
    }

    /// The descriptor and what it refers to, where that still has the inode of what is held: a socket may lead elsewhere.
    pub fn as_it_is(&self) -> Option<(i32, sys::Stat)> {
        self.found(|stat| stat.identity.1 == self.inode.load(Ordering::Relaxed))
    }

    /// Whether what is held has this identity.
    pub fn is(&self, identity: Option<(u64, u64)>) -> bool {
        let own = (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed));
        self.kept.load(Ordering::Acquire) > 0 && identity == Some(own)
    }

    /// Whether what is held is on this device.
    pub fn is_on(&self, device: Option<u64>) -> bool {
        device == Some(self.device.load(Ordering::Relaxed))
    }

    /// Lets go of it, and closes it where it still is the guard's.
    pub fn release(&self) {
        if let Some(fd) = self.ours() {
            sys::close(fd);
        }
        self.kept.store(0, Ordering::Release);
    }

    /// Whether it has this number.
    pub fn is_at(&self, fd: i32) -> bool {
        let number = fd.wrapping_add(1);
        let numbers = [self.kept.load(Ordering::Relaxed), self.first.load(Ordering::Relaxed)];
        number > 0 && numbers.contains(&number) && self.ours() == Some(fd)
    }

    fn set(&self, fd: i32) {
        self.kept.store(fd.wrapping_add(1), Ordering::Release);
        DEPTH.fetch_max(i32::MAX.wrapping_sub(fd), Ordering::Relaxed);
    }

    /// Gives it another number.
    pub fn relocate(&self) {
        if let Some(fd) = self.ours().and_then(|fd| sys::duplicate_highest(fd).ok()) {
            self.set(fd);
        }
    }

    /// Forgets it, and leaves the descriptor as it is.
    pub fn forget(&self) {
        self.kept.store(0, Ordering::Release);
    }

    /// Opens it where it is not held or no longer the guard's. For a master, whose other threads do not come here.
    pub fn refresh(&self, open: impl FnOnce() -> Result<Fd, i32>) {
        if self.ours().is_some() {
            return;
        }
        self.kept.store(0, Ordering::Release);
        let Ok(low) = open() else { return };
        let Ok(fd) = sys::duplicate_highest(low.0) else { return };
        let Some(stat) = sys::fstat_of_sink(fd) else { return };
        self.hold(fd, &stat);
    }

    /// Holds a descriptor with this status.
    pub fn hold(&self, fd: i32, stat: &sys::Stat) {
        self.device.store(stat.identity.0, Ordering::Relaxed);
        self.inode.store(stat.identity.1, Ordering::Relaxed);
        self.first.store(fd.wrapping_add(1), Ordering::Relaxed);
        self.set(fd);
    }

    /// Calls `write` with what is held; where that is not ours or does not take it, with what `open` gives, unless the process
    /// is elsewhere than where this was opened. The error is why nothing could be opened.
    pub fn with(&self, open: impl FnOnce() -> Result<Fd, i32>, mut write: impl FnMut(i32) -> bool) -> SinkResult {
        if let Some(fd) = self.ours() {
            if write(fd) {
                return Ok(true);
            }
            if super::is_elsewhere() {
                return Ok(false);
            }
        }
        open().map(|fd| write(fd.0))
    }
}
