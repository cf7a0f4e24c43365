//! A stack of the guard's own, so that a hook needs little of its caller's: a thread may have 16 KiB (PTHREAD_STACK_MIN), a signal
//! handler an alternate stack of 8 KiB, and an event, or the judgement on a program, needs up to 64.
//!
//! Two ways lead onto it. [`on`] is for work that only the guard does, as an event. [`through`] is for a whole hook that starts a
//! program: its copies of paths, the arguments and the environment lie there, and [`back`] makes the real call on the caller's
//! stack, with the caller's signals, as if there were nothing between. So no buffer has to be counted against the caller's stack,
//! whatever is added.
//!
//! **Signals** are blocked on it, but for those that a fault or a filter (SIGSYS) brings at once: a handler may need more room than
//! there is, and one that leaves the hook by siglongjmp would take the stack along. One that leaves out of [`back`] does: it is lost
//! then, as it is where a thread is cancelled in there, or a vfork child is killed. So that this has an end, there are not more than
//! [`MANY`].
//!
//! **Who has it**: one is laid out with the library, so that a limit of memory which a program sets later is not used up by it; more
//! are kept when they are not used. Each is taken and put back by one atomic exchange; so threads, handlers and vfork children never
//! have the same one, and after fork the child lacks those that other threads had. A vfork child that executes
//! a program never comes back: it gets one that the next such child takes over ([`Mapping`]).
//!
//! **Where there is none** (no memory, a filter of the program's against mmap), all is done on the caller's stack.
//!
//! Call and return stay in pairs, so that a shadow stack (CET) is none the wiser; the frame has its CFI, so that who unwinds finds the
//! caller (a thread that is cancelled, C++, backtrace(3); gdb does not go on where a stack changes).

use crate::process::left::{self, Mapping};
use crate::sys;
use crate::sys::arch::{PageAligned, switch};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// A mapping: a page that nobody touches, and the stack above it; where the mapping is lent, its first page has notes, and the second is
/// the one that nobody touches.
const SIZE: usize = (88_usize << 10).next_multiple_of(PAGE) + 2 * PAGE;
const PAGE: usize = sys::arch::PAGE_MAX;
/// How many are kept for the next call, and how many there can be: those in use, kept and lost.
const KEPT: usize = 4;
const MANY: usize = 128;

struct FirstStack(PageAligned<UnsafeCell<[u8; SIZE]>>);

// SAFETY: whoever swaps FIRST_TAKEN has it.
unsafe impl Sync for FirstStack {}

/// The one that is always there, and whether it is in use.
#[cfg_attr(not(test), unsafe(link_section = ".sbss.tables"))]
static FIRST: FirstStack = FirstStack(PageAligned(UnsafeCell::new([0; SIZE])));
static FIRST_TAKEN: AtomicBool = AtomicBool::new(false);
static FIRST_IS_MADE: AtomicBool = AtomicBool::new(false);

/// The others that nobody uses.
static FREE: [AtomicPtr<c_void>; KEPT] = [const { AtomicPtr::new(null_mut()) }; KEPT];
/// Where those are that were mapped; 0 where there is none. What is in here is mapped, so nothing of the program's can lie there.
static MADE: [AtomicUsize; MANY] = [const { AtomicUsize::new(0) }; MANY];
/// How many places of it were ever used.
static PLACES: AtomicUsize = AtomicUsize::new(0);

/// The record at the upper end of a stack.
#[repr(C, align(16))]
struct StackTop {
    /// The caller's stack pointer.
    caller: usize,
    /// The signals that it had blocked.
    mask: u64,
    /// Two words that stay: the last is valgrind's number for it.
    kept: MaybeUninit<[usize; 2]>,
}

/// The function that runs on the stack, and its result.
struct StackJob<W, R> {
    work: MaybeUninit<W>,
    result: MaybeUninit<R>,
}

/// Does a job: `at` is a [`StackJob`] of these types.
unsafe extern "C" fn call<W: FnOnce() -> R, R>(at: *mut c_void) {
    let job = at.cast::<StackJob<W, R>>();
    // SAFETY: as `job` has written it, for this one call.
    unsafe {
        let result = (&raw const (*job).work).read().assume_init()();
        (&raw mut (*job).result).write(MaybeUninit::new(result));
    }
}

type Call = unsafe extern "C" fn(*mut c_void);

#[inline(always)]
fn job<W: FnOnce() -> R, R>(work: W, run: unsafe fn(Call, *mut c_void)) -> R {
    let mut job = StackJob { work: MaybeUninit::new(work), result: MaybeUninit::uninit() };
    // SAFETY: `run` calls the function with its job, once.
    unsafe {
        run(call::<W, R>, (&raw mut job).cast());
        job.result.assume_init()
    }
}

/// Does work that is the guard's alone.
#[inline(always)]
pub fn on<R>(work: impl FnOnce() -> R) -> R {
    job(work, run_on)
}

/// Does all that a hook does that starts a program; the real call is made by [`back`].
#[inline(always)]
pub fn through<R>(work: impl FnOnce() -> R) -> R {
    job(work, run_through)
}

/// Makes a call on the stack of the hook's caller, with the signals blocked that were.
#[inline(always)]
pub fn back<R>(work: impl FnOnce() -> R) -> R {
    job(work, run_back)
}

/// The upper end of the stack that the thread is on; `None` where that is none of these. By its address alone: whatever a thread
/// remembers of itself, a vfork child that executes a program, or a handler that leaves, may have made untrue.
fn current() -> Option<usize> {
    let here = 0_u8;
    let at = core::hint::black_box(&raw const here) as usize;
    let has = |from: usize| from != 0 && at.wrapping_sub(from) < SIZE;
    let mapped = || MADE.iter().take(PLACES.load(Ordering::Acquire)).map(|place| place.load(Ordering::Acquire));
    let from = core::iter::once(FIRST.0.0.get() as usize).chain(mapped()).find(|from| has(*from))?;
    Some(from.wrapping_add(SIZE).wrapping_sub(size_of::<StackTop>()))
}

/// Notes that a stack is mapped from `from` on; false where there are too many.
fn note(from: usize) -> bool {
    let place =
        MADE.iter().position(|place| place.compare_exchange(0, from, Ordering::AcqRel, Ordering::Relaxed).is_ok());
    let Some(place) = place else { return false };
    PLACES.fetch_max(place.wrapping_add(1), Ordering::AcqRel);
    true
}

/// A mapping from `from` on is about to go: it is no stack any more, if it was one.
pub fn forget(from: usize) {
    for place in MADE.iter().take(PLACES.load(Ordering::Acquire)) {
        let _ = place.compare_exchange(from, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

#[inline(never)]
unsafe fn run_on(work: Call, at: *mut c_void) {
    let take = || {
        let free =
            |place: &AtomicPtr<c_void>| Some(place.swap(null_mut(), Ordering::AcqRel)).filter(|at| !at.is_null());
        let stack = first().or_else(|| FREE.iter().find_map(free)).or_else(make)?;
        // What another thread has written there is no race.
        sys::tell_valgrind(sys::CLEAN, stack as usize, SIZE);
        Some((stack, (stack as usize).wrapping_add(SIZE)))
    };
    let give = |stack| {
        let is_free = |place: &AtomicPtr<c_void>| {
            place.compare_exchange(null_mut(), stack, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if stack == FIRST.0.0.get().cast() {
            FIRST_TAKEN.store(false, Ordering::Release);
        } else if !FREE.iter().any(is_free) {
            unmake(stack);
        }
    };
    // SAFETY: as the caller promises.
    unsafe { run(work, at, take, give) };
}

fn first() -> Option<*mut c_void> {
    let stack = FIRST.0.0.get().cast();
    if FIRST_TAKEN.swap(true, Ordering::AcqRel) {
        return None;
    }
    // Whoever finds the page guarded by another has as good a stack.
    (FIRST_IS_MADE.load(Ordering::Relaxed) || prepared(stack)).then_some(stack)
}

/// Gives the kernel back what work that is done once has touched of the first one, but for its upper end.
pub fn shrink() {
    let stack = FIRST.0.0.get() as usize;
    if !FIRST_TAKEN.swap(true, Ordering::AcqRel) {
        // SAFETY: nobody is on it.
        unsafe { sys::discard(stack.wrapping_add(PAGE), SIZE - 2 * PAGE) };
        FIRST_TAKEN.store(false, Ordering::Release);
    }
}

#[cold]
#[inline(never)]
fn prepared(stack: *mut c_void) -> bool {
    let is = enter(stack);
    FIRST_IS_MADE.store(is, Ordering::Relaxed);
    is
}

#[cold]
#[inline(never)]
fn make() -> Option<*mut c_void> {
    let stack = sys::allocate(SIZE)?;
    if !note(stack as usize) {
        sys::munmap(stack, SIZE);
        return None;
    }
    if !enter(stack) {
        unmake(stack);
        return None;
    }
    Some(stack)
}

/// Makes memory a stack: guards its lower end, and tells valgrind.
fn enter(stack: *mut c_void) -> bool {
    let end = (stack as usize).wrapping_add(SIZE);
    let is = guarded(stack as usize);
    if is {
        // SAFETY: the new stack's last word.
        unsafe { (end as *mut usize).wrapping_sub(1).write(sys::tell_valgrind(sys::STACK, stack as usize, end)) };
    }
    is
}

#[cold]
#[inline(never)]
fn unmake(stack: *mut c_void) {
    // SAFETY: its last word.
    let number = unsafe { stack.cast::<usize>().wrapping_add(SIZE / 8 - 1).read() };
    sys::tell_valgrind(sys::STACK_GONE, number, 0);
    forget(stack as usize);
    sys::munmap(stack, SIZE);
}

#[inline(never)]
unsafe fn run_through(work: Call, at: *mut c_void) {
    // SAFETY: as the caller promises.
    unsafe {
        match sys::tid_address() {
            // What a vfork child takes cannot be given back where the kernel does not tell.
            None => work(at),
            Some(0) => {
                let take = || {
                    let lent =
                        Mapping::again(SIZE, |new| guarded((new as usize).wrapping_add(PAGE)) && note(new as usize))?;
                    let end = (lent.at() as usize).wrapping_add(SIZE);
                    Some((lent, end))
                };
                run(work, at, take, drop);
            }
            Some(_) => {
                left::spare();
                run_on(work, at);
            }
        }
    }
}

/// Makes the page at the lower end one that nobody can touch.
fn guarded(page: usize) -> bool {
    // SAFETY: a page of a new mapping.
    unsafe { sys::mprotect(page, PAGE, libc::PROT_NONE) }
}

/// Signals that come at once, from what the thread itself does.
const AT_ONCE: [i32; 6] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
const BLOCKED: u64 = {
    let (mut mask, mut index) = (u64::MAX, 0);
    while index < AT_ONCE.len() {
        mask &= !(1 << (AT_ONCE[index] - 1));
        index += 1;
    }
    mask
};

/// Does it on a stack of which `take` gives the upper end, and that `give` gives back: as long as the signals are blocked, for those
/// that came meanwhile are handled at once then, and a handler may leave.
#[inline(always)]
unsafe fn run<S>(work: Call, at: *mut c_void, take: impl FnOnce() -> Option<(S, usize)>, give: impl FnOnce(S)) {
    let set = libc::SIG_SETMASK;
    let can_block = sys::lets(libc::SYS_rt_sigprocmask, [set as usize, 0, 0, 8, 0, 0]);
    if current().is_some() || !can_block {
        // SAFETY: as the caller promises.
        return unsafe { work(at) };
    }
    let mask = sys::block_signals(libc::SIG_BLOCK, BLOCKED);
    let Some((stack, end)) = take() else {
        sys::block_signals(set, mask);
        // SAFETY: as the caller promises.
        return unsafe { work(at) };
    };
    let top = end.wrapping_sub(size_of::<StackTop>());
    let entered = top as *mut StackTop;
    // SAFETY: the stack is this call's alone; the rest is as the caller promises.
    let mask = unsafe {
        (&raw mut (*entered).mask).write(mask);
        switch(at, work, top, &raw mut (*entered).caller);
        (*entered).mask
    };
    give(stack);
    sys::block_signals(set, mask);
}

#[inline(never)]
unsafe fn run_back(work: Call, at: *mut c_void) {
    let Some(top) = current() else {
        // SAFETY: as the caller promises.
        return unsafe { work(at) };
    };
    let entered = top as *mut StackTop;
    // SAFETY: the thread is on that stack; below the caller's stack pointer nothing is in use.
    unsafe {
        sys::block_signals(libc::SIG_SETMASK, (*entered).mask);
        let mut unused = 0;
        switch(at, work, (*entered).caller, &raw mut unused);
        // The call may have changed it, as system does.
        (*entered).mask = sys::block_signals(libc::SIG_BLOCK, BLOCKED);
    }
}
