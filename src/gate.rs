//! The real calls behind the hooks of what the backstop looks at. Where that is on they are made without libc, so that
//! they carry the secret by which the kernel's filter knows that they were judged.

use crate::environment::Vector;
use crate::hooks::table::real;
use crate::hooks::{as_libc, as_libc_size, fail};
use crate::sys::{self, secret};
use core::ffi::{c_char, c_int, c_void};

/// # Safety
/// As connect's.
#[inline]
pub unsafe fn connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    if secret() == 0
        && let Some(real) = real::connect()
    {
        // SAFETY: as the caller promises.
        return unsafe { real(fd, address, len) };
    }
    // SAFETY: as the caller promises.
    as_libc(unsafe { sys::on_behalf(libc::SYS_connect, [fd as usize, address as usize, len as usize, 0, 0]) })
}

/// What sendto takes and sendmsg does not: a longer size is this one to it (MAX_RW_COUNT), and the flag (MSG_CMSG_COMPAT) nothing.
const PIECE_MAX: usize = 0x7fff_f000;
const COMPAT: c_int = c_int::MIN;

/// # Safety
/// As sendto's.
#[inline]
pub unsafe fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    // What is no address the kernel refuses, and sendmsg does not always refuse it in the same way.
    let is_address = !address.is_null() && (sys::V4_MIN..=sys::ADDRESS_MAX).contains(&(len as usize));
    if secret() != 0 && is_address {
        // sendto has no argument to spare for the secret.
        let piece = [buffer as usize, size.min(PIECE_MAX)];
        let header: [usize; 7] = [address as usize, len as usize, piece.as_ptr() as usize, 1, 0, 0, 0];
        let args = [fd as usize, header.as_ptr() as usize, (flags & !COMPAT) as usize, 0, 0];
        // SAFETY: a msghdr is seven words on 64-bit Linux; what it points to is as the caller promises.
        return as_libc_size(unsafe { sys::on_behalf(libc::SYS_sendmsg, args) });
    }
    match real::sendto() {
        // SAFETY: as the caller promises.
        Some(real) => unsafe { real(fd, buffer, size, flags, address, len) },
        None => fail(libc::ENOSYS) as libc::ssize_t,
    }
}

/// # Safety
/// As sendmsg's.
#[inline]
pub unsafe fn sendmsg(fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    match (secret(), real::sendmsg()) {
        // SAFETY: as the caller promises.
        (0, Some(real)) => unsafe { real(fd, message, flags) },
        // SAFETY: as the caller promises.
        _ => as_libc_size(unsafe {
            sys::on_behalf(libc::SYS_sendmsg, [fd as usize, message as usize, flags as usize, 0, 0])
        }),
    }
}

/// # Safety
/// As sendmmsg's.
#[inline]
pub unsafe fn sendmmsg(fd: c_int, messages: *mut libc::mmsghdr, count: u32, flags: c_int) -> c_int {
    match (secret(), real::sendmmsg()) {
        // SAFETY: as the caller promises.
        (0, Some(real)) => unsafe { real(fd, messages, count, flags) },
        _ => {
            let args = [fd as usize, messages as usize, count as usize, flags as usize, 0];
            // SAFETY: as the caller promises.
            as_libc(unsafe { sys::on_behalf(libc::SYS_sendmmsg, args) })
        }
    }
}

/// # Safety
/// As bind's.
pub unsafe fn bind(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    match (secret(), real::bind()) {
        // SAFETY: as the caller promises.
        (0, Some(real)) => unsafe { real(fd, address, len) },
        // SAFETY: as the caller promises.
        _ => as_libc(unsafe { sys::on_behalf(libc::SYS_bind, [fd as usize, address as usize, len as usize, 0, 0]) }),
    }
}

/// listen(2).
pub fn listen(fd: c_int, backlog: c_int) -> c_int {
    match (secret(), real::listen()) {
        // SAFETY: takes no pointer.
        (0, Some(real)) => unsafe { real(fd, backlog) },
        // SAFETY: takes no pointer.
        _ => as_libc(unsafe { sys::on_behalf(libc::SYS_listen, [fd as usize, backlog as usize, 0, 0, 0]) }),
    }
}

/// # Safety
/// As execve's; the kernel checks every pointer.
pub unsafe fn execve(path: *const c_char, argv: Vector, envp: Vector) -> c_int {
    match (secret(), real::execve()) {
        // SAFETY: as the caller promises.
        (0, Some(real)) => unsafe { real(path, argv.cast(), envp.cast()) },
        // SAFETY: as the caller promises.
        _ => as_libc(unsafe { sys::on_behalf(libc::SYS_execve, [path as usize, argv as usize, envp as usize, 0, 0]) }),
    }
}

/// # Safety
/// As execveat's.
pub unsafe fn execveat(at: c_int, path: *const c_char, argv: Vector, envp: Vector, flags: c_int) -> c_int {
    match (secret(), real::execveat()) {
        // SAFETY: as the caller promises.
        (0, Some(real)) => unsafe { real(at, path, argv.cast(), envp.cast(), flags) },
        _ => {
            let args = [at as usize, path as usize, argv as usize, envp as usize, flags as usize];
            // SAFETY: as the caller promises.
            as_libc(unsafe { sys::on_behalf(libc::SYS_execveat, args) })
        }
    }
}

/// # Safety
/// As fexecve's.
pub unsafe fn fexecve(fd: c_int, argv: Vector, envp: Vector) -> c_int {
    match (secret(), real::fexecve()) {
        // SAFETY: as the caller promises.
        (0, Some(real)) => unsafe { real(fd, argv.cast(), envp.cast()) },
        // As glibc has it (sysdeps/unix/sysv/linux/fexecve.c).
        _ if fd < 0 || argv.is_null() || envp.is_null() => fail(libc::EINVAL),
        // SAFETY: as the caller promises; the path is a C string.
        _ => unsafe { execveat(fd, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH) },
    }
}
