//! connect; and what shows whom a process serves: accept and read.

use super::table::real;
use super::{as_libc, fail};
use crate::state::{self, Role};
use crate::{judge, request, sys};
use core::ffi::{c_int, c_void};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest address that Linux takes: `sizeof(struct sockaddr_storage)`.
const ADDRESS_MAX: usize = 128;
/// The shortest v6 address that Linux takes, without the scope id (SIN6_LEN_RFC2133).
const V6_MIN: usize = 24;
const V4_MIN: usize = 16;

/// connect(2).
///
/// # Safety
/// As libc's. NULL, and an address outside user space, gives EFAULT; another wild one faults, where the kernel would give
/// EFAULT.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn connect(fd: c_int, address: *const libc::sockaddr, len: libc::socklen_t) -> c_int {
    let real = |address: *const libc::sockaddr| match real::connect() {
        // SAFETY: as the caller promises.
        Some(real) => unsafe { real(fd, address, len) },
        // SAFETY: as the caller promises.
        None => as_libc(unsafe { sys::connect(fd, address.cast(), len) }),
    };
    let (at, size) = (address as usize, len as usize);
    if state::role() == Role::Master || !(V4_MIN..=ADDRESS_MAX).contains(&size) || !plausible(at) {
        return real(address);
    }
    let mut copy = Aligned([0; ADDRESS_MAX]);
    // SAFETY: the caller promises that many bytes, and they fit. What is judged and what is used is this copy.
    unsafe { core::ptr::copy_nonoverlapping(address.cast::<u8>(), copy.0.as_mut_ptr(), size) };
    if let Some((ip, port)) = internet(&copy.0, size)
        && let Some(errno) = judge::connect(fd, ip, port)
    {
        return fail(errno);
    }
    real(copy.0.as_ptr().cast())
}

#[repr(align(8))]
struct Aligned([u8; ADDRESS_MAX]);

/// Whether an address can be read without asking: it lies where programs have their memory. Elsewhere (the first page,
/// the far end of a large address space, the kernel's half) the kernel is asked, which costs a system call.
fn plausible(at: usize) -> bool {
    const END: usize = if cfg!(target_arch = "x86_64") { 1 << 47 } else { 1 << 48 };
    (4096..END - ADDRESS_MAX).contains(&at) || sys::readable(at)
}

/// The address and port of an internet address that the kernel would take.
fn internet(bytes: &[u8; ADDRESS_MAX], len: usize) -> Option<(IpAddr, u16)> {
    let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match family {
        libc::AF_INET => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        libc::AF_INET6 if len >= V6_MIN => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((IpAddr::V6(Ipv6Addr::from(octets)), port))
        }
        _ => None,
    }
}

/// accept(2).
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn accept(fd: c_int, address: *mut libc::sockaddr, len: *mut libc::socklen_t) -> c_int {
    let Some(real) = real::accept() else { return fail(libc::ENOSYS) };
    request::idle(fd);
    // SAFETY: as the caller promises.
    let accepted = unsafe { real(fd, address, len) };
    #[cfg(feature = "prove-panic")]
    assert!(accepted < i32::MAX - 1);
    if accepted >= 0 {
        state::accepted();
        request::accepted(fd, accepted);
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
    request::idle(fd);
    // SAFETY: as the caller promises.
    let accepted = unsafe { real(fd, address, len, flags) };
    if accepted >= 0 {
        state::accepted();
        request::accepted(fd, accepted);
    }
    accepted
}

/// read(2). What a worker reads from the connection that it accepted may be a FastCGI request.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, size: libc::size_t) -> libc::ssize_t {
    let Some(real) = real::read() else { return fail(libc::ENOSYS) as libc::ssize_t };
    // SAFETY: as the caller promises.
    let got = unsafe { real(fd, buffer, size) };
    if got > 0 && request::watched(fd) {
        // SAFETY: the kernel has just written that many bytes there.
        request::fed(fd, unsafe { core::slice::from_raw_parts(buffer.cast::<u8>(), got.cast_unsigned()) });
    }
    got
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(family: i32, rest: &[u8]) -> [u8; ADDRESS_MAX] {
        let mut out = [0; ADDRESS_MAX];
        out[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        out[2..2 + rest.len()].copy_from_slice(rest);
        out
    }

    #[test]
    fn internet_addresses_are_read_as_the_kernel_reads_them() {
        let v4 = bytes(libc::AF_INET, &[0x11, 0x5c, 192, 88, 1, 10]);
        assert_eq!(internet(&v4, 16), Some(("192.88.1.10".parse().unwrap(), 4444)));
        let v6 = bytes(libc::AF_INET6, &[0, 80, 0, 0, 0, 0, 0x20, 1]);
        assert_eq!(internet(&v6, 28), Some(("2001::".parse().unwrap(), 80)));
        assert_eq!(internet(&v6, 24), Some(("2001::".parse().unwrap(), 80)));
        assert_eq!(internet(&v6, 23), None);
        assert_eq!(internet(&bytes(libc::AF_UNIX, b"/x"), 16), None);
        assert_eq!(internet(&bytes(libc::AF_UNSPEC, &[]), 16), None);
    }
}
