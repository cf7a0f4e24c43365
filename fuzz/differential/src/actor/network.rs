//! The steps that connect, send, bind and listen, with addresses of every shape.

use super::{report, report_line};
use crate::case::Step;
use std::ffi::c_void;
use std::net::IpAddr;

/// A step's address in memory that it asks for: aligned, odd, at the end of a page, or none at all.
struct Address {
    at: *const libc::sockaddr,
    length: u32,
}

fn bytes_of(step: &Step) -> Vec<u8> {
    let host: Option<IpAddr> = step.text("host").parse().ok();
    let family = match step.text("family") {
        "" => {
            if matches!(host, Some(IpAddr::V6(_))) {
                libc::AF_INET6
            } else {
                libc::AF_INET
            }
        }
        "unspec" => libc::AF_UNSPEC,
        "unix" => libc::AF_UNIX,
        _ => step.number("family", 2) as i32,
    };
    let mut bytes = (family as u16).to_ne_bytes().to_vec();
    bytes.extend((step.number("port", 4444) as u16).to_be_bytes());
    match host {
        Some(IpAddr::V6(v6)) => {
            bytes.extend((step.number("flow", 0) as u32).to_be_bytes());
            bytes.extend(v6.octets());
            bytes.extend((step.number("scope", 0) as u32).to_ne_bytes());
        }
        Some(IpAddr::V4(v4)) => {
            bytes.extend(v4.octets());
            bytes.extend([0; 8]);
        }
        None => bytes.extend([0; 12]),
    }
    bytes
}

fn address(step: &Step) -> Address {
    let mut bytes = bytes_of(step);
    let length = step.number("len", bytes.len() as i64) as u32;
    let nothing = Address { at: std::ptr::null(), length: if step.text("len").is_empty() { 0 } else { length } };
    let stored = (length as usize).min(4096);
    bytes.resize(stored, step.number("pad", 0) as u8);
    // SAFETY: two new pages, of which the second may not be touched; everything is written into the first. They stay for
    // the life of the case.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let pages =
            libc::mmap(std::ptr::null_mut(), 8192, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0).cast::<u8>();
        libc::mprotect(pages.add(4096).cast(), 4096, libc::PROT_NONE);
        let at = match step.text("place") {
            "none" => return nothing,
            "null" => return Address { at: std::ptr::null(), length },
            "wild" => return Address { at: pages.add(4096).cast(), length },
            "end" => pages.add(4096 - stored),
            // Cut: the last bytes are not there.
            "cut" => pages.add(4096 - stored + (stored / 2)),
            "odd" => pages.add(1),
            _ => pages,
        };
        let room = pages.add(4096).offset_from(at) as usize;
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, stored.min(room));
        Address { at: at.cast(), length }
    }
}

fn flags(step: &Step) -> i32 {
    step.text("flags").split(',').fold(libc::MSG_NOSIGNAL, |all, word| {
        all | match word {
            "fastopen" => libc::MSG_FASTOPEN,
            "dontwait" => libc::MSG_DONTWAIT,
            "more" => libc::MSG_MORE,
            "confirm" => libc::MSG_CONFIRM,
            "zerocopy" => libc::MSG_ZEROCOPY,
            _ => 0,
        }
    })
}

/// By libc's function, or by syscall(2) with the number as it is or with bits above the 32 that the kernel reads.
fn through(step: &Step, number: libc::c_long) -> Option<libc::c_long> {
    match step.text("via") {
        "syscall" => Some(number),
        "high" => Some(number | (1 << 32)),
        "higher" => Some(number | (0x7fff_ffff << 32)),
        _ => None,
    }
}

pub fn perform(step: &Step) {
    let fd = step.number("fd", 40) as i32;
    let to = address(step);
    let text: &[u8] = step.get("data").unwrap_or(b"hello");
    let (data, length) = (text.as_ptr().cast::<c_void>(), text.len());
    let flags = flags(step);
    let piece = libc::iovec { iov_base: data.cast_mut(), iov_len: length };
    // SAFETY: the pieces live until the end of this function; wild addresses are for the kernel to refuse.
    let result: i64 = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = to.at.cast_mut().cast();
        message.msg_namelen = to.length;
        message.msg_iov = (&raw const piece).cast_mut();
        message.msg_iovlen = 1;
        *libc::__errno_location() = 0;
        match step.verb.as_str() {
            "socket" => {
                let (family, kind) = match step.text("kind") {
                    "tcp4" => (libc::AF_INET, libc::SOCK_STREAM),
                    "udp6" => (libc::AF_INET6, libc::SOCK_DGRAM),
                    "tcp6" => (libc::AF_INET6, libc::SOCK_STREAM),
                    "raw4" => (libc::AF_INET, libc::SOCK_RAW),
                    _ => (libc::AF_INET, libc::SOCK_DGRAM),
                };
                let protocol = if kind == libc::SOCK_RAW { libc::IPPROTO_UDP } else { 0 };
                let new = libc::socket(family, kind, protocol);
                let done = if new >= 0 && new != fd { libc::dup3(new, fd, 0).min(0) } else { new.min(0) };
                if new >= 0 && new != fd {
                    libc::close(new);
                }
                done.into()
            }
            "connect" => match through(step, libc::SYS_connect) {
                Some(number) => libc::syscall(number, fd, to.at, to.length),
                None => libc::connect(fd, to.at, to.length).into(),
            },
            "bind" => match through(step, libc::SYS_bind) {
                Some(number) => libc::syscall(number, fd, to.at, to.length),
                None => libc::bind(fd, to.at, to.length).into(),
            },
            "listen" => match through(step, libc::SYS_listen) {
                Some(number) => libc::syscall(number, fd, 4),
                None => libc::listen(fd, 4).into(),
            },
            "sendto" => match through(step, libc::SYS_sendto) {
                Some(number) => libc::syscall(number, fd, data, length, flags, to.at, to.length),
                None => libc::sendto(fd, data, length, flags, to.at, to.length) as i64,
            },
            "sendmsg" => match through(step, libc::SYS_sendmsg) {
                Some(number) => libc::syscall(number, fd, &raw const message, flags),
                None => libc::sendmsg(fd, &raw const message, flags) as i64,
            },
            "sendmmsg" => {
                let count = step.number("count", 1) as usize;
                let mut messages = vec![libc::mmsghdr { msg_hdr: message, msg_len: 0 }; count];
                let list = messages.as_mut_ptr();
                match through(step, libc::SYS_sendmmsg) {
                    Some(number) => libc::syscall(number, fd, list, count, flags),
                    None => libc::sendmmsg(fd, list, count as u32, flags).into(),
                }
            }
            "send" => libc::send(fd, data, length, flags) as i64,
            "writev" => libc::writev(fd, &raw const piece, 1) as i64,
            _ => libc::write(fd, data, length) as i64,
        }
    };
    report(&step.verb, result);
    if matches!(step.verb.as_str(), "bind" | "listen") {
        opened(fd, step);
    }
}

/// Tells whether the kernel has a port open now: a listening stream, or a datagram socket on the port that was asked for.
fn opened(fd: i32, step: &Step) {
    // SAFETY: whole structures with their sizes.
    let (port, kind, listens) = unsafe {
        let mut own: libc::sockaddr_storage = std::mem::zeroed();
        let mut length = size_of_val(&own) as u32;
        libc::getsockname(fd, (&raw mut own).cast(), &raw mut length);
        let port = u16::from_be_bytes((&raw const own).cast::<[u8; 4]>().read()[2..].try_into().unwrap_or_default());
        let (mut kind, mut listens, mut four) = (0_i32, 0_i32, 4_u32);
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut four);
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, (&raw mut listens).cast(), &raw mut four);
        (port, kind, listens)
    };
    let wanted = step.number("port", 4444);
    if listens == 1 || (kind == libc::SOCK_DGRAM && port != 0 && i64::from(port) == wanted) {
        report_line("opened a port");
    }
}
