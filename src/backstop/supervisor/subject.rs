//! The process behind a call: its role, its request, and the chain of programs that led to it.

use super::Member;
use super::guarded;
use super::records::{Record, Records};
use super::remote::Memory;
use crate::memory::{StringBuf, base_name};
use crate::process::state::Role;
use crate::report::chain;
use crate::request::{PUBLISHED_MAX, SLOTS_MAX, ServedRequest};
use crate::sys::procfs;
use crate::sys::{self, Person};
use core::sync::atomic::Ordering;
use portcullis_request::wire::WIRE_MAX;
use portcullis_request::{Request, State, context};

/// The process behind a call.
pub struct Subject {
    /// Its number, for records and events. Its root, working directory and descriptors are read from the thread: each thread may have its
    /// own, and if the first thread has exited, /proc shows nothing under this number.
    pub pid: u32,
    /// The thread that makes the call.
    pub thread: u32,
    pub parent: u32,
    pub user: (u32, u32),
    pub role: Role,
    pub chain: StringBuf<256>,
    pub served: ServedRequest,
    /// The library is loaded in it: it has the secret.
    pub is_guarded: bool,
    /// Its program is not the one that was evaluated.
    pub is_replaced: bool,
    /// The number of its threads; 0 if unknown.
    pub threads: u32,
}

impl Subject {
    /// A process of which nothing is known.
    #[cfg(test)]
    pub fn unknown() -> Subject {
        Subject {
            pid: 0,
            thread: 0,
            parent: 0,
            user: (0, 0),
            role: Role::Descendant,
            chain: StringBuf::new(),
            served: ServedRequest::none(),
            is_guarded: false,
            is_replaced: false,
            threads: 0,
        }
    }

    /// Whether a request, in the form in which it is passed on, is this process's own.
    pub fn inherited(&self, value: &[u8]) -> bool {
        portcullis_request::wire::read(value).is_some_and(|request| request == self.served.request)
    }
}

/// The fields of /proc/PID/status.
#[derive(Default)]
struct Status {
    pid: u32,
    parent: u32,
    user: u32,
    group: u32,
    threads: u32,
}

fn status(thread: u32) -> Option<Status> {
    let mut buffer = [0; 2048];
    let text = procfs::proc_read(thread, b"status", &mut buffer);
    let number = |line: &[u8], place: usize| {
        let words = line.split(|&byte| byte == b'\t' || byte == b' ').filter(|word| !word.is_empty());
        let digits = words.skip(1).nth(place).unwrap_or_default();
        digits.iter().fold(0_u32, |sum, digit| sum.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0'))))
    };
    let mut status = Status::default();
    for line in text.split(|&byte| byte == b'\n') {
        match line.split(|&byte| byte == b':').next() {
            Some(b"Tgid") => status.pid = number(line, 0),
            Some(b"Threads") => status.threads = number(line, 0),
            Some(b"PPid") => status.parent = number(line, 0),
            // Real, then effective.
            Some(b"Uid") => status.user = number(line, 1),
            Some(b"Gid") => status.group = number(line, 1),
            _ => {}
        }
    }
    if status.pid != 0 {
        return Some(status);
    }
    // /proc may hide it (hidepid=2, ProtectProc=invisible).
    let Person { pid, parent, user: (user, group) } = sys::person(thread).filter(|person| person.pid != 0)?;
    Some(Status { pid, parent, user, group, threads: 0 })
}

/// The parent of a process.
pub fn parent_of(pid: u32) -> Option<u32> {
    status(pid).map(|status| status.parent)
}

/// The process of a thread.
pub fn process_of(thread: u32) -> Option<u32> {
    status(thread).map(|status| status.pid)
}

/// Whether a process waits in the kernel for anything but a processor; and the number of pages read from a disk for which it has waited
/// so far.
pub fn waits(pid: u32) -> (bool, u64) {
    let mut buffer = [0; 1024];
    let text = procfs::proc_read(pid, b"stat", &mut buffer);
    // Behind the name: the state is the third field, the major faults are the twelfth (proc_pid_stat(5)).
    let end = text.iter().rposition(|&byte| byte == b')').map_or(text.len(), |end| end.wrapping_add(2));
    let mut fields = text.get(end..).unwrap_or_default().split(|&byte| byte == b' ');
    // Interruptible or not, or stopped.
    let waits = matches!(fields.next(), Some(b"S" | b"D" | b"T"));
    (waits, fields.nth(8).map_or(0, context::number))
}

/// Whether a process has ended, and only waits to be waited for; so has one that is not there.
pub fn is_zombie(pid: u32) -> bool {
    let mut buffer = [0; 1024];
    let text = procfs::proc_read(pid, b"stat", &mut buffer);
    let end = text.iter().rposition(|&byte| byte == b')').map_or(text.len(), |end| end.wrapping_add(2));
    matches!(text.get(end), None | Some(b'Z' | b'X'))
}

/// When a process began, in ticks since the host did: its number may be another one's later, but not with this.
pub fn start_of(pid: u32) -> Option<u64> {
    let mut buffer = [0; 1024];
    let text = procfs::proc_read(pid, b"stat", &mut buffer);
    // Behind the name, which may have anything in it: the state is the third field, the start is the 22nd.
    let end = text.iter().rposition(|&byte| byte == b')')?;
    let field = text.get(end.wrapping_add(2)..)?.split(|&byte| byte == b' ').nth(19)?;
    Some(context::number(field))
}

/// Effective user and group of a thread's process.
pub fn user_of(thread: u32) -> Option<(u32, u32)> {
    status(thread).map(|status| (status.user, status.group))
}

/// The process of a thread that the filter of a worker stopped; `None` if it has exited.
pub fn of(member: &Member, thread: u32, memory: &Memory, records: &Records) -> Option<Subject> {
    of_announcing(member, thread, memory, records, b"")
}

/// The same, with the request for which the thread says that it acts. It counts for a worker whose memory has none, or several of
/// which one is the thread's: in the environment of a CGI program a worker finds a request that it has not published.
pub fn of_announcing(member: &Member, thread: u32, memory: &Memory, records: &Records, said: &[u8]) -> Option<Subject> {
    let status = status(thread)?;
    let worker = member.pid.load(Ordering::Relaxed);
    let secret = member.secret.load(Ordering::Relaxed);
    // The worker, or a process forked from it, that has not executed anything since.
    let is_worker = memory.number(member.secret_at.load(Ordering::Relaxed), 8) == Some(secret);
    let mut subject = Subject {
        pid: status.pid,
        thread,
        parent: status.parent,
        user: (status.user, status.group),
        role: Role::Descendant,
        chain: StringBuf::new(),
        served: ServedRequest::none(),
        is_guarded: is_worker,
        is_replaced: false,
        threads: status.threads,
    };
    if is_worker {
        subject.role = match memory.number(member.role_at.load(Ordering::Relaxed), 1) {
            Some(1) => Role::Master,
            Some(3) => Role::Descendant,
            _ => Role::Serving,
        };
        subject.served.request = of_worker(member, status.pid != worker, thread, memory, said);
        let pool = subject.served.request.pool.bytes();
        if pool.is_empty() {
            program(thread, &mut subject.chain);
        } else {
            subject.chain.push(b"php-fpm: pool ");
            subject.chain.push(pool);
        }
    } else {
        of_descendant(worker, &mut subject, memory, secret, records);
    }
    subject.served.settle();
    Some(subject)
}

/// Whether a thread of its parent has made the process.
pub fn is_child_of(process: &Subject, thread: u32) -> bool {
    let (mut file, mut room) = (StringBuf::<64>::new(), [0; 4096]);
    file.push(b"task/");
    file.number(u64::from(thread));
    file.push(b"/children");
    let mut own = StringBuf::<16>::new();
    own.number(u64::from(process.pid));
    let children = procfs::proc_read_all(process.parent, file.bytes(), &mut room);
    children.split(|&byte| byte == b' ').any(|child| child == own.bytes())
}

/// The base name of the program of a thread's process.
fn program(thread: u32, chain: &mut StringBuf<256>) {
    let (mut buffer, mut name) = ([0; 512], [0; 16]);
    let executable = procfs::proc_link(thread, b"exe", &mut buffer);
    let name =
        if executable.is_empty() { procfs::proc_read(thread, b"comm", &mut name) } else { base_name(executable) };
    chain.push(name);
}

/// The request that a worker's thread has published; of a thread that serves nobody, there is none, or the one that it `said`. In a
/// forked process the threads' numbers are its parent's: where one thread serves, the request is that one's, else what was said, or it
/// is not known.
fn of_worker(member: &Member, forked: bool, thread: u32, memory: &Memory, said: &[u8]) -> Request {
    let slots = member.slots_at.load(Ordering::Relaxed);
    let unknown = || Request { state: State::Unknown, ..Request::none() };
    let mut found = None;
    let mut count = 0_usize;
    for index in 0..SLOTS_MAX as u64 {
        let Some(at) = memory.number(slots.wrapping_add(index.wrapping_mul(8)), 8).filter(|at| *at != 0) else { break };
        let Some(both) = memory.number(at, 8) else { break };
        let (tid, len) = (both & 0xffff_ffff, both >> 32);
        count = count.wrapping_add(1);
        if forked || tid == u64::from(thread) {
            found = Some((at, len as usize));
        }
        if !forked && found.is_some() {
            break;
        }
    }
    let is_ambiguous = forked && count > 1;
    let Some((at, len)) = found.filter(|(_, len)| *len != 0 && (!is_ambiguous || said.is_empty())) else {
        return portcullis_request::wire::read(said).unwrap_or_else(Request::none);
    };
    if is_ambiguous {
        return unknown();
    }
    let mut text = [0; WIRE_MAX];
    let Some(room) = text.get_mut(..len.min(PUBLISHED_MAX)) else { return unknown() };
    portcullis_request::wire::read(memory.read(at.wrapping_add(8), room)).unwrap_or_else(unknown)
}

/// Whether what a process said is the request that its memory has, which may not have its number yet.
pub fn is_same(own: &Request, mut said: Request) -> bool {
    said.id = if own.id == 0 { 0 } else { said.id };
    said == *own
}

/// The most ancestors of a process that are read.
pub const ANCESTORS: usize = 32;

/// The request and the chain of a descendant. With the library, they are in its memory, as the exec hook passed them on. Otherwise they
/// are in the record of the process or of the one that it was forked from. Without a record, it was started bypassing the hooks, or
/// its parents have exited: then the strictest policy applies.
fn of_descendant(worker: u32, subject: &mut Subject, memory: &Memory, secret: u64, records: &Records) {
    subject.served.request = Request { state: State::Lost, ..Request::none() };
    // A worker's record is that of the program that it started last; it may handle another request by now.
    let may_be_worker = subject.pid == worker && memory.is_closed();
    if let Some(at) = guarded::handed_down(memory, secret) {
        subject.is_guarded = true;
        guarded::of_memory(subject, at, memory, worker, records);
    } else if let Some(record) = on_record(subject.pid, worker, records).filter(|_| !may_be_worker) {
        if let Some(request) = portcullis_request::wire::read(record.request.bytes()) {
            subject.served.request = request;
        }
        match record.chain.bytes().strip_suffix(chain::ARROW) {
            None => subject.chain.set(record.chain.bytes()),
            // The program was not seen when it was executed. What failed to execute one still has its own.
            Some(before) => {
                let mut last = StringBuf::<256>::new();
                last.push(chain::ARROW);
                program(subject.thread, &mut last);
                subject.chain.set(before);
                subject.chain.push(if before.ends_with(last.bytes()) { b"" } else { last.bytes() });
            }
        }
        subject.is_replaced = record.is_replaced(subject.thread);
    }
    if subject.chain.bytes().is_empty() {
        program(worker, &mut subject.chain);
        subject.chain.push(chain::ARROW);
        program(subject.thread, &mut subject.chain);
    }
}

/// The identity of no file: the program of a process always differs from it.
const NO_PROGRAM: (u64, u64) = (u64::MAX, u64::MAX);

/// Device and inode of a process's program.
pub fn image_of(pid: u32) -> Option<(u64, u64)> {
    procfs::proc_stat(pid, b"exe").map(|stat| stat.identity)
}

/// The record of a process. Where it has none, but a process has that it was forked from, it gets the same one: the guard
/// hands down what it executes in other ways, so nothing is looked for beyond a process that has it.
pub fn on_record(pid: u32, worker: u32, records: &Records) -> Option<Record> {
    let start = start_of(pid)?;
    if let Some(record) = records.of(pid, start) {
        return Some(record);
    }
    let mut ancestor = pid;
    for _ in 0..ANCESTORS {
        ancestor = parent_of(ancestor).filter(|parent| *parent > 1 && *parent != worker)?;
        // A number that was used again is not that of an ancestor.
        let began = start_of(ancestor).filter(|began| *began <= start)?;
        if let Some(record) = records.of(ancestor, began) {
            // By now the other may have begun another program, and this one what it began itself.
            let images = if record.is_replaced(ancestor) { [NO_PROGRAM; 2] } else { Default::default() };
            records.copy(pid, start, &record, images);
            return Some(Record { images, ..record });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::records::Owner;
    use super::*;

    /// A caller may prevent reads of its memory for any time.
    #[test]
    fn a_process_is_known_without_its_memory() {
        let room = |size| sys::mmap(None, size).expect("memory");
        // SAFETY: zeroed mappings of these sizes, never unmapped; zero bytes are valid atomics.
        let (member, records) =
            unsafe { (&*room(size_of::<Member>()).cast::<Member>(), &*room(size_of::<Records>()).cast::<Records>()) };
        let own = std::process::id();
        member.pid.store(own, Ordering::Relaxed);
        let mut child = std::process::Command::new("/bin/sleep").arg("100").spawn().expect("sleep");
        let pid = child.id();
        let memory = Memory::of(pid).expect("its memory");
        memory.close();
        let known = || of(member, pid, &memory, records).expect("a subject");
        let stranger = known();
        assert_eq!((stranger.pid, stranger.parent), (pid, own));
        assert_eq!(stranger.served.request.state, State::Lost);
        assert!(stranger.chain.bytes().ends_with(b" > sleep"), "{:?}", stranger.chain.bytes());
        let mut wire = Vec::new();
        portcullis_request::wire::write(&Request::none(), 7, |part| wire.extend_from_slice(part));
        let start = start_of(pid).expect("a start");
        records.put(pid, start, Owner::of(own, &wire), &wire, b"php-fpm: pool www > sleep", Default::default());
        let recorded = known();
        assert_eq!(recorded.chain.bytes(), b"php-fpm: pool www > sleep");
        assert_ne!(recorded.served.request.state, State::Lost);
        member.pid.store(pid, Ordering::Relaxed);
        assert_eq!(known().served.request.state, State::Lost, "a worker's is of what it started");
        member.pid.store(own, Ordering::Relaxed);
        // A program that was not seen is named when it is there; what failed to execute one is not another.
        for (chain, whole) in [("php-fpm > ", "php-fpm > sleep"), ("php-fpm > sleep > ", "php-fpm > sleep")] {
            records.put(pid, start, Owner::of(own, &wire), &wire, chain.as_bytes(), Default::default());
            assert_eq!(known().chain.bytes(), whole.as_bytes(), "{chain}");
        }
        child.kill().expect("kill");
        child.wait().expect("an end");
    }
}
