//! Decodes a stopped call: which one it is, and its arguments, for each architecture that the kernel runs.

use super::remote::Memory;
use crate::judge::route;
use crate::sys::Notice;
use crate::sys::arch;

/// A call.
#[derive(Clone, Copy)]
pub enum Call {
    /// Descriptor, address, length.
    Connect(i32, u64, u64),
    /// Descriptor, data with its length, address, length, flags.
    SendTo(i32, (u64, u64), u64, u64, i32),
    /// Descriptor, header, flags.
    SendMessage(i32, u64, i32),
    /// Descriptor, headers, number, flags.
    SendMessages(i32, u64, u64, i32),
    /// Descriptor, address, length.
    Bind(i32, u64, u64),
    /// Descriptor, backlog.
    Listen(i32, i32),
    /// Descriptor, level, option, value, length.
    Set(i32, i32, i32, u64, u32),
    /// Descriptor; the option or control message that changes the route.
    Asked(i32, Option<&'static str>),
    /// Descriptor of the folder, path, arguments, environment, flags.
    Execute(i32, u64, u64, u64, i32),
    /// One whose arguments cannot be read.
    Unreadable,
    /// landlock_restrict_self.
    Restrict,
    /// io_uring_setup.
    Ring,
    /// A call that the filter does not stop, or of an unknown architecture.
    Other,
}

/// A call, with the width of a pointer in its process's memory.
pub struct Decoded {
    pub call: Call,
    pub width: usize,
}

pub(super) use crate::sys::arch::AUDIT as NATIVE;

/// Decodes the registers in the notice, with the width of a pointer; `Err` with the function if the arguments of a socketcall are in
/// memory.
pub fn in_registers(notice: &Notice) -> Result<(Call, u64), u64> {
    match notice.architecture {
        NATIVE => Ok((native(i64::from(notice.number), &notice.args), 8)),
        other if arch::AUDIT_COMPATIBLE != Some(other) => Ok((Call::Other, 8)),
        _ if notice.number == SOCKETCALL => Err(notice.args[0]),
        _ => Ok((i386_in_registers(notice.number, &notice.args), 4)),
    }
}

/// Decodes a notice.
pub fn decode(notice: &Notice, memory: &Memory) -> Decoded {
    let args = &notice.args;
    match notice.architecture {
        NATIVE => Decoded { call: native(i64::from(notice.number), args), width: 8 },
        other if arch::AUDIT_COMPATIBLE == Some(other) => Decoded { call: i386(notice.number, args, memory), width: 4 },
        _ => Decoded { call: Call::Other, width: 8 },
    }
}

fn native(number: libc::c_long, args: &[u64; 6]) -> Call {
    let [a, b, c, d, e, f] = *args;
    let fd = a as i32;
    match number {
        libc::SYS_connect => Call::Connect(fd, b, c & 0xffff_ffff),
        libc::SYS_sendto => Call::SendTo(fd, (b, c), e, f & 0xffff_ffff, d as i32),
        libc::SYS_sendmsg => Call::SendMessage(fd, b, c as i32),
        libc::SYS_sendmmsg => Call::SendMessages(fd, b, c & 0xffff_ffff, d as i32),
        libc::SYS_bind => Call::Bind(fd, b, c & 0xffff_ffff),
        libc::SYS_listen => Call::Listen(fd, b as i32),
        libc::SYS_execve => Call::Execute(libc::AT_FDCWD, a, b, c, 0),
        libc::SYS_execveat => Call::Execute(fd, b, c, d, e as i32),
        libc::SYS_setsockopt => Call::Set(fd, b as i32, c as i32, d, e as u32),
        libc::SYS_getsockopt => Call::Asked(fd, route::asked(b as i32, c as i32)),
        libc::SYS_io_uring_setup => Call::Ring,
        libc::SYS_landlock_restrict_self => Call::Restrict,
        _ => Call::Other,
    }
}

/// The number of i386's socketcall.
const SOCKETCALL: i32 = 102;

/// i386 (arch/x86/entry/syscalls/syscall_32.tbl), and the functions of its socketcall (linux/net.h).
fn i386(number: i32, args: &[u64; 6], memory: &Memory) -> Call {
    if number == SOCKETCALL {
        return socketcall(args, memory);
    }
    i386_in_registers(number, args)
}

fn i386_in_registers(number: i32, args: &[u64; 6]) -> Call {
    let [a, b, c, d, e, f] = *args;
    let fd = a as i32;
    match number {
        11 => Call::Execute(libc::AT_FDCWD, a, b, c, 0),
        358 => Call::Execute(fd, b, c, d, e as i32),
        361 => Call::Bind(fd, b, c),
        362 => Call::Connect(fd, b, c),
        363 => Call::Listen(fd, b as i32),
        369 => Call::SendTo(fd, (b, c), e, f, d as i32),
        370 => Call::SendMessage(fd, b, c as i32),
        345 => Call::SendMessages(fd, b, c, d as i32),
        366 => Call::Set(fd, b as i32, c as i32, d, e as u32),
        365 => Call::Asked(fd, route::asked(b as i32, c as i32)),
        425 => Call::Ring,
        446 => Call::Restrict,
        _ => Call::Other,
    }
}

/// A function of socketcall, whose arguments lie in memory.
fn socketcall(args: &[u64; 6], memory: &Memory) -> Call {
    let [a, b, ..] = *args;
    let mut words = [0_u8; 24];
    // As many words as the function has (net/socket.c).
    let needed = match a {
        4 => 2_usize,
        11 => 6,
        14 | 15 => 5,
        _ => 3,
    };
    let len = needed.wrapping_mul(4);
    if words.get_mut(..len).is_none_or(|room| memory.read(b, room).len() != len) {
        return Call::Unreadable;
    }
    let word = |index: usize| {
        let at = index.wrapping_mul(4);
        let bytes = words.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
    };
    let fd = word(0) as i32;
    match a {
        2 => Call::Bind(fd, word(1), word(2)),
        3 => Call::Connect(fd, word(1), word(2)),
        4 => Call::Listen(fd, word(1) as i32),
        14 => Call::Set(fd, word(1) as i32, word(2) as i32, word(3), word(4) as u32),
        15 => Call::Asked(fd, route::asked(word(1) as i32, word(2) as i32)),
        11 => Call::SendTo(fd, (word(1), word(2)), word(4), word(5), word(3) as i32),
        16 => Call::SendMessage(fd, word(1), word(2) as i32),
        // The broker could check only addresses in registers for its lengths; libc uses the separate system call.
        20 => Call::Unreadable,
        _ => Call::Other,
    }
}
