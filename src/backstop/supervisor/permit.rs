//! Limits what the broker does for a call. The caller may control the judge, so the judge gets no more than the call itself requested of
//! the kernel, according to the kernel's notice.

use super::call::{self, Call};
use super::sent;
use crate::sys::broker::desk::{ASKED, MESSAGES_MAX, asked};
use crate::sys::{self, ADDRESS_MAX, Notice};

/// What the current call permits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reason {
    Connect,
    Send,
    /// sendmmsg: the address and the number of its messages, the size of one, and the offset of its length.
    SendMany(u64, u64, (u64, u64)),
    Bind,
    Listen,
    /// A level and an option; none if they are in memory.
    Set(Option<(i32, i32)>),
    Nothing,
}

/// What may be done for a call.
#[derive(Clone, Copy, Debug)]
pub struct Permit {
    reason: Reason,
    /// The descriptor of the call; none if it is in memory.
    fd: Option<i32>,
}

impl Permit {
    /// For no call.
    pub const NOTHING: Permit = Permit { reason: Reason::Nothing, fd: None };

    /// For the call of a notice.
    pub fn of(notice: &Notice) -> Permit {
        let permit = |reason, fd| Permit { reason, fd: Some(fd) };
        match call::in_registers(notice) {
            Ok((Call::Connect(fd, ..), _)) => permit(Reason::Connect, fd),
            Ok((Call::SendTo(fd, ..) | Call::SendMessage(fd, ..), _)) => permit(Reason::Send, fd),
            Ok((Call::SendMessages(fd, at, count, _), width)) => {
                permit(Reason::SendMany(at, count, sent::stride(width)), fd)
            }
            Ok((Call::Bind(fd, ..), _)) => permit(Reason::Bind, fd),
            Ok((Call::Listen(fd, _), _)) => permit(Reason::Listen, fd),
            Ok((Call::Set(fd, level, option, ..), _)) => permit(Reason::Set(Some((level, option))), fd),
            Ok(_) => Permit::NOTHING,
            // The functions of socketcall (linux/net.h). sendmmsg is not judged there.
            Err(function) => Permit {
                reason: match function {
                    2 => Reason::Bind,
                    3 => Reason::Connect,
                    4 => Reason::Listen,
                    11 | 16 => Reason::Send,
                    14 => Reason::Set(None),
                    _ => Reason::Nothing,
                },
                fd: None,
            },
        }
    }

    /// Whether the call uses the caller's descriptor with this number, duplicated as `fd`, and this is an internet socket: on a local
    /// socket, the other end would see root instead of the caller.
    pub fn acts_on(&self, number: i32, fd: i32) -> bool {
        self.fd.is_none_or(|about| about == number) && sys::is_internet(fd)
    }

    /// Whether the call permits this request. A request that does nothing in the caller's place needs no permission here.
    pub fn has(&self, words: &[u64; ASKED]) -> bool {
        let [what, _, b, c, _, e, ..] = *words;
        let sends = matches!(self.reason, Reason::Send | Reason::SendMany(..));
        match what {
            asked::OPEN
            | asked::FOLLOW
            | asked::BORROW
            | asked::WAITS
            | asked::OWN
            | asked::WRITE
            | asked::DONE
            | asked::NAME => true,
            asked::CONNECT => self.reason == Reason::Connect,
            asked::SEND => self.is_length(e),
            asked::SEND_LATER => sends && (self.is_length(e) || (e == 0 && !self.writes_lengths())),
            asked::BIND => self.reason == Reason::Bind,
            asked::LISTEN => self.reason == Reason::Listen,
            asked::SET => match self.reason {
                Reason::Set(option) => option.is_none_or(|option| option == (b as i32, c as i32)),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the call is sendmmsg, which writes the length of each message.
    pub fn writes_lengths(&self) -> bool {
        matches!(self.reason, Reason::SendMany(..))
    }

    /// Whether it is the address at which sendmmsg writes the length of a message.
    fn is_length(&self, at: u64) -> bool {
        let Reason::SendMany(first, count, (size, len_at)) = self.reason else { return false };
        let from = at.wrapping_sub(first).wrapping_sub(len_at);
        from.is_multiple_of(size) && from.checked_div(size).is_some_and(|index| index < count.min(MESSAGES_MAX as u64))
    }
}

/// The port of a `struct sockaddr_in` or `sockaddr_in6`, where both have it.
pub fn port(address: &[u8; ADDRESS_MAX]) -> u16 {
    let [_, _, high, low, ..] = *address;
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    const ACTING: [u64; 6] = [asked::CONNECT, asked::SEND, asked::SEND_LATER, asked::BIND, asked::LISTEN, asked::SET];

    fn notice(number: libc::c_long, args: [u64; 6]) -> Notice {
        let mut notice = Notice::default();
        (notice.number, notice.architecture, notice.args) = (number as i32, call::NATIVE, args);
        notice
    }

    fn words(what: u64, arguments: [u64; 5]) -> [u64; ASKED] {
        let [a, b, c, d, e] = arguments;
        [what, a, b, c, d, e, 0, 0]
    }

    #[test]
    fn a_call_is_a_reason_for_itself_alone() {
        for (number, wanted) in [
            (libc::SYS_connect, &[asked::CONNECT][..]),
            (libc::SYS_sendto, &[asked::SEND_LATER]),
            (libc::SYS_sendmsg, &[asked::SEND_LATER]),
            (libc::SYS_sendmmsg, &[asked::SEND, asked::SEND_LATER]),
            (libc::SYS_bind, &[asked::BIND]),
            (libc::SYS_listen, &[asked::LISTEN]),
            (libc::SYS_setsockopt, &[asked::SET]),
            (libc::SYS_getsockopt, &[]),
            (libc::SYS_execve, &[]),
            (libc::SYS_io_uring_setup, &[]),
            (libc::SYS_getpid, &[]),
        ] {
            let permit = Permit::of(&notice(number, [7, 1000, 2, 0, 0, 0]));
            let len_at = if number == libc::SYS_sendmmsg { 1056 } else { 0 };
            let has: Vec<u64> =
                ACTING.into_iter().filter(|what| permit.has(&words(*what, [0, 1000, 2, 0, len_at]))).collect();
            assert_eq!(has, wanted, "{number}");
            assert!(!permit.has(&words(99, [0; 5])), "a request that nobody knows");
        }
        assert!(ACTING.into_iter().all(|what| !Permit::NOTHING.has(&words(what, [0; 5]))));
    }

    #[test]
    fn it_is_about_its_own_descriptor_and_option() {
        let permit = Permit::of(&notice(libc::SYS_setsockopt, [7, 6, 1, 0, 4, 0]));
        let (internet, local) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UnixDatagram::unbound().unwrap());
        assert!(permit.acts_on(7, internet.as_raw_fd()) && !permit.acts_on(3, internet.as_raw_fd()));
        assert!(!permit.acts_on(7, local.as_raw_fd()) && !permit.acts_on(7, -1));
        assert!(permit.has(&words(asked::SET, [0, 6, 1, 0, 0])));
        assert!(!permit.has(&words(asked::SET, [0, 1, 36, 0, 0])));
    }

    #[test]
    fn a_port_is_read_as_the_kernel_reads_it() {
        let mut address = [0; ADDRESS_MAX];
        address[..4].copy_from_slice(&[2, 0, 0x01, 0xbb]);
        assert_eq!(port(&address), 443);
    }

    #[test]
    fn a_length_is_written_where_sendmmsg_writes_one() {
        let permit = Permit::of(&notice(libc::SYS_sendmmsg, [7, 0x1000, 2, 0, 0, 0]));
        let tells = |at| [asked::SEND, asked::SEND_LATER].map(|what| permit.has(&words(what, [0, 0, 0, 0, at])));
        assert_eq!([tells(0x1000 + 56), tells(0x1000 + 64 + 56)], [[true; 2]; 2]);
        for at in [
            0,
            0x1000,
            0x1000 + 55,
            0x1000 + 57,
            0x1000 + 60,
            0x1000 + 128 + 56,
            0x1000 - 8,
            0x7fff_0000_0000,
            u64::MAX,
        ] {
            assert_eq!(tells(at), [false; 2], "{at:x}");
        }
    }
}
