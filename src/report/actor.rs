//! Who does it: a process as /proc and the kernel tell of it, read into fixed buffers at the moment of an event.
//!
//! /proc is slow, and events come in bursts. What it said of this process and of its parent is remembered for a second. Whether
//! the parent is the same program still is asked where that was longer ago than a hundredth of a second: half of what is
//! asked for an event would be that.

use crate::memory::{Paged, StringBuf, base_name};
use crate::process::state;
use crate::sys;
use crate::sys::procfs::{self, Whose};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_event::{ARGS_SHOWN, Process};

/// The arguments of others are not asked for: they are in memory that a process can keep from being read.
static LEAVES_ARGUMENTS: AtomicBool = AtomicBool::new(false);

/// From now on, the arguments of other processes are asked for, or not.
pub fn leave_arguments(leaves: bool) {
    LEAVES_ARGUMENTS.store(leaves, Ordering::Relaxed);
}

/// A buffer for the files of one process in /proc.
pub struct ProcBuffer {
    said: ProcText,
    folder: [u8; 512],
}

/// Texts from /proc of one process, each with a NUL.
struct ProcText {
    name: StringBuf<17>,
    executable: StringBuf<513>,
    command_line: StringBuf<1025>,
}

impl ProcText {
    const fn nothing() -> ProcText {
        ProcText { name: StringBuf::new(), executable: StringBuf::new(), command_line: StringBuf::new() }
    }

    /// The same for a static.
    const fn zeroed() -> ProcText {
        ProcText { name: StringBuf::zeroed(), executable: StringBuf::zeroed(), command_line: StringBuf::zeroed() }
    }

    /// Asks /proc.
    #[cold]
    fn ask(&mut self, whose: Whose) {
        let (mut name, mut executable, mut command_line) = ([0; 16], [0; 512], [0; 1024]);
        self.executable.set(procfs::proc_link(whose, b"exe", &mut executable));
        self.name.set(match whose {
            // Without /proc, as in a chroot, the kernel still tells the name of the thread.
            Whose::Own if self.executable.bytes().is_empty() => sys::thread_name(&mut name),
            _ => procfs::proc_read(whose, b"comm", &mut name),
        });
        let leaves = whose != Whose::Own && LEAVES_ARGUMENTS.load(Ordering::Relaxed);
        self.command_line.set(if leaves { b"" } else { procfs::proc_read(whose, b"cmdline", &mut command_line) });
    }

    /// Asks /proc; of a parent that it hides, who else knows.
    #[cold]
    fn ask_of(&mut self, whose: Whose, child: Option<Child<'_>>) {
        self.ask(whose);
        if let (Whose::Of(pid), Some(child)) = (whose, child.filter(|_| self.name.bytes().is_empty())) {
            hidden(pid, child, self);
        }
    }

    fn take(&mut self, other: &ProcText) {
        self.name.set(other.name.bytes());
        self.executable.set(other.executable.bytes());
        self.command_line.set(other.command_line.bytes());
    }
}

/// A process whose parent is asked for.
#[derive(Clone, Copy)]
pub struct Child<'c> {
    /// The programs that led to it.
    pub chain: &'c [u8],
    /// It is the calling one.
    pub is_this: bool,
}

impl ProcBuffer {
    /// Empty.
    pub const fn new() -> ProcBuffer {
        ProcBuffer { said: ProcText::nothing(), folder: [0; 512] }
    }
}

/// What an earlier event said about a process.
struct ProcessRecord {
    /// Somebody reads or writes it: others ask /proc.
    taken: AtomicBool,
    known: UnsafeCell<CachedProcess>,
}

struct CachedProcess {
    /// The process by its own number; 0 for none.
    pid: u32,
    /// When it was said, in nanoseconds since 1970.
    at: u64,
    /// When it was the same program still.
    checked: u64,
    /// Device and inode of the program.
    program: Option<(u64, u64)>,
    said: ProcText,
}

// SAFETY: the cell is touched only by whoever has set `taken`.
unsafe impl Sync for ProcessRecord {}

impl ProcessRecord {
    const fn none() -> ProcessRecord {
        let known = CachedProcess { pid: 0, at: 0, checked: 0, program: None, said: ProcText::zeroed() };
        ProcessRecord { taken: AtomicBool::new(false), known: UnsafeCell::new(known) }
    }

    /// Fills `said` with what is said of a process, whose number is `own`; of the parent of
    /// `child`, where there is one.
    fn look(&self, now: u64, whose: Whose, own: u32, child: Option<Child<'_>>, said: &mut ProcText) {
        /// How long what was said holds, and how long that it is the same program, in nanoseconds.
        const HOLDS: u64 = 1_000_000_000;
        const SAME: u64 = 10_000_000;
        if LEAVES_ARGUMENTS.load(Ordering::Relaxed) || self.taken.swap(true, Ordering::Acquire) {
            said.ask_of(whose, child);
            return;
        }
        // SAFETY: this thread has taken it.
        let known = unsafe { &mut *self.known.get() };
        // The clock may be set, back too.
        let said_lately = known.pid == own && now.abs_diff(known.at) <= HOLDS;
        // Another process may have become another program; this one's memory would be gone.
        if !said_lately || (whose != Whose::Own && now.abs_diff(known.checked) > SAME) {
            let program = match whose {
                Whose::Own => None,
                Whose::Of(pid) => procfs::proc_stat(pid, b"exe").map(|stat| stat.identity),
            };
            if !said_lately || known.program != program {
                known.said.ask_of(whose, child);
                (known.pid, known.at, known.program) = (own, now, program);
            }
            known.checked = now;
        }
        said.take(&known.said);
        self.taken.store(false, Ordering::Release);
    }
}

/// The master, as it was when it first forked: for a worker, from which /proc may hide it (hidepid=2).
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static MASTER: ProcessRecord = ProcessRecord::none();

/// Remembers the master; for a master that is about to fork, the first time.
pub fn remember_master() {
    if MASTER.taken.swap(true, Ordering::Acquire) {
        return;
    }
    // SAFETY: this thread has taken it.
    let known = unsafe { &mut *MASTER.known.get() };
    if known.pid == 0 {
        known.said.ask(Whose::Own);
        known.pid = sys::getpid();
    }
    MASTER.taken.store(false, Ordering::Release);
}

/// What is known of the parent that /proc hides: the master; of a process that is forked from the parent's program and has begun no
/// other, what it is itself; of any other, what the chain begins with, since what is hidden is the worker.
#[cold]
#[inline(never)]
fn hidden(parent: u32, child: Child<'_>, said: &mut ProcText) {
    if !MASTER.taken.swap(true, Ordering::Acquire) {
        // SAFETY: this thread has taken it.
        let known = unsafe { &*MASTER.known.get() };
        let is_master = known.pid == parent && child.is_this;
        if is_master {
            said.take(&known.said);
        }
        MASTER.taken.store(false, Ordering::Release);
        if is_master {
            return;
        }
    }
    let Child { chain, is_this } = child;
    if is_this && (parent == state::first_pid() || (parent > 1 && sys::getpid() != state::first_pid())) {
        return said.ask(Whose::Own);
    }
    let head = chain.windows(3).position(|part| part == b" > ").and_then(|end| chain.get(..end));
    if let Some(head) = head.filter(|_| parent > 1) {
        said.name.set(head.split(|&byte| byte == b':').next().unwrap_or_default());
        said.command_line.set(head);
    }
}

/// This process and its parent.
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static OF_EVENTS: Paged<[ProcessRecord; 2]> = Paged([const { ProcessRecord::none() }; 2]);

/// The facts on a process; its arguments go into `args`. What cannot be read is empty. The folder
/// of the calling process is of interest, that of its parent hardly ever. `now` is the time in nanoseconds
/// since 1970. `parent_of` is whose parent it is asked for as.
pub fn facts<'a>(
    now: u64,
    whose: Whose,
    parent_of: Option<Child<'_>>,
    room: &'a mut ProcBuffer,
    args: &'a mut [&'a [u8]; ARGS_SHOWN],
) -> Process<'a> {
    let own = whose == Whose::Own;
    let number = match whose {
        Whose::Own => sys::getpid(),
        Whose::Of(pid) => pid,
    };
    let ProcBuffer { said, folder } = room;
    let [of_own, of_parent] = &OF_EVENTS.0;
    (if own { of_own } else { of_parent }).look(now, whose, number, parent_of, said);
    let executable = said.executable.bytes();
    let count = procfs::arguments(said.command_line.bytes(), args);
    Process {
        pid: number,
        name: if said.name.bytes().is_empty() { base_name(executable) } else { said.name.bytes() },
        executable,
        working_directory: if own { sys::getcwd(folder) } else { &[] },
        args: args.get(..count).unwrap_or(args),
        args_count: u32::try_from(count).unwrap_or(u32::MAX),
    }
}
