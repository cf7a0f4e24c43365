//! What shows that a worker gives up root: the last moment at which the backstop can be loaded without no_new_privs.

use super::fail;
use crate::backstop;
use crate::judge::names;
use crate::real::table::real;
use crate::report::sink;
use core::ffi::{c_char, c_int};

/// setuid(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn setuid(uid: libc::uid_t) -> c_int {
    let Some(real) = real::setuid() else { return fail(libc::ENOSYS) };
    if uid != 0 {
        backstop::leaving_root();
    }
    // SAFETY: takes no pointer.
    unsafe { real(uid) }
}

/// setreuid(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn setreuid(own: libc::uid_t, effective: libc::uid_t) -> c_int {
    let Some(real) = real::setreuid() else { return fail(libc::ENOSYS) };
    if effective != 0 {
        backstop::leaving_root();
    }
    // SAFETY: takes no pointer.
    unsafe { real(own, effective) }
}

/// setresuid(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn setresuid(own: libc::uid_t, effective: libc::uid_t, saved: libc::uid_t) -> c_int {
    let Some(real) = real::setresuid() else { return fail(libc::ENOSYS) };
    if effective != 0 {
        backstop::leaving_root();
    }
    // SAFETY: takes no pointer.
    unsafe { real(own, effective, saved) }
}

/// Makes a call that changes the root folder: behind it the supervisor can no longer be started, and no sink opened.
pub(super) fn leaving(call: impl FnOnce() -> c_int) -> c_int {
    backstop::leaving_root();
    sink::hold_before_leaving();
    let done = call();
    if done == 0 {
        names::note_root();
    }
    done
}

/// chroot(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn chroot(path: *const c_char) -> c_int {
    let Some(real) = real::chroot() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    leaving(|| unsafe { real(path) })
}
