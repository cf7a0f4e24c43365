//! The real calls behind the hooks of what the backstop looks at. Where that is on they are made without libc, so that
//! they carry the secret by which the kernel's filter knows that they were judged.

use crate::real::errno::{as_libc, as_libc_size, fail};
use crate::real::table::real;
use crate::sys::Vector;
use crate::sys::{self, secret};
use core::ffi::{c_char, c_int, c_void};

/// How a call goes on that was judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As the program made it: by libc's function, or that of the next preload.
    Libc,
    /// By the kernel: syscall(2) is no cancellation point, and no other library's function that may call it again.
    Kernel,
}

impl Way {
    /// Whether the function behind the hook makes the call.
    #[inline(always)]
    fn is_libcs(self) -> bool {
        self == Way::Libc && secret() == 0
    }
}

/// # Safety
/// As connect's.
#[inline(always)]
pub unsafe fn connect(way: Way, fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    if way.is_libcs()
        && let Some(real) = real::connect()
    {
        // SAFETY: as the caller promises.
        return unsafe { real(fd, address, len) };
    }
    // SAFETY: as the caller promises.
    as_libc(unsafe { sys::on_behalf(libc::SYS_connect, [fd as usize, address as usize, len as usize, 0, 0]) })
}

/// # Safety
/// As setsockopt's.
#[inline]
pub unsafe fn setsockopt(fd: c_int, level: c_int, option: c_int, value: *const c_void, len: libc::socklen_t) -> c_int {
    if secret() == 0
        && let Some(real) = real::setsockopt()
    {
        // SAFETY: as the caller promises.
        return unsafe { real(fd, level, option, value, len) };
    }
    let args = [fd as usize, level as usize, option as usize, value as usize, len as usize];
    // SAFETY: as the caller promises.
    as_libc(unsafe { sys::on_behalf(libc::SYS_setsockopt, args) })
}

/// # Safety
/// As getsockopt's.
#[inline]
pub unsafe fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    len: *mut libc::socklen_t,
) -> c_int {
    if secret() == 0
        && let Some(real) = real::getsockopt()
    {
        // SAFETY: as the caller promises.
        return unsafe { real(fd, level, option, value, len) };
    }
    let args = [fd as usize, level as usize, option as usize, value as usize, len as usize];
    // SAFETY: as the caller promises.
    as_libc(unsafe { sys::on_behalf(libc::SYS_getsockopt, args) })
}

/// # Safety
/// As sendto's.
#[inline(always)]
pub unsafe fn sendto(
    way: Way,
    fd: c_int,
    buffer: *const c_void,
    size: libc::size_t,
    flags: c_int,
    address: *const libc::sockaddr,
    len: libc::socklen_t,
) -> libc::ssize_t {
    // What is no address the kernel refuses, and sendmsg does not always refuse it in the same way.
    let is_address = !address.is_null() && (sys::V4_MIN..=sys::ADDRESS_MAX).contains(&(len as usize));
    // Who has forbidden itself sendmsg sends as it means to, and the supervisor judges that as well.
    if secret() != 0 && is_address && sys::lets(libc::SYS_sendmsg, [fd as usize, 0, flags as usize, 0, 0, 0]) {
        // sendto has no argument to spare for the secret. It cuts a size that is too large (MAX_RW_COUNT), and takes no notice of
        // the flag of another architecture's control messages (MSG_CMSG_COMPAT); sendmsg refuses both.
        const SIZE_MAX: usize = 0x7fff_f000;
        let flags = flags & c_int::MAX;
        let piece = [buffer as usize, size.min(SIZE_MAX)];
        let header: [usize; 7] = [address as usize, len as usize, piece.as_ptr() as usize, 1, 0, 0, 0];
        let args = [fd as usize, header.as_ptr() as usize, flags as usize, 0, 0];
        // SAFETY: a msghdr is seven words on 64-bit Linux; what it points to is as the caller promises.
        return as_libc_size(unsafe { sys::on_behalf(libc::SYS_sendmsg, args) });
    }
    match (way, real::sendto()) {
        // SAFETY: as the caller promises.
        (Way::Libc, Some(real)) => unsafe { real(fd, buffer, size, flags, address, len) },
        _ => {
            let args = [fd as usize, buffer as usize, size, flags as usize, address as usize, len as usize];
            // SAFETY: as the caller promises.
            as_libc_size(unsafe { sys::any(libc::SYS_sendto, args) })
        }
    }
}

/// # Safety
/// As sendmsg's.
#[inline(always)]
pub unsafe fn sendmsg(way: Way, fd: c_int, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    match (way.is_libcs(), real::sendmsg()) {
        // SAFETY: as the caller promises.
        (true, Some(real)) => unsafe { real(fd, message, flags) },
        // SAFETY: as the caller promises.
        _ => as_libc_size(unsafe {
            sys::on_behalf(libc::SYS_sendmsg, [fd as usize, message as usize, flags as usize, 0, 0])
        }),
    }
}

/// # Safety
/// As sendmmsg's.
#[inline(always)]
pub unsafe fn sendmmsg(way: Way, fd: c_int, messages: *mut libc::mmsghdr, count: u32, flags: c_int) -> c_int {
    match (way.is_libcs(), real::sendmmsg()) {
        // SAFETY: as the caller promises.
        (true, Some(real)) => unsafe { real(fd, messages, count, flags) },
        _ => {
            let args = [fd as usize, messages as usize, count as usize, flags as usize, 0];
            // SAFETY: as the caller promises.
            as_libc(unsafe { sys::on_behalf(libc::SYS_sendmmsg, args) })
        }
    }
}

/// # Safety
/// As bind's.
#[inline(always)]
pub unsafe fn bind(way: Way, fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    match (way.is_libcs(), real::bind()) {
        // SAFETY: as the caller promises.
        (true, Some(real)) => unsafe { real(fd, address, len) },
        // SAFETY: as the caller promises.
        _ => as_libc(unsafe { sys::on_behalf(libc::SYS_bind, [fd as usize, address as usize, len as usize, 0, 0]) }),
    }
}

/// listen(2).
pub fn listen(way: Way, fd: c_int, backlog: c_int) -> c_int {
    match (way.is_libcs(), real::listen()) {
        // SAFETY: takes no pointer.
        (true, Some(real)) => unsafe { real(fd, backlog) },
        // SAFETY: takes no pointer.
        _ => as_libc(unsafe { sys::on_behalf(libc::SYS_listen, [fd as usize, backlog as usize, 0, 0, 0]) }),
    }
}

/// # Safety
/// As execve's; the kernel checks every pointer.
pub unsafe fn execve(way: Way, path: *const c_char, argv: Vector, envp: Vector) -> c_int {
    match (way.is_libcs(), real::execve()) {
        // SAFETY: as the caller promises.
        (true, Some(real)) => unsafe { real(path, argv.cast(), envp.cast()) },
        // SAFETY: as the caller promises.
        _ => as_libc(unsafe { sys::on_behalf(libc::SYS_execve, [path as usize, argv as usize, envp as usize, 0, 0]) }),
    }
}

/// # Safety
/// As execveat's.
pub unsafe fn execveat(way: Way, at: c_int, path: *const c_char, argv: Vector, envp: Vector, flags: c_int) -> c_int {
    match (way.is_libcs(), real::execveat()) {
        // SAFETY: as the caller promises.
        (true, Some(real)) => unsafe { real(at, path, argv.cast(), envp.cast(), flags) },
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
        _ => unsafe { execveat(Way::Kernel, fd, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH) },
    }
}
