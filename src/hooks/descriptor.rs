//! What puts a descriptor on standard input or output: dup, dup2, dup3, and the same in a posix_spawn.

use super::fail;
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::judge::peers;
use crate::process::state::{self, Role};
use crate::real::table::real;
use crate::report::sink;
use crate::{request, sys};
use core::ffi::c_int;

/// The highest standard descriptor.
const STANDARD_MAX: c_int = 2;

/// Judges a descriptor on its way to another.
#[inline]
fn decide(from: c_int, onto: c_int) -> Decision {
    if !(0..=STANDARD_MAX).contains(&onto) || from == onto || state::role() == Role::Master {
        return Ok(());
    }
    request::current(|served| judge::descriptor(Actor::This, served, from, onto))
}

/// dup(2). Where it will land shows only afterwards.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn dup(from: c_int) -> c_int {
    let Some(real) = real::dup() else { return fail(libc::ENOSYS) };
    // SAFETY: takes no pointer.
    duplicating(from, || unsafe { real(from) })
}

/// Duplicates a descriptor by `go`.
pub(super) fn duplicating(from: c_int, go: impl FnOnce() -> c_int) -> c_int {
    let onto = go();
    match decide(from, onto) {
        Err(Refused(errno)) => {
            sys::close(onto);
            fail(errno)
        }
        Ok(()) => {
            peers::copied(from, onto);
            onto
        }
    }
}

/// Duplicates a descriptor onto another by `go`.
#[inline(always)]
pub(super) fn duplicating_onto(from: c_int, onto: c_int, go: impl FnOnce() -> c_int) -> c_int {
    match decide(from, onto) {
        Err(Refused(errno)) => fail(errno),
        Ok(()) => {
            if sink::may_hold(onto) && from != onto {
                sink::make_way(onto);
            }
            let done = go();
            peers::copied(from, done);
            done
        }
    }
}

/// dup2(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn dup2(from: c_int, onto: c_int) -> c_int {
    let Some(real) = real::dup2() else { return fail(libc::ENOSYS) };
    // SAFETY: takes no pointer.
    duplicating_onto(from, onto, || unsafe { real(from, onto) })
}

/// `dup2` by its other name.
///
/// # Safety
/// As [`dup2`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __dup2(from: c_int, onto: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { dup2(from, onto) }
}

/// dup3(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn dup3(from: c_int, onto: c_int, flags: c_int) -> c_int {
    let Some(real) = real::dup3() else { return fail(libc::ENOSYS) };
    // SAFETY: takes no pointer.
    duplicating_onto(from, onto, || unsafe { real(from, onto, flags) })
}

/// posix_spawn_file_actions_adddup2(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn posix_spawn_file_actions_adddup2(
    actions: *mut libc::posix_spawn_file_actions_t,
    from: c_int,
    onto: c_int,
) -> c_int {
    let Some(real) = real::posix_spawn_file_actions_adddup2() else { return libc::ENOSYS };
    match decide(from, onto) {
        Err(Refused(errno)) => errno,
        // SAFETY: as the caller promises.
        Ok(()) => unsafe { real(actions, from, onto) },
    }
}
