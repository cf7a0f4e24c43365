//! A child process that has this one's memory and a copy of its descriptors: what it does with them, no thread can change.

use super::raw::enter;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

/// A mapping: what the child gives in its first page, and the child's stack.
const SIZE: usize = 128 << 10;

#[repr(C)]
struct Shared<W, T> {
    work: MaybeUninit<W>,
    /// Whose end ends the child; 0 where it does not wait for long.
    parent: usize,
    given: MaybeUninit<T>,
    is_given: AtomicBool,
}

/// Does some work in such a child, and gives what that gives; `None` where there can be no child, or it was killed.
///
/// Where the work `waits`, signals are handled meanwhile. A handler that was not asked to restart system calls (SA_RESTART) ends
/// the child, in the call in which it waits: then that gives `interrupted`.
///
/// # Safety
/// The work must make system calls only, and write no memory that this thread or a signal handler of its uses. It must not
/// unwind.
pub unsafe fn apart<W: FnOnce() -> T, T: Copy>(waits: bool, interrupted: T, work: W) -> Option<T> {
    const { assert!(size_of::<Shared<W, T>>() <= 4096 && align_of::<Shared<W, T>>() <= 16) };
    // What ends the child.
    let flags = libc::CLONE_VM as usize;
    if !super::lets(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]) || !super::lets(libc::SYS_wait4, [0; 6]) {
        return None;
    }
    let at = super::allocate(SIZE)?;
    let parent = if waits { super::getpid() as usize } else { 0 };
    let shared = Shared { work: MaybeUninit::new(work), parent, given: MaybeUninit::uninit(), is_given: false.into() };
    // SAFETY: the mapping is this call's, longer than that, and begins at a page.
    let shared = unsafe {
        at.cast::<Shared<W, T>>().write(shared);
        &*at.cast::<Shared<W, T>>()
    };
    let before = super::block_signals(libc::SIG_BLOCK, u64::MAX);
    // SAFETY: the stack is the rest of the mapping, which stays until the child has ended.
    let child = unsafe { clone(flags, at.wrapping_byte_add(SIZE), work_of::<W, T>, at) };
    if waits {
        super::block_signals(libc::SIG_SETMASK, before);
    }
    let was_interrupted = child > 0 && wait(child as usize, waits);
    if !waits {
        super::block_signals(libc::SIG_SETMASK, before);
    }
    let given = if child > 0 && shared.is_given.load(Ordering::Acquire) {
        // SAFETY: the child has written it.
        Some(unsafe { shared.given.assume_init() })
    } else {
        was_interrupted.then_some(interrupted)
    };
    super::munmap(at, SIZE);
    given
}

/// Waits for the end of the child; true where a signal came in between, which ends it.
fn wait(child: usize, waits: bool) -> bool {
    let mut was_interrupted = false;
    loop {
        // SAFETY: no status is asked for.
        let done = unsafe { enter(libc::SYS_wait4, [child, 0, libc::__WCLONE as usize, 0, 0, 0]) };
        // Somebody else, who waits for all kinds of children, may have had it.
        if done != -(libc::EINTR as isize) {
            return was_interrupted;
        }
        if waits && !was_interrupted {
            super::kill(child);
            was_interrupted = true;
        }
    }
}

/// What the child does.
unsafe extern "C" fn work_of<W: FnOnce() -> T, T: Copy>(at: *mut c_void) {
    // SAFETY: as `apart` has written it; the work is done once.
    let shared = unsafe { &mut *at.cast::<Shared<W, T>>() };
    if shared.parent != 0 && !ends_with(shared.parent) {
        return;
    }
    // SAFETY: likewise.
    let given = unsafe { shared.work.assume_init_read() }();
    shared.given.write(given);
    shared.is_given.store(true, Ordering::Release);
}

/// Ends the child with its parent; false where that has ended.
fn ends_with(parent: usize) -> bool {
    // SAFETY: takes no pointer.
    unsafe {
        enter(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0, 0, 0]);
        enter(libc::SYS_getppid, [0; 6]) as usize == parent
    }
}

/// clone(2): a child that calls a function on a stack, and ends. The child's number, or an error.
///
/// # Safety
/// The stack must be good, and stay until the child has ended; the function must be made for such a child.
#[cfg(target_arch = "x86_64")]
unsafe fn clone(flags: usize, stack: *mut c_void, work: unsafe extern "C" fn(*mut c_void), with: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: as the caller promises; the child never comes back here.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "xor edi, edi",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags,
            in("rsi") stack,
            in("rdx") 0,
            in("r10") 0,
            in("r8") 0,
            in("r12") work,
            in("r13") with,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// clone(2): a child that calls a function on a stack, and ends. The child's number, or an error.
///
/// # Safety
/// The stack must be good, and stay until the child has ended; the function must be made for such a child.
#[cfg(target_arch = "aarch64")]
unsafe fn clone(flags: usize, stack: *mut c_void, work: unsafe extern "C" fn(*mut c_void), with: *mut c_void) -> isize {
    let result: isize;
    // SAFETY: as the caller promises; the child never comes back here.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "mov x0, xzr",
            "mov x8, {exit}",
            "svc 0",
            "brk 1",
            "2:",
            exit = const libc::SYS_exit_group,
            in("x8") libc::SYS_clone,
            inlateout("x0") flags as isize => result,
            in("x1") stack,
            in("x2") 0,
            in("x3") 0,
            in("x4") 0,
            in("x20") work,
            in("x21") with,
            options(nostack),
        );
    }
    result
}
