//! What connects to a host, or binds a socket, inside libc and past every hook: rcmd, rexec and their kin. The host is a name that
//! libc resolves only then, so where it goes is not known.

use super::fail;
use crate::action::{Actor, Decision, Refused, SocketOperation};
use crate::judge;
use crate::process::state::{self, Role};
use crate::real::table::real;
use crate::{request, sys};
use core::ffi::{c_char, c_int};
use portcullis_policy::Unknown;

#[cold]
#[inline(never)]
fn decide() -> Decision {
    match state::role() {
        Role::Master => Ok(()),
        _ => request::current(|served| judge::unread(Actor::This, served, -1, SocketOperation::Connect)),
    }
}

macro_rules! remote {
    ($($(#[$doc:meta])* $name:ident ($($arg:ident: $type:ty),*);)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// As libc's.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            pub unsafe extern "C" fn $name($($arg: $type),*) -> c_int {
                let Some(real) = real::$name() else { return fail(libc::ENOSYS) };
                match decide() {
                    Err(Refused(errno)) => fail(errno),
                    // SAFETY: as the caller promises.
                    Ok(()) => unsafe { real($($arg),*) },
                }
            }
        )*
    };
}

remote! {
    /// rexec(3).
    rexec (host: *mut *mut c_char, port: c_int, user: *const c_char, password: *const c_char, command: *const c_char, other: *mut c_int);
    /// rexec_af(3).
    rexec_af (host: *mut *mut c_char, port: c_int, user: *const c_char, password: *const c_char, command: *const c_char, other: *mut c_int, family: u16);
    /// rcmd(3).
    rcmd (host: *mut *mut c_char, port: u16, own: *const c_char, user: *const c_char, command: *const c_char, other: *mut c_int);
    /// rcmd_af(3).
    rcmd_af (host: *mut *mut c_char, port: u16, own: *const c_char, user: *const c_char, command: *const c_char, other: *mut c_int, family: u16);
}

/// bindresvport(3): of a datagram socket, which needs no listen, it opens a port of libc's choice.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn bindresvport(fd: c_int, address: *mut libc::sockaddr_in) -> c_int {
    let Some(real) = real::bindresvport() else { return fail(libc::ENOSYS) };
    // What is no socket opens no port. Another thread may make it one meanwhile, so libc does not get it.
    match sys::no_socket(fd) {
        // SAFETY: as the caller promises.
        Some(libc::EBADF) => return unsafe { real(-1, address) },
        Some(errno) => {
            // SAFETY: as the caller promises.
            let family = (!address.is_null()).then(|| unsafe { (&raw const (*address).sin_family).read_unaligned() });
            // As glibc has it (sunrpc/bindrsvprt.c).
            let is_other = family.is_some_and(|family| i32::from(family) != libc::AF_INET);
            return fail(if is_other { libc::EAFNOSUPPORT } else { errno });
        }
        None => {}
    }
    if state::role() != Role::Master && sys::known_stream(fd) != Some(true) {
        let decide = |served: &request::ServedRequest| judge::listen_unknown(Actor::This, served, fd, Unknown::Address);
        if let Err(Refused(errno)) = request::current(decide) {
            return fail(errno);
        }
    }
    // SAFETY: as the caller promises.
    unsafe { real(fd, address) }
}
