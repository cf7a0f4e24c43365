//! What copies a descriptor: dup, dup2, dup3, fcntl, and the same in a posix_spawn.

use super::fail;
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::judge::peers;
use crate::process::state::{self, Role};
use crate::real::table::{ready, real};
use crate::report::sink;
use crate::{request, sys};
use core::ffi::{c_int, c_ulong};

/// The highest standard descriptor.
const STANDARD_MAX: c_int = 2;

/// Judges a descriptor on its way to another.
#[inline]
fn decide(from: c_int, onto: c_int) -> Decision {
    if !(0..=STANDARD_MAX).contains(&onto) || from == onto || state::role() == Role::Master {
        return Ok(());
    }
    judged(from, onto)
}

#[inline(never)]
fn judged(from: c_int, onto: c_int) -> Decision {
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
    duplicated(from, unsafe { real(from) })
}

/// Judges a descriptor that was just duplicated: the new one, or -1 where that is refused.
#[inline(never)]
pub(super) fn duplicated(from: c_int, onto: c_int) -> c_int {
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

/// Whether a command of fcntl makes a copy of the descriptor.
#[inline(always)]
pub(super) fn is_copy(command: c_int) -> bool {
    matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC)
}

type Fcntl = unsafe extern "C" fn(c_int, c_int, c_ulong) -> c_int;

/// Makes a call of fcntl by `real`, and judges the copy that it makes.
///
/// # Safety
/// As fcntl's.
#[cold]
#[inline(never)]
unsafe fn controlling(real: Option<Fcntl>, fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    let Some(real) = real else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    let done = unsafe { real(fd, command, argument) };
    if is_copy(command) { duplicated(fd, done) } else { done }
}

/// fcntl(2), which is variadic in C: see [`mod@super::open`].
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    match ready::fcntl() {
        // SAFETY: as the caller promises.
        Some(real) if !is_copy(command) => unsafe { real(fd, command, argument) },
        // SAFETY: as the caller promises.
        _ => unsafe { controlling(real::fcntl(), fd, command, argument) },
    }
}

/// `fcntl` with offsets of 64 bits, which all have here.
///
/// # Safety
/// As [`fcntl`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn fcntl64(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { fcntl(fd, command, argument) }
}

/// `fcntl` by its other name.
///
/// # Safety
/// As [`fcntl`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { fcntl(fd, command, argument) }
}

/// `fcntl64` by its other name.
///
/// # Safety
/// As [`fcntl`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __libc_fcntl64(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { fcntl(fd, command, argument) }
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
        Ok(()) => {
            // One that the program inherits in any case has its event when that is started.
            if peers::is_watched() && peers::is_marked(from) && sys::is_inherited(from) == Some(false) {
                request::current(|served| judge::leaves(served, from));
            }
            // SAFETY: as the caller promises.
            unsafe { real(actions, from, onto) }
        }
    }
}
