//! Another process's memory, read through /proc.

use super::mapped::is_mapped;
use super::subject;
use crate::sys::procfs::{self, Whose};
use crate::sys::{self, Fd};
use core::cell::Cell;

/// No program's memory lies there or above.
const ADDRESSES_END: u64 = 1 << 62;

/// The memory of a process.
pub struct Memory {
    thread: u32,
    file: Fd,
    reads: Cell<u32>,
    /// The first byte that the last read which ended early did not get.
    missed: Cell<u64>,
    /// Nothing more is read.
    is_closed: Cell<bool>,
}

impl Memory {
    /// Of a thread's process; the errno where it may not be read.
    pub fn of(thread: u32) -> Result<Memory, i32> {
        procfs::proc_open(Whose::Of(thread), b"mem", libc::O_RDONLY).map(|file| Memory {
            thread,
            file,
            reads: Cell::new(0),
            missed: Cell::new(0),
            is_closed: Cell::new(false),
        })
    }

    /// From now on, all of it is as what the kernel alone can read.
    pub fn close(&self) {
        self.is_closed.set(true);
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// As many bytes as can be read.
    pub fn read<'b>(&self, at: u64, into: &'b mut [u8]) -> &'b [u8] {
        self.reads.set(self.reads.get().wrapping_add(1));
        // The kernel takes no offset with the highest bit set, where no program's memory lies.
        let wanted = into.len();
        let got = if at >= ADDRESSES_END || self.is_closed.get() { &[] } else { sys::read_at(self.file.0, into, at) };
        if got.len() < wanted {
            self.missed.set(at.wrapping_add(got.len() as u64));
        }
        got
    }

    /// Whether the kernel may find something where the last read that ended early found nothing. Memory of memfd_secret(2) can be
    /// read by its own process alone, through which the kernel reads the arguments of a call. Where nothing lies, the kernel finds a
    /// fault (EFAULT) as well.
    pub fn is_hidden(&self) -> bool {
        let missed = self.missed.get();
        self.is_closed.get() || missed < ADDRESSES_END && is_mapped(self.thread, missed)
    }

    /// How often it was read. Each takes some microseconds, in which every other caller waits.
    pub fn reads(&self) -> u32 {
        self.reads.get()
    }

    /// A number of 4 or 8 bytes.
    pub fn number(&self, at: u64, width: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        let got = self.read(at, bytes.get_mut(..width)?).len();
        (got == width).then_some(u64::from_le_bytes(bytes))
    }

    /// Up to `into.len()` bytes of a C string, without its NUL; `None` where its beginning cannot be read.
    pub fn string<'b>(&self, at: u64, into: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut len = 0_usize;
        while len < into.len() {
            // Not beyond a page, since the next may not be there.
            let from = at.wrapping_add(len as u64);
            let room = (4096 - (from as usize & 4095)).min(into.len().wrapping_sub(len));
            let part = into.get_mut(len..)?.get_mut(..room)?;
            let got = self.read(from, part);
            if got.is_empty() {
                return None;
            }
            if let Some(end) = got.iter().position(|&byte| byte == 0) {
                return into.get(..len.wrapping_add(end));
            }
            len = len.wrapping_add(got.len());
        }
        into.get(..len)
    }
}

/// Calls `look`; where that gives nothing, once more as the user of a thread's process.
pub fn or_as_user<R>(thread: u32, look: impl Fn() -> Option<R>) -> Option<R> {
    look().or_else(|| {
        let own = (sys::geteuid(), sys::getegid());
        let (uid, gid) = subject::user_of(thread)?;
        sys::look_as(uid, gid);
        let found = look();
        sys::look_as(own.0, own.1);
        found
    })
}

/// The memory that a thread's process has now, to write to: the process may execute another program, and the number may be another
/// one's later, but what is written never gets there. It is opened as its user where need be, and as the supervisor opens what it writes
/// to: to append.
pub fn writable(thread: u32) -> Option<Fd> {
    let path = procfs::proc_path(thread, b"mem");
    let flags = libc::O_WRONLY | libc::O_APPEND;
    or_as_user(thread, || sys::open(libc::AT_FDCWD, path.c_str(), flags, 0).ok())
}

/// Writes into the memory of a process; whether all of it was.
pub fn put(memory: &Fd, at: u64, bytes: &[u8]) -> bool {
    at < ADDRESSES_END && sys::write_at(memory.0, bytes, at) == bytes.len() as isize
}
