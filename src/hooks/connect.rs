//! connect.

use super::apart::as_kernel;
use super::egress::{Looked, anew, decide, is_dns, make_apart, to_pool};
use super::{as_libc, fail};
use crate::action::{Actor, Refused, SocketOperation};
use crate::judge::names;
use crate::process::state::{self, Role};
use crate::real::gate::{self, Way};
use crate::report::sink;
use crate::server::pools;
use crate::sys;
use crate::sys::address::{Address, NOWHERE};
use core::ffi::c_int;

/// connect(2).
///
/// # Safety
/// As libc's. NULL, and an address outside user space, gives EFAULT; another wild one faults, where the kernel would give
/// EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { connecting(Way::Libc, fd, address, len) }
}

/// Connects a socket.
///
/// # Safety
/// As [`connect`].
#[inline(always)]
pub(super) unsafe fn connecting(way: Way, fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    if state::role() == Role::Master {
        // SAFETY: as the caller promises.
        return unsafe { gate::connect(way, fd, address, len) };
    }
    // A sink that was handed down: bare, there is no such descriptor.
    if sink::may_hold(fd) && sink::is_kept(fd) {
        return fail(libc::EBADF);
    }
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: the kernel takes it for a fault, or does not read it.
        return unsafe { gate::connect(way, fd, NOWHERE.cast(), len) };
    }
    let looked = match decide(fd, &copy, len, SocketOperation::Connect) {
        Err(Refused(errno)) => return fail(errno),
        Ok(looked) => looked,
    };
    if looked == Looked::Afterwards {
        // SAFETY: as the caller promises.
        return unsafe { connect_local(way, fd, &copy, len) };
    }
    if looked == Looked::OnSocket {
        // SAFETY: as the caller promises.
        return unsafe { connect_apart(way, fd, &copy, len) };
    }
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    if is_dns(&copy, len) {
        names::asking(fd);
    }
    done
}

/// `connect` on the socket that is judged.
///
/// # Safety
/// The copy must have as many bytes.
#[cold]
unsafe fn connect_apart(way: Way, fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    let judge = |actor: Actor<'_>| anew(actor, fd, copy, len, SocketOperation::Connect).map(|_| ());
    // SAFETY: as the caller promises.
    let make = |way| Some(as_kernel(unsafe { gate::connect(way, fd, copy.as_ptr(), len) } as isize));
    let waits = sys::known_stream(fd) != Some(false);
    let done = match make_apart(way, fd, SocketOperation::Connect, waits, &judge, &make) {
        Ok(done) => as_libc(done),
        Err(Refused(errno)) => return fail(errno),
    };
    if is_dns(copy, len) {
        names::asking(fd);
    }
    done
}

/// Connects a local socket. The kernel says only then whose listener that is. Who is refused has a socket by which nothing
/// goes. Who puts another socket in its place meanwhile is refused at the listener, by the guard in the pool's worker.
///
/// # Safety
/// The copy must have as many bytes.
#[cold]
unsafe fn connect_local(way: Way, fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    if done == 0
        && let Some(Err(Refused(errno))) = to_pool(Actor::This, pools::is_masters(fd))
    {
        sys::end_connection(fd);
        return fail(errno);
    }
    done
}

/// `connect` by its other name.
///
/// # Safety
/// As [`connect`].
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn __connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { connect(fd, address, len) }
}
