//! What makes a socket, or gives it a route: socket, setsockopt, getsockopt; recvmsg and recvmmsg, by which one comes from elsewhere.

use super::fail;
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::judge::route::{self, OptionEffect};
use crate::judge::{peers, rings};
use crate::policy::verdict_cache;
use crate::process::state::{self, Role};
use crate::real::gate;
use crate::real::table::real;
use crate::{request, sys};
use core::ffi::{c_int, c_uint, c_void};

/// socket(2). Of one without ports, what was allowed of another says nothing.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let Some(real) = real::socket() else { return fail(libc::ENOSYS) };
    // SAFETY: takes no pointer.
    made(unsafe { real(domain, kind, protocol) }, domain, kind, protocol)
}

/// A socket was made, or an error is handed on.
pub(super) fn made(fd: c_int, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if fd >= 0 && matches!(domain, libc::AF_INET | libc::AF_INET6) && !sys::is_protocol_with_ports(kind, protocol) {
        verdict_cache::distrust();
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

/// Judges an option by which a socket goes elsewhere than its address says. On what is no socket it is the kernel's error, and
/// no event; another thread may make it one meanwhile, so the kernel does not get it.
#[cold]
#[inline(never)]
fn routed(fd: c_int, how: &'static str) -> Decision {
    match (state::role(), sys::no_socket(fd)) {
        (Role::Master, _) => Ok(()),
        (_, Some(errno)) => Err(Refused(errno)),
        _ => request::current(|served| judge::routed(Actor::This, served, how)),
    }
}

/// A copy of an option's value. The kernel gets the copy, so that no other thread can replace the value after the verdict.
pub(super) type OptionBuffer = [u8; route::OPTIONS_MAX];

/// Judges setsockopt; gives the value that the kernel is to have.
#[inline]
pub(super) fn may_set(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    len: libc::socklen_t,
    room: &mut OptionBuffer,
) -> Decision<*const c_void> {
    if route::may_set(level, option) { decide_value(fd, level, option, value, len, room) } else { Ok(value) }
}

#[cold]
#[inline(never)]
fn decide_value(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    len: libc::socklen_t,
    room: &mut OptionBuffer,
) -> Decision<*const c_void> {
    match route::set(level, option, len, room, |into| route::copy(value.cast(), into)) {
        OptionEffect::None => Ok(value),
        OptionEffect::NoneAsRead => Ok(room.as_ptr().cast()),
        OptionEffect::Elsewhere(how) => routed(fd, how).map(|()| value),
    }
}

/// Judges getsockopt.
#[inline]
pub(super) fn may_ask(fd: c_int, level: c_int, option: c_int) -> Decision {
    match route::asked(level, option) {
        None => Ok(()),
        Some(how) => routed(fd, how),
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
    let mut room = [0; route::OPTIONS_MAX];
    match may_set(fd, level, option, value, len, &mut room) {
        // SAFETY: as the caller promises, or `room`, of which no more is read than it has.
        Ok(value) => unsafe { gate::setsockopt(fd, level, option, value, len) },
        Err(Refused(errno)) => fail(errno),
    }
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
    if let Err(Refused(errno)) = may_ask(fd, level, option) {
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
    unsafe { came_with(real(fd, message, flags), message) }
}

/// Looks at the descriptors that came with a message of which so much was received.
///
/// # Safety
/// As recvmsg's, of a message that was received where `got` is no error.
pub(super) unsafe fn came_with(got: libc::ssize_t, message: *const libc::msghdr) -> libc::ssize_t {
    // SAFETY: the kernel has just written there.
    if got >= 0 && unsafe { (&raw const (*message).msg_controllen).read_unaligned() } > 0 {
        // SAFETY: as above.
        came(unsafe { message.read_unaligned() });
    }
    got
}

/// recvmmsg(2), likewise.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn recvmmsg(
    fd: c_int,
    messages: *mut libc::mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut libc::timespec,
) -> c_int {
    let Some(real) = real::recvmmsg() else { return fail(libc::ENOSYS) };
    // SAFETY: as the caller promises.
    unsafe { came_with_many(real(fd, messages, count, flags, timeout), messages) }
}

/// Looks at the descriptors that came with so many messages.
///
/// # Safety
/// As recvmmsg's.
pub(super) unsafe fn came_with_many(got: c_int, messages: *const libc::mmsghdr) -> c_int {
    for index in 0..usize::try_from(got).unwrap_or(0) {
        // SAFETY: the kernel has just written there; a mmsghdr begins with a msghdr.
        unsafe { came_with(0, messages.wrapping_add(index).cast()) };
    }
    got
}

#[cold]
#[inline(never)]
fn came(header: libc::msghdr) {
    route::each_descriptor(&header, |fd| {
        if sys::has_ports(fd) == Some(true) {
            peers::received(fd);
        } else {
            verdict_cache::distrust();
            rings::received(fd);
        }
    });
}
