//! Sockets.

use super::broker::{self, desk};
use super::raw::syscall;
use super::{Fd, result};
use core::ffi::c_void;
use core::net::IpAddr;
pub use portcullis_policy::address::{Unspecified, V4_MIN, V6_MIN, internet, is_unspecified, unspecified};

/// The longest address that Linux takes: `sizeof(struct sockaddr_storage)`.
pub const ADDRESS_MAX: usize = 128;
/// What is read of an address: all of one of the internet.
pub const ADDRESS_HEAD: usize = 32;

/// `send` that never waits.
pub fn send_bytes(fd: i32, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let args = [fd as usize, bytes.as_ptr() as usize, bytes.len(), flags as usize, 0, 0];
    // SAFETY: the kernel reads the slice.
    result(unsafe { syscall(libc::SYS_sendto, args) })
}

/// An option of SOL_SOCKET; `Err` where the kernel does not say, and then not because it is no socket.
fn option(fd: i32, option: i32) -> Result<i32, i32> {
    let mut value = -1_i32;
    let mut len = 4_u32;
    let (level, option) = (libc::SOL_SOCKET as usize, option as usize);
    let args = [fd as usize, level, option, &raw mut value as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes an int and its length.
    let done = unsafe { syscall(libc::SYS_getsockopt, args) };
    said(done).map(|()| value)
}

/// What is no socket says so. Any other error is that of a filter that somebody put before the call, so as not to be seen.
pub(super) fn said(done: isize) -> Result<(), i32> {
    match result(done) {
        Ok(_) | Err(libc::EBADF | libc::ENOTSOCK | libc::EINVAL | libc::ENOTCONN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether a descriptor is a socket that listens.
pub fn listens(fd: i32) -> bool {
    option(fd, libc::SO_ACCEPTCONN) == Ok(1)
}

/// Whether a descriptor is a socket of streams; what is no socket is taken for one. `None` where the kernel does not say.
pub fn asked_stream(fd: i32) -> Option<bool> {
    option(fd, libc::SO_TYPE).ok().map(|kind| !matches!(kind, libc::SOCK_DGRAM | libc::SOCK_RAW))
}

/// The same, where what is not known is taken for one.
pub fn is_stream(fd: i32) -> bool {
    asked_stream(fd).unwrap_or(true)
}

/// Sets an option; as the kernel says it: 0 or a negative errno.
pub fn set_option(fd: i32, level: i32, option: i32, value: &[u8]) -> i64 {
    let args = [fd as usize, level as usize, option as usize, value.as_ptr() as usize, value.len(), 0];
    // SAFETY: the kernel reads as many bytes as there are.
    unsafe { syscall(libc::SYS_setsockopt, args) as i64 }
}

/// Whether a descriptor is a socket of the internet.
pub fn is_internet(fd: i32) -> bool {
    matches!(option(fd, libc::SO_DOMAIN), Ok(libc::AF_INET | libc::AF_INET6))
}

/// The same; `None` where the kernel says no domain, as of what is no socket.
pub fn known_internet(fd: i32) -> Option<bool> {
    let domain = option(fd, libc::SO_DOMAIN).ok().filter(|domain| *domain > 0)?;
    Some(matches!(domain, libc::AF_INET | libc::AF_INET6))
}

/// What an address without a family is to a socket that sends to it; `Err` where the kernel does not say.
pub fn meaning_of_unspecified(fd: i32) -> Result<Unspecified, i32> {
    match option(fd, libc::SO_DOMAIN)? {
        libc::AF_INET => Ok(Unspecified::V4),
        libc::AF_INET6 => match (option(fd, libc::SO_TYPE)?, option(fd, libc::SO_PROTOCOL)?) {
            (libc::SOCK_DGRAM, libc::IPPROTO_UDP | libc::IPPROTO_UDPLITE) => Ok(Unspecified::Nothing),
            _ => Ok(Unspecified::V6),
        },
        1.. => Ok(Unspecified::Nothing),
        // No answer, whatever the reason.
        _ => Err(libc::EINVAL),
    }
}

/// Whether a socket of streams takes no notice of an address that it is to send to: TCP and its kin, and what is not of the
/// internet. SCTP connects to it.
pub fn ignores_address(fd: i32) -> bool {
    is_tcp(fd)
        || matches!(option(fd, libc::SO_DOMAIN), Ok(domain) if domain > 0 && !matches!(domain, libc::AF_INET | libc::AF_INET6))
}

/// Whether a socket of streams speaks TCP or MPTCP.
pub fn is_tcp(fd: i32) -> bool {
    const IPPROTO_MPTCP: i32 = 262;
    matches!(option(fd, libc::SO_PROTOCOL), Ok(libc::IPPROTO_TCP | IPPROTO_MPTCP))
}

/// The error with which the kernel refuses a socket's call on what is no socket; `None` where it is one, or is not known.
pub fn no_socket(fd: i32) -> Option<i32> {
    let (mut value, mut len) = (0_i32, 4_u32);
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_TYPE as usize);
    let args = [fd as usize, level, option, &raw mut value as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes an int and its length.
    let done = result(unsafe { syscall(libc::SYS_getsockopt, args) });
    done.err().filter(|errno| matches!(*errno, libc::EBADF | libc::ENOTSOCK))
}

/// What a socket is, as far as the kernel says: one of streams or not; `None` where it does not say, for whatever reason.
pub fn known_stream(fd: i32) -> Option<bool> {
    let kind = option(fd, libc::SO_TYPE).ok().filter(|kind| *kind > 0)?;
    Some(!matches!(kind, libc::SOCK_DGRAM | libc::SOCK_RAW))
}

/// `shutdown` of a socket's sending, which holds in the kernel for everybody who has it, however it is connected later. Of
/// one that is not connected the kernel says so (ENOTCONN), and does it all the same.
pub fn end_sending(fd: i32) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_shutdown, [fd as usize, libc::SHUT_WR as usize, 0, 0, 0, 0]) };
    // What a UDP socket holds back (MSG_MORE, UDP_CORK) goes to where it was sent: later Linux would send it, shut or not, to where the
    // socket is connected by then.
    set_option(fd, libc::SOL_UDP, libc::UDP_CORK, &0_i32.to_ne_bytes());
}

/// Ends a connection in both directions.
pub fn end_connection(fd: i32) {
    // SAFETY: takes no pointer.
    unsafe { super::raw::enter(libc::SYS_shutdown, [fd as usize, libc::SHUT_RDWR as usize, 0, 0, 0, 0]) };
}

/// A socket like another: of its domain, type and protocol, with its flags and what can be copied of its options.
pub fn socket_like(fd: i32) -> Option<Fd> {
    let ask = |name| option(fd, name).ok().filter(|value| *value >= 0);
    let (domain, kind, protocol) = (ask(libc::SO_DOMAIN)?, ask(libc::SO_TYPE)?, ask(libc::SO_PROTOCOL)?);
    let kind = kind | libc::SOCK_CLOEXEC | if is_nonblocking(fd) { libc::SOCK_NONBLOCK } else { 0 };
    // SAFETY: takes no pointer.
    let new =
        result(unsafe { syscall(libc::SYS_socket, [domain as usize, kind as usize, protocol as usize, 0, 0, 0]) });
    let new = Fd(new.ok()? as i32);
    for name in [libc::SO_BROADCAST, libc::SO_REUSEADDR, libc::SO_REUSEPORT, libc::SO_PRIORITY, libc::SO_RCVBUF] {
        // The kernel tells twice the size that it was given.
        let share = if name == libc::SO_RCVBUF { 2 } else { 1 };
        let value = ask(name).unwrap_or(0).wrapping_div(share);
        let (level, at) = (libc::SOL_SOCKET as usize, &raw const value as usize);
        // SAFETY: the kernel reads an int.
        unsafe { syscall(libc::SYS_setsockopt, [new.0 as usize, level, name as usize, at, 4, 0]) };
    }
    for name in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        let (mut time, mut len) = ([0_u64; 2], 16_u32);
        let (level, at) = (libc::SOL_SOCKET as usize, time.as_mut_ptr() as usize);
        // SAFETY: the kernel writes a timeval and its length, and reads it.
        unsafe {
            syscall(libc::SYS_getsockopt, [fd as usize, level, name as usize, at, &raw mut len as usize, 0]);
            syscall(libc::SYS_setsockopt, [new.0 as usize, level, name as usize, at, 16, 0]);
        }
    }
    Some(new)
}

/// Whether closing a descriptor may take as long as somebody else likes: of a socket that waits until what was sent has arrived, of a file
/// whose file system is told (FUSE, NFS), and where the kernel does not say.
pub fn may_linger(fd: i32) -> bool {
    const AT_STATX_DONT_SYNC: usize = 0x4000;
    /// Where the mode and the major number of the device lie in a `struct statx`.
    const MODE: usize = 28;
    const MAJOR: usize = 136;
    let mut stat = [0_u8; 256];
    let flags = libc::AT_EMPTY_PATH as usize | AT_STATX_DONT_SYNC;
    let mask = libc::STATX_TYPE as usize;
    let args = [fd as usize, c"".as_ptr() as usize, flags, mask, stat.as_mut_ptr() as usize, 0];
    // SAFETY: the kernel reads an empty name and writes a statx.
    if unsafe { syscall(libc::SYS_statx, args) } < 0 {
        return true;
    }
    let mode = stat.get(MODE..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_ne_bytes(*bytes));
    let has_disk = stat.get(MAJOR..).and_then(|bytes| bytes.first()).is_some_and(|major| *major != 0);
    match u32::from(mode) & libc::S_IFMT {
        libc::S_IFSOCK => option(fd, libc::SO_LINGER) != Ok(0),
        libc::S_IFREG | libc::S_IFDIR => !has_disk,
        libc::S_IFCHR | libc::S_IFIFO | libc::S_IFBLK => false,
        // What has no type is the kernel's own (eventfd, epoll), or a place.
        _ => false,
    }
}

/// Puts a descriptor in another's place, closed on exec where that was.
pub fn put_in_place_of(new: &Fd, fd: i32) -> bool {
    let Some(is_inherited) = is_inherited(fd) else { return false };
    let cloexec = if is_inherited { 0 } else { libc::O_CLOEXEC };
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_dup3, [new.0 as usize, fd as usize, cloexec as usize, 0, 0, 0]) >= 0 }
}

/// The number by which the kernel tells a socket from every other; `None` where it does not say.
pub fn cookie(fd: i32) -> Option<u64> {
    let (mut value, mut len) = (0_u64, 8_u32);
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_COOKIE as usize);
    let args = [fd as usize, level, option, &raw mut value as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes eight bytes and their length.
    (unsafe { syscall(libc::SYS_getsockopt, args) } == 0 && value != 0).then_some(value)
}

/// The number by which the kernel tells the network of a socket from every other; `None` where it does not say.
pub fn network_of(fd: i32) -> Option<u64> {
    const SO_NETNS_COOKIE: usize = 71;
    let (mut value, mut len) = (0_u64, 8_u32);
    let level = libc::SOL_SOCKET as usize;
    let args = [fd as usize, level, SO_NETNS_COOKIE, &raw mut value as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes eight bytes and their length.
    (unsafe { syscall(libc::SYS_getsockopt, args) } == 0 && value != 0).then_some(value)
}

/// The same of the network that this thread is in.
pub fn network() -> Option<u64> {
    network_of(super::local_datagram().ok()?.0)
}

/// Whether a socket has nothing to be received; false where the kernel does not say.
pub fn is_empty(fd: i32) -> bool {
    let (mut byte, flags) = (0_u8, libc::MSG_DONTWAIT | libc::MSG_PEEK);
    let args = [fd as usize, &raw mut byte as usize, 1, flags as usize, 0, 0];
    // SAFETY: the kernel writes at most one byte.
    unsafe { syscall(libc::SYS_recvfrom, args) == -(libc::EAGAIN as isize) }
}

/// Whether an address of the internet has a port for sockets of a type and protocol: not for ICMP, nor for raw ones.
pub fn is_protocol_with_ports(kind: i32, protocol: i32) -> bool {
    // Of MPTCP, and of DCCP, which Linux had until 6.15 (linux/in.h).
    const MPTCP: i32 = 262;
    const DCCP: i32 = 33;
    let kind = kind & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    const KNOWN: [i32; 7] =
        [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_SCTP, libc::IPPROTO_UDPLITE, MPTCP, DCCP];
    kind != libc::SOCK_RAW && KNOWN.contains(&protocol)
}

/// The same of a socket; what is none of the internet's is taken for one. `None` where the kernel does not say.
pub fn has_ports(fd: i32) -> Option<bool> {
    let kind = option(fd, libc::SO_TYPE).ok()?;
    if kind < 0 || is_protocol_with_ports(kind, option(fd, libc::SO_PROTOCOL).ok()?) {
        return Some(true);
    }
    Some(!matches!(option(fd, libc::SO_DOMAIN).ok()?, libc::AF_INET | libc::AF_INET6))
}

/// What a socket speaks, as ECS names it (the IANA protocol's name in lower case); a raw one, too, where that is known.
pub fn transport(fd: i32) -> &'static str {
    match option(fd, libc::SO_PROTOCOL) {
        Ok(libc::IPPROTO_TCP) => "tcp",
        Ok(libc::IPPROTO_UDP) => "udp",
        Ok(libc::IPPROTO_ICMP) => "icmp",
        Ok(libc::IPPROTO_ICMPV6) => "ipv6-icmp",
        Ok(libc::IPPROTO_SCTP) => "sctp",
        Ok(libc::IPPROTO_UDPLITE) => "udplite",
        _ => match option(fd, libc::SO_TYPE) {
            Ok(libc::SOCK_DGRAM) => "udp",
            Ok(libc::SOCK_RAW) => "raw",
            _ => "tcp",
        },
    }
}

/// As [`own_address`], but what says that it is no socket does not say its address either: a filter can say so too.
pub fn known_own_address(fd: i32) -> Result<Option<(IpAddr, u16)>, i32> {
    let mut bytes = [0_u8; ADDRESS_MAX];
    let len = result(name_into(desk::OWN_NAME, fd, &mut bytes))?;
    Ok(internet(&bytes, len))
}

/// A name of a socket, by the kernel's number of the call; its length, or the negative errno. The kernel takes the socket's lock for
/// it, so a judge never asks for it itself.
#[inline(never)]
pub fn name_into(which: u64, fd: i32, bytes: &mut [u8; ADDRESS_MAX]) -> isize {
    if broker::is_judge() {
        let (len, head) = broker::name(fd, which);
        bytes.iter_mut().zip(head).for_each(|(to, byte)| *to = byte);
        return len as isize;
    }
    let mut len = ADDRESS_MAX as u32;
    let args = [fd as usize, bytes.as_mut_ptr() as usize, &raw mut len as usize, 0, 0, 0];
    let number = if which == desk::OWN_NAME { libc::SYS_getsockname } else { libc::SYS_getpeername };
    // SAFETY: the kernel writes at most that many bytes, and the length.
    match unsafe { syscall(number, args) } {
        0 => len as isize,
        errno => errno,
    }
}

fn name_of(which: u64, fd: i32) -> Result<Option<(IpAddr, u16)>, i32> {
    let mut bytes = [0_u8; ADDRESS_MAX];
    let len = name_into(which, fd, &mut bytes);
    said(len)?;
    Ok(usize::try_from(len).ok().and_then(|len| internet(&bytes, len)))
}

/// A digest of the address to which a socket is connected, whatever its family; 0 where it is not.
pub fn hash_of_peer(fd: i32) -> u64 {
    let mut bytes = [0_u8; ADDRESS_MAX];
    let Ok(len) = usize::try_from(name_into(desk::PEER_NAME, fd, &mut bytes)) else { return 0 };
    let address = bytes.get(..len).unwrap_or(&bytes);
    // FNV-1a: who could make another path with this digest can make one with the same path.
    address.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Whether a program that this process executes has a descriptor; `None` where this process has none.
#[inline(never)]
pub fn is_inherited(fd: i32) -> Option<bool> {
    // SAFETY: takes no pointer.
    let flags = unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_GETFD as usize, 0, 0, 0, 0]) };
    (flags >= 0).then_some(flags as i32 & libc::FD_CLOEXEC == 0)
}

/// To which internet address a socket is connected.
pub fn peer(fd: i32) -> Option<(IpAddr, u16)> {
    asked_peer(fd).ok()?
}

/// The same; `Err` where the kernel does not say.
pub fn asked_peer(fd: i32) -> Result<Option<(IpAddr, u16)>, i32> {
    name_of(desk::PEER_NAME, fd)
}

/// To which internet address a socket is bound; `Err` where the kernel does not say.
pub fn own_address(fd: i32) -> Result<Option<(IpAddr, u16)>, i32> {
    name_of(desk::OWN_NAME, fd)
}

/// `bind` to an address's family and no port, which gives the socket one that the kernel chooses; false where it has one.
pub fn bind_to_any_port(fd: i32, of: IpAddr) -> bool {
    let mut bytes = [0_u8; V6_MIN];
    let (family, len) = if of.is_ipv4() { (libc::AF_INET, V4_MIN) } else { (libc::AF_INET6, V6_MIN) };
    bytes[0] = family as u8;
    // SAFETY: the kernel reads the address.
    unsafe { super::confined::marked(libc::SYS_bind, [fd as usize, bytes.as_ptr() as usize, len, 0, 0]) == 0 }
}

/// Whether an address is one of this host's: a socket can be bound to it. `None` where that cannot be tried, as without a free
/// descriptor or, of an address of one link, without its number.
pub fn is_own(ip: IpAddr) -> Option<bool> {
    let (family, bytes, len) = match ip {
        IpAddr::V4(v4) => {
            let mut bytes = [0_u8; V6_MIN];
            bytes[0] = libc::AF_INET as u8;
            bytes[4..8].copy_from_slice(&v4.octets());
            (libc::AF_INET, bytes, V4_MIN)
        }
        IpAddr::V6(v6) => {
            let mut bytes = [0_u8; V6_MIN];
            bytes[0] = libc::AF_INET6 as u8;
            bytes[8..24].copy_from_slice(&v6.octets());
            (libc::AF_INET6, bytes, V6_MIN)
        }
    };
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointer.
    let socket = result(unsafe { syscall(libc::SYS_socket, [family as usize, kind as usize, 0, 0, 0, 0]) });
    let socket = socket.map(|fd| Fd(fd as i32)).ok()?;
    let args = [socket.0 as usize, bytes.as_ptr() as usize, len, 0, 0];
    // SAFETY: the kernel reads the address.
    match result(unsafe { super::confined::marked(libc::SYS_bind, args) }) {
        Ok(_) => Some(true),
        Err(libc::EADDRNOTAVAIL) => Some(false),
        Err(_) => None,
    }
}

/// Whether a TCP socket is past its closed state, so that a connect of it begins nothing.
pub fn is_begun(fd: i32) -> bool {
    const TCP_CLOSE: i64 = 7;
    let state = if broker::is_judge() { broker::name(fd, desk::TCP_STATE).0 } else { tcp_state(fd) };
    state >= 0 && state != TCP_CLOSE
}

/// The state of a TCP socket, or the negative errno; under its lock.
pub fn tcp_state(fd: i32) -> i64 {
    // The first byte of struct tcp_info is the state.
    let mut state = 0_u8;
    let mut len = 1_u32;
    let (level, option) = (libc::IPPROTO_TCP as usize, libc::TCP_INFO as usize);
    let args = [fd as usize, level, option, &raw mut state as usize, &raw mut len as usize, 0];
    // SAFETY: the kernel writes at most the length that it is given, and the length.
    match unsafe { syscall(libc::SYS_getsockopt, args) } {
        0 => i64::from(state),
        errno => errno as i64,
    }
}

/// Connects a datagram socket; whether the kernel does it.
///
/// # Safety
/// The address must be `len` bytes.
pub unsafe fn connect_to(fd: i32, address: *const u8, len: usize) -> bool {
    // SAFETY: as the caller promises.
    unsafe { super::confined::marked(libc::SYS_connect, [fd as usize, address as usize, len, 0, 0]) == 0 }
}

/// Waits until one of the descriptors can be read, or some milliseconds have passed; how many can.
pub fn poll(entries: &mut [libc::pollfd], milliseconds: u32) -> usize {
    let time = [u64::from(milliseconds / 1000), u64::from(milliseconds % 1000).wrapping_mul(1_000_000)];
    let args = [entries.as_mut_ptr() as usize, entries.len(), time.as_ptr() as usize, 0, 8, 0];
    // SAFETY: the kernel reads and writes the entries, and reads a timespec.
    usize::try_from(unsafe { syscall(libc::SYS_ppoll, args) }).unwrap_or(0)
}

/// `connect` of a descriptor to an address in this process's memory.
pub fn connect(fd: i32, address: &[u8; ADDRESS_MAX], len: usize) -> isize {
    let args = [fd as usize, address.as_ptr() as usize, len.min(ADDRESS_MAX), 0, 0];
    // SAFETY: the address is that long.
    unsafe { super::confined::marked(libc::SYS_connect, args) }
}

/// `bind` of a descriptor to an address in this process's memory.
pub fn bind(fd: i32, address: &[u8; ADDRESS_MAX], len: usize) -> isize {
    let args = [fd as usize, address.as_ptr() as usize, len.min(ADDRESS_MAX), 0, 0];
    // SAFETY: the address is that long.
    unsafe { super::confined::marked(libc::SYS_bind, args) }
}

/// `listen`.
pub fn listen(fd: i32, backlog: i32) -> isize {
    // SAFETY: takes no pointer.
    unsafe { super::confined::marked(libc::SYS_listen, [fd as usize, backlog as usize, 0, 0, 0]) }
}

/// `sendmsg` of a header whose parts lie in this process's memory.
pub fn send_message(fd: i32, header: &[usize; 7], flags: i32) -> isize {
    // SAFETY: the kernel reads a msghdr, which is seven words on 64-bit Linux, and checks what it points to.
    unsafe { super::confined::marked(libc::SYS_sendmsg, [fd as usize, header.as_ptr() as usize, flags as usize, 0, 0]) }
}

/// `sendto` of data with a length, to an address with a length.
pub fn send_to(fd: i32, [data, len]: [usize; 2], flags: i32, (name, name_len): (usize, usize)) -> isize {
    // SAFETY: the kernel checks what it reads.
    unsafe { syscall(libc::SYS_sendto, [fd as usize, data, len, flags as usize, name, name_len]) }
}

/// Whether the calls of a descriptor do not wait.
pub fn is_nonblocking(fd: i32) -> bool {
    // SAFETY: takes no pointer.
    let flags = unsafe { syscall(libc::SYS_fcntl, [fd as usize, libc::F_GETFL as usize, 0, 0, 0, 0]) };
    flags >= 0 && flags as i32 & libc::O_NONBLOCK != 0
}

/// Sends the pieces as one datagram, without waiting and without SIGPIPE.
pub fn send(fd: i32, pieces: &[&[u8]; 3]) -> bool {
    let vectors = pieces.map(|piece| libc::iovec { iov_base: piece.as_ptr() as *mut c_void, iov_len: piece.len() });
    let header = [0, 0, vectors.as_ptr() as usize, vectors.len(), 0, 0, 0];
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the kernel reads a msghdr, which is seven words on 64-bit Linux, and what it points to.
    unsafe {
        super::confined::marked(libc::SYS_sendmsg, [fd as usize, header.as_ptr() as usize, flags as usize, 0, 0]) >= 0
    }
}
