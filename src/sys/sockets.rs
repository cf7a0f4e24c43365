//! Sockets.

use super::raw::syscall;
use super::{Fd, result};
use core::ffi::c_void;

/// `send` that never waits.
pub fn send_bytes(fd: i32, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let args = [fd as usize, bytes.as_ptr() as usize, bytes.len(), flags as usize, 0, 0];
    // SAFETY: the kernel reads the slice.
    result(unsafe { syscall(libc::SYS_sendto, args) })
}

/// Whether a descriptor is a datagram socket.
pub fn is_datagram(fd: i32) -> bool {
    let mut kind = 0_i32;
    let mut len = 4_u32;
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_TYPE as usize);
    let args = [fd as usize, level, option, &raw mut kind as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes an int and its length.
    unsafe { syscall(libc::SYS_getsockopt, args) };
    kind == libc::SOCK_DGRAM
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

/// `connect` of a descriptor of the caller.
///
/// # Safety
/// `address` must be what the caller of the hook gave, or point to `len` bytes.
pub unsafe fn connect(fd: i32, address: *const c_void, len: u32) -> isize {
    // SAFETY: the kernel checks the pointer.
    unsafe { syscall(libc::SYS_connect, [fd as usize, address as usize, len as usize, 0, 0, 0]) }
}
