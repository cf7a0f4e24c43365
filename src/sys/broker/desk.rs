//! What the broker and the judge say to each other: a pair of sockets for a few words and a descriptor, and memory of both
//! for what is longer.
//!
//! The broker takes a copy of what lies there before it looks at any of it: what it looked at is what it does.

use crate::sys::{self, ADDRESS_HEAD};
use arrayvec::ArrayVec;
use core::cell::UnsafeCell;

/// Room for names, addresses and events.
pub const TEXT_MAX: usize = 1 << 15;
/// Room for the data of one message: any datagram of the internet fits. Of a stream, that much is sent at a time.
pub const DATA_MAX: usize = 1 << 17;
/// The most messages of one sendmmsg: UIO_MAXIOV.
pub const MESSAGES_MAX: usize = 1024;
/// Descriptors that are lent at a time.
pub const LENT: usize = 24;

/// What the broker gives the judge to do; the second word is the place of the worker.
pub mod job {
    pub const CALL: u64 = 1;
    /// To learn the pools of a new worker's server.
    pub const POOLS: u64 = 2;
    /// To look for what has changed.
    pub const LOOK: u64 = 3;
    /// A call whose arguments cannot be read in time.
    pub const UNREAD: u64 = 4;
    /// A call of whose process nothing in its memory can be read in time.
    pub const BLIND: u64 = 5;
}

/// Words of a job: its kind, the place, a notice.
pub const JOB: usize = 12;
/// Words of what the judge asks: what, and its arguments.
pub const ASKED: usize = 8;
/// Words of what the broker answers: a number, which is a negative errno where something failed, and the beginning of an address.
pub const ANSWER: usize = 1 + ADDRESS_HEAD / 8;

/// What the judge asks.
pub mod asked {
    /// Thread, whether as a place, length of the name in the text: a file of the thread's in /proc.
    pub const OPEN: u64 = 1;
    /// Length of the name: what a link of /proc leads to, in a folder that comes with it.
    pub const FOLLOW: u64 = 2;
    /// Number, the caller's site: the caller's descriptor.
    pub const BORROW: u64 = 3;
    /// Whether the call still waits.
    pub const WAITS: u64 = 4;
    /// Lent descriptor, length of the address, the caller's site, whether its sending is ended first.
    pub const CONNECT: u64 = 5;
    /// Lent descriptor, flags, what the message has, length of its data, where its length is told, the caller's site.
    pub const SEND: u64 = 6;
    /// The same by a process that waits.
    pub const SEND_LATER: u64 = 7;
    /// Lent descriptor, length of the address, the caller's site.
    pub const BIND: u64 = 8;
    /// Lent descriptor, backlog, the caller's site.
    pub const LISTEN: u64 = 9;
    /// Lent descriptor, level, option, length of the value, the caller's site.
    pub const SET: u64 = 10;
    /// Lent descriptor, which of its names, the caller's site: what only whoever has the socket's lock can say.
    pub const NAME: u64 = 11;
    /// 4 or 6; the address is the text.
    pub const OWN: u64 = 12;
    /// Priority, time, length of the fields, length of the line behind them.
    pub const WRITE: u64 = 13;
    /// What is decided, and with which result.
    pub const DONE: u64 = 14;
}

/// Which name of a socket: its own, that of the other end, and, with its number in the place of an address, TCP's state.
pub const OWN_NAME: u64 = 0;
pub const PEER_NAME: u64 = 1;
pub const TCP_STATE: u64 = 2;

/// A decision: somebody else answers, the call goes on, it has a result.
pub const NOBODY: u64 = 0;
pub const GO_ON: u64 = 1;
pub const RESULT: u64 = 2;

/// Answers of what makes a call in the caller's place: a process of its own does it, and none has a place. No call has such a result.
pub const LATER: i64 = i64::MAX;
pub const NO_PLACE: i64 = i64::MIN;

/// What a message has: an address and its length, control messages and their length, as sendto has it, data that cannot be read.
#[derive(Clone, Copy)]
pub struct Shape {
    pub is_named: bool,
    pub name: usize,
    pub control: usize,
    pub is_plain: bool,
    pub faults: bool,
}

impl Shape {
    pub fn word(self) -> u64 {
        let Shape { is_named, name, control, is_plain, faults } = self;
        name as u64
            | (control as u64) << 16
            | u64::from(is_named) << 32
            | u64::from(is_plain) << 33
            | u64::from(faults) << 34
    }

    pub fn of(word: u64) -> Shape {
        let bit = |at: u32| word >> at & 1 != 0;
        let (name, control) = ((word & 0xffff) as usize, (word >> 16 & 0xffff) as usize);
        Shape { is_named: bit(32), name, control, is_plain: bit(33), faults: bit(34) }
    }
}

/// The memory of both. The judge only copies to it: what the kernel reads for a judge that is ended may come after its successor has begun.
pub struct Desk {
    text: UnsafeCell<[u8; TEXT_MAX]>,
    data: UnsafeCell<[u8; DATA_MAX]>,
}

// SAFETY: one of the two uses it at a time; a judge that does not keep to that changes bytes that mean nothing to the broker.
unsafe impl Sync for Desk {}

impl Desk {
    /// Copies these parts to the text, one behind the other; `None` where there is no room.
    pub fn put_text(&self, parts: &[&[u8]]) -> Option<()> {
        // SAFETY: the memory is there, the judge has one thread, and the broker writes to none of it.
        let mut room: &mut [u8] = unsafe { &mut *self.text.get() };
        for part in parts {
            let (to, rest) = room.split_at_mut_checked(part.len())?;
            to.copy_from_slice(part);
            room = rest;
        }
        Some(())
    }

    /// Copies this to the data.
    pub fn put_data(&self, from: &[u8]) -> Option<()> {
        // SAFETY: as above.
        let room: &mut [u8] = unsafe { &mut *self.data.get() };
        room.get_mut(..from.len())?.copy_from_slice(from);
        Some(())
    }
}

/// The broker's private copy of a request of the judge.
pub struct BrokerCopy {
    text: &'static mut [u8],
    data: &'static mut [u8],
    /// Lengths of the messages of one call that were sent, each with its address in the caller's memory.
    pub lengths: &'static mut ArrayVec<(u64, u32), MESSAGES_MAX>,
}

impl BrokerCopy {
    /// Room for it, for good.
    pub fn new() -> Option<BrokerCopy> {
        let at = sys::allocate(TEXT_MAX + DATA_MAX)?.cast::<u8>();
        let lengths = sys::allocate(size_of::<ArrayVec<(u64, u32), MESSAGES_MAX>>())?;
        // SAFETY: new mappings of these sizes, which nobody else has, and which are never unmapped; zero bytes are an empty list.
        let (text, data, lengths) = unsafe {
            (
                core::slice::from_raw_parts_mut(at, TEXT_MAX),
                core::slice::from_raw_parts_mut(at.add(TEXT_MAX), DATA_MAX),
                &mut *lengths.cast(),
            )
        };
        Some(BrokerCopy { text, data, lengths })
    }

    /// So much of the text; `None` for more than there is.
    pub fn text(&mut self, desk: &Desk, len: u64) -> Option<&[u8]> {
        let to = self.text.get_mut(..usize::try_from(len).ok()?)?;
        // SAFETY: both are that long, and not the same; what the judge writes meanwhile is some bytes or others.
        unsafe { core::ptr::copy_nonoverlapping(desk.text.get().cast::<u8>(), to.as_mut_ptr(), to.len()) };
        Some(to)
    }

    /// So much of the data.
    pub fn data(&mut self, desk: &Desk, len: u64) -> Option<&[u8]> {
        let to = self.data.get_mut(..usize::try_from(len).ok()?)?;
        // SAFETY: as above.
        unsafe { core::ptr::copy_nonoverlapping(desk.data.get().cast::<u8>(), to.as_mut_ptr(), to.len()) };
        Some(to)
    }
}
