//! seccomp(2) with user notification, and what a supervisor needs of other processes.
//! Numbers: linux/seccomp.h, linux/audit.h.

use super::raw::syscall;
use super::{Fd, getpid, result};
use crate::memory::StringBuf;
use core::sync::atomic::{AtomicU8, Ordering};
use portcullis_policy::format::Instruction;

/// One filter for all threads of the process.
pub const TSYNC: usize = 1;
/// A descriptor on which calls are notified.
pub const NEW_LISTENER: usize = 1 << 3;
/// With both, a thread that cannot take the filter is an error rather than its number.
pub const TSYNC_ESRCH: usize = 1 << 4;
/// A signal that does not kill leaves a call that was received alone.
pub const WAIT_KILLABLE_RECV: usize = 1 << 5;

const SET_MODE_FILTER: usize = 1;
pub const NOTIF_RECV: usize = 0xc050_2100;
pub const NOTIF_SEND: usize = 0xc018_2101;
pub const NOTIF_ID_VALID: usize = 0x4008_2102;
const FLAG_CONTINUE: u32 = 1;

/// A call that waits for an answer: `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Notice {
    /// Names it.
    pub id: u64,
    /// The thread.
    pub pid: u32,
    flags: u32,
    /// The system call's number.
    pub number: i32,
    /// AUDIT_ARCH_*.
    pub architecture: u32,
    instruction: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl Notice {
    /// As words.
    pub fn words(&self) -> [u64; 10] {
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let [a, b, c, d, e, f] = self.args;
        let whose = pair(self.pid, self.flags);
        [self.id, whose, pair(self.number.cast_unsigned(), self.architecture), self.instruction, a, b, c, d, e, f]
    }

    /// Of words.
    pub fn of(words: &[u64; 10]) -> Notice {
        let [id, whose, what, instruction, args @ ..] = *words;
        let halves = |word: u64| (word as u32, (word >> 32) as u32);
        let ((pid, flags), (number, architecture)) = (halves(whose), halves(what));
        Notice { id, pid, flags, number: number.cast_signed(), architecture, instruction, args }
    }
}

/// Loads a filter; the listener's descriptor where one was asked for, else 0.
pub fn seccomp(program: &[Instruction], flags: usize) -> Result<usize, i32> {
    #[repr(C)]
    struct FilterProgram {
        len: u16,
        filter: *const Instruction,
    }
    let program = FilterProgram { len: program.len() as u16, filter: program.as_ptr() };
    // SAFETY: the kernel reads the program; Instruction has the layout of sock_filter.
    result(unsafe { syscall(libc::SYS_seccomp, [SET_MODE_FILTER, flags, &raw const program as usize, 0, 0, 0]) })
}

/// Whether a call returns at all: a unit's SystemCallFilter= may kill whoever makes it. A child tries it.
pub fn returns(call: impl FnOnce()) -> bool {
    tried(|| {
        call();
        true
    })
}

/// What a call says that a child tries; false where it does not return.
pub fn tried(call: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child only makes system calls of this module.
    match unsafe { super::fork_silent() } {
        Ok(0) => super::exit(usize::from(!call())),
        Ok(child) => super::wait_for(child) == 0,
        Err(_) => false,
    }
}

/// Whether this process may call seccomp(2).
pub fn may_filter() -> bool {
    const GET_ACTION_AVAIL: usize = 2;
    let action = 0x7ffc_0000_u32;
    returns(|| {
        // SAFETY: the kernel reads a number.
        unsafe { syscall(libc::SYS_seccomp, [GET_ACTION_AVAIL, 0, &raw const action as usize, 0, 0, 0]) };
    })
}

/// Whether this process may call what [`borrow`] does.
pub fn may_borrow() -> bool {
    returns(|| drop(borrow(getpid(), getpid(), 0)))
}

/// Gives up gaining privileges by executing.
pub fn set_no_new_privs() -> bool {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0, 0]) == 0 }
}

/// Lets a process read this one's memory where Yama forbids it.
pub fn set_ptracer(pid: u32) {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_SET_PTRACER as usize, pid as usize, 0, 0, 0, 0]) };
}

/// The next call that waits.
pub fn receive(listener: i32) -> Result<Notice, i32> {
    let mut notice = Notice::default();
    // SAFETY: the kernel writes a seccomp_notif, which was zeroed.
    result(unsafe { syscall(libc::SYS_ioctl, [listener as usize, NOTIF_RECV, &raw mut notice as usize, 0, 0, 0]) })?;
    Ok(notice)
}

/// Whether a call still waits: what was read of its process before this is that process's.
pub fn still_waits(listener: i32, id: u64) -> bool {
    // SAFETY: the kernel reads a number.
    unsafe { syscall(libc::SYS_ioctl, [listener as usize, NOTIF_ID_VALID, &raw const id as usize, 0, 0, 0]) == 0 }
}

/// The answer to a call.
#[derive(Clone, Copy)]
pub enum Reply {
    /// The kernel goes on with it.
    GoOn,
    /// It gives this, or fails with a negative errno.
    Result(i64),
}

/// Answers a call.
pub fn reply(listener: i32, id: u64, reply: Reply) {
    /// `struct seccomp_notif_resp`.
    #[repr(C)]
    struct Response {
        id: u64,
        value: i64,
        error: i32,
        flags: u32,
    }
    let response = match reply {
        Reply::GoOn => Response { id, value: 0, error: 0, flags: FLAG_CONTINUE },
        Reply::Result(value @ ..0) => Response { id, value: 0, error: value as i32, flags: 0 },
        Reply::Result(value) => Response { id, value, error: 0, flags: 0 },
    };
    // SAFETY: the kernel reads a seccomp_notif_resp.
    unsafe { syscall(libc::SYS_ioctl, [listener as usize, NOTIF_SEND, &raw const response as usize, 0, 0, 0]) };
}

/// A duplicate of descriptor `number` of thread `thread` of process `pid`: a thread may have descriptors of its own. EBADF where
/// it has none.
pub fn borrow(pid: u32, thread: u32, number: i32) -> Result<Fd, i32> {
    /// PIDFD_THREAD (linux/pidfd.h), of Linux 6.9 and later.
    const THREAD: usize = libc::O_EXCL as usize;
    match duplicate(thread, if pid == thread { 0 } else { THREAD }, number) {
        Err(libc::EINVAL) if pid != thread => borrow_of_first(pid, thread, number),
        other => other,
    }
}

/// Before Linux 6.9 only the first thread of a process can be asked. What it has is the thread's own where both have the same file
/// by that number; else EOPNOTSUPP.
fn borrow_of_first(pid: u32, thread: u32, number: i32) -> Result<Fd, i32> {
    let mut name = StringBuf::<32>::new();
    name.push(b"fd/");
    name.number(u64::from(number.cast_unsigned()));
    let own = super::stat_at(libc::AT_FDCWD, crate::sys::procfs::proc_path(thread, name.bytes()).c_str());
    let first = duplicate(pid, 0, number);
    match (own, &first) {
        (Ok(own), Ok(fd)) if super::fstat(fd.0).is_some_and(|stat| stat.identity == own.identity) => first,
        // What is not there by that name in /proc is not open; where there is no /proc, that is not known.
        (Err(libc::ENOENT), Err(libc::EBADF))
            if super::stat(crate::sys::procfs::proc_path(thread, b"fd").c_str()).is_some() =>
        {
            Err(libc::EBADF)
        }
        _ => Err(libc::EOPNOTSUPP),
    }
}

/// A duplicate of descriptor `number` of whom pidfd_open(2) opens by these.
fn duplicate(of: u32, flags: usize, number: i32) -> Result<Fd, i32> {
    // SAFETY: takes no pointer.
    let whom = Fd(result(unsafe { syscall(libc::SYS_pidfd_open, [of as usize, flags, 0, 0, 0, 0]) })? as i32);
    let args = [whom.0 as usize, number as usize, 0, 0, 0, 0];
    // SAFETY: takes no pointer.
    result(unsafe { syscall(libc::SYS_pidfd_getfd, args) }).map(|fd| Fd(fd as i32))
}

/// The facts that the kernel gives about a process that /proc hides (Linux 6.13 and later).
#[derive(Clone, Copy)]
pub struct Person {
    pub pid: u32,
    pub parent: u32,
    /// Effective user and group.
    pub user: (u32, u32),
}

/// Asks it of thread `thread` by a descriptor, which needs no right to look at the process. A filter of the unit's may end whoever
/// does that: a child tries it first.
#[cold]
#[inline(never)]
pub fn person(thread: u32) -> Option<Person> {
    const UNTRIED: u8 = 0;
    const MAY: u8 = 1;
    const MAY_NOT: u8 = 2;
    static TRIED: AtomicU8 = AtomicU8::new(UNTRIED);
    if TRIED.load(Ordering::Relaxed) == UNTRIED {
        let may = returns(|| {
            asked_person(getpid());
        });
        TRIED.store(if may { MAY } else { MAY_NOT }, Ordering::Relaxed);
    }
    if TRIED.load(Ordering::Relaxed) == MAY { asked_person(thread) } else { None }
}

/// PIDFD_GET_INFO (linux/pidfd.h).
pub const PERSON: usize = 0xc040_ff0b;

fn asked_person(thread: u32) -> Option<Person> {
    const THREAD: usize = libc::O_EXCL as usize;
    const CREDENTIALS: u32 = 3;
    // SAFETY: takes no pointer.
    let open = |flags| result(unsafe { syscall(libc::SYS_pidfd_open, [thread as usize, flags, 0, 0, 0, 0]) });
    let whom = Fd(open(THREAD).ok()? as i32);
    // A mask of 64 bits, a number of 64 bits; process, its thread group's first, parent; user, group; effective user, group.
    let mut info = [0_u32; 16];
    info[0] = CREDENTIALS;
    // SAFETY: the kernel writes at most the 64 bytes that the request's number says.
    let done = unsafe { syscall(libc::SYS_ioctl, [whom.0 as usize, PERSON, info.as_mut_ptr() as usize, 0, 0, 0]) };
    let is_all = done == 0 && info[0] & CREDENTIALS == CREDENTIALS;
    is_all.then_some(Person { pid: info[5], parent: info[6], user: (info[9], info[10]) })
}

/// Which mapping is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MappingQuery {
    /// The one at the address.
    At = 0,
    /// The first with a file that ends behind the address.
    NextWithFile = 0x30,
}

/// A mapping of a process.
#[derive(Clone, Copy, Default)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    pub inode: u64,
    /// Something may be done there.
    pub has_rights: bool,
    /// The length of its name, with its NUL; 0 where that was not asked for, or where it has none.
    pub name_len: usize,
}

/// PROCMAP_QUERY (linux/fs.h).
pub const MAPPING_QUERY: usize = 0xc068_6611;

/// What the kernel says of a mapping, by the process's /proc/PID/maps; its name where there is room for that. An error where the kernel
/// cannot say it (before Linux 6.11).
pub fn mapping(file: &Fd, at: u64, query: MappingQuery, name: &mut [u8]) -> Result<Option<Mapping>, i32> {
    // Size, flags, address; start, end, rights, size of a page, offset, inode; device; the sizes of name and build-id; their places.
    let mut asked = [0_u64; 13];
    (asked[0], asked[1], asked[2]) = (size_of_val(&asked) as u64, query as u64, at);
    if !name.is_empty() {
        (asked[10], asked[11]) = (name.len() as u64, name.as_mut_ptr() as u64);
    }
    let args = [file.0 as usize, MAPPING_QUERY, asked.as_mut_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel writes to the words, whose size it is told, and at most the name's length to that.
    match result(unsafe { syscall(libc::SYS_ioctl, args) }) {
        Ok(_) => {
            let [_, _, _, start, end, rights, _, _, inode, _, sizes, ..] = asked;
            let name_len = (sizes & u64::from(u32::MAX)) as usize;
            Ok(Some(Mapping { start, end, inode, has_rights: rights & 7 != 0, name_len }))
        }
        Err(libc::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// `pread`; what was read.
pub fn read_at(fd: i32, into: &mut [u8], at: u64) -> &[u8] {
    let args = [fd as usize, into.as_mut_ptr() as usize, into.len(), at as usize, 0, 0];
    // SAFETY: the kernel writes at most the length of the slice into it.
    let got = unsafe { syscall(libc::SYS_pread64, args) };
    into.get(..usize::try_from(got).unwrap_or(0)).unwrap_or_default()
}

/// `pwrite`; how much was written.
pub fn write_at(fd: i32, bytes: &[u8], at: u64) -> isize {
    // SAFETY: the kernel reads the slice.
    unsafe { syscall(libc::SYS_pwrite64, [fd as usize, bytes.as_ptr() as usize, bytes.len(), at as usize, 0, 0]) }
}

/// Random bits; `None` where the kernel has none to give.
pub fn random() -> Option<u64> {
    let mut bits = 0_u64;
    const NONBLOCK: usize = 1;
    // SAFETY: the kernel writes eight bytes.
    let got = unsafe { syscall(libc::SYS_getrandom, [&raw mut bits as usize, 8, NONBLOCK, 0, 0, 0]) };
    (got == 8).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// Whether a borrowed descriptor is that of a file.
    fn is(lent: &Result<Fd, i32>, of: i32) -> bool {
        let identity = |fd: i32| super::super::fstat(fd).expect("a status").identity;
        lent.as_ref().is_ok_and(|lent| identity(lent.0) == identity(of))
    }

    #[test]
    fn descriptors_are_the_thread_s_own() {
        let (one, other) = (std::net::UdpSocket::bind("127.0.0.1:0"), std::net::UdpSocket::bind("127.0.0.1:0"));
        let (one, other) = (one.expect("a socket"), other.expect("a socket"));
        let (number, another) = (one.as_raw_fd(), other.as_raw_fd());
        std::thread::spawn(move || {
            let (pid, thread) = (std::process::id(), super::super::gettid());
            for borrow in [borrow, borrow_of_first] {
                assert!(is(&borrow(pid, thread, number), number));
                assert_eq!(borrow(pid, thread, 9999).err(), Some(libc::EBADF));
            }
            // SAFETY: numbers that nobody else uses; and what a thread does to its own table changes no other's.
            unsafe {
                assert_eq!(libc::dup2(another, 9998), 9998);
                assert_eq!(libc::unshare(libc::CLONE_FILES), 0);
                assert_eq!(libc::dup2(another, number), number);
                assert_eq!(libc::dup2(another, 9999), 9999);
                assert_eq!(libc::close(9998), 0);
            }
            assert!(is(&borrow(pid, thread, number), 9999));
            assert!(is(&borrow(pid, thread, 9999), 9999));
            assert_eq!(borrow(pid, thread, 9998).err(), Some(libc::EBADF));
            // Older kernels cannot say.
            for fd in [number, 9999, 9998] {
                assert_eq!(borrow_of_first(pid, thread, fd).err(), Some(libc::EOPNOTSUPP));
            }
        })
        .join()
        .expect("a thread");
        drop((one, other));
    }
}
