//! Sockets of the local domain: their names, pairs of them, who is at the other end, descriptors that come with a message.

use super::raw::syscall;
use super::sockets::{ADDRESS_MAX, said};
use super::{Fd, result};

/// The name in the address of a local socket, of `len` bytes: a path, or an abstract name, which begins with NUL. `None` for one
/// of another family, and for none.
pub fn local_name(address: &[u8], len: usize) -> Option<&[u8]> {
    let (family, name) = address.get(..len)?.split_first_chunk::<2>()?;
    if i32::from(u16::from_ne_bytes(*family)) != libc::AF_UNIX || name.len() > LOCAL_MAX {
        return None;
    }
    match name.first()? {
        0 => Some(name),
        _ => name.split(|&byte| byte == 0).next(),
    }
}

/// The longest name of a local socket.
pub const LOCAL_MAX: usize = 108;

/// The name that a local socket is bound to, in the buffer; `None` where it is none, or has none.
pub fn own_local_name(fd: i32, into: &mut [u8; ADDRESS_MAX]) -> Option<&[u8]> {
    let mut len = ADDRESS_MAX as u32;
    let args = [fd as usize, into.as_mut_ptr() as usize, &raw mut len as usize, 0, 0, 0];
    // SAFETY: the kernel writes at most that many bytes, and the length.
    let done = unsafe { syscall(libc::SYS_getsockname, args) };
    // Of a path of the greatest length, the NUL behind it is counted, too.
    if done == 0 { local_name(into, (len as usize).min(LOCAL_MAX.wrapping_add(2))) } else { None }
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
    unsafe { super::confined::marked(libc::SYS_connect, [fd as usize, &raw const address as usize, len, 0, 0]) == 0 }
}

/// The address of a path; of an abstract name, which begins with NUL and has none at its end.
fn local_address(path: &[u8]) -> ([u8; 110], usize) {
    let mut address = [0; 110];
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    for (to, from) in address.iter_mut().zip(family.iter().chain(path).chain(&[0])) {
        *to = *from;
    }
    let end = usize::from(path.first() != Some(&0));
    (address, path.len().wrapping_add(2).wrapping_add(end).min(110))
}

/// A pair of connected sockets for packets, without a name by which anybody else could reach them; closed on exec.
pub fn local_pair() -> Result<[Fd; 2], i32> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let mut pair = [-1_i32; 2];
    let args = [libc::AF_UNIX as usize, kind as usize, 0, pair.as_mut_ptr() as usize, 0, 0];
    // SAFETY: the kernel writes two ints.
    result(unsafe { syscall(libc::SYS_socketpair, args) }).map(|_| pair.map(Fd))
}

/// The same, whose receiver can wait.
pub fn waiting_pair() -> Result<[Fd; 2], i32> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    let mut pair = [-1_i32; 2];
    let args = [libc::AF_UNIX as usize, kind as usize, 0, pair.as_mut_ptr() as usize, 0, 0];
    // SAFETY: the kernel writes two ints.
    result(unsafe { syscall(libc::SYS_socketpair, args) }).map(|_| pair.map(Fd))
}

/// Process and user at the other end of a local socket; `None` also where the kernel does not say.
pub fn peer_process(fd: i32) -> Option<(u32, u32)> {
    asked_peer_process(fd).ok()?
}

/// The same; `Err` where the kernel does not say.
pub fn asked_peer_process(fd: i32) -> Result<Option<(u32, u32)>, i32> {
    let mut credentials = [0_u32; 3];
    let mut len = 12_u32;
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_PEERCRED as usize);
    let args = [fd as usize, level, option, credentials.as_mut_ptr() as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes a ucred: three words.
    let done = unsafe { syscall(libc::SYS_getsockopt, args) };
    said(done)?;
    Ok((done == 0 && len == 12).then_some((credentials[0], credentials[1])))
}

/// A control message with one descriptor: `struct cmsghdr` and the number.
#[repr(C, align(8))]
struct FdMessage {
    len: usize,
    level: i32,
    kind: i32,
    fd: i32,
    padding: i32,
}

/// Sends words with a descriptor; never waits.
pub fn pass<const N: usize>(socket: i32, words: &[u64; N], fd: i32) -> Result<(), i32> {
    let control = FdMessage { len: 20, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fd, padding: 0 };
    let vector = [words.as_ptr() as usize, size_of_val(words)];
    let header: [usize; 7] =
        [0, 0, vector.as_ptr() as usize, 1, &raw const control as usize, size_of::<FdMessage>(), 0];
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let args = [socket as usize, header.as_ptr() as usize, flags as usize, 0, 0];
    // SAFETY: the kernel reads a msghdr, which is seven words on 64-bit Linux, and what it points to.
    result(unsafe { super::confined::marked(libc::SYS_sendmsg, args) }).map(|_| ())
}

/// Descriptors that come with a message at most.
const HANDED: usize = 4;
/// The descriptors that came with a message.
pub type ReceivedFds = [Option<Fd>; HANDED];

/// A control message with some descriptors: `struct cmsghdr` and the numbers.
#[repr(C, align(8))]
struct FdsMessage {
    len: usize,
    level: i32,
    kind: i32,
    fds: [i32; HANDED],
}

/// Sends words, with descriptors; never waits. Whether they were sent.
#[inline(never)]
pub fn tell(socket: i32, words: &[u64], fds: &[i32]) -> bool {
    let len = fds.len().min(HANDED).wrapping_mul(4).wrapping_add(16);
    let mut control = FdsMessage { len, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fds: [-1; HANDED] };
    control.fds.iter_mut().zip(fds).for_each(|(to, from)| *to = *from);
    let vector = [words.as_ptr() as usize, size_of_val(words)];
    let with = if fds.is_empty() { 0 } else { len.next_multiple_of(8) };
    let header: [usize; 7] = [0, 0, vector.as_ptr() as usize, 1, &raw const control as usize, with, 0];
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    super::send_message(socket, &header, flags) == size_of_val(words) as isize
}

/// Receives as many words, with the descriptors that came with them; `None` for anything else, the other end's end included.
#[inline(never)]
pub fn hear(socket: i32, words: &mut [u64], waits: bool) -> Option<ReceivedFds> {
    let mut control = FdsMessage { len: 0, level: 0, kind: 0, fds: [-1; HANDED] };
    let vector = [words.as_mut_ptr() as usize, size_of_val(words)];
    let room = size_of::<FdsMessage>();
    let mut header: [usize; 7] = [0, 0, vector.as_ptr() as usize, 1, &raw mut control as usize, room, 0];
    let flags = libc::MSG_CMSG_CLOEXEC | if waits { 0 } else { libc::MSG_DONTWAIT };
    let args = [socket as usize, header.as_mut_ptr() as usize, flags as usize, 0, 0, 0];
    // SAFETY: the kernel writes into the words and the control message, at most their lengths.
    let got = unsafe { syscall(libc::SYS_recvmsg, args) };
    let has_any = got >= 0 && control.level == libc::SOL_SOCKET && control.kind == libc::SCM_RIGHTS;
    let count = if has_any { control.len.saturating_sub(16) / 4 } else { 0 };
    let mut fds = control.fds.iter().take(count);
    let handed = [(); HANDED].map(|()| fds.next().map(|fd| Fd(*fd)));
    (got == size_of_val(words) as isize).then_some(handed)
}

/// Receives words with a descriptor; never waits.
pub fn passed<const N: usize>(socket: i32) -> Option<([u64; N], Fd)> {
    let mut words = [0_u64; N];
    let mut control = FdMessage { len: 0, level: 0, kind: 0, fd: -1, padding: 0 };
    let vector = [words.as_mut_ptr() as usize, size_of_val(&words)];
    let mut header: [usize; 7] =
        [0, 0, vector.as_ptr() as usize, 1, &raw mut control as usize, size_of::<FdMessage>(), 0];
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let args = [socket as usize, header.as_mut_ptr() as usize, flags as usize, 0, 0, 0];
    // SAFETY: the kernel writes into the words and the control message, at most their lengths.
    let got = unsafe { syscall(libc::SYS_recvmsg, args) };
    let is_descriptor = control.len == 20 && control.level == libc::SOL_SOCKET && control.kind == libc::SCM_RIGHTS;
    let fd = (got >= 0 && is_descriptor).then(|| Fd(control.fd))?;
    (got == size_of_val(&words) as isize).then_some((words, fd))
}
