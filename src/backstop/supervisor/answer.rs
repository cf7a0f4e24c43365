//! The judgement on a call that was stopped, and the answer to it.
//!
//! What is read of another process's memory may be changed before the kernel reads it again. A refusal is certain all the
//! same. Where a connection is allowed and any rule on connections refuses, the supervisor connects the descriptor itself, with
//! the address that it judged. Of datagrams and programs it can only say that they go on.

use super::Member;
use super::call::{Call, decode};
use super::copied::{ARGUMENTS, ROOM, Room};
use super::remote::Memory;
use super::subject::{self, Subject};
use crate::judge::{self, By, Decision, Deed, Exec, Holds, Other, Refused, Target};
use crate::memory::Text;
use crate::state::{self, Role};
use crate::sys::{self, ADDRESS_MAX, Fd, Notice, Reply};
use crate::{counters, emit};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE, Unknown, startup};
use portcullis_request::environment::REQUEST;

/// Messages of one sendmmsg that are looked at: the kernel takes no more (UIO_MAXIOV).
const MESSAGES_MAX: u64 = 1024;

/// The answer to a call; `None` where somebody else gives it. `scope` becomes the one that it is judged in;
/// `borrows` says whether descriptors of other processes can be had.
pub fn answer(member: &Member, notice: &Notice, scope: &AtomicU32, borrows: bool) -> Option<Reply> {
    if let Ok(memory) = Memory::of(notice.pid) {
        return answer_with(member, notice, scope, borrows, &memory);
    }
    // Without CAP_SYS_PTRACE, root can still look as the process's own user.
    let own = (sys::geteuid(), sys::getegid());
    let Some((uid, gid)) = subject::user_of(notice.pid) else { return Some(unreadable()) };
    sys::look_as(uid, gid);
    let reply = match Memory::of(notice.pid) {
        Ok(memory) => answer_with(member, notice, scope, borrows, &memory),
        Err(_) => Some(unreadable()),
    };
    sys::look_as(own.0, own.1);
    reply
}

fn answer_with(member: &Member, notice: &Notice, scope: &AtomicU32, borrows: bool, memory: &Memory) -> Option<Reply> {
    let listener = member.listener.load(Ordering::Relaxed);
    let Some(subject) = subject::of(member, notice.pid, memory) else { return Some(unreadable()) };
    // What was read may be of a process that has this number by now.
    if !sys::still_waits(listener, notice.id) {
        return None;
    }
    scope.store(subject.served.scope, Ordering::Release);
    if subject.role == Role::Master {
        return Some(Reply::GoOn);
    }
    let decoded = decode(notice, memory);
    let case = Case { subject: &subject, memory, width: decoded.width, listener, id: notice.id, borrows };
    match decoded.call {
        Call::Connect(fd, at, len) => case.connect(fd, at, len),
        Call::SendTo(fd, at, len, flags) => Some(case.send(fd, at, len, flags)),
        Call::SendMessage(fd, header, flags) => Some(case.message(fd, header, flags)),
        Call::SendMessages(fd, headers, count, flags) => Some(case.messages(fd, headers, count, flags)),
        Call::Bind(fd, at, len) => Some(case.bind(fd, at, len)),
        Call::Listen(fd) => Some(case.listen(fd)),
        Call::Execute(..) if subject.expects_program => Some(Reply::GoOn),
        Call::Execute(at, path, argv, envp, flags) => Some(case.execute(at, path, argv, envp, flags)),
        // An architecture without a decoder: what it does cannot be judged either.
        Call::Ring | Call::Other => Some(case.by(|by| reply_to(judge::ring(by, &subject.served)))),
    }
}

fn reply_to<T>(decision: Decision<T>) -> Reply {
    match decision {
        Err(Refused(errno)) => Reply::Result(-i64::from(errno)),
        Ok(_) => Reply::GoOn,
    }
}

static SAID: AtomicBool = AtomicBool::new(false);

/// A process that may not be looked at is judged by the strictest policy: in audit it goes on. That is no event, but it is
/// counted as one that is missing, and said once.
fn unreadable() -> Reply {
    counters::counters().dropped.fetch_add(1, Ordering::Relaxed);
    let policy = state::policy();
    if !SAID.swap(true, Ordering::Relaxed) {
        emit::guard(
            &policy,
            "the backstop's supervisor may not read the memory of what it is to judge: it needs CAP_SYS_PTRACE",
        );
    }
    let strict = |rule| policy.mode(STRICTEST_SCOPE, rule) == Mode::Enforce;
    match [Rule::EgressPort, Rule::ShellSpawn].into_iter().any(strict) {
        true => Reply::Result(-i64::from(libc::EACCES)),
        false => Reply::GoOn,
    }
}

/// The address that a call hands over.
enum Handed {
    /// As many bytes of it as Linux reads.
    Address([u8; ADDRESS_MAX], usize),
    /// Linux reads none, and says what is wrong, or takes the call for one without an address.
    Nothing,
    /// The process's memory cannot be read there.
    Unreadable,
}

/// A call at hand.
struct Case<'c> {
    subject: &'c Subject,
    memory: &'c Memory,
    width: usize,
    listener: i32,
    id: u64,
    borrows: bool,
}

impl Case<'_> {
    fn by<R>(&self, look: impl FnOnce(By<'_>) -> R) -> R {
        let subject = self.subject;
        let other = Other {
            pid: subject.pid,
            parent: subject.parent,
            role: subject.role,
            chain: subject.chain.bytes(),
            user: subject.user,
        };
        look(By::Other(&other))
    }

    /// The process's own descriptor, borrowed; -1 where the kernel does not lend it.
    fn borrow(&self, fd: i32) -> Fd {
        if self.borrows { sys::borrow(self.subject.pid, fd).unwrap_or(Fd(-1)) } else { Fd(-1) }
    }

    /// The address of a call: as many bytes as Linux reads.
    fn address(&self, at: u64, len: u64) -> Handed {
        // A length of 0, above 128 or below 0 the kernel does not read, and none of its own addresses: it says so itself.
        let Some(size) = usize::try_from(len).ok().filter(|size| (1..=ADDRESS_MAX).contains(size)) else {
            return Handed::Nothing;
        };
        if at > i64::MAX as u64 {
            return Handed::Nothing;
        }
        let mut bytes = [0; ADDRESS_MAX];
        let got = bytes.get_mut(..size).map_or(0, |room| self.memory.read(at, room).len());
        if got == size { Handed::Address(bytes, size) } else { Handed::Unreadable }
    }

    /// The decision on what is done towards an address that was copied; with what it means where it has no family.
    fn towards(&self, fd: i32, bytes: &[u8; ADDRESS_MAX], size: usize, deed: Deed) -> Decision<Holds> {
        let served = &self.subject.served;
        let at = match sys::internet(bytes, size) {
            None if deed != Deed::Connect && sys::is_unspecified(bytes, size) => {
                match sys::meaning_of_unspecified(fd) {
                    Ok(meant) => sys::unspecified(bytes, size, meant),
                    Err(_) => return self.by(|by| judge::unexamined(by, served, fd, deed)).map(|()| Holds::Once),
                }
            }
            at => at,
        };
        match at {
            Some((ip, port)) => self.by(|by| judge::egress(by, served, fd, deed, ip, port)),
            None => Ok(Holds::Once),
        }
    }

    /// The decision on an address that cannot be read.
    fn unread(&self, fd: i32, deed: Deed) -> Reply {
        reply_to(self.by(|by| judge::unread(by, &self.subject.served, fd, deed)))
    }

    /// Whether a rule on connections refuses anything for this request.
    fn refuses_connections(&self) -> bool {
        let scope = self.subject.served.scope;
        let rules = [Rule::EgressPort, Rule::DnsDirect, Rule::Metadata];
        rules.into_iter().any(|rule| state::policy().mode(scope, rule) == Mode::Enforce)
    }

    fn connect(&self, fd: i32, at: u64, len: u64) -> Option<Reply> {
        let (bytes, size) = match self.address(at, len) {
            Handed::Address(bytes, size) => (bytes, size),
            Handed::Nothing => return Some(Reply::GoOn),
            Handed::Unreadable => return Some(self.unread(self.borrow(fd).0, Deed::Connect)),
        };
        let borrowed = self.borrow(fd);
        let holds = match self.towards(borrowed.0, &bytes, size, Deed::Connect) {
            Ok(holds) => holds,
            Err(refused) => return Some(reply_to::<()>(Err(refused))),
        };
        if borrowed.0 < 0 || !self.refuses_connections() {
            return Some(Reply::GoOn);
        }
        if holds == Holds::UntilSent(true) {
            sys::end_sending(borrowed.0);
        }
        if sys::is_nonblocking(borrowed.0) || !sys::is_stream(borrowed.0) {
            return Some(Reply::Result(sys::connect(borrowed.0, &bytes, size) as i64));
        }
        // It may take minutes: a process of its own waits for it.
        // SAFETY: the child only makes system calls of `sys`.
        match unsafe { sys::fork_silent() } {
            Ok(0) => {
                sys::end_in(0);
                let result = sys::connect(borrowed.0, &bytes, size);
                sys::reply(self.listener, self.id, Reply::Result(result as i64));
                sys::exit(0)
            }
            Ok(_) => None,
            // What was judged could be another address by the time that the kernel reads it.
            Err(_) => Some(Reply::Result(-i64::from(libc::EAGAIN))),
        }
    }

    fn send(&self, fd: i32, at: u64, len: u64, flags: i32) -> Reply {
        let deed = Deed::Send(flags & libc::MSG_FASTOPEN != 0);
        match self.address(at, len) {
            Handed::Address(bytes, size) => reply_to(self.towards(self.borrow(fd).0, &bytes, size, deed)),
            Handed::Nothing => Reply::GoOn,
            Handed::Unreadable => self.unread(self.borrow(fd).0, deed),
        }
    }

    fn message(&self, fd: i32, header: u64, flags: i32) -> Reply {
        if header > i64::MAX as u64 {
            return Reply::GoOn;
        }
        let name = self.memory.number(header, self.width);
        let len = self.memory.number(header.wrapping_add(self.width as u64), 4);
        match (name, len) {
            // Linux cuts what is longer, and refuses what is negative.
            (Some(1..), Some(len @ 129..=0x7fff_ffff)) => self.send(fd, name.unwrap_or(0), len.min(128), flags),
            (Some(0), _) => Reply::GoOn,
            (Some(name), Some(len)) => self.send(fd, name, len, flags),
            _ => self.unread(self.borrow(fd).0, Deed::Send(false)),
        }
    }

    /// Refused where one of them is.
    fn messages(&self, fd: i32, headers: u64, count: u64, flags: i32) -> Reply {
        // struct mmsghdr: a msghdr and a length, padded to a pointer.
        let size = if self.width == 8 { 64 } else { 32 };
        for index in 0..count.min(MESSAGES_MAX) {
            let refused = self.message(fd, headers.wrapping_add(index.wrapping_mul(size)), flags);
            if matches!(refused, Reply::Result(_)) {
                return refused;
            }
        }
        Reply::GoOn
    }

    /// A datagram socket needs no listen.
    fn bind(&self, fd: i32, at: u64, len: u64) -> Reply {
        let served = &self.subject.served;
        let unknown = |fd, what| reply_to(self.by(|by| judge::listen_unknown(by, served, fd, what)));
        let (bytes, size) = match self.address(at, len) {
            Handed::Address(bytes, size) => (bytes, size),
            Handed::Nothing => return Reply::GoOn,
            Handed::Unreadable => return unknown(self.borrow(fd).0, Unknown::Address),
        };
        // Without a family it is 0.0.0.0 to a socket of v4, and nothing to others.
        let without_family = || match sys::is_unspecified(&bytes, size) {
            true => sys::unspecified(&bytes, size, sys::Unspecified::V4).filter(|(ip, _)| ip.is_unspecified()),
            false => None,
        };
        let at = sys::internet(&bytes, size).or_else(without_family);
        let Some((ip, port)) = at.filter(|(_, port)| *port != 0) else { return Reply::GoOn };
        let borrowed = self.borrow(fd);
        match sys::known_stream(borrowed.0) {
            Some(true) => Reply::GoOn,
            Some(false) => reply_to(self.by(|by| judge::listen(by, served, borrowed.0, ip, port))),
            None => unknown(borrowed.0, Unknown::Socket),
        }
    }

    fn listen(&self, fd: i32) -> Reply {
        let served = &self.subject.served;
        let borrowed = self.borrow(fd);
        match sys::known_own_address(borrowed.0) {
            Ok(Some((ip, port))) => reply_to(self.by(|by| judge::listen(by, served, borrowed.0, ip, port))),
            Ok(None) => Reply::GoOn,
            Err(_) => reply_to(self.by(|by| judge::listen_unknown(by, served, borrowed.0, Unknown::Socket))),
        }
    }

    fn execute(&self, at: i32, path: u64, argv: u64, envp: u64, flags: i32) -> Reply {
        let Some(room) = sys::allocate(ROOM) else { return unreadable() };
        // SAFETY: a new mapping of that size, which nobody else has.
        let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), ROOM) };
        let reply = self.execute_in(bytes, at, path, argv, envp, flags);
        sys::munmap(room, ROOM);
        reply
    }

    fn execute_in(&self, room: &mut [u8], at: i32, path: u64, argv: u64, envp: u64, flags: i32) -> Reply {
        let mut room = Room::new(room, self.memory, self.width);
        let (mut arguments, mut environment) = ([core::ptr::null(); ARGUMENTS + 1], [core::ptr::null(); ARGUMENTS + 1]);
        room.copy(argv, &mut arguments, |_| true);
        // Of the environment, what steers a loader, a shell or an allowed program, and whose request it says that it is.
        let mut forged = false;
        room.copy(envp, &mut environment, |entry| {
            if let Some(value) = entry.strip_prefix(REQUEST) {
                let handed_down = self.subject.role == Role::Descendant && self.subject.inherited(value);
                forged |= !handed_down;
            }
            startup::variable(entry, true).is_some()
        });
        let mut name = [0; 4097];
        // What cannot be read, the kernel refuses.
        let Some(path) = self.memory.string(path, &mut name) else { return Reply::GoOn };
        if path.is_empty() && flags & libc::AT_EMPTY_PATH == 0 {
            return Reply::GoOn;
        }
        let mut copy = Text::<4097>::new();
        copy.push(path);
        let pid = self.subject.pid;
        let folder = match path {
            [] => self.borrow(at),
            [b'/', ..] => root(pid),
            _ if at == libc::AT_FDCWD => open(pid, b"cwd"),
            _ => self.borrow(at),
        };
        let target = match path {
            [] => Target::Descriptor(folder.0),
            _ if folder.0 == libc::AT_FDCWD => Target::Path(folder.0, copy.c_str()),
            // In a root of its own, a path begins there.
            [b'/', ..] => Target::Path(folder.0, within(&copy)),
            _ => Target::Path(folder.0, copy.c_str()),
        };
        let standard = [0, 1, 2].map(|number| self.borrow(number));
        let exec = Exec {
            target,
            searched: None,
            argv: arguments.as_ptr(),
            envp: environment.as_ptr(),
            forged,
            standard: [standard[0].0, standard[1].0, standard[2].0],
            shell_fallback: false,
            replaces: true,
            unknown: None,
        };
        reply_to(self.by(|by| judge::exec(by, &self.subject.served, &exec)))
    }
}

/// A folder that /proc has of a process.
fn open(pid: u32, name: &[u8]) -> Fd {
    let path = crate::files::proc_path(pid, name);
    sys::open(libc::AT_FDCWD, path.c_str(), libc::O_PATH, 0).unwrap_or(Fd(-1))
}

/// The root of a process; `AT_FDCWD`, which closes nothing, where that is this process's own.
fn root(pid: u32) -> Fd {
    let mut buffer = [0; 8];
    match sys::readlink(crate::files::proc_path(pid, b"root").c_str(), &mut buffer) {
        b"/" => Fd(libc::AT_FDCWD),
        _ => open(pid, b"root"),
    }
}

/// A path without the slashes at its beginning.
fn within<const N: usize>(path: &Text<N>) -> &CStr {
    let slashes = path.bytes().iter().take_while(|&&byte| byte == b'/').count();
    let rest = path.c_str().to_bytes_with_nul().get(slashes..).unwrap_or_default();
    CStr::from_bytes_with_nul(rest).unwrap_or(c"")
}
