//! Who does it: a process as /proc and the kernel tell of it, read into fixed buffers at the moment of an event.
//!
//! /proc is slow, and events come in bursts. What it said of this process and of its parent is remembered for a second. Whether
//! the parent is the same program still is asked where that was longer ago than a hundredth of a second: half of what is
//! asked for an event would be that.

use crate::files;
use crate::memory::base_name;
use crate::sys;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_event::{ARGS_SHOWN, Process};

/// Room for what /proc says of one process.
pub struct Room {
    said: Said,
    folder: [u8; 512],
}

/// What /proc says of one process.
#[derive(Clone)]
struct Said {
    name: Bytes<16>,
    executable: Bytes<512>,
    command_line: Bytes<1024>,
}

/// Bytes in a fixed buffer.
#[derive(Clone)]
struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Bytes<N> {
    const fn none() -> Bytes<N> {
        Bytes { bytes: [0; N], len: 0 }
    }

    /// Fills it by `fill`, which gives what it wrote at the beginning of the buffer.
    fn fill(&mut self, fill: impl FnOnce(&mut [u8; N]) -> usize) {
        self.len = fill(&mut self.bytes);
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Takes over another's bytes, and no more than these.
    fn take(&mut self, other: &Bytes<N>) {
        self.len = other.len;
        if let (Some(to), Some(from)) = (self.bytes.get_mut(..other.len), other.bytes.get(..other.len)) {
            to.copy_from_slice(from);
        }
    }
}

impl Said {
    const fn nothing() -> Said {
        Said { name: Bytes::none(), executable: Bytes::none(), command_line: Bytes::none() }
    }

    /// Asks /proc.
    fn ask(&mut self, pid: u32) {
        self.executable.fill(|into| sys::readlink(files::proc_path(pid, b"exe").c_str(), into).len());
        self.name.fill(|into| match pid {
            // Without /proc, as in a chroot, the kernel still tells the name of the thread.
            0 if self.executable.len == 0 => sys::thread_name(into).len(),
            _ => files::proc_read(pid, b"comm", into).len(),
        });
        self.command_line.fill(|into| files::proc_read(pid, b"cmdline", into).len());
    }

    fn take(&mut self, other: &Said) {
        self.name.take(&other.name);
        self.executable.take(&other.executable);
        self.command_line.take(&other.command_line);
    }
}

impl Room {
    /// Empty.
    pub const fn new() -> Room {
        Room { said: Said::nothing(), folder: [0; 512] }
    }
}

/// What was said of a process lately.
struct Remembered {
    /// Somebody reads or writes it: others ask /proc.
    taken: AtomicBool,
    known: UnsafeCell<Known>,
}

struct Known {
    /// The process by its own number; 0 for none.
    pid: u32,
    /// When it was said, in nanoseconds since 1970.
    at: u64,
    /// When it was the same program still.
    checked: u64,
    /// Device and inode of the program.
    program: Option<(u64, u64)>,
    said: Said,
}

// SAFETY: the cell is touched only by whoever has set `taken`.
unsafe impl Sync for Remembered {}

impl Remembered {
    const fn none() -> Remembered {
        let known = Known { pid: 0, at: 0, checked: 0, program: None, said: Said::nothing() };
        Remembered { taken: AtomicBool::new(false), known: UnsafeCell::new(known) }
    }

    /// Fills `said` with what is said of process `pid`, 0 for the calling one, whose own number is `own`.
    fn look(&self, now: u64, pid: u32, own: u32, said: &mut Said) {
        /// How long what was said holds, and how long that it is the same program, in nanoseconds.
        const HOLDS: u64 = 1_000_000_000;
        const SAME: u64 = 10_000_000;
        if self.taken.swap(true, Ordering::Acquire) {
            said.ask(pid);
            return;
        }
        // SAFETY: this thread has taken it.
        let known = unsafe { &mut *self.known.get() };
        // The clock may be set, back too.
        let said_lately = known.pid == own && now.abs_diff(known.at) <= HOLDS;
        // Another process may have become another program; this one's memory would be gone.
        if !said_lately || (pid != 0 && now.abs_diff(known.checked) > SAME) {
            let program = match pid {
                0 => None,
                _ => sys::stat(files::proc_path(pid, b"exe").c_str()).map(|stat| stat.identity),
            };
            if !said_lately || known.program != program {
                known.said.ask(pid);
                (known.pid, known.at, known.program) = (own, now, program);
            }
            known.checked = now;
        }
        said.take(&known.said);
        self.taken.store(false, Ordering::Release);
    }
}

#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static OWN: Remembered = Remembered::none();
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static PARENT: Remembered = Remembered::none();

/// The facts on process `pid`, 0 for the calling one; its arguments go into `args`. What cannot be read is empty. The folder
/// of the calling process is of interest, that of its parent hardly ever. `now` is the time in nanoseconds
/// since 1970.
pub fn facts<'a>(now: u64, pid: u32, room: &'a mut Room, args: &'a mut [&'a [u8]; ARGS_SHOWN]) -> Process<'a> {
    let own = pid == 0;
    let number = if own { sys::getpid() } else { pid };
    let Room { said, folder } = room;
    (if own { &OWN } else { &PARENT }).look(now, pid, number, said);
    let executable = said.executable.get();
    let count = files::arguments(said.command_line.get(), args);
    Process {
        pid: number,
        name: if said.name.len == 0 { base_name(executable) } else { said.name.get() },
        executable,
        working_directory: if own { sys::getcwd(folder) } else { &[] },
        args: args.get(..count).unwrap_or(args),
        args_count: u32::try_from(count).unwrap_or(u32::MAX),
    }
}
