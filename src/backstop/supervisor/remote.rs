//! Reads and writes the memory of another process (/proc/PID/mem).

use super::mapped::is_mapped;
use super::subject;
use crate::sys::procfs::{self, Whose};
use crate::sys::{self, Fd};
use core::cell::Cell;

/// No program has memory at this address or above.
const ADDRESSES_END: u64 = 1 << 62;

/// The memory of a process.
pub struct Memory {
    thread: u32,
    file: Fd,
    reads: Cell<u32>,
    /// The address at which the last incomplete read ended.
    missed: Cell<u64>,
    /// No further read is made.
    is_closed: Cell<bool>,
}

impl Memory {
    /// Opens the memory of a thread's process; an errno if that is not permitted.
    pub fn of(thread: u32) -> Result<Memory, i32> {
        procfs::proc_open(Whose::Of(thread), b"mem", libc::O_RDONLY).map(|file| Memory {
            thread,
            file,
            reads: Cell::new(0),
            missed: Cell::new(0),
            is_closed: Cell::new(false),
        })
    }

    /// From now on, all of it counts as memory that only the kernel can read.
    pub fn close(&self) {
        self.is_closed.set(true);
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// As many bytes as can be read.
    pub fn read<'b>(&self, at: u64, into: &'b mut [u8]) -> &'b [u8] {
        self.reads.set(self.reads.get().wrapping_add(1));
        // The kernel rejects an offset with the highest bit set; no program has memory there.
        let wanted = into.len();
        let got = if at >= ADDRESSES_END || self.is_closed.get() { &[] } else { sys::read_at(self.file.0, into, at) };
        if got.len() < wanted {
            self.missed.set(at.wrapping_add(got.len() as u64));
        }
        got
    }

    /// Whether the kernel may be able to read where the last incomplete read ended. Memory of memfd_secret(2) can be read only in its own
    /// process, in which the kernel reads the arguments of a call. If nothing is mapped there, the kernel returns EFAULT as well.
    pub fn is_hidden(&self) -> bool {
        let missed = self.missed.get();
        self.is_closed.get() || missed < ADDRESSES_END && is_mapped(self.thread, missed)
    }

    /// The number of reads. Each takes some microseconds, during which all other callers wait.
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
            // Not beyond the page, because the next one may not be mapped.
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

/// Calls `look`; if the result is `None`, once more as the user of a thread's process.
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

/// Opens the current memory of a thread's process for writing. If the process executes another program later, or another process gets
/// its number, nothing is written there. It is opened as its user if necessary, and to append, as every file that the supervisor
/// writes to.
pub fn writable(thread: u32) -> Option<Fd> {
    let path = procfs::proc_path(thread, b"mem");
    let flags = libc::O_WRONLY | libc::O_APPEND;
    or_as_user(thread, || sys::open(libc::AT_FDCWD, path.c_str(), flags, 0).ok())
}

/// Writes into the memory of a process; true if everything was written.
pub fn put(memory: &Fd, at: u64, bytes: &[u8]) -> bool {
    at < ADDRESSES_END && sys::write_at(memory.0, bytes, at) == bytes.len() as isize
}
