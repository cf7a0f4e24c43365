//! Evaluates a call that the filter stopped, and makes the answer to it.
//!
//! Every path ends in a decision: the call is allowed or denied, or it cannot be evaluated (`Unknown`), and the policy decides.
//! `Reply::from` makes the answer of a decision. Nothing else lets a call proceed.

use super::Member;
use super::announced;
use super::call::{Call, decode};
use super::expected::Expected;
use super::pool::Pools;
use super::records::{self, Records};
use super::remote::Memory;
use super::restricted::{Restricted, RestrictedSince};
use super::subject::{self, Subject};
use crate::action::Place;
use crate::action::{Actor, Decision, Other, Refused};
use crate::judge;
use crate::policy::in_force;
use crate::process::state::Role;
use crate::report::{actor, emit};
use crate::request::ServedRequest;
use crate::sys::broker as ask;
use crate::sys::procfs;
use crate::sys::{self, ADDRESS_MAX, Announced, Fd, Notice, Reply};
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use portcullis_policy::{Mode, Rule, Unknown};
use portcullis_request::State;

/// What is needed to answer a call, beside the call itself.
pub struct With<'w> {
    /// The arguments are read.
    pub reads: bool,
    /// Anything of the caller's memory is read.
    pub looks: bool,
    /// Set to the scope in which the call is evaluated.
    pub scope: &'w AtomicU32,
    /// Descriptors of other processes can be duplicated (pidfd_getfd).
    pub borrows: bool,
    /// Which process does what for which request.
    pub records: &'w Records,
    /// Which processes called landlock_restrict_self.
    pub restricted: &'w Restricted,
    /// Since when there are such processes below the worker.
    pub since: &'w RestrictedSince,
    /// The programs that libc is about to execute for a hook.
    pub expected: &'w Expected,
    /// The pools of the worker's server.
    pub pools: &'w Pools,
}

/// The only conversion from a decision to an answer.
impl<T> From<Decision<T>> for Reply {
    fn from(decision: Decision<T>) -> Reply {
        match decision {
            Err(Refused(errno)) => Reply::Result(-i64::from(errno)),
            Ok(_) => Reply::GoOn,
        }
    }
}

/// The answer to a call; `None` if another process answers it.
pub fn answer(member: &Member, notice: &Notice, with: &With<'_>) -> Option<Reply> {
    actor::leave_arguments(!with.reads);
    let memory = Memory::of(notice.pid);
    if let Some(what) = sys::announced(notice, member.secret.load(Ordering::Relaxed)) {
        // What cannot be read is not recorded; the process announces it again.
        if !with.reads && !matches!(what, Announced::Asked) {
            return Some(Reply::Result(sys::UNREAD as i64));
        }
        if let Ok(memory) = &memory {
            announced::take(member, notice, memory, with, what);
        }
        return Some(Reply::Result(sys::HEARD as i64));
    }
    if let Ok(memory) = &memory {
        return answer_with(member, notice, with, memory);
    }
    unreadable(notice)
}

fn answer_with(member: &Member, notice: &Notice, with: &With<'_>, memory: &Memory) -> Option<Reply> {
    if !with.looks {
        memory.close();
    }
    let Some(subject) = subject::of(member, notice.pid, memory, with.records) else {
        return unreadable(notice);
    };
    // The process may have ended, and another one may have its number: then what was read is of that one.
    if !ask::is_certain() {
        return None;
    }
    with.scope.store(subject.served.scope, Ordering::Release);
    ask::set_site(records::site_of(subject.served.request.document_root.bytes()));
    if !with.reads {
        memory.close();
    }
    if subject.role == Role::Master {
        // The server itself, before it serves: no rule applies to it.
        return Some(Decision::Ok(()).into());
    }
    let decoded = decode(notice, memory);
    let case = SupervisedCall {
        subject: &subject,
        memory,
        width: decoded.width,
        worker: member.pid.load(Ordering::Relaxed),
        id: notice.id,
        with,
        told: Cell::new(false),
        written: Cell::new(false),
    };
    // The program that runs is not the one that was evaluated: nothing is known of it.
    if subject.is_replaced && judge::enforces_programs(subject.served.scope) {
        let decision = case.with_actor(|actor| judge::unknown_program(actor, &subject.served, Unknown::Replaced));
        if decision.is_err() {
            return Some(decision.into());
        }
    }
    match decoded.call {
        Call::Connect(fd, at, len) => case.connect(fd, at, len),
        Call::SendTo(fd, data, at, len, flags) => case.send(fd, data, (at, len), flags),
        Call::SendMessage(fd, header, flags) => case.message(fd, header, flags),
        Call::SendMessages(fd, headers, count, flags) => case.messages(fd, headers, count, flags),
        Call::Bind(fd, at, len) => case.bind(fd, at, len),
        Call::Listen(fd, backlog) => case.listen(fd, backlog),
        Call::Execute(at, path, argv, envp, flags) => Some(case.execute(at, path, argv, envp, flags)),
        Call::Set(fd, level, option, at, len) => case.set(fd, (level, option), at, len),
        Call::Asked(fd, Some(how)) => Some(case.routed(fd, how)),
        Call::Asked(_, None) => Some(Decision::Ok(()).into()),
        Call::Restrict => {
            with.restricted.restrict(subject.pid, with.since);
            Some(Reply::GoOn)
        }
        Call::Ring => Some(case.with_actor(|actor| judge::ring(actor, &subject.served)).into()),
        Call::Other => Some(case.with_actor(|actor| judge::system_call(actor, &subject.served)).into()),
        Call::Unreadable => Some(case.with_actor(|actor| judge::memory(actor, &subject.served)).into()),
    }
}

static SAID: AtomicBool = AtomicBool::new(false);

/// A process that cannot be read is evaluated by the strictest policy; one event gives the reason. One that has ended is not.
fn unreadable(notice: &Notice) -> Option<Reply> {
    if !ask::still_waits() {
        return None;
    }
    if !SAID.swap(true, Ordering::Relaxed) {
        emit::guard(
            &in_force::policy(),
            "the backstop's supervisor may not read the memory of what it is to evaluate: it needs CAP_SYS_PTRACE",
        );
    }
    let mut served = ServedRequest::none();
    served.request.state = State::Lost;
    served.settle();
    let user = subject::user_of(notice.pid).unwrap_or_default();
    let (told, written) = (false, &Cell::new(false));
    let (pid, thread) = (subject::process_of(notice.pid).unwrap_or(notice.pid), notice.pid);
    let other = Other { pid, thread, parent: 0, role: Role::Descendant, chain: b"", user, place: None, told, written };
    Some(judge::memory(Actor::Other(&other), &served).into())
}

/// The address argument of a call.
pub(super) enum AddressArgument {
    /// The address: as many bytes as Linux reads.
    Address([u8; ADDRESS_MAX], usize),
    /// Linux reads no address, and the call fails with this errno.
    Nothing(i32),
    /// The memory with the address cannot be read.
    Unreadable,
}

/// The descriptor argument of a call, as this process has it.
pub(super) enum CallDescriptor {
    /// A socket of the internet.
    Internet(Fd),
    /// A socket of another kind, whatever the address is.
    Local(Fd),
    /// It is no socket, and the call fails with this errno.
    Fails(i32),
    /// The kernel does not duplicate it for this process.
    Unknown,
}

impl CallDescriptor {
    /// The number of the duplicate in this process; -1 if there is none.
    pub(super) fn fd(&self) -> i32 {
        match self {
            CallDescriptor::Internet(fd) | CallDescriptor::Local(fd) => fd.0,
            CallDescriptor::Fails(_) | CallDescriptor::Unknown => -1,
        }
    }
}

/// A call that the supervisor answers.
pub(super) struct SupervisedCall<'c> {
    pub(super) subject: &'c Subject,
    pub(super) memory: &'c Memory,
    pub(super) width: usize,
    /// The worker that it descends from.
    pub(super) worker: u32,
    /// The ID of the call.
    pub(super) id: u64,
    pub(super) with: &'c With<'c>,
    /// A hook has written the event of this call.
    pub(super) told: Cell<bool>,
    /// An event of this call has been written here.
    pub(super) written: Cell<bool>,
}

impl SupervisedCall<'_> {
    pub(super) fn with_actor<R>(&self, look: impl FnOnce(Actor<'_>) -> R) -> R {
        self.with_actor_in(None, look)
    }

    /// The same, with where the process is.
    pub(super) fn with_actor_in<R>(&self, place: Option<&Place>, look: impl FnOnce(Actor<'_>) -> R) -> R {
        let subject = self.subject;
        let other = Other {
            pid: subject.pid,
            thread: subject.thread,
            parent: subject.parent,
            role: subject.role,
            chain: subject.chain.bytes(),
            user: subject.user,
            place,
            told: self.told.get(),
            written: &self.written,
        };
        look(Actor::Other(&other))
    }

    /// Whether Landlock, AppArmor or SELinux may give the process fewer rights than this one. These check the process that makes the
    /// call, not the socket, so the process has to make the call itself. Other processes can change the arguments in its memory
    /// meanwhile: one that shares the memory (CLONE_VM), or its parent (process_vm_writev).
    pub(super) fn confined(&self) -> bool {
        let (mut own, mut other) = ([0; 256], [0; 256]);
        let own = procfs::proc_read(procfs::Whose::Own, b"attr/current", &mut own);
        let is_other = procfs::proc_read(self.subject.thread, b"attr/current", &mut other) != own;
        is_other || self.with.restricted.may_have(self.subject.pid, self.worker, self.with.since)
    }

    /// A duplicate of the thread's descriptor; -1 if the kernel gives none.
    pub(super) fn borrow(&self, fd: i32) -> Fd {
        if self.with.borrows { ask::borrow(fd).unwrap_or(Fd(-1)) } else { Fd(-1) }
    }

    /// The same, with what it is.
    pub(super) fn lend(&self, fd: i32) -> CallDescriptor {
        if !self.with.borrows {
            return CallDescriptor::Unknown;
        }
        match ask::borrow(fd) {
            Ok(fd) => match sys::known_internet(fd.0) {
                Some(true) => CallDescriptor::Internet(fd),
                Some(false) => CallDescriptor::Local(fd),
                None => CallDescriptor::Fails(libc::ENOTSOCK),
            },
            Err(errno @ (libc::EBADF | libc::ESRCH)) => CallDescriptor::Fails(errno),
            Err(_) => CallDescriptor::Unknown,
        }
    }

    /// The address of a call: as many bytes as Linux reads.
    pub(super) fn address(&self, at: u64, len: u64) -> AddressArgument {
        // A length above 128 or below 0 the kernel does not read, and none of its own addresses.
        let Some(size) = usize::try_from(len).ok().filter(|size| *size <= ADDRESS_MAX) else {
            return AddressArgument::Nothing(libc::EINVAL);
        };
        if at > i64::MAX as u64 {
            return AddressArgument::Nothing(libc::EFAULT);
        }
        let mut bytes = [0; ADDRESS_MAX];
        let got = bytes.get_mut(..size).map_or(0, |room| self.memory.read(at, room).len());
        if got == size { AddressArgument::Address(bytes, size) } else { AddressArgument::Unreadable }
    }

    /// Whether one of these rules refuses anything for this request.
    pub(super) fn enforces(&self, rules: &[Rule]) -> bool {
        let scope = self.subject.served.scope;
        rules.iter().any(|rule| in_force::policy().mode(scope, *rule) == Mode::Enforce)
    }

    /// The answer to a call whose address the kernel does not read, because of its pointer or its length. If these are in
    /// registers, they cannot change, and the kernel returns the error; those of a message and of socketcall are in memory.
    pub(super) fn nowhere(&self, lent: &CallDescriptor, in_registers: bool, errno: i32, rules: &[Rule]) -> Reply {
        match (self.width, lent) {
            (8, _) if in_registers => Decision::Ok(()).into(),
            (_, CallDescriptor::Fails(errno)) => self.fails(*errno, rules),
            (..) => self.fails(errno, rules),
        }
    }

    /// The answer to a call that will fail: in audit the kernel returns the error.
    pub(super) fn fails(&self, errno: i32, rules: &[Rule]) -> Reply {
        let failed = if self.enforces(rules) { Err(Refused(errno)) } else { Ok(()) };
        Reply::from(failed)
    }
}
