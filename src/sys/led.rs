//! Where a local socket leads, beyond the name of the other end: which socket that is. Whoever has a descriptor of a datagram socket
//! can connect it anew, and the kernel has no credentials of the other end of one (`SO_PEERCRED`).

use super::raw::syscall;
use super::{Fd, read, result, write};

/// A request of sock_diag(7): `struct nlmsghdr` and `struct unix_diag_req`.
#[repr(C)]
struct Request {
    len: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
    family: u8,
    protocol: u8,
    padding: u16,
    states: u32,
    inode: u32,
    show: u32,
    cookie: [u32; 2],
}

const REQUEST_LEN: usize = size_of::<Request>();
const NETLINK_SOCK_DIAG: usize = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
/// Where the attributes of the answer begin: behind `struct nlmsghdr` and `struct unix_diag_msg`.
const ATTRIBUTES_AT: usize = 32;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_SHUTDOWN: u16 = 6;
/// `RCV_SHUTDOWN` is 1: nothing is received here.
const SEND_SHUTDOWN: u32 = 2;

/// What the kernel says of a local socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Led {
    /// The inode of the socket at the other end; 0 for none.
    pub peer: u32,
    /// It is shut down for sending.
    pub is_shut: bool,
}

/// Of the local socket with this inode; `None` where the kernel does not say: without `CONFIG_UNIX_DIAG`, or where a filter keeps
/// from it.
pub fn led(inode: u64) -> Option<Led> {
    let inode = u32::try_from(inode).ok()?;
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let args = [libc::AF_NETLINK as usize, kind as usize, NETLINK_SOCK_DIAG, 0, 0, 0];
    // SAFETY: takes no pointer.
    let socket = result(unsafe { syscall(libc::SYS_socket, args) }).map(|fd| Fd(fd as i32)).ok()?;
    let request = Request {
        len: REQUEST_LEN as u32,
        kind: SOCK_DIAG_BY_FAMILY,
        flags: NLM_F_REQUEST,
        sequence: 1,
        port: 0,
        family: libc::AF_UNIX as u8,
        protocol: 0,
        padding: 0,
        states: u32::MAX,
        inode,
        show: UDIAG_SHOW_PEER,
        cookie: [u32::MAX; 2],
    };
    // SAFETY: the type has no padding of its own, and any bytes are valid ones.
    let bytes = unsafe { &*(&raw const request).cast::<[u8; REQUEST_LEN]>() };
    write(socket.0, b"", bytes).ok()?;
    let mut answer = [0; 256];
    of_answer(read(socket.0, &mut answer))
}

fn of_answer(answer: &[u8]) -> Option<Led> {
    let half = |at: usize| answer.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes));
    let word = |at: usize| answer.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    if half(4)? != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let (mut led, mut at) = (Led::default(), ATTRIBUTES_AT);
    while let (Some(len @ 4..), Some(kind)) = (half(at), half(at.wrapping_add(2))) {
        let value = at.wrapping_add(4);
        match kind {
            UNIX_DIAG_PEER => led.peer = word(value)?,
            UNIX_DIAG_SHUTDOWN => led.is_shut = u32::from(*answer.get(value)?) & SEND_SHUTDOWN != 0,
            _ => {}
        }
        at = at.wrapping_add(usize::from(len).next_multiple_of(4));
    }
    Some(led)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;
    use std::net::Shutdown;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    fn led_of(socket: &UnixDatagram) -> Option<Led> {
        led(sys::fstat(socket.as_raw_fd()).expect("a status").identity.1)
    }

    #[test]
    fn two_sockets_of_one_name_are_told_apart() {
        let folder = std::env::temp_dir().join(format!("portcullis-led-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.join("socket");
        let first = UnixDatagram::bind(&path).expect("a socket");
        let socket = UnixDatagram::unbound().expect("a socket");
        assert_eq!(led_of(&socket), Some(Led::default()));
        socket.connect(&path).expect("connected");
        let inode = |socket: &UnixDatagram| sys::fstat(socket.as_raw_fd()).expect("a status").identity.1 as u32;
        assert_eq!(led_of(&socket), Some(Led { peer: inode(&first), is_shut: false }));
        let before = sys::fstat_of_sink(socket.as_raw_fd()).expect("a status").identity;
        std::fs::remove_file(&path).expect("gone");
        let second = UnixDatagram::bind(&path).expect("a socket");
        socket.connect(&path).expect("connected");
        assert_eq!(sys::fstat_of_sink(socket.as_raw_fd()).expect("a status").identity, before);
        assert_eq!(led_of(&socket), Some(Led { peer: inode(&second), is_shut: false }));
        for (how, is_shut) in [(Shutdown::Read, false), (Shutdown::Write, true)] {
            socket.shutdown(how).expect("shut down");
            assert_eq!(led_of(&socket).map(|led| led.is_shut), Some(is_shut));
        }
        std::fs::remove_dir_all(&folder).expect("the folder");
    }

    #[test]
    fn any_answer_is_read() {
        let mut answer = [0_u8; 44];
        answer[4] = SOCK_DIAG_BY_FAMILY as u8;
        for (len, end) in (0..=u8::MAX).flat_map(|len| [(len, 32), (len, 36), (len, 39), (len, 44)]) {
            for kind in [0, 2, 6, 0xff] {
                answer[32] = len;
                answer[34] = kind;
                let _ = of_answer(&answer[..end]);
            }
        }
        assert_eq!(of_answer(&[]), None);
        assert_eq!(of_answer(&[0; 36]), None);
    }
}
