//! Sockets.

use super::raw::syscall;
use super::{Fd, result};
use core::ffi::c_void;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest address that Linux takes: `sizeof(struct sockaddr_storage)`.
pub const ADDRESS_MAX: usize = 128;
/// The shortest v4 address that Linux takes.
pub const V4_MIN: usize = 16;
/// The shortest v6 address that Linux takes, without the scope id (SIN6_LEN_RFC2133).
const V6_MIN: usize = 24;

/// `send` that never waits.
pub fn send_bytes(fd: i32, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let args = [fd as usize, bytes.as_ptr() as usize, bytes.len(), flags as usize, 0, 0];
    // SAFETY: the kernel reads the slice.
    result(unsafe { syscall(libc::SYS_sendto, args) })
}

fn option(fd: i32, option: i32) -> i32 {
    let mut value = -1_i32;
    let mut len = 4_u32;
    let (level, option) = (libc::SOL_SOCKET as usize, option as usize);
    let args = [fd as usize, level, option, &raw mut value as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes an int and its length.
    unsafe { syscall(libc::SYS_getsockopt, args) };
    value
}

/// Whether a descriptor is a socket of streams; one that cannot be asked is taken for one.
pub fn is_stream(fd: i32) -> bool {
    !matches!(option(fd, libc::SO_TYPE), libc::SOCK_DGRAM | libc::SOCK_RAW)
}

/// Whether a descriptor is a socket of the internet.
pub fn is_internet(fd: i32) -> bool {
    matches!(option(fd, libc::SO_DOMAIN), libc::AF_INET | libc::AF_INET6)
}

/// What a socket speaks, as ECS names it (the IANA protocol's name in lower case).
pub fn transport(fd: i32) -> &'static str {
    match (option(fd, libc::SO_PROTOCOL), option(fd, libc::SO_TYPE)) {
        (libc::IPPROTO_ICMP, _) => "icmp",
        (libc::IPPROTO_ICMPV6, _) => "ipv6-icmp",
        (libc::IPPROTO_SCTP, _) => "sctp",
        (libc::IPPROTO_UDPLITE, _) => "udplite",
        (_, libc::SOCK_DGRAM) => "udp",
        (_, libc::SOCK_RAW) => "raw",
        _ => "tcp",
    }
}

/// The internet address and port in a socket's address.
pub fn internet(bytes: &[u8; ADDRESS_MAX], len: usize) -> Option<(IpAddr, u16)> {
    let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match family {
        libc::AF_INET if len >= V4_MIN => {
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

fn name_of(number: libc::c_long, fd: i32) -> Option<(IpAddr, u16)> {
    let mut bytes = [0_u8; ADDRESS_MAX];
    let mut len = ADDRESS_MAX as u32;
    let args = [fd as usize, bytes.as_mut_ptr() as usize, &raw mut len as usize, 0, 0, 0];
    // SAFETY: the kernel writes at most that many bytes, and the length.
    let done = unsafe { syscall(number, args) };
    if done == 0 { internet(&bytes, len as usize) } else { None }
}

/// To which internet address a socket is connected.
pub fn peer(fd: i32) -> Option<(IpAddr, u16)> {
    name_of(libc::SYS_getpeername, fd)
}

/// To which internet address a socket is bound.
pub fn own_address(fd: i32) -> Option<(IpAddr, u16)> {
    name_of(libc::SYS_getsockname, fd)
}

/// Whether a TCP socket is past its closed state, so that a connect of it begins nothing.
pub fn is_begun(fd: i32) -> bool {
    // The first byte of struct tcp_info is the state.
    let mut state = 0_u8;
    let mut len = 1_u32;
    let (level, option) = (libc::IPPROTO_TCP as usize, libc::TCP_INFO as usize);
    let args = [fd as usize, level, option, &raw mut state as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes at most the length that it is given, and the length.
    let done = unsafe { syscall(libc::SYS_getsockopt, args) };
    const TCP_CLOSE: u8 = 7;
    done == 0 && state != TCP_CLOSE
}

/// A datagram socket of the local domain that never blocks.
pub fn local_datagram() -> Result<Fd, i32> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_socket, [libc::AF_UNIX as usize, kind as usize, 0, 0, 0, 0]) })
        .map(|fd| Fd(fd as i32))
}

/// `connect` of a local socket to a path.
pub fn connect_local(fd: i32, path: &[u8]) -> bool {
    let (address, len) = local_address(path);
    // SAFETY: the kernel reads the address.
    unsafe { syscall(libc::SYS_connect, [fd as usize, &raw const address as usize, len, 0, 0, 0]) == 0 }
}

fn local_address(path: &[u8]) -> ([u8; 110], usize) {
    let mut address = [0; 110];
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    for (to, from) in address.iter_mut().zip(family.iter().chain(path).chain(&[0])) {
        *to = *from;
    }
    (address, path.len().wrapping_add(3).min(110))
}

/// Sends the pieces as one datagram, without waiting and without SIGPIPE.
pub fn send(fd: i32, pieces: &[&[u8]; 3]) -> bool {
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr() as *mut c_void, iov_len: piece.len() });
    let header = [0, 0, vectors.as_ptr() as usize, vectors.len(), 0, 0, 0];
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads a msghdr, which is seven words on 64-bit Linux, and what it points to.
    unsafe { syscall(libc::SYS_sendmsg, [fd as usize, header.as_ptr() as usize, flags as usize, 0, 0, 0]) >= 0 }
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
        assert_eq!(internet(&v4, 15), None);
        assert_eq!(internet(&bytes(libc::AF_UNIX, b"/x"), 16), None);
        assert_eq!(internet(&bytes(libc::AF_UNSPEC, &[]), 16), None);
    }
}
