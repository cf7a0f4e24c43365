//! Evaluates the opening of ports that bypassed the hooks. If `listen-port` is in enforce, the supervisor makes an allowed call itself, as
//! for connections, unless the process's own rights matter.

use super::answer::{AddressArgument, CallDescriptor, SupervisedCall};
use crate::action::Decision;
use crate::judge;
use crate::sys::broker as ask;
use crate::sys::broker::desk::{LATER, NO_PLACE};
use crate::sys::{self, Reply};
use portcullis_policy::{Rule, Unknown};

/// The rules on opening ports.
const RULES: [Rule; 1] = [Rule::ListenPort];
/// Only root opens ports below it.
pub(super) const PRIVILEGED: u16 = 1024;

impl SupervisedCall<'_> {
    /// The decision on a port of which something is not known. In audit, a call has one event.
    fn not_known(&self, fd: i32, what: Unknown) -> Decision {
        match self.written.get() && !self.enforces(&RULES) {
            true => Ok(()),
            false => self.with_actor(|actor| judge::listen_unknown(actor, &self.subject.served, fd, what)),
        }
    }

    /// The answer to a call that a process of the broker's makes, or that finds none.
    fn opened(&self, fd: i32, done: i64) -> Option<Reply> {
        match done {
            LATER => None,
            NO_PLACE => Some(self.not_known(fd, Unknown::Socket).into()),
            done => Some(Reply::Result(done)),
        }
    }

    /// A datagram socket needs no listen.
    pub(super) fn bind(&self, fd: i32, at: u64, len: u64) -> Option<Reply> {
        let lent = self.lend(fd);
        let (bytes, size) = match self.address(at, len) {
            AddressArgument::Address(bytes, size) => (bytes, size),
            AddressArgument::Nothing(errno) => return Some(self.nowhere(&lent, true, errno, &RULES)),
            AddressArgument::Unreadable => return Some(self.not_known(lent.fd(), Unknown::Address).into()),
        };
        // Without a family it is 0.0.0.0 to a socket of v4, and nothing to others.
        let without_family = || match sys::is_unspecified(&bytes, size) {
            true => sys::unspecified(&bytes, size, sys::Unspecified::V4).filter(|(ip, _)| ip.is_unspecified()),
            false => None,
        };
        let at = sys::internet(&bytes, size).or_else(without_family);
        // Port 0 means any free port, which no other process uses. A stream socket is evaluated when it listens.
        let judged = at.filter(|(_, port)| *port != 0);
        let decision = match (&lent, judged, sys::known_stream(lent.fd())) {
            (CallDescriptor::Fails(errno), ..) => return Some(self.fails(*errno, &RULES)),
            (_, Some(_), None) => self.not_known(lent.fd(), Unknown::Socket),
            (_, Some((ip, port)), Some(false)) => {
                self.with_actor(|actor| judge::listen(actor, &self.subject.served, lent.fd(), ip, port))
            }
            _ => Ok(()),
        };
        if decision.is_err() {
            return Some(decision.into());
        }
        let is_privileged = judged.is_some_and(|(_, port)| port < PRIVILEGED) && self.subject.user.0 != 0;
        let is_bound_by_itself = matches!(lent, CallDescriptor::Internet(_)) && is_privileged && self.enforces(&RULES);
        if self.may_change(&lent) || (is_bound_by_itself && !self.subject.is_guarded) {
            return Some(self.not_known(lent.fd(), Unknown::Socket).into());
        }
        match lent {
            CallDescriptor::Internet(fd) if self.enforces(&RULES) && !is_privileged => match self.confined() {
                false => self.opened(fd.0, ask::bind(fd.0, &bytes, size)),
                true => Some(self.not_known(fd.0, Unknown::Socket).into()),
            },
            _ => Some(decision.into()),
        }
    }

    pub(super) fn listen(&self, fd: i32, backlog: i32) -> Option<Reply> {
        let served = &self.subject.served;
        let lent = self.lend(fd);
        let decision = match (&lent, sys::known_own_address(lent.fd())) {
            (CallDescriptor::Fails(errno), _) => return Some(self.fails(*errno, &RULES)),
            (_, Ok(Some((ip, port)))) => self.with_actor(|actor| judge::listen(actor, served, lent.fd(), ip, port)),
            (_, Ok(None)) => Ok(()),
            (_, Err(_)) => self.not_known(lent.fd(), Unknown::Socket),
        };
        if decision.is_err() {
            return Some(decision.into());
        }
        if self.may_change(&lent) {
            return Some(self.not_known(lent.fd(), Unknown::Socket).into());
        }
        match lent {
            // All its arguments are in registers.
            CallDescriptor::Internet(fd) if self.enforces(&RULES) => match self.confined() {
                false => self.opened(fd.0, ask::listen(fd.0, backlog)),
                true if self.subject.threads == 1 => Some(decision.into()),
                true => Some(self.not_known(fd.0, Unknown::Socket).into()),
            },
            _ => Some(decision.into()),
        }
    }
}
