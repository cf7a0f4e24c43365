//! What opens a port: listen, and bind of a datagram socket, which needs no listen.

use super::apart::{self, Call, as_kernel};
use super::{as_libc, fail};
use crate::action::{Actor, Decision, Refused};
use crate::judge;
use crate::process::state::{self, Role};
use crate::real::gate::{self, Way};
use crate::server::listeners;
use crate::sys::address::{Address, NOWHERE};
use crate::sys::{Unspecified, is_unspecified, unspecified};
use crate::{request, sys};
use core::ffi::c_int;
use core::net::IpAddr;
use portcullis_policy::{Rule, Unknown};

/// Judges the port of a socket.
fn decide(actor: Actor<'_>, fd: c_int, ip: IpAddr, port: u16) -> Decision {
    if listeners::is_masters(port) {
        return Ok(());
    }
    request::current(|served| judge::listen(actor, served, fd, ip, port))
}

/// Judges a socket that cannot be examined. What says that it is none has the kernel's error and no event; it may be one all the
/// same, so the kernel does not get it.
#[cold]
fn unexamined(actor: Actor<'_>, fd: c_int) -> Decision {
    if let Some(errno) = sys::no_socket(fd) {
        return Err(Refused(errno));
    }
    request::current(|served| judge::listen_unknown(actor, served, fd, Unknown::Socket))
}

/// Judges a socket that is to listen, by what it is bound to.
fn decide_to_listen(actor: Actor<'_>, fd: c_int) -> Decision {
    match sys::known_own_address(fd) {
        Ok(Some((ip, port))) => decide(actor, fd, ip, port),
        Ok(None) => Ok(()),
        Err(_) => unexamined(actor, fd),
    }
}

/// Makes a call whose verdict hangs on the socket.
#[cold]
#[inline(never)]
fn make_apart(
    way: Way,
    fd: c_int,
    judge: &dyn Fn(Actor<'_>) -> Decision,
    make: &dyn Fn(Way) -> Option<isize>,
) -> c_int {
    match (Call { way, waits: false, judge, make, unexamined: &|| unexamined(Actor::This, fd) }).run() {
        Ok(done) => as_libc(done),
        Err(Refused(errno)) => fail(errno),
    }
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
    if let Err(Refused(errno)) = decide_to_listen(Actor::This, fd) {
        return fail(errno);
    }
    if apart::is_needed(&[Rule::ListenPort]) {
        return make_apart(way, fd, &|actor| decide_to_listen(actor, fd), &|way| listen_as_bound(way, fd, backlog));
    }
    gate::listen(way, fd, backlog)
}

/// `listen` on the port that the socket is bound to when that is called; `None` where another thread has bound it to another
/// meanwhile.
fn listen_as_bound(way: Way, fd: c_int, backlog: c_int) -> Option<isize> {
    let before = sys::known_own_address(fd).ok()?;
    // Listening on no port binds it to one that the kernel chooses: that is done first, as another thread might choose it.
    if let Some((ip, 0)) = before
        && !sys::bind_to_any_port(fd, ip)
    {
        return None;
    }
    let bound = sys::known_own_address(fd).ok()?;
    let done = as_kernel(gate::listen(way, fd, backlog) as isize);
    let is_same = |after| after == bound && before.is_none_or(|(_, port)| port == 0 || after == before);
    if done == 0 && !sys::known_own_address(fd).is_ok_and(is_same) {
        sys::end_connection(fd);
        return None;
    }
    Some(done)
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
    let judge = |actor: Actor<'_>| match sys::known_stream(fd) {
        // It is judged, or remembered, when it listens.
        Some(true) => Ok(()),
        Some(false) if is_master => {
            listeners::remember_port(port);
            Ok(())
        }
        None if is_master => Ok(()),
        Some(false) => decide(actor, fd, ip, port),
        None => unexamined(actor, fd),
    };
    if let Err(Refused(errno)) = judge(Actor::This) {
        return fail(errno);
    }
    // SAFETY: as the caller promises.
    let bind = |way| unsafe { gate::bind(way, fd, copy.as_ptr(), len) };
    if !is_master && apart::is_needed(&[Rule::ListenPort]) {
        return make_apart(way, fd, &judge, &|way| Some(as_kernel(bind(way) as isize)));
    }
    bind(way)
}

/// The internet address that a socket is bound to by a copy. One without a family is 0.0.0.0 to sockets of v4, and to no
/// others anything (net/ipv4/af_inet.c); the kernel says so, and it is judged all the same.
fn bound(copy: &Address, len: libc::socklen_t) -> Option<(IpAddr, u16)> {
    let without_family =
        || is_unspecified(copy.head(), len as usize).then(|| unspecified(copy.head(), len as usize, Unspecified::V4));
    copy.internet(len).or_else(|| without_family().flatten().filter(|(ip, _)| ip.is_unspecified()))
}
