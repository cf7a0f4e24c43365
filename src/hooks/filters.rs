//! What the program forbids itself: a seccomp filter, by prctl or by seccomp(2), which libc has no function for.
//!
//! From then on the guard makes no call that would end the program ([`crate::sys::loading`]). So what was merged is said before.

use super::fail;
use crate::real::table::real;
use crate::report::merge;
use crate::sys;
use crate::sys::For;
use core::ffi::{c_int, c_ulong, c_void};

/// SECCOMP_SET_MODE_STRICT and SECCOMP_SET_MODE_FILTER (include/uapi/linux/seccomp.h).
const SET_STRICT: usize = 0;
const SET_FILTER: usize = 1;
/// SECCOMP_FILTER_FLAG_TSYNC: all threads get it.
const SYNCHRONIZES: usize = 1;

/// prctl(2), which is variadic in C: see [`mod@super::open`].
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int {
    let Some(real) = real::prctl() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    let go = || unsafe { real(option, a, b, c, d) };
    if option == libc::PR_SET_SECCOMP { by_prctl(a as usize, b as usize, go) } else { go() }
}

/// prctl's PR_SET_SECCOMP with these arguments.
#[cold]
pub(super) fn by_prctl(mode: usize, program: usize, go: impl FnOnce() -> c_int) -> c_int {
    const STRICT: usize = libc::SECCOMP_MODE_STRICT as usize;
    const FILTER: usize = libc::SECCOMP_MODE_FILTER as usize;
    match mode {
        STRICT => loading(true, program, For::This, go),
        FILTER => loading(false, program, For::This, go),
        _ => go(),
    }
}

/// seccomp(2) with these arguments.
#[cold]
pub(super) fn by_seccomp(operation: usize, flags: usize, program: usize, go: impl FnOnce() -> c_int) -> c_int {
    let threads = if flags & SYNCHRONIZES == 0 { For::This } else { For::All };
    match operation {
        SET_STRICT => loading(true, program, For::This, go),
        SET_FILTER => loading(false, program, threads, go),
        _ => go(),
    }
}

fn loading(strict: bool, program: usize, threads: For, go: impl FnOnce() -> c_int) -> c_int {
    merge::say_now();
    let mut done = -1;
    sys::loading(strict, program, threads, || {
        done = go();
        // A thread that could not have it, too, is an error, although its number is none.
        done >= 0 && (done == 0 || threads == For::This)
    });
    done
}

/// pthread_create(3). The new thread has the filters of the one that makes it.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    begin: extern "C" fn(*mut c_void) -> *mut c_void,
    with: *mut c_void,
) -> c_int {
    let Some(real) = real::pthread_create() else { return libc::EAGAIN };
    sys::making_thread(|| {
        // SAFETY: as the caller promises.
        let done = unsafe { real(thread, attributes, begin, with) };
        // SAFETY: libc has just written it.
        (done, (done == 0).then(|| unsafe { thread.read() } as usize))
    })
}

/// thrd_create(3), likewise.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn thrd_create(
    thread: *mut libc::pthread_t,
    begin: extern "C" fn(*mut c_void) -> c_int,
    with: *mut c_void,
) -> c_int {
    // thrd_error.
    let Some(real) = real::thrd_create() else { return 2 };
    sys::making_thread(|| {
        // SAFETY: as the caller promises.
        let done = unsafe { real(thread, begin, with) };
        // SAFETY: libc has just written it.
        (done, (done == 0).then(|| unsafe { thread.read() } as usize))
    })
}
