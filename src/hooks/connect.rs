//! connect.

use super::apart;
use super::egress::{Looked, anew, is_dns, judged, make_apart, to_pool};
use super::{as_libc, fail};
use crate::address::{Address, NOWHERE};
use crate::gate::{self, Way};
use crate::judge::{By, Deed, Refused};
use crate::state::{self, Role};
use crate::{names, pools, sys};
use core::ffi::c_int;
use portcullis_policy::Rule;

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
    let mut copy = Address::none();
    // SAFETY: as the caller promises.
    if !unsafe { copy.copy(address.cast(), len) } {
        // SAFETY: the kernel takes it for a fault, or does not read it.
        return unsafe { gate::connect(way, fd, NOWHERE.cast(), len) };
    }
    let looked = match judged(fd, &copy, len, Deed::Connect) {
        Err(Refused(errno)) => return fail(errno),
        Ok(looked) => looked,
    };
    if looked == Looked::Afterwards {
        // SAFETY: as the caller promises.
        return unsafe { connect_local(way, fd, &copy, len) };
    }
    if looked == Looked::OnSocket {
        // SAFETY: as the caller promises.
        return unsafe { connect_apart(fd, &copy, len) };
    }
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    if is_dns(&copy, len) {
        names::asking(fd);
    }
    done
}

/// `connect` on the socket that is judged, in the child.
///
/// # Safety
/// The copy must have as many bytes.
#[cold]
unsafe fn connect_apart(fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    let judge = |by: By<'_>| anew(by, fd, copy, len, Deed::Connect).map(|_| ());
    // SAFETY: as the caller promises.
    let make = || Some(unsafe { gate::connect_raw(fd, copy.as_ptr(), len) });
    let done = match make_apart(fd, Deed::Connect, &judge, &make) {
        Ok(done) => as_libc(done),
        Err(Refused(errno)) => return fail(errno),
    };
    if is_dns(copy, len) {
        names::asking(fd);
    }
    done
}

/// Connects a local socket. The kernel says only then whose listener that is. Who is refused has a socket by which nothing
/// goes.
///
/// # Safety
/// The copy must have as many bytes.
#[cold]
unsafe fn connect_local(way: Way, fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    if apart::is_needed(&[Rule::FpmSocket]) {
        // SAFETY: as the caller promises.
        return unsafe { connect_local_apart(fd, copy, len) };
    }
    // SAFETY: the copy has as many bytes.
    let done = unsafe { gate::connect(way, fd, copy.as_ptr(), len) };
    if done == 0
        && let Some(Err(Refused(errno))) = to_pool(By::This, pools::is_masters(fd))
    {
        sys::end_connection(fd);
        return fail(errno);
    }
    done
}

/// The same, where another thread could put another socket in its place.
///
/// # Safety
/// As [`connect_local`].
unsafe fn connect_local_apart(fd: c_int, copy: &Address, len: libc::socklen_t) -> c_int {
    const POOL: isize = -4096;
    const PERHAPS: isize = -4097;
    let make = || {
        // SAFETY: as the caller promises.
        let done = unsafe { gate::connect_raw(fd, copy.as_ptr(), len) };
        let is_pools = if done == 0 { pools::is_masters(fd) } else { Some(false) };
        if let Some(Err(_)) = to_pool(By::Again, is_pools) {
            sys::end_connection(fd);
        }
        Some(match is_pools {
            Some(false) => done,
            Some(true) => POOL,
            None => PERHAPS,
        })
    };
    match make_apart(fd, Deed::Connect, &|_| Ok(()), &make) {
        Err(Refused(errno)) => fail(errno),
        Ok(is @ (POOL | PERHAPS)) => match to_pool(By::This, (is == POOL).then_some(true)) {
            Some(Err(Refused(errno))) => fail(errno),
            _ => 0,
        },
        Ok(done) => as_libc(done),
    }
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
