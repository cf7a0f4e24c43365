//! What the program forbids itself: a seccomp filter, by prctl or by seccomp(2), which libc has no function for.
//!
//! From then on the guard makes no call that would end the program ([`crate::sys::loading`]). So what was merged is said before.

use super::fail;
use super::table::real;
use crate::{merge, sys};
use core::ffi::{c_int, c_ulong};

/// SECCOMP_SET_MODE_STRICT and SECCOMP_SET_MODE_FILTER (include/uapi/linux/seccomp.h).
const SET_STRICT: usize = 0;
const SET_FILTER: usize = 1;

/// prctl(2), which is variadic in C: see [`super::open`].
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
        STRICT => loading(true, program, go),
        FILTER => loading(false, program, go),
        _ => go(),
    }
}

/// seccomp(2) with these arguments.
#[cold]
pub(super) fn by_seccomp(operation: usize, program: usize, go: impl FnOnce() -> c_int) -> c_int {
    match operation {
        SET_STRICT => loading(true, program, go),
        SET_FILTER => loading(false, program, go),
        _ => go(),
    }
}

fn loading(strict: bool, program: usize, go: impl FnOnce() -> c_int) -> c_int {
    merge::say_now();
    let mut done = -1;
    sys::loading(strict, program, || {
        done = go();
        done >= 0
    });
    done
}
