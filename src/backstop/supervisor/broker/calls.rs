//! The calls that are made in the caller's place, each by a process of its own.

use super::children::Ears;
use super::permit;
use super::{BrokerOutcome, CONTROL_MAX, JudgeActivity, JudgeJob, address, failed, number};
use crate::backstop::supervisor::cage::{BINDS, SIGNALS};
use crate::backstop::supervisor::remote::put;
use crate::backstop::supervisor::sent;
use crate::sys::broker::desk::{BrokerCopy, LATER, NO_PLACE, OWN_NAME, PEER_NAME, Shape, TCP_STATE};
use crate::sys::{self, ADDRESS_MAX, Fd, Reply};

/// An address at which no process has memory.
const NOWHERE: usize = 8;

impl JudgeJob<'_> {
    /// Has a process make a call that answers the caller's, with these capabilities alone.
    fn answered(&self, fd: i32, site: u64, kept: u64, go: &dyn Fn() -> i64) -> BrokerOutcome {
        self.in_child((site as u32, kept), [fd, -1], Ears::Caller, &|| number(go()), &|done| done)
    }

    pub(super) fn connect(
        &self,
        token: u64,
        len: u64,
        site: u64,
        ends_sending: bool,
        copied: &mut BrokerCopy,
    ) -> BrokerOutcome {
        let (Some(fd), Some((address, len))) = (self.lent(token), address(self.desk, len, copied)) else {
            return failed(libc::EACCES);
        };
        self.answered(fd, site, 0, &|| {
            if ends_sending {
                sys::end_sending(fd);
            }
            sys::connect(fd, &address, len) as i64
        })
    }

    pub(super) fn bind(&self, token: u64, len: u64, site: u64, copied: &mut BrokerCopy) -> BrokerOutcome {
        match (self.lent(token), address(self.desk, len, copied)) {
            (Some(fd), Some((address, len))) if self.may_have(permit::port(&address)) => {
                self.answered(fd, site, BINDS, &|| sys::bind(fd, &address, len) as i64)
            }
            _ => failed(libc::EACCES),
        }
    }

    pub(super) fn listen(&self, token: u64, backlog: i32, site: u64) -> BrokerOutcome {
        match self.lent(token) {
            Some(fd) => self.answered(fd, site, 0, &|| sys::listen(fd, backlog) as i64),
            None => failed(libc::EACCES),
        }
    }

    pub(super) fn set(
        &self,
        token: u64,
        (level, option): (i32, i32),
        len: u64,
        site: u64,
        copied: &mut BrokerCopy,
    ) -> BrokerOutcome {
        match (self.lent(token), copied.text(self.desk, len)) {
            (Some(fd), Some(value)) => self.answered(fd, site, 0, &|| sys::set_option(fd, level, option, value)),
            _ => failed(libc::EACCES),
        }
    }

    /// What of a socket is under its lock.
    pub(super) fn name(&self, token: u64, which: u64, site: u64) -> BrokerOutcome {
        let Some(fd) = self.lent(token) else { return failed(libc::EACCES) };
        let go = || match which {
            OWN_NAME | PEER_NAME => {
                let mut bytes = [0; ADDRESS_MAX];
                let mut words = number(sys::name_into(which, fd, &mut bytes) as i64);
                let parts = bytes.as_chunks::<8>().0.iter();
                words.iter_mut().skip(1).zip(parts).for_each(|(word, part)| *word = u64::from_ne_bytes(*part));
                words
            }
            TCP_STATE => number(sys::tcp_state(fd)),
            _ => number(-i64::from(libc::EINVAL)),
        };
        self.in_child((site as u32, 0), [fd, -1], Ears::Broker, &go, &|done| done)
    }

    /// Sends a message. One of many is sent without waiting for room, and what comes of it is said; where that takes long, and for the only
    /// one, what comes of it is the call's answer. With `tell_at`, how much was sent is written there.
    pub(super) fn send(
        &self,
        token: u64,
        flags: i32,
        shape: Shape,
        len: u64,
        (tell_at, site, is_heard): (u64, u64, bool),
        copied: &mut BrokerCopy,
    ) -> BrokerOutcome {
        let (Some(fd), JudgeActivity::Call { thread, .. }) = (self.lent(token), self.at) else {
            return failed(libc::EACCES);
        };
        // What the caller cannot read, either, may be longer than any room: the kernel looks at its place, not here.
        let data =
            if shape.faults { Some(NOWHERE) } else { copied.data(self.desk, len).map(|data| data.as_ptr() as usize) };
        let Some(data) = data else { return BrokerOutcome::Nonsense };
        let Some(text) = copied.text(self.desk, (ADDRESS_MAX + CONTROL_MAX) as u64) else {
            return BrokerOutcome::Nonsense;
        };
        let (name, control) = text.split_at(ADDRESS_MAX);
        if shape.name > name.len() || !control.get(..shape.control).is_some_and(sent::is_harmless) {
            return BrokerOutcome::Nonsense;
        }
        let piece = [data, len as usize];
        let name = if shape.is_named { (name.as_ptr() as usize, shape.name) } else { (0, 0) };
        let control = if shape.control == 0 { (0, 0) } else { (control.as_ptr() as usize, shape.control) };
        let send = |flags| {
            let done = if shape.is_plain {
                sys::send_to(fd, piece, flags | libc::MSG_NOSIGNAL, name) as i64
            } else {
                let header = [name.0, name.1, piece.as_ptr() as usize, 1, control.0, control.1, 0];
                sys::send_message(fd, &header, flags | libc::MSG_NOSIGNAL) as i64
            };
            // The signal that comes with a broken stream is the caller's.
            if done == -i64::from(libc::EPIPE)
                && flags & libc::MSG_NOSIGNAL == 0
                && sys::is_stream(fd)
                && let Some((_, process)) = self.caller()
                && self.still_waits()
            {
                sys::signal_thread(process, thread, libc::SIGPIPE);
            }
            done
        };
        let memory = if tell_at == 0 || is_heard { None } else { self.memory() };
        if tell_at != 0 && !is_heard && memory.is_none() {
            return BrokerOutcome::Answer(NO_PLACE, None);
        }
        let memory = if is_heard { self.memory.as_ref() } else { memory.as_ref() };
        let lengths = &*copied.lengths;
        let own = |sent: i64| (tell_at != 0 && sent >= 0).then_some((tell_at, sent as u32));
        let kept = [fd, memory.map_or(-1, |memory| memory.0)];
        let (ears, first) =
            if is_heard { (Ears::BrokerOrCaller, flags | libc::MSG_DONTWAIT) } else { (Ears::Caller, flags) };
        // The child has the broker's copy as it is now.
        self.in_child((site as u32, SIGNALS), kept, ears, &|| number(send(first)), &|done| {
            let done = match done {
                // Nobody sends it once more.
                again if is_heard && lengths.is_empty() && again == -i64::from(libc::EAGAIN) => send(flags),
                done => done,
            };
            match memory {
                Some(memory) => told(memory, lengths.iter().copied().chain(own(done))).unwrap_or(done),
                None => done,
            }
        })
    }

    /// The answer to the call. Where messages were sent, a process of its own writes their lengths first, and answers.
    pub fn settled(&self, reply: Option<Reply>, copied: &BrokerCopy) -> Option<Reply> {
        let (Some(Reply::Result(0..)), Some(memory), false) = (&reply, &self.memory, copied.lengths.is_empty()) else {
            return reply;
        };
        let tell = || number(told(memory, copied.lengths.iter().copied()).unwrap_or(0));
        match self.in_child((self.site, 0), [-1, memory.0], Ears::Caller, &tell, &|done| done) {
            BrokerOutcome::Answer(LATER, _) => None,
            _ => Some(Reply::Result(-i64::from(libc::EFAULT))),
        }
    }
}

/// Writes the lengths of messages that were sent: as the kernel does, the answer is how many there are up to the first that cannot be
/// told. `None` where none was sent.
fn told(memory: &Fd, mut lengths: impl Iterator<Item = (u64, u32)>) -> Option<i64> {
    let first = lengths.next()?;
    let all = core::iter::once(first).chain(lengths);
    let told = all.take_while(|(at, length)| put(memory, *at, &length.to_le_bytes())).count();
    Some(if told == 0 { -i64::from(libc::EFAULT) } else { told as i64 })
}
