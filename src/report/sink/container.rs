//! The standard error of a container, which its engine collects: that of the first process of a PID namespace.
//!
//! **Which descriptor**: descriptor 2 may be anything once a server has closed its standard error: a client's connection, a file of data.
//! So only what standard error was where the tree of processes began is written to, or a pipe or a terminal of the first process.

use super::write;
use crate::memory::StringBuf;
use crate::process::state;
use crate::sys::{self, Fd};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

/// Standard error of the first process, as this process may see it.
const FIRST: &CStr = c"/proc/1/fd/2";
/// The inode of the host's own PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const HOST_PIDS: u64 = 0xefff_fffc;
/// The device that keeps nothing of what it takes.
const NULL: u64 = libc::makedev(1, 3);

/// What is held is the first process's, which outlives every other process of its namespace.
static IS_FIRST: AtomicBool = AtomicBool::new(false);

/// Whether programs may be handed a duplicate. Of another pipe, whoever reads it would wait for the end of each of them.
pub fn may_be_lent() -> bool {
    IS_FIRST.load(Ordering::Relaxed)
}

/// This program was handed it.
pub fn was_lent() {
    IS_FIRST.store(true, Ordering::Relaxed);
}

/// The container's standard error; none on a host, whose first process has no reader there.
///
/// A process that may not look at the first one, as a user of its own, takes its own tree's. Of a file, whose offset belongs to the
/// server, only one that is appended to.
pub fn stderr() -> Result<Fd, i32> {
    let pids = sys::stat(c"/proc/self/ns/pid").ok_or(libc::ENOENT)?;
    if pids.identity.1 == HOST_PIDS || !is_of_namespace() {
        return Err(libc::ENOENT);
    }
    let own = state::settled().stderr;
    let first = sys::stat(FIRST);
    let is_first = first.is_some_and(|first| first.identity == own);
    let file = match first {
        // It was closed.
        _ if own == (0, 0) => return Err(libc::EBADF),
        None if write::is_stderr(own) => write::stderr()?,
        Some(_) if is_first && write::is_stderr(own) => write::stderr()?,
        // Another one than it had when this was held is whatever the first process has opened since.
        Some(first) if is_stream(&first) && (is_first || sys::getpid() != 1 && !may_be_lent()) => {
            let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK | libc::O_NOCTTY;
            sys::open(libc::AT_FDCWD, FIRST, flags, 0)?
        }
        _ => return Err(libc::EBADF),
    };
    let stat = sys::fstat(file.0).ok_or(libc::EBADF)?;
    let is_appended = || sys::flags(file.0).is_some_and(|flags| flags & libc::O_APPEND != 0);
    match stat.mode & libc::S_IFMT {
        libc::S_IFCHR if stat.special == NULL => return Err(libc::ENODEV),
        libc::S_IFREG if !is_appended() => return Err(libc::EACCES),
        _ => {}
    }
    IS_FIRST.store(first.is_some_and(|first| first.identity == stat.identity), Ordering::Relaxed);
    Ok(file)
}

/// Whether /proc is of the PID namespace of this process: otherwise its first process is another one.
fn is_of_namespace() -> bool {
    let (mut link, mut own) = ([0; 16], StringBuf::<16>::new());
    own.number(u64::from(sys::getpid()));
    sys::readlink(c"/proc/self", &mut link) == own.bytes()
}

/// Whether something is a pipe or a terminal.
fn is_stream(stat: &sys::Stat) -> bool {
    match stat.mode & libc::S_IFMT {
        libc::S_IFIFO => true,
        libc::S_IFCHR => stat.special != NULL,
        _ => false,
    }
}
