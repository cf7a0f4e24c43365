//! A thread or child process that has this one's memory and a copy of its descriptors: what it does with them, nobody changes.

use super::arch::clone;
use super::raw::enter;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A mapping: what it gives in its first page, and its stack.
const SIZE: usize = 128 << 10;

/// A thread of this process, with descriptors of its own: what it does is done by this process (SO_PEERCRED). It clears a word
/// when it ends.
const THREAD: i32 =
    libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_CHILD_CLEARTID;
/// A child process, which alone can be killed in a call. Its end is no SIGCHLD.
const CHILD: i32 = libc::CLONE_VM;
/// A child process that has this one's descriptors, and limits of its own.
const WITH_LIMITS: i32 = libc::CLONE_VM | libc::CLONE_FILES;

#[repr(C)]
struct SharedWithChild<W, T> {
    work: MaybeUninit<W>,
    /// Whose end ends the child; 0 for a thread.
    parent: usize,
    given: MaybeUninit<T>,
    is_given: AtomicBool,
    /// Not 0 while the thread runs.
    runs: AtomicU32,
}

/// Does some work so, and gives what that gives; `None` where there can be no thread or child, or it was killed.
///
/// Signals are blocked meanwhile, unless the work `waits`. Then a handler that was not asked to restart system calls (SA_RESTART)
/// ends it, in the call in which it waits: then that gives `interrupted`.
///
/// # Safety
/// The work must make system calls only, and write no memory that this thread uses, nor, where it waits, that a signal handler
/// uses. It must not unwind.
pub unsafe fn apart<W: FnOnce() -> T, T: Copy>(waits: bool, interrupted: T, work: W) -> Option<T> {
    // SAFETY: as the caller promises.
    unsafe { run(if waits { CHILD } else { THREAD }, interrupted, work) }
}

/// Does some work with this process's descriptors and the soft limits of files and of a file's size at their hard ones, which no
/// other thread of it sees; `None` where there can be no child.
///
/// # Safety
/// As [`apart`].
pub unsafe fn with_raised_limits<T: Copy>(work: impl FnOnce() -> T) -> Option<T> {
    let raised = || {
        super::raise_limit(libc::RLIMIT_NOFILE);
        super::raise_limit(libc::RLIMIT_FSIZE);
        Some(work())
    };
    // SAFETY: as the caller promises.
    unsafe { run(WITH_LIMITS, None, raised) }.flatten()
}

/// # Safety
/// As [`apart`].
unsafe fn run<W: FnOnce() -> T, T: Copy>(flags: i32, interrupted: T, work: W) -> Option<T> {
    let (is_thread, waits, flags) = (flags == THREAD, flags == CHILD, flags as usize);
    const { assert!(size_of::<SharedWithChild<W, T>>() <= 4096 && align_of::<SharedWithChild<W, T>>() <= 16) };
    let ends = [libc::SYS_wait4, libc::SYS_exit, libc::SYS_futex];
    if !super::lets(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]) || !ends.iter().all(|number| super::lets(*number, [0; 6]))
    {
        return None;
    }
    let at = super::allocate(SIZE)?;
    let parent = if is_thread { 0 } else { super::getpid() as usize };
    let given = MaybeUninit::uninit();
    let shared = SharedWithChild {
        work: MaybeUninit::new(work),
        parent,
        given,
        is_given: false.into(),
        runs: AtomicU32::new(1),
    };
    // SAFETY: the mapping is this call's, longer than that, and begins at a page.
    let shared = unsafe {
        at.cast::<SharedWithChild<W, T>>().write(shared);
        &*at.cast::<SharedWithChild<W, T>>()
    };
    let before = super::block_signals(libc::SIG_BLOCK, u64::MAX);
    let word = shared.runs.as_ptr() as usize;
    // SAFETY: the stack is the rest of the mapping, which stays until the child has ended.
    let child = unsafe { clone(flags, at.wrapping_byte_add(SIZE), word, work_of::<W, T>, at) };
    let mut was_interrupted = false;
    if waits {
        super::block_signals(libc::SIG_SETMASK, before);
    }
    if !is_thread {
        was_interrupted = child > 0 && wait(child as usize);
    } else {
        while child > 0 && shared.runs.load(Ordering::Acquire) != 0 {
            wait_for_thread(&shared.runs);
        }
    }
    if !waits {
        super::block_signals(libc::SIG_SETMASK, before);
    }
    let given = if child > 0 && shared.is_given.load(Ordering::Acquire) {
        // SAFETY: it has written it.
        Some(unsafe { shared.given.assume_init() })
    } else {
        was_interrupted.then_some(interrupted)
    };
    super::munmap(at, SIZE);
    given
}

/// Waits for the end of a child; true where a signal came in between, which ends it.
fn wait(child: usize) -> bool {
    let mut was_interrupted = false;
    loop {
        // SAFETY: no status is asked for.
        let done = unsafe { enter(libc::SYS_wait4, [child, 0, libc::__WCLONE as usize, 0, 0, 0]) };
        // Somebody else, who waits for all kinds of children, may have had it.
        if done != -(libc::EINTR as isize) {
            return was_interrupted;
        }
        if !was_interrupted {
            super::kill(child);
            was_interrupted = true;
        }
    }
}

/// Waits while the kernel has not cleared the word; it wakes whoever waits in any process.
fn wait_for_thread(word: &AtomicU32) {
    // SAFETY: the kernel reads the word.
    unsafe { enter(libc::SYS_futex, [word.as_ptr() as usize, libc::FUTEX_WAIT as usize, 1, 0, 0, 0]) };
}

/// What it does.
unsafe extern "C" fn work_of<W: FnOnce() -> T, T: Copy>(at: *mut c_void) {
    let shared = at.cast::<SharedWithChild<W, T>>();
    // SAFETY: as `apart` has written it, which looks at what is given only behind the flag; the work is done once.
    unsafe {
        let parent = (*shared).parent;
        if parent != 0 && !ends_with(parent) {
            return;
        }
        let given = (&raw const (*shared).work).read().assume_init()();
        (&raw mut (*shared).given).write(MaybeUninit::new(given));
        (*shared).is_given.store(true, Ordering::Release);
    }
}

/// Ends the child with its parent; false where that has ended.
fn ends_with(parent: usize) -> bool {
    // SAFETY: takes no pointer.
    unsafe {
        enter(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0, 0]);
        enter(libc::SYS_getppid, [0; 6]) as usize == parent
    }
}
