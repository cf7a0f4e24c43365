//! Makes calls in the caller's place: connections and messages, without waiting or in a helper process that waits.

use super::{BrokerOutcome, CONTROL_MAX, JudgeActivity, JudgeJob, address, failed};
use crate::backstop::supervisor::cage::SIGNALS;
use crate::backstop::supervisor::remote::put;
use crate::backstop::supervisor::sent;
use crate::sys::broker::desk::{BrokerCopy, LATER, NO_PLACE, Shape};
use crate::sys::{self, ADDRESS_MAX, Reply};
use core::sync::atomic::Ordering;

/// An address at which no process has memory.
const NOWHERE: usize = 8;

impl JudgeJob<'_> {
    pub(super) fn connect(&self, token: u64, len: u64, user: u32, copied: &mut BrokerCopy) -> BrokerOutcome {
        let (Some(fd), Some((address, len))) = (self.lent(token), address(self.desk, len, copied)) else {
            return failed(libc::EACCES);
        };
        let go = || sys::connect(fd, &address, len) as i64;
        // Whether it waits is for whoever else has the socket to say, at any time: O_NONBLOCK is the socket's own.
        if sys::known_stream(fd) == Some(false) {
            return BrokerOutcome::Answer(go(), None);
        }
        self.in_child(user, 0, go)
    }

    pub(super) fn send(
        &self,
        token: u64,
        flags: i32,
        shape: Shape,
        len: u64,
        later: Option<(u64, u32)>,
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
        match later {
            None => BrokerOutcome::Answer(send(flags | libc::MSG_DONTWAIT), None),
            // The child has the broker's copy as it is now.
            Some((tell_at, user)) => {
                let memory = if tell_at == 0 { None } else { self.memory() };
                if tell_at != 0 && memory.is_none() {
                    return BrokerOutcome::Answer(NO_PLACE, None);
                }
                self.in_child(user, SIGNALS, || match (send(flags), memory) {
                    (sent @ 0.., Some(memory)) => {
                        put(&memory, tell_at, &(sent as u32).to_le_bytes());
                        1
                    }
                    (done, _) => done,
                })
            }
        }
    }

    /// The answer to the call. Where messages were sent, a process of its own writes their lengths first, and answers: as the kernel
    /// does, with how many there are up to the first that cannot be told.
    pub fn settled(&self, reply: Option<Reply>, copied: &BrokerCopy) -> Option<Reply> {
        let (Some(Reply::Result(0..)), Some(memory), false) = (&reply, &self.memory, copied.lengths.is_empty()) else {
            return reply;
        };
        let told = || {
            let all = copied.lengths.iter();
            let told = all.take_while(|(at, length)| put(memory, *at, &length.to_le_bytes())).count();
            if told == 0 { -i64::from(libc::EFAULT) } else { told as i64 }
        };
        match self.in_child(self.user, 0, told) {
            BrokerOutcome::Answer(LATER, _) => None,
            _ => Some(Reply::Result(-i64::from(libc::EFAULT))),
        }
    }

    /// Makes a call that may take minutes: a process of its own waits for it, which keeps these capabilities alone, and ends with the caller.
    fn in_child(&self, user: u32, kept: u64, go: impl FnOnce() -> i64) -> BrokerOutcome {
        let JudgeActivity::Call { member, id, .. } = self.at else { return BrokerOutcome::Nonsense };
        let (listener, worker) = (member.listener.load(Ordering::Relaxed), member.pid.load(Ordering::Relaxed));
        let helpers = &self.shared.helpers;
        if self.awaited.get() || !helpers.have_place(user, worker) {
            return BrokerOutcome::Answer(NO_PLACE, None);
        }
        // SAFETY: the child only makes system calls of `sys`.
        match unsafe { sys::fork_silent() } {
            Ok(0) => {
                sys::end_in(0);
                sys::keep_capabilities(|held| held & kept);
                sys::reply(listener, id, Reply::Result(go()));
                sys::exit(0)
            }
            Ok(child) => {
                helpers.put(child as u32, (listener, id), user, worker);
                self.awaited.set(true);
                BrokerOutcome::Answer(LATER, None)
            }
            // What was judged could be another address by the time that the kernel reads it.
            Err(_) => BrokerOutcome::Answer(NO_PLACE, None),
        }
    }
}
