//! What makes a socket, or gives it a route: socket, setsockopt, getsockopt; recvmsg, by which one comes from elsewhere.

use super::fail;
use super::table::real;
use crate::judge::{self, By, Decision, Refused};
use crate::state::{self, Role};
use crate::{allowed, gate, request, route, sys};
use core::ffi::{c_int, c_void};

/// socket(2). Of one without ports, what was allowed of another says nothing.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let Some(real) = real::socket() else { return fail(libc::ENOSYS) };
    // SAFETY: takes no pointer.
    let fd = unsafe { real(domain, kind, protocol) };
    if fd >= 0 && matches!(domain, libc::AF_INET | libc::AF_INET6) && !sys::is_protocol_with_ports(kind, protocol) {
        allowed::distrust();
    }
    fd
}

/// `socket` by its other name.
///
/// # Safety
/// As [`socket`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { socket(domain, kind, protocol) }
}

/// Judges an option by which a socket goes elsewhere than its address says.
#[cold]
#[inline(never)]
fn routed(fd: c_int) -> Decision {
    match state::role() {
        Role::Master => Ok(()),
        _ => request::current(|served| judge::routed(By::This, served, fd)),
    }
}

/// setsockopt(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    len: libc::socklen_t,
) -> c_int {
    if route::is_set(level, option, len)
        && let Err(Refused(errno)) = routed(fd)
    {
        return fail(errno);
    }
    // SAFETY: as the caller promises.
    unsafe { gate::setsockopt(fd, level, option, value, len) }
}

/// getsockopt(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    len: *mut libc::socklen_t,
) -> c_int {
    if route::is_asked(level, option)
        && let Err(Refused(errno)) = routed(fd)
    {
        return fail(errno);
    }
    // SAFETY: as the caller promises.
    unsafe { gate::getsockopt(fd, level, option, value, len) }
}

/// recvmsg(2). A socket without ports may come with the message.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn recvmsg(fd: c_int, message: *mut libc::msghdr, flags: c_int) -> libc::ssize_t {
    let Some(real) = real::recvmsg() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises.
    let got = unsafe { real(fd, message, flags) };
    // SAFETY: the kernel has just written there.
    if got >= 0 && unsafe { (&raw const (*message).msg_controllen).read_unaligned() } > 0 {
        // SAFETY: as above.
        came(unsafe { message.read_unaligned() });
    }
    got
}

#[cold]
#[inline(never)]
fn came(header: libc::msghdr) {
    route::each_descriptor(&header, |fd| {
        if sys::has_ports(fd) != Some(true) {
            allowed::distrust();
        }
    });
}
