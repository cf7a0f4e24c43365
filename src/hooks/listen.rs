//! What opens a port: listen, and bind of a datagram socket, which needs no listen.

use super::fail;
use super::held::Held;
use crate::address::{Address, NOWHERE};
use crate::gate::{self, Way};
use crate::judge::{self, By, Decision, Refused};
use crate::state::{self, Role};
use crate::sys::{Unspecified, is_unspecified, unspecified};
use crate::{listeners, request, sys};
use core::ffi::c_int;
use core::net::IpAddr;
use portcullis_policy::{Rule, Unknown};

/// Judges the port of a socket.
fn judged(fd: c_int, ip: IpAddr, port: u16) -> Decision {
    if listeners::is_masters(port) {
        return Ok(());
    }
    request::current(|served| judge::listen(By::This, served, fd, ip, port))
}

/// Judges a socket that cannot be examined.
#[cold]
fn unexamined(fd: c_int) -> Decision {
    request::current(|served| judge::listen_unknown(By::This, served, fd, Unknown::Socket))
}

/// listen(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    listening(Way::Libc, fd, backlog)
}

/// Lets a socket listen.
#[inline(always)]
pub(super) fn listening(way: Way, fd: c_int, backlog: c_int) -> c_int {
    if state::role() == Role::Master {
        let done = gate::listen(way, fd, backlog);
        if done == 0 {
            listeners::remember(fd);
        }
        return done;
    }
    let held = Held::of(fd, &[Rule::ListenPort]);
    let decision = match held.as_ref().map(|held| sys::known_own_address(held.at())) {
        Some(Ok(Some((ip, port)))) => judged(fd, ip, port),
        Some(Ok(None)) => Ok(()),
        Some(Err(_)) | None => unexamined(fd),
    };
    if let Err(Refused(errno)) = decision {
        return fail(errno);
    }
    gate::listen(way, held.as_ref().map_or(fd, Held::at), backlog)
}

/// bind(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn bind(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    binding(Way::Libc, fd, address, len)
}

/// Binds a socket.
#[inline(never)]
pub(super) fn binding(way: Way, fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    let mut copy = Address::none();
    if !copy.copy_wild(address.cast(), len) {
        // SAFETY: the kernel takes it for a fault, or does not read it.
        return unsafe { gate::bind(way, fd, NOWHERE.cast(), len) };
    }
    match bound(&copy, len) {
        Some((ip, port)) if port != 0 => {
            // SAFETY: as the caller promises.
            unsafe { bind_port(way, fd, &copy, len, ip, port) }
        }
        // SAFETY: the copy has as many bytes.
        _ => unsafe { gate::bind(way, fd, copy.as_ptr(), len) },
    }
}

/// `bind` to a port of the internet.
///
/// # Safety
/// The copy must have as many bytes.
#[inline(never)]
unsafe fn bind_port(way: Way, fd: c_int, copy: &Address, len: libc::socklen_t, ip: IpAddr, port: u16) -> c_int {
    let is_master = state::role() == Role::Master;
    let held = if is_master { None } else { Held::of(fd, &[Rule::ListenPort]) };
    let stream = match &held {
        None if !is_master => None,
        held => sys::known_stream(held.as_ref().map_or(fd, Held::at)),
    };
    let decision = match stream {
        // It is judged, or remembered, when it listens.
        Some(true) => Ok(()),
        Some(false) if is_master => {
            listeners::remember_port(port);
            Ok(())
        }
        None if is_master => Ok(()),
        Some(false) => judged(fd, ip, port),
        None => unexamined(fd),
    };
    if let Err(Refused(errno)) = decision {
        return fail(errno);
    }
    // SAFETY: as the caller promises.
    unsafe { gate::bind(way, held.as_ref().map_or(fd, Held::at), copy.as_ptr(), len) }
}

/// The internet address that a socket is bound to by a copy. One without a family is 0.0.0.0 to sockets of v4, and to no
/// others anything (net/ipv4/af_inet.c); the kernel says so, and it is judged all the same.
fn bound(copy: &Address, len: libc::socklen_t) -> Option<(IpAddr, u16)> {
    let without_family =
        || is_unspecified(copy.head(), len as usize).then(|| unspecified(copy.head(), len as usize, Unspecified::V4));
    copy.internet(len).or_else(|| without_family().flatten().filter(|(ip, _)| ip.is_unspecified()))
}
