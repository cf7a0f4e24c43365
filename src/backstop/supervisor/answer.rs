//! The judgement on a call that was stopped, and the answer to it.
//!
//! What is read of another process's memory may be changed before the kernel reads it again. A refusal is certain all the
//! same. Where a connection is allowed and any rule on connections refuses, the supervisor connects the descriptor itself, with
//! the address that it judged. Of datagrams and programs it can only say that they go on.

use super::Member;
use super::call::{Call, decode};
use super::copied::{Not, ROOM, Room};
use super::records::Records;
use super::remote::Memory;
use super::subject::{self, Subject};
use crate::judge::{self, By, Decision, Deed, Exec, Holds, Other, Refused, Target};
use crate::memory::Text;
use crate::request::Served;
use crate::state::{self, Role};
use crate::sys::{self, ADDRESS_MAX, Fd, Notice, Reply};
use crate::{context, emit, files};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use portcullis_policy::{Mode, Rule, Unknown, startup};
use portcullis_request::State;
use portcullis_request::environment::REQUEST;
use portcullis_request::wire::WIRE_MAX;

/// Messages of one sendmmsg that are looked at: the kernel takes no more (UIO_MAXIOV).
const MESSAGES_MAX: u64 = 1024;

/// What answering takes beside the call.
pub struct With<'w> {
    /// Becomes the scope that the call is judged in.
    pub scope: &'w AtomicU32,
    /// Descriptors of other processes can be had.
    pub borrows: bool,
    /// Which process does what for which request.
    pub records: &'w Records,
}

/// The answer to a call; `None` where somebody else gives it.
pub fn answer(member: &Member, notice: &Notice, with: &With<'_>) -> Option<Reply> {
    let memory = Memory::of(notice.pid);
    if let Some(parts) = sys::announced(notice, member.secret.load(Ordering::Relaxed)) {
        // What cannot be read is not put on record.
        if let Ok(memory) = &memory {
            announced(notice, memory, with.records, parts);
        }
        return Some(Reply::Result(0));
    }
    if let Ok(memory) = &memory {
        return answer_with(member, notice, with, memory);
    }
    // Without CAP_SYS_PTRACE, root can still look as the process's own user.
    let own = (sys::geteuid(), sys::getegid());
    let Some((uid, gid)) = subject::user_of(notice.pid) else { return Some(unreadable(notice)) };
    sys::look_as(uid, gid);
    let reply = match Memory::of(notice.pid) {
        Ok(memory) => answer_with(member, notice, with, &memory),
        Err(_) => Some(unreadable(notice)),
    };
    sys::look_as(own.0, own.1);
    reply
}

fn answer_with(member: &Member, notice: &Notice, with: &With<'_>, memory: &Memory) -> Option<Reply> {
    let listener = member.listener.load(Ordering::Relaxed);
    let Some(subject) = subject::of(member, notice.pid, memory, with.records) else {
        return Some(unreadable(notice));
    };
    // What was read may be of a process that has this number by now.
    if !sys::still_waits(listener, notice.id) {
        return None;
    }
    with.scope.store(subject.served.scope, Ordering::Release);
    if subject.role == Role::Master {
        return Some(Reply::GoOn);
    }
    let decoded = decode(notice, memory);
    let (width, id, borrows, records) = (decoded.width, notice.id, with.borrows, with.records);
    let case = Case { subject: &subject, memory, width, listener, id, borrows, records };
    match decoded.call {
        Call::Connect(fd, at, len) => case.connect(fd, at, len),
        Call::SendTo(fd, at, len, flags) => Some(case.send(fd, at, len, flags)),
        Call::SendMessage(fd, header, flags) => Some(case.message(fd, header, flags)),
        Call::SendMessages(fd, headers, count, flags) => Some(case.messages(fd, headers, count, flags)),
        Call::Bind(fd, at, len) => Some(case.bind(fd, at, len)),
        Call::Listen(fd) => Some(case.listen(fd)),
        // A hook has judged it, in the thread of which this process is a child.
        Call::Execute(..) if subject.expects_program => Some(Reply::GoOn),
        Call::Execute(at, path, argv, envp, flags) => Some(case.execute(at, path, argv, envp, flags)),
        Call::Ring => Some(case.by(|by| reply_to(judge::ring(by, &subject.served)))),
        Call::Other => Some(case.by(|by| reply_to(judge::system_call(by, &subject.served)))),
        Call::Unreadable => Some(case.by(|by| reply_to(judge::memory(by, &subject.served)))),
    }
}

/// Puts on record what a hook announces: the program that its process is about to execute has no guard in it.
fn announced(notice: &Notice, memory: &Memory, records: &Records, [text, chain]: [(u64, u64); 2]) {
    let (mut request, mut programs) = ([0; WIRE_MAX], [0; 256]);
    let read = |(at, len): (u64, u64), room: &mut [u8]| {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        room.get_mut(..len).map_or(0, |room| memory.read(at, room).len())
    };
    let (len, programs_len) = (read(text, &mut request), read(chain, &mut programs));
    let Some(pid) = subject::process_of(notice.pid) else { return };
    let Some(start) = subject::start_of(pid) else { return };
    let (request, programs) = (request.get(..len), programs.get(..programs_len));
    records.put(pid, start, request.unwrap_or_default(), programs.unwrap_or_default());
}

fn reply_to<T>(decision: Decision<T>) -> Reply {
    match decision {
        Err(Refused(errno)) => Reply::Result(-i64::from(errno)),
        Ok(_) => Reply::GoOn,
    }
}

static SAID: AtomicBool = AtomicBool::new(false);

/// A process that may not be looked at is judged by the strictest policy; why it may not is said once.
fn unreadable(notice: &Notice) -> Reply {
    if !SAID.swap(true, Ordering::Relaxed) {
        emit::guard(
            &state::policy(),
            "the backstop's supervisor may not read the memory of what it is to judge: it needs CAP_SYS_PTRACE",
        );
    }
    let mut served = Served::none();
    served.request.state = State::Lost;
    served.settle();
    let user = subject::user_of(notice.pid).unwrap_or_default();
    let other = Other { pid: notice.pid, parent: 0, role: Role::Descendant, chain: b"", user };
    reply_to(judge::memory(By::Other(&other), &served))
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
    records: &'c Records,
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
        let Some(room) = sys::allocate(ROOM) else { return self.cannot(Unknown::Arguments).unwrap_or(Reply::GoOn) };
        // SAFETY: a new mapping of that size, which nobody else has.
        let bytes = unsafe { core::slice::from_raw_parts_mut(room.cast::<u8>(), ROOM) };
        let reply = self.execute_in(bytes, at, path, argv, envp, flags);
        sys::munmap(room, ROOM);
        reply
    }

    /// The refusal of a program of which something is not known, where the policy refuses that.
    fn cannot(&self, what: Unknown) -> Option<Reply> {
        let decision = self.by(|by| judge::unknown_program(by, &self.subject.served, what));
        decision.is_err().then(|| reply_to(decision))
    }

    fn execute_in(&self, room: &mut [u8], at: i32, path: u64, argv: u64, envp: u64, flags: i32) -> Reply {
        const FAULT: Reply = Reply::Result(-(libc::EFAULT as i64));
        let mut room = Room::new(room, self.memory, self.width);
        let (arguments, read) = room.copy(argv, |_| true);
        let mut unknown = None;
        match read {
            // What the kernel would say; another thread may have made it readable by then.
            Err(Not::Readable) => return FAULT,
            Err(Not::Bounded) => unknown = Some(Unknown::Arguments),
            Ok(()) => {}
        }
        // Of the environment, what steers a loader, a shell or an allowed program, and whose request it says that it is.
        let mut forged = false;
        let mut handed = Text::<{ WIRE_MAX + 1 }>::new();
        let (environment, read) = room.copy(envp, |entry| {
            if let Some(value) = entry.strip_prefix(REQUEST) {
                let handed_down = self.subject.role == Role::Descendant && self.subject.inherited(value);
                // The hooks put their own in the place of every other: this is theirs.
                if self.subject.is_guarded {
                    handed.set(value);
                    // Without their announcement it is somebody else's.
                    let announced = subject::on_record(self.subject.pid, 0, self.records);
                    let is_theirs = announced.is_some_and(|record| record.request.bytes() == value);
                    forged |= !is_theirs && !self.subject.inherited(value);
                } else {
                    forged |= !handed_down;
                }
            }
            startup::variable(entry, true).is_some()
        });
        match read {
            Err(Not::Readable) => return FAULT,
            Err(Not::Bounded) => unknown = unknown.or(Some(Unknown::Environment)),
            Ok(()) => {}
        }
        let mut name = [0; 4097];
        let Some(path) = self.memory.string(path, &mut name) else { return FAULT };
        match path.len() {
            0 if flags & libc::AT_EMPTY_PATH == 0 => return Reply::Result(-i64::from(libc::ENOENT)),
            4096.. => return Reply::Result(-i64::from(libc::ENAMETOOLONG)),
            _ => {}
        }
        let mut copy = Text::<4097>::new();
        copy.push(path);
        let file = match self.open(at, &copy, flags) {
            Ok(file) => file,
            Err(Some(errno)) => return Reply::Result(-i64::from(errno)),
            Err(None) => return self.cannot(Unknown::Program).unwrap_or(Reply::GoOn),
        };
        let Some(stat) = sys::fstat(file.0) else { return self.cannot(Unknown::Program).unwrap_or(Reply::GoOn) };
        // Of a device or a FIFO nothing is read: the kernel executes none.
        if stat.mode & libc::S_IFMT != libc::S_IFREG {
            return Reply::Result(-i64::from(libc::EACCES));
        }
        // The same file again, so that it can be read, and nothing else.
        let mut again = Text::<32>::new();
        again.push(b"/proc/self/fd/");
        again.number(u64::from(file.0.cast_unsigned()));
        let readable = sys::open(libc::AT_FDCWD, again.c_str(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0);
        let mut head = [0; 2];
        match &readable {
            // A script's interpreter is looked for where the process is.
            Ok(file) if sys::read_head(file.0, &mut head) == Some(b"#!") && !self.is_at_home() => {
                unknown = unknown.or(Some(Unknown::Interpreter));
            }
            Ok(_) => {}
            Err(_) => unknown = unknown.or(Some(Unknown::Program)),
        }
        // Something is mounted over the path that the file has there.
        let mut buffer = [0; 4096];
        let mut real = Text::<4097>::new();
        real.push(sys::readlink(again.c_str(), &mut buffer));
        if !self.is_at_home() && sys::stat(real.c_str()).is_none_or(|own| own.identity != stat.identity) {
            unknown = unknown.or(Some(Unknown::Path));
        }
        if let Some(refused) = unknown.and_then(|what| self.cannot(what)) {
            return refused;
        }
        let file = readable.unwrap_or(file);
        let standard = [0, 1, 2].map(|number| self.borrow(number));
        let exec = Exec {
            target: Target::Descriptor(file.0),
            searched: None,
            argv: arguments,
            envp: environment,
            forged,
            standard: [standard[0].0, standard[1].0, standard[2].0],
            shell_fallback: false,
            replaces: true,
            unknown: None,
        };
        let decision = self.by(|by| judge::exec(by, &self.subject.served, &exec));
        if decision.is_ok() {
            self.note(handed.bytes(), exec.name().bytes());
        }
        reply_to(decision)
    }

    /// Puts the process on record, which will run another program now; `handed` is what its hooks hand down.
    fn note(&self, handed: &[u8], name: &[u8]) {
        let subject = self.subject;
        let Some(start) = subject::start_of(subject.pid) else { return };
        let chain = context::chain_from(subject.chain.bytes(), name);
        let mut own = Text::<{ WIRE_MAX + 1 }>::new();
        let served = &subject.served;
        portcullis_request::wire::write(&served.request, served.id(), |bytes| own.push(bytes));
        let request = if handed.is_empty() { own.bytes() } else { handed };
        self.records.put(subject.pid, start, request, chain.bytes());
    }

    /// The file of a program, as its process finds it: in its own root, working folder and mounts. An errno where the kernel
    /// finds none either; `Err(None)` where this process cannot look.
    fn open(&self, at: i32, path: &Text<4097>, flags: i32) -> Result<Fd, Option<i32>> {
        let pid = self.subject.pid;
        let folder = match at {
            libc::AT_FDCWD => Fd(libc::AT_FDCWD),
            at if path.bytes().starts_with(b"/") => Fd(at.min(-1)),
            at => self.borrow(at),
        };
        if path.bytes().is_empty() {
            return if folder.0 >= 0 { Ok(folder) } else { Err(None) };
        }
        let (Some(root), Some(working)) = (open(pid, b"root"), open(pid, b"cwd")) else { return Err(None) };
        let relative = !path.bytes().starts_with(b"/");
        if relative && folder.0 < 0 && folder.0 != libc::AT_FDCWD {
            return Err(None);
        }
        // What a process calls itself is another one here.
        let mut own = Text::<4097>::new();
        match [&b"/proc/self/"[..], b"/proc/thread-self/"].into_iter().find_map(|name| path.bytes().strip_prefix(name))
        {
            Some(rest) => {
                own.push(b"/proc/");
                own.number(u64::from(pid));
                own.push(b"/");
                own.push(rest);
            }
            None => own.push(path.bytes()),
        }
        if !own.fits() {
            return Err(None);
        }
        sys::open_within(root.0, working.0, folder.0, own.c_str(), flags & libc::AT_SYMLINK_NOFOLLOW == 0)
    }

    /// Whether the process has this one's root and mounts.
    fn is_at_home(&self) -> bool {
        let of = |pid: u32, name: &[u8]| sys::stat(files::proc_path(pid, name).c_str()).map(|stat| stat.identity);
        [&b"root"[..], b"ns/mnt"].into_iter().all(|name| {
            let own = of(0, name);
            own.is_some() && own == of(self.subject.pid, name)
        })
    }
}

/// A folder that /proc has of a process.
fn open(pid: u32, name: &[u8]) -> Option<Fd> {
    sys::open(libc::AT_FDCWD, files::proc_path(pid, name).c_str(), libc::O_PATH, 0).ok()
}
