//! What opens a port: listen, and bind of a datagram socket, which needs no listen.

use super::fail;
use crate::judge::{self, By, Decision, Refused};
use crate::state::{self, Role};
use crate::sys::ADDRESS_MAX;
use crate::{gate, listeners, request, sys};
use core::ffi::c_int;
use core::net::Ipv4Addr;

/// Judges the port of a socket.
fn judged(fd: c_int, ip: core::net::IpAddr, port: u16) -> Decision {
    if listeners::is_masters(port) {
        return Ok(());
    }
    request::current(|served| judge::listen(By::This, served, fd, ip, port))
}

/// listen(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    if state::role() == Role::Master {
        let done = gate::listen(fd, backlog);
        if done == 0 {
            listeners::remember(fd);
        }
        return done;
    }
    // A port that the kernel does not tell is none of the server's.
    let unknown = || Some((Ipv4Addr::UNSPECIFIED.into(), 0));
    if let Some((ip, port)) = sys::own_address(fd).unwrap_or_else(|_| unknown())
        && let Err(Refused(errno)) = judged(fd, ip, port)
    {
        return fail(errno);
    }
    gate::listen(fd, backlog)
}

/// bind(2).
///
/// # Safety
/// As libc's; a wild pointer gives EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn bind(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    let mut copy = [0_u64; ADDRESS_MAX / 8];
    let size = len as usize;
    if size > ADDRESS_MAX || !sys::readable(address as usize) || !sys::readable((address as usize).wrapping_add(size)) {
        // SAFETY: as the caller promises; the kernel checks the pointer.
        return unsafe { gate::bind(fd, address, len) };
    }
    // SAFETY: both ends are readable, and they fit.
    unsafe { core::ptr::copy_nonoverlapping(address.cast::<u8>(), copy.as_mut_ptr().cast(), size) };
    let mut bytes = [0_u8; ADDRESS_MAX];
    for (to, from) in bytes.chunks_exact_mut(8).zip(&copy) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    let datagram = || !sys::is_stream(fd);
    if let Some((ip, port)) = sys::internet(&bytes, size)
        && port != 0
        && datagram()
    {
        if state::role() == Role::Master {
            listeners::remember_port(port);
        } else if let Err(Refused(errno)) = judged(fd, ip, port) {
            return fail(errno);
        }
    }
    // SAFETY: the copy has as many bytes.
    unsafe { gate::bind(fd, copy.as_ptr().cast(), len) }
}
