//! The standard error of a container, which its engine collects: that of the first process of a PID namespace.

use super::write;
use crate::process::state;
use crate::sys::{self, Fd};
use core::ffi::CStr;

/// Standard error of the first process, as this process may see it.
const FIRST: &CStr = c"/proc/1/fd/2";
/// The inode of the host's own PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const HOST_PIDS: u64 = 0xefff_fffc;
/// The device that keeps nothing of what it takes.
const NULL: u64 = libc::makedev(1, 3);

/// The container's standard error; none on a host, whose first process has no reader there.
///
/// A process that may not look at the first one, as a user of its own, takes its own tree's. Of a file, whose offset belongs to the
/// first process, there is none but as this process's own descriptor.
pub fn stderr() -> Result<Fd, i32> {
    let pids = sys::stat(c"/proc/self/ns/pid").ok_or(libc::ENOENT)?;
    if pids.identity.1 == HOST_PIDS {
        return Err(libc::ENOENT);
    }
    let first = sys::stat(FIRST);
    let is_own = match first {
        Some(first) => write::is_stderr(first.identity),
        None => write::is_stderr(state::settled().stderr),
    };
    let file = match (is_own, first) {
        (true, _) => write::stderr()?,
        (false, Some(first)) if first.mode & libc::S_IFMT != libc::S_IFREG => {
            let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK | libc::O_NOCTTY;
            sys::open(libc::AT_FDCWD, FIRST, flags, 0)?
        }
        (false, _) => return Err(libc::EACCES),
    };
    let is_null = |stat: sys::Stat| stat.mode & libc::S_IFMT == libc::S_IFCHR && stat.special == NULL;
    if sys::fstat(file.0).is_none_or(is_null) { Err(libc::ENODEV) } else { Ok(file) }
}
