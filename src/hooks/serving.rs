//! What shows whom a process serves (accept and read), and what name servers answer it (recv and recvfrom).

use super::{as_libc_size, fail};
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::judge::names;
use crate::judge::rings;
use crate::policy::{in_force, load};
use crate::process::stack;
use crate::process::state;
use crate::real::table::real;
use crate::report::fallback;
use crate::report::{counters, emit, merge};
use crate::server::{listeners, pools};
use crate::{request, sys};
use core::ffi::{c_int, c_void};
use portcullis_policy::{Rule, Unknown};

/// accept(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn accept(fd: c_int, address: *mut libc::sockaddr, len: *mut libc::socklen_t) -> c_int {
    let Some(real) = real::accept() else { return fail(libc::ENOSYS) };
    if let Err(Refused(errno)) = accepting(fd) {
        return fail(errno);
    }
    // SAFETY: as the caller promises.
    accepted(fd, unsafe { real(fd, address, len) })
}

/// Before a connection is taken from a listener.
#[inline(always)]
pub(super) fn accepting(listener: c_int) -> Decision {
    taken(listener)?;
    if request::idle(listener) {
        unseen();
    }
    merge::say_due();
    Ok(())
}

/// Says once that PHP-FPM has served a connection, and none of its reads was seen.
#[cold]
#[inline(never)]
fn unseen() {
    if counters::unseen() {
        emit::guard_on(&in_force::policy(), UNSEEN, Some(Unknown::Request));
    }
}

const UNSEEN: &str = "requests are not seen: PHP-FPM reads them by a call that is not hooked; what is done for them is \
                      evaluated by the strictest policy of all virtual hosts";

/// After one was, or was not.
#[inline(always)]
pub(super) fn accepted(listener: c_int, accepted: c_int) -> c_int {
    #[cfg(feature = "prove-panic")]
    assert!(accepted < i32::MAX - 1);
    if accepted >= 0 {
        serve(listener, accepted);
    }
    accepted
}

/// accept4(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
    flags: c_int,
) -> c_int {
    let Some(real) = real::accept4() else { return fail(libc::ENOSYS) };
    if let Err(Refused(errno)) = accepting(fd) {
        return fail(errno);
    }
    // SAFETY: as the caller promises.
    accepted(fd, unsafe { real(fd, address, len, flags) })
}

/// Judges a program that takes connections from the listener of the pool that it was started in.
#[inline]
fn taken(listener: c_int) -> Decision {
    if !pools::any() || state::role() != state::Role::Descendant {
        return Ok(());
    }
    let is_pools = match pools::is_masters(listener) {
        Some(false) => match sys::own_address(listener) {
            Ok(Some((_, port))) => pools::is_masters_port(port),
            Ok(None) => Some(false),
            Err(_) => None,
        },
        known => known,
    };
    let unknown = match is_pools {
        Some(false) => return Ok(()),
        Some(true) => None,
        None => Some(Unknown::Socket),
    };
    let how = b"an accept on a listener of PHP-FPM's";
    request::current(|served| judge::plain(Rule::FpmSocket, Actor::This, served, unknown, how))
}

/// The master takes its first connection: it serves from now on.
#[cold]
#[inline(never)]
fn begin(listener: c_int) {
    fallback::report(load::verify_checksum_once());
    listeners::remember_all();
    listeners::remember(listener);
    crate::child::environment::remember_start();
    state::set_role(state::Role::Serving);
    names::settle();
    counters::spread();
    rings::serving();
    request::cgi::serving(listener);
    crate::backstop::serving();
}

fn serve(listener: c_int, accepted: c_int) {
    if state::role() == state::Role::Master {
        stack::on(|| begin(listener));
        stack::shrink();
    }
    request::accepted(listener, accepted);
    counters::accepted();
}

/// read(2). What a worker reads from the connection that it accepted may be a FastCGI request, which may be refused.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, size: libc::size_t) -> libc::ssize_t {
    match crate::real::table::found_read() {
        // Nearly every read is of another descriptor, and goes on by a jump.
        // SAFETY: as the caller promises.
        Some(real) if !request::watched(fd) => unsafe { real(fd, buffer, size) },
        // SAFETY: as the caller promises.
        _ => unsafe { read_watched(fd, buffer, size) },
    }
}

/// `read` of a descriptor that is looked at. Its own function, so that all others need no room on the stack.
///
/// # Safety
/// As [`read`].
#[inline(never)]
unsafe fn read_watched(fd: c_int, buffer: *mut c_void, size: libc::size_t) -> libc::ssize_t {
    let Some(real) = real::read() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises; the kernel has written them.
    unsafe { was_read(fd, buffer, real(fd, buffer, size), size) }
}

/// Looks at what was read of a descriptor that is looked at.
///
/// # Safety
/// `buffer` must have `got` bytes.
#[inline(always)]
pub(super) unsafe fn was_read(fd: c_int, buffer: *mut c_void, got: libc::ssize_t, size: libc::size_t) -> libc::ssize_t {
    if !request::watched(fd) {
        return got;
    }
    if got <= 0 {
        request::looked_at();
        return got;
    }
    // SAFETY: as the caller promises.
    match judge::fed(request::fed(fd, unsafe { bytes(buffer, got) }, size)) {
        Ok(()) => got,
        Err(Refused(errno)) => fail(errno) as libc::ssize_t,
    }
}

/// `read` by its other name.
///
/// # Safety
/// As [`read`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __read(fd: c_int, buffer: *mut c_void, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { read(fd, buffer, size) }
}

/// `read` as `_FORTIFY_SOURCE` calls it, with the size of the buffer behind the number of bytes.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __read_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: libc::size_t,
    room: libc::size_t,
) -> libc::ssize_t {
    let Some(real) = real::__read_chk() else { return fail(libc::ENOSYS) as libc::ssize_t };
    if !request::watched(fd) {
        // SAFETY: as the caller promises.
        return unsafe { real(fd, buffer, size, room) };
    }
    // SAFETY: as the caller promises; the kernel has written them.
    unsafe { was_read(fd, buffer, real(fd, buffer, size, room), size) }
}

/// `read` as glibc itself calls it where that is no cancellation point.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __read_nocancel(fd: c_int, buffer: *mut c_void, size: libc::size_t) -> libc::ssize_t {
    // SAFETY: as the caller promises; the kernel has written what it says.
    unsafe {
        let got = as_libc_size(sys::any(libc::SYS_read, [fd as usize, buffer as usize, size, 0, 0, 0]));
        was_read(fd, buffer, got, size)
    }
}

/// # Safety
/// `buffer` must have `got` bytes.
unsafe fn bytes<'b>(buffer: *mut c_void, got: libc::ssize_t) -> &'b [u8] {
    // SAFETY: as the caller promises.
    unsafe { core::slice::from_raw_parts(buffer.cast::<u8>(), got.cast_unsigned()) }
}

/// Looks at what was received, where a name server was asked on this descriptor.
///
/// # Safety
/// `buffer` must have `got` bytes.
#[inline(never)]
unsafe fn received(fd: c_int, buffer: *mut c_void, got: libc::ssize_t, size: libc::size_t) {
    // With MSG_TRUNC the kernel says how much there was.
    if got > 0 && got.cast_unsigned() <= size {
        // SAFETY: as the caller promises.
        let bytes = unsafe { bytes(buffer, got) };
        request::current(|served| names::answered(served.scope, fd, bytes));
    }
}

/// Receives, and looks at what was received where a name server was asked. A function that is called with the caller's
/// arguments and no more than that is a jump.
macro_rules! receives {
    ($fd:ident, $buffer:ident, $size:ident, $call:expr) => {{
        if !names::is_asking($fd) {
            return $call;
        }
        let got = $call;
        received($fd, $buffer, got, $size);
        got
    }};
}

/// The same behind the call.
///
/// # Safety
/// `buffer` must have `got` bytes.
pub(super) unsafe fn was_received(fd: c_int, buffer: *mut c_void, got: libc::ssize_t, size: libc::size_t) {
    if names::is_asking(fd) {
        // SAFETY: as the caller promises.
        unsafe { received(fd, buffer, got, size) };
    }
}

/// recv(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, size: libc::size_t, flags: c_int) -> libc::ssize_t {
    let Some(real) = real::recv() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises.
    unsafe { receives!(fd, buffer, size, real(fd, buffer, size, flags)) }
}

/// `recv` by its other name.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __recv(fd: c_int, buffer: *mut c_void, size: libc::size_t, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { recv(fd, buffer, size, flags) }
}

/// recvfrom(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    size: libc::size_t,
    flags: c_int,
    address: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
) -> libc::ssize_t {
    let Some(real) = real::recvfrom() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises.
    unsafe { receives!(fd, buffer, size, real(fd, buffer, size, flags, address, len)) }
}

/// recv as `_FORTIFY_SOURCE` calls it, with the size of the buffer behind the number of bytes.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __recv_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: libc::size_t,
    room: libc::size_t,
    flags: c_int,
) -> libc::ssize_t {
    let Some(real) = real::__recv_chk() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises.
    unsafe { receives!(fd, buffer, size, real(fd, buffer, size, room, flags)) }
}

/// recvfrom as `_FORTIFY_SOURCE` calls it.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: libc::size_t,
    room: libc::size_t,
    flags: c_int,
    address: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
) -> libc::ssize_t {
    let Some(real) = real::__recvfrom_chk() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises.
    unsafe { receives!(fd, buffer, size, real(fd, buffer, size, room, flags, address, len)) }
}
