//! Evaluates connections that bypassed the hooks.
//!
//! Another process can change the address in memory before the kernel reads it again, and another thread can put another socket in the
//! place of the descriptor. A denial takes effect all the same. If any rule on connections is in enforce, the supervisor makes
//! an allowed call itself, on the descriptor and with the address that it evaluated. It does not do so on a local socket, because it
//! would connect as root.

use super::answer::{AddressArgument, CallDescriptor, SupervisedCall};
use crate::action::{Decision, Holds, SocketOperation};
use crate::judge;
use crate::judge::route::{self, OptionEffect};
use crate::sys::broker as ask;
use crate::sys::broker::desk::{LATER, NO_PLACE};
use crate::sys::{self, ADDRESS_MAX, Reply};
use portcullis_policy::Rule;

/// The rules on connections.
pub(super) const RULES: [Rule; 4] = [Rule::EgressPort, Rule::DnsDirect, Rule::Metadata, Rule::FpmSocket];

impl SupervisedCall<'_> {
    /// The decision on a copied address; `unspecified` is the meaning of an address without a family.
    pub(super) fn towards(
        &self,
        fd: i32,
        bytes: &[u8; ADDRESS_MAX],
        size: usize,
        operation: SocketOperation,
    ) -> Decision<Holds> {
        let served = &self.subject.served;
        let at = match sys::internet(bytes, size) {
            None if operation != SocketOperation::Connect && sys::is_unspecified(bytes, size) => {
                match sys::meaning_of_unspecified(fd) {
                    Ok(meant) => sys::unspecified(bytes, size, meant),
                    Err(_) => {
                        return self
                            .with_actor(|actor| judge::unexamined(actor, served, fd, operation))
                            .map(|()| Holds::Once);
                    }
                }
            }
            at => at,
        };
        match at {
            Some((ip, port)) => match self.to_pool_at(ip, port, operation) {
                Some(decision) => decision.map(|()| Holds::Once),
                None => self.with_actor(|actor| judge::egress(actor, served, fd, operation, ip, port)),
            },
            None => Ok(Holds::Once),
        }
    }

    /// The answer where the address cannot be read.
    pub(super) fn unread(&self, fd: i32, operation: SocketOperation) -> Reply {
        self.with_actor(|actor| judge::unread(actor, &self.subject.served, fd, operation)).into()
    }

    /// The decision on an allowed call that the supervisor cannot make itself: it is unknown whether the kernel will use what was
    /// evaluated. In audit, a call has one event.
    pub(super) fn unbound(&self, fd: i32, operation: SocketOperation) -> Decision {
        match self.written.get() && !self.enforces(&RULES) {
            true => Ok(()),
            false => self.with_actor(|actor| judge::unexamined(actor, &self.subject.served, fd, operation)),
        }
    }

    /// Whether the socket or the address may change before the kernel uses it, and the supervisor cannot prevent it. A process that
    /// has the secret gains nothing by such a change: libc itself connects to local sockets there.
    pub(super) fn may_change(&self, lent: &CallDescriptor) -> bool {
        match lent {
            _ if self.subject.is_guarded => false,
            CallDescriptor::Unknown => true,
            // Its only thread waits for the answer.
            CallDescriptor::Local(_) => self.subject.threads != 1,
            CallDescriptor::Internet(_) | CallDescriptor::Fails(_) => false,
        }
    }

    /// The answer to setsockopt. Where a rule on connections refuses, the supervisor itself sets a value that it has judged.
    pub(super) fn set(&self, fd: i32, (level, option): (i32, i32), at: u64, len: u32) -> Option<Reply> {
        let mut value = [0; route::OPTIONS_MAX];
        let read = |into: &mut [u8]| {
            let wanted = into.len();
            self.memory.read(at, into).len() == wanted
        };
        Some(match route::set(level, option, len, &mut value, read) {
            OptionEffect::NoneAsRead if self.enforces(&RULES) => match self.lend(fd) {
                CallDescriptor::Internet(fd) if route::needs_no_rights(&value, len as usize) => {
                    let value = value.get(..len as usize).unwrap_or_default();
                    match ask::set_option(fd.0, level, option, value) {
                        LATER => return None,
                        NO_PLACE => self.routed(fd.0, "options that may be others (IP_OPTIONS)"),
                        done => Reply::Result(done),
                    }
                }
                CallDescriptor::Fails(errno) => self.fails(errno, &RULES),
                // Other sockets have no such options. A socket that may be replaced is unknown, and a value that needs rights
                // is not set with the supervisor's.
                CallDescriptor::Internet(_) | CallDescriptor::Local(_) | CallDescriptor::Unknown => {
                    self.routed(fd, "options that may be others (IP_OPTIONS)")
                }
            },
            OptionEffect::None | OptionEffect::NoneAsRead => Decision::Ok(()).into(),
            OptionEffect::Elsewhere(how) => self.routed(fd, how),
        })
    }

    /// The answer to an option or a control message that changes the route.
    pub(super) fn routed(&self, fd: i32, how: &'static str) -> Reply {
        if let CallDescriptor::Fails(errno) = self.lend(fd) {
            return self.fails(errno, &RULES);
        }
        self.with_actor(|actor| judge::routed(actor, &self.subject.served, how)).into()
    }

    pub(super) fn connect(&self, fd: i32, at: u64, len: u64) -> Option<Reply> {
        let lent = self.lend(fd);
        let (bytes, size) = match self.address(at, len) {
            AddressArgument::Address(bytes, size) => (bytes, size),
            AddressArgument::Nothing(errno) => return Some(self.nowhere(&lent, true, errno, &RULES)),
            AddressArgument::Unreadable => return Some(self.unread(lent.fd(), SocketOperation::Connect)),
        };
        let decision = self.towards(lent.fd(), &bytes, size, SocketOperation::Connect);
        let Ok(holds) = decision else { return Some(decision.into()) };
        if matches!(lent, CallDescriptor::Local(_) | CallDescriptor::Unknown)
            && let Some(refused @ Err(_)) = self.to_local_pool(&bytes, size)
        {
            return Some(refused.into());
        }
        if self.may_change(&lent) {
            return Some(self.unbound(lent.fd(), SocketOperation::Connect).into());
        }
        if !self.enforces(&RULES) {
            return Some(decision.into());
        }
        let borrowed = match lent {
            CallDescriptor::Internet(fd) => fd,
            CallDescriptor::Fails(errno) => return Some(self.fails(errno, &RULES)),
            CallDescriptor::Local(_) | CallDescriptor::Unknown => return Some(decision.into()),
        };
        if self.confined() {
            return Some(self.unbound(borrowed.0, SocketOperation::Connect).into());
        }
        let done = ask::connect(borrowed.0, &bytes, size, holds == Holds::UntilSent(true));
        self.made(borrowed.0, SocketOperation::Connect, done)
    }

    /// The answer to a call that the broker made, or has a process of its own make.
    pub(super) fn made(&self, fd: i32, operation: SocketOperation, done: i64) -> Option<Reply> {
        match done {
            LATER => None,
            // The address could change before the kernel reads it.
            NO_PLACE => Some(self.unbound(fd, operation).into()),
            done => Some(Reply::Result(done)),
        }
    }
}
