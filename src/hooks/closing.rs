//! What closes descriptors: those of the sinks that a process cannot open again stay open.
//!
//! A program in another root folder has its sinks from its starter (`handed.rs`). Many close all descriptors before they start
//! another: Python's subprocess, what libc's closefrom is for. They are told what they would be told of a descriptor that is open.
//! Where a process can open its sinks by their paths, nothing is spared. Neither is it from a program that closes until nothing is
//! open, which would not end.

use super::fail;
use crate::policy::in_force;
use crate::real::table::{ready, real};
use crate::report::{emit, sink};
use crate::sys;
use core::ffi::{c_int, c_uint};
use core::sync::atomic::{AtomicU64, Ordering};
use portcullis_policy::Unknown;

/// Closes one descriptor by `go`.
pub(super) fn closing_one(fd: c_int, go: impl FnOnce() -> c_int) -> c_int {
    if sink::may_hold(fd) && sink::is_kept(fd) && is_spared() { 0 } else { go() }
}

/// So many closes of what is spared within so many nanoseconds are of a program that closes until nothing is open. One that starts
/// children which close everything comes to a tenth of it.
const SPARED_MAX: u64 = 512;
const SPARED_TIME: u64 = 1_000_000_000;

/// Whether a descriptor of the sinks is spared once more. From a program that goes on and on, none is from then on.
#[cold]
#[inline(never)]
fn is_spared() -> bool {
    /// When the counted closes began, and how many there were.
    static BEGAN: AtomicU64 = AtomicU64::new(0);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    if count > SPARED_MAX {
        return false;
    }
    let now = sys::since_boot();
    if now.wrapping_sub(BEGAN.load(Ordering::Relaxed)) > SPARED_TIME {
        BEGAN.store(now, Ordering::Relaxed);
        COUNT.store(1, Ordering::Relaxed);
        return true;
    }
    if count == SPARED_MAX {
        let what = "a program closes its descriptors until none is open: it writes no more events, and what it starts is judged by the \
                    strictest mode";
        emit::guard_on(&in_force::policy(), what, Some(Unknown::Policy));
        sink::spoil();
        return false;
    }
    true
}

/// close(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    #[cold]
    #[inline(never)]
    unsafe fn looked_at(fd: c_int) -> c_int {
        closing_one(fd, || match real::close() {
            // SAFETY: as the caller promises.
            Some(real) => unsafe { real(fd) },
            None => fail(libc::ENOSYS),
        })
    }
    match ready::close() {
        // SAFETY: as the caller promises.
        Some(real) if !sink::may_hold(fd) => unsafe { real(fd) },
        // SAFETY: as the caller promises.
        _ => unsafe { looked_at(fd) },
    }
}

/// `close` by its other name.
///
/// # Safety
/// As [`close`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __close(fd: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { close(fd) }
}

/// `close` that is no cancellation point, as libc's own libraries call it.
///
/// # Safety
/// As [`close`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __close_nocancel(fd: c_int) -> c_int {
    closing_one(fd, || sys::close_checked(fd).map_or_else(fail, |()| 0))
}

/// close_range(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    let Some(real) = real::close_range() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    closing(first, last, flags, |first, last, flags| unsafe { real(first, last, flags) })
}

/// Closes a range of descriptors by `go`, in pieces around what is spared. The descriptors of the sinks are closed on exec in any
/// case, so that CLOSE_RANGE_CLOEXEC takes none away.
pub(super) fn closing(first: c_uint, last: c_uint, flags: c_int, go: impl Fn(c_uint, c_uint, c_int) -> c_int) -> c_int {
    if flags & !libc::CLOSE_RANGE_UNSHARE.cast_signed() != 0 || first > last {
        return go(first, last, flags);
    }
    let mut from = Some(first);
    while let Some(at) = from {
        let Some(spared) = sink::kept_from(at).filter(|spared| *spared <= last) else {
            return go(at, last, flags);
        };
        if let Some(before) = spared.checked_sub(1).filter(|before| *before >= at) {
            let done = go(at, before, flags);
            if done != 0 {
                return done;
            }
        }
        from = spared.checked_add(1).filter(|next| *next <= last);
    }
    0
}

/// closefrom(3).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn closefrom(first: c_int) {
    let Some(real) = real::closefrom() else { return };
    let mut from = first.max(0);
    while let Some(spared) = sink::kept_from(from.cast_unsigned()) {
        let spared = spared.cast_signed();
        sys::close_between(from, spared.wrapping_sub(1));
        from = spared.wrapping_add(1);
    }
    // SAFETY: as the caller promises.
    unsafe { real(from) }
}
