//! What sends on a connected socket, without an address: send, write, writev, sendfile and splice. Nearly every call is of
//! another descriptor, and goes on by a jump.

use super::{as_libc_size, fail};
use crate::action::{Decision, Refused};
use crate::judge::peers;
use crate::real::table::real;
use crate::sys;
use crate::sys::address::readable;
use core::ffi::{c_int, c_uint, c_void};

use super::egress::sending_to_peer as looked;

/// Looks, where sends without an address are looked at.
///
/// # Safety
/// As write's.
#[inline(always)]
pub(super) unsafe fn look(fd: c_int, buffer: *const c_void, size: libc::size_t) -> Decision {
    // SAFETY: as the caller promises.
    if peers::is_watched() { unsafe { looked(fd, buffer, size) } } else { Ok(()) }
}

/// The same of the first piece.
///
/// # Safety
/// As writev's.
#[inline(always)]
pub(super) unsafe fn look_at_first(fd: c_int, pieces: *const libc::iovec, count: c_int) -> Decision {
    // SAFETY: as the caller promises.
    if peers::is_watched() { unsafe { looked_at_first(fd, pieces, count) } } else { Ok(()) }
}

/// Calls the real function; first looks, where sends without an address are looked at. It is the caller's own call: nothing
/// of it is copied, since nothing of it is judged but the descriptor.
macro_rules! sends {
    ($real:ident($($arg:expr),*), $look:expr) => {{
        let Some(real) = real::$real() else { return fail(libc::ENOSYS) as libc::ssize_t };
        if let Err(Refused(errno)) = $look {
            return fail(errno) as libc::ssize_t;
        }
        // SAFETY: as the caller promises.
        unsafe { real($($arg),*) }
    }};
}

/// send(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn send(fd: c_int, buffer: *const c_void, size: libc::size_t, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    sends!(send(fd, buffer, size, flags), unsafe { look(fd, buffer, size) })
}

/// `send` by its other name.
///
/// # Safety
/// As [`send`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __send(fd: c_int, buffer: *const c_void, size: libc::size_t, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { send(fd, buffer, size, flags) }
}

/// write(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    sends!(write(fd, buffer, size), unsafe { look(fd, buffer, size) })
}

/// `write` by its other name.
///
/// # Safety
/// As [`write()`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __write(fd: c_int, buffer: *const c_void, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { write(fd, buffer, size) }
}

/// `write` as glibc itself calls it where that is no cancellation point.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __write_nocancel(fd: c_int, buffer: *const c_void, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    if let Err(Refused(errno)) = unsafe { look(fd, buffer, size) } {
        return fail(errno) as libc::ssize_t;
    }
    // SAFETY: as the caller promises.
    as_libc_size(unsafe { sys::any(libc::SYS_write, [fd as usize, buffer as usize, size, 0, 0, 0]) })
}

/// writev(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn writev(fd: c_int, pieces: *const libc::iovec, count: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    sends!(writev(fd, pieces, count), unsafe { look_at_first(fd, pieces, count) })
}

/// # Safety
/// As writev's.
#[cold]
unsafe fn looked_at_first(fd: c_int, pieces: *const libc::iovec, count: c_int) -> Decision {
    let first = match count {
        // SAFETY: as the caller promises.
        1.. if readable(pieces as usize, size_of::<libc::iovec>()) => unsafe { pieces.read_unaligned() },
        _ => libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 },
    };
    // SAFETY: as the caller promises.
    unsafe { looked(fd, first.iov_base, first.iov_len) }
}

/// sendfile(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendfile(
    to: c_int,
    from: c_int,
    offset: *mut libc::off_t,
    count: libc::size_t,
) -> libc::ssize_t {
    // SAFETY: nothing is read.
    sends!(sendfile(to, from, offset, count), unsafe { look(to, core::ptr::null(), 0) })
}

/// `sendfile` by its other name; off_t has 64 bits.
///
/// # Safety
/// As [`sendfile`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn sendfile64(
    to: c_int,
    from: c_int,
    offset: *mut libc::off_t,
    count: libc::size_t,
) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { sendfile(to, from, offset, count) }
}

/// splice(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn splice(
    from: c_int,
    from_offset: *mut libc::loff_t,
    to: c_int,
    to_offset: *mut libc::loff_t,
    size: libc::size_t,
    flags: c_uint,
) -> libc::ssize_t {
    // SAFETY: nothing is read.
    sends!(splice(from, from_offset, to, to_offset, size, flags), unsafe { look(to, core::ptr::null(), 0) })
}
