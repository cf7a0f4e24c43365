//! Evaluates messages that bypassed the hooks: `sendto`, `sendmsg` and `sendmmsg` by direct system calls.
//!
//! As with connections, where any rule on connections refuses, the supervisor sends an allowed message itself: on the borrowed
//! socket, to the address that it judged, with its own copy of the data. A process of the
//! broker's sends it; of one of many it says what has come of it. What it cannot send as the process would is `Unknown`: a datagram that does not fit, and control messages other than a few that
//! need no right of the sender's. Descriptors (SCM_RIGHTS) and credentials belong to local sockets, on which it never sends.

use super::answer::{AddressArgument, CallDescriptor, SupervisedCall};
use super::broker::CONTROL_MAX;
use super::connection::RULES;
use super::window::{PAGE, Window};
use crate::action::SocketOperation;
use crate::judge::route;
use crate::sys::broker::desk::{DATA_MAX, LATER, MESSAGES_MAX, NO_PLACE, Shape};
use crate::sys::broker::{self as ask, Message};
use crate::sys::{self, ADDRESS_MAX, Reply};

/// The most pieces of one message, as in the kernel.
const PIECES_MAX: u64 = 1024;
/// The most reads of the caller's memory for one sendmmsg; beyond that, only the messages so far are sent.
const READS_MAX: u32 = 1024;
/// The most messages of one call with an event of their own; each event takes 0.1 ms.
const WRITTEN_MAX: u32 = 32;
/// How long one call is evaluated at most, in nanoseconds.
const TIME_MAX: u64 = 5_000_000;
/// The kernel shortens a longer piece to this length (MAX_RW_COUNT).
const PIECE_MAX: u64 = 0x7fff_f000;
/// The longest datagram of the internet; the kernel refuses a longer one (EMSGSIZE) before it looks at the data.
const DATAGRAM_MAX: u64 = 0xffff;

/// Control messages that only shape the packet: level and type (linux/in.h, linux/in6.h, linux/udp.h).
const HARMLESS: [(i32, i32); 8] = [
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG),
    (libc::IPPROTO_UDP, 103),
];

/// The size of a `struct mmsghdr`, and where its length lies: behind a msghdr, padded to a pointer.
pub(super) fn stride(width: u64) -> (u64, u64) {
    if width == 8 { (64, 56) } else { (32, 28) }
}

/// Whether all control messages only shape the packet.
pub(super) fn is_harmless(messages: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = messages.get(at..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map(|bytes| u64::from_ne_bytes(*bytes))
    };
    // struct cmsghdr: a length, a level and a type, then the data; each begins where a word does.
    let mut place = 0_usize;
    while place.wrapping_add(16) <= messages.len() {
        let (Some(size), Some(kind)) = (word(place), word(place.wrapping_add(8))) else { return false };
        let left = messages.len().wrapping_sub(place);
        let Some(size) = usize::try_from(size).ok().filter(|size| (16..=left).contains(size)) else { return false };
        let data = messages.get(place.wrapping_add(16)..place.wrapping_add(size)).unwrap_or_default();
        let kind = (kind as i32, (kind >> 32) as i32);
        if !HARMLESS.contains(&kind) && !route::is_harmless(kind, data) {
            return false;
        }
        place = place.wrapping_add(size.next_multiple_of(8));
    }
    true
}

/// The addresses of a message's parts in the process's memory, each with its length.
#[derive(Clone, Copy)]
struct Parts {
    /// 0 if it has none.
    name: (u64, u64),
    pieces: Pieces,
    control: (u64, u64),
}

#[derive(Clone, Copy)]
enum Pieces {
    One((u64, u64)),
    Vector((u64, u64)),
}

/// A copy of a message's header and address; its data is in the data buffer.
struct MessageCopy {
    name: ([u8; ADDRESS_MAX], usize),
    is_named: bool,
    control: ([u64; CONTROL_MAX / 8], usize),
    len: usize,
    /// Nothing is mapped at the data: the kernel has to return the error, after the errors that it finds first.
    faults: bool,
    /// It is sent by sendto, as the caller does.
    is_plain: bool,
}

/// How much of a message's data was copied.
enum Data {
    Whole(usize),
    /// The buffer is too small for the rest.
    Partly(usize),
    /// Nothing is mapped there: the kernel returns EFAULT. The length of the data.
    Faults(u64),
    /// Only the kernel can read it.
    Hidden,
}

impl MessageCopy {
    /// Has it sent: without waiting for room, or by a process that answers the call. How much was sent is told at an address, if that is
    /// not 0.
    fn send(&self, fd: i32, flags: i32, answers: bool, tell_at: u64) -> i64 {
        let mut control = [0; CONTROL_MAX];
        for (to, from) in control.chunks_exact_mut(8).zip(self.control.0) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        let shape = Shape {
            is_named: self.is_named,
            name: self.name.1,
            control: self.control.1,
            is_plain: self.is_plain,
            faults: self.faults,
        };
        let message = Message { name: &self.name.0, control: &control, shape, len: self.len, flags };
        ask::send(fd, &message, answers, tell_at)
    }
}

/// What a message with these flags does.
fn operation(flags: i32) -> SocketOperation {
    SocketOperation::Send(flags & libc::MSG_FASTOPEN != 0)
}

/// The result of one message.
#[allow(clippy::large_enum_variant, reason = "there is no allocator to box it by")]
enum Step {
    Answer(Reply),
    /// A process of its own is to send it, and answers the call: it is the only one, or the socket has no room and the caller waits for it.
    Waits(MessageCopy),
    /// It is being sent, and the call answered.
    Awaited,
}

impl SupervisedCall<'_> {
    pub(super) fn send(&self, fd: i32, data: (u64, u64), name: (u64, u64), flags: i32) -> Option<Reply> {
        let parts = Parts { name, pieces: Pieces::One(data), control: (0, 0) };
        self.one(fd, &parts, flags)
    }

    pub(super) fn message(&self, fd: i32, header: u64, flags: i32) -> Option<Reply> {
        match self.parts(header) {
            Some(parts) => self.one(fd, &parts, flags),
            None => Some(self.unread(self.borrow(fd).0, SocketOperation::Send(false))),
        }
    }

    fn one(&self, fd: i32, parts: &Parts, flags: i32) -> Option<Reply> {
        let lent = self.lend(fd);
        match self.step(&lent, parts, flags, 0) {
            Step::Answer(reply) => Some(reply),
            Step::Waits(copied) => {
                let done = copied.send(lent.fd(), flags, true, 0);
                self.made(lent.fd(), operation(flags), done)
            }
            Step::Awaited => None,
        }
    }

    /// As in the kernel: the messages before the first that is denied, or fails, are sent.
    pub(super) fn messages(&self, fd: i32, headers: u64, count: u64, flags: i32) -> Option<Reply> {
        let (size, len_at) = stride(self.width as u64);
        let lent = self.lend(fd);
        let (mut done, mut written, begun) = (0_i64, 0_u32, sys::since_boot());
        for index in 0..count.min(MESSAGES_MAX as u64) {
            let header = headers.wrapping_add(index.wrapping_mul(size));
            let Some(parts) = self.parts(header) else {
                let reply = self.unread(lent.fd(), SocketOperation::Send(false));
                return Some(if done > 0 { Reply::Result(done) } else { reply });
            };
            // Other calls wait: the rest is left to the caller's next call. If the kernel makes the whole call, the rest is not evaluated.
            written = written.saturating_add(u32::from(self.written.get()));
            // Each message is a call of its own.
            self.written.set(false);
            let is_late = sys::since_boot().wrapping_sub(begun) > TIME_MAX;
            if index > 0 && (written > WRITTEN_MAX || is_late || self.memory.reads() > READS_MAX) {
                match done > 0 {
                    true => return Some(Reply::Result(done)),
                    false if written > WRITTEN_MAX || !self.enforces(&RULES) => {
                        return Some(self.unread(lent.fd(), SocketOperation::Send(false)));
                    }
                    false => {}
                }
            }
            let tell_at = header.wrapping_add(len_at);
            match self.step(&lent, &parts, flags, tell_at) {
                Step::Answer(Reply::Result(0..)) => done = done.wrapping_add(1),
                Step::Answer(failed @ Reply::Result(_)) => {
                    return Some(if done > 0 { Reply::Result(done) } else { failed });
                }
                Step::Answer(Reply::GoOn) => {}
                // The caller may send the rest again.
                Step::Waits(_) if done > 0 => return Some(Reply::Result(done)),
                Step::Waits(copied) => {
                    let done = copied.send(lent.fd(), flags, true, tell_at);
                    return self.made(lent.fd(), operation(flags), done);
                }
                Step::Awaited => return None,
            }
        }
        Some(if done > 0 { Reply::Result(done) } else { Ok::<(), _>(()).into() })
    }

    /// Evaluates one message, and sends it if the sent message has to be the evaluated one.
    fn step(&self, lent: &CallDescriptor, parts: &Parts, flags: i32, tell_at: u64) -> Step {
        let (operation, is_plain) = (operation(flags), matches!(parts.pieces, Pieces::One(_)));
        let (bytes, size) = match parts.name {
            (0, _) => ([0; ADDRESS_MAX], 0),
            (at, len) => match self.address(at, len) {
                AddressArgument::Address(bytes, size) => (bytes, size),
                AddressArgument::Nothing(errno) => return Step::Answer(self.nowhere(lent, is_plain, errno, &RULES)),
                AddressArgument::Unreadable => return Step::Answer(self.unread(lent.fd(), operation)),
            },
        };
        let decision = self.towards(lent.fd(), &bytes, size, operation);
        if decision.is_err() {
            return Step::Answer(decision.into());
        }
        let control = match lent {
            CallDescriptor::Internet(_) => self.control(parts.control),
            _ => Some(([0; CONTROL_MAX / 8], 0)),
        };
        let Some(control) = control.filter(|_| !self.may_change(lent)) else {
            return Step::Answer(self.unbound(lent.fd(), operation).into());
        };
        if !self.enforces(&RULES) {
            return Step::Answer(decision.into());
        }
        let fd = match lent {
            CallDescriptor::Internet(fd) => fd.0,
            CallDescriptor::Fails(errno) => return Step::Answer(self.fails(*errno, &RULES)),
            CallDescriptor::Local(_) | CallDescriptor::Unknown => return Step::Answer(decision.into()),
        };
        if self.confined() {
            return Step::Answer(self.unbound(fd, operation).into());
        }
        let Some(room) = ask::data() else { return Step::Answer(self.unbound(fd, operation).into()) };
        let is_named = parts.name.0 != 0;
        let mut copied = MessageCopy { name: (bytes, size), is_named, control, len: 0, faults: false, is_plain };
        match self.data(parts.pieces, room) {
            Ok(Data::Whole(len)) => copied.len = len,
            Ok(Data::Partly(len)) if sys::is_stream(fd) => copied.len = len,
            // Too long, whatever it contains: the kernel returns this error, or one that it finds first.
            Ok(Data::Partly(_)) => copied.len = DATA_MAX,
            Ok(Data::Faults(DATAGRAM_MAX..)) if !sys::is_stream(fd) => copied.len = DATA_MAX,
            // What cannot be copied cannot be sent from here, and the caller may not send what other threads can change.
            Ok(Data::Hidden) => return Step::Answer(self.unbound(fd, operation).into()),
            Ok(Data::Faults(len)) => (copied.len, copied.faults) = (len as usize, true),
            // Decided before the rest of the message is read, because another thread may make it readable by then.
            Err(errno) => return Step::Answer(Reply::Result(-i64::from(errno))),
        }
        if tell_at == 0 {
            return Step::Waits(copied);
        }
        let waits = flags & libc::MSG_DONTWAIT == 0 && !sys::is_nonblocking(fd);
        match copied.send(fd, flags, false, tell_at) {
            LATER => Step::Awaited,
            errno if waits && errno == -i64::from(libc::EAGAIN) => Step::Waits(copied),
            // A connection is made while the caller waits.
            errno if waits && errno == -i64::from(libc::EINPROGRESS) => Step::Waits(copied),
            NO_PLACE => Step::Answer(self.unbound(fd, operation).into()),
            done => Step::Answer(Reply::Result(done)),
        }
    }

    /// The parts of a message, by its header; `None` where that cannot be read.
    fn parts(&self, header: u64) -> Option<Parts> {
        // One read, because a second one could find another header.
        let mut bytes = [0_u8; 56];
        let width = self.width;
        let whole = bytes.get_mut(..width.wrapping_mul(7))?;
        let wanted = whole.len();
        if self.memory.read(header, whole).len() != wanted {
            return None;
        }
        let word = |index: usize| {
            let mut word = [0; 8];
            let from = bytes.get(index.wrapping_mul(width)..)?.get(..width)?;
            word.get_mut(..width)?.copy_from_slice(from);
            Some(u64::from_le_bytes(word))
        };
        let len = word(1)? & 0xffff_ffff;
        // Linux cuts what is longer, and refuses what is negative; without a length there is no name.
        let len = if len <= i32::MAX as u64 { len.min(ADDRESS_MAX as u64) } else { len };
        let name = if len == 0 { 0 } else { word(0)? };
        Some(Parts { name: (name, len), pieces: Pieces::Vector((word(2)?, word(3)?)), control: (word(4)?, word(5)?) })
    }

    /// The control messages, if all of them only shape the packet.
    fn control(&self, (at, len): (u64, u64)) -> Option<([u64; CONTROL_MAX / 8], usize)> {
        let mut words = [0; CONTROL_MAX / 8];
        if len == 0 || at == 0 {
            return Some((words, 0));
        }
        // 32-bit control messages have another form.
        let len = usize::try_from(len).ok().filter(|len| *len <= CONTROL_MAX && self.width == 8)?;
        let mut bytes = [0; CONTROL_MAX];
        if self.memory.read(at, bytes.get_mut(..len)?).len() != len {
            return None;
        }
        for (to, from) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *to = u64::from_ne_bytes(from.try_into().unwrap_or_default());
        }
        is_harmless(bytes.get(..len)?).then_some((words, len))
    }

    /// Copies the data. The errno where the kernel does not look at the rest of the message.
    fn data(&self, pieces: Pieces, room: &mut [u8]) -> Result<Data, i32> {
        let (mut used, mut total, mut fault) = (0_usize, 0_u64, None);
        let mut take = |(at, len): (u64, u64)| {
            total = total.wrapping_add(len);
            let free = room.get_mut(used..).unwrap_or_default();
            if free.is_empty() {
                return;
            }
            let wanted = usize::try_from(len).unwrap_or(usize::MAX).min(free.len());
            let part = free.get_mut(..wanted).unwrap_or_default();
            if self.memory.read(at, part).len() != wanted {
                fault = fault.or_else(|| Some(self.memory.is_hidden()));
            }
            used = used.wrapping_add(wanted);
        };
        match pieces {
            Pieces::One((at, len)) => take((at, len.min(PIECE_MAX))),
            Pieces::Vector((_, count)) if count > PIECES_MAX => return Err(libc::EMSGSIZE),
            Pieces::Vector((at, count)) => {
                let width = self.width as u64;
                let mut page = [0; PAGE];
                let mut window = Window::new(&mut page);
                for index in 0..count {
                    let entry = at.wrapping_add(index.wrapping_mul(width.wrapping_mul(2)));
                    let base = window.number(self.memory, entry, self.width);
                    let len = base.and_then(|_| window.number(self.memory, entry.wrapping_add(width), self.width));
                    let Some((base, len)) = base.zip(len) else {
                        return if self.memory.is_hidden() { Ok(Data::Hidden) } else { Err(libc::EFAULT) };
                    };
                    if len > isize::MAX as u64 {
                        return Err(libc::EINVAL);
                    }
                    if len != 0 {
                        take((base, len.min(PIECE_MAX)));
                    }
                }
            }
        }
        Ok(match fault {
            Some(true) => Data::Hidden,
            Some(false) => Data::Faults(total.min(PIECE_MAX)),
            None if total > used as u64 => Data::Partly(used),
            None => Data::Whole(used),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_harmless;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (16 + data.len() as u64).to_ne_bytes().to_vec();
        bytes.extend([level.to_ne_bytes(), kind.to_ne_bytes()].concat());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn what_carries_more_than_a_packet_is_not_harmless() {
        let hops = message(libc::IPPROTO_IP, libc::IP_TTL, &1_i32.to_ne_bytes());
        let descriptors = message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &3_i32.to_ne_bytes());
        let credentials = message(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[0; 12]);
        assert!(is_harmless(&[]) && is_harmless(&hops));
        for messages in [&descriptors, &credentials, &[&hops[..], &descriptors].concat()] {
            assert!(!is_harmless(messages), "{messages:?}");
        }
        let mut long = hops;
        long[0] = 200;
        assert!(!is_harmless(&long));
    }
}
