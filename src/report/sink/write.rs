//! Opening and writing what the sinks are, without ever waiting.

use crate::memory::StringBuf;
use crate::report::counters;
use crate::sys::{self, Fd};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};
use portcullis_policy::Sink;

/// Permissions of a new log file: root appends, and its group reads.
const MODE: u32 = 0o640;
/// In a folder that gives its group to new files: that group appends.
const GROUP_MODE: u32 = 0o620;
/// Others than its owner may write to a file or a folder.
const OTHERS: u32 = libc::S_IWGRP | libc::S_IWOTH;

/// A datagram socket connected to a sink's.
pub fn to_socket(sink: Sink) -> Result<Fd, i32> {
    let path = sink.socket().ok_or(libc::ENOENT)?;
    let socket = sys::local_datagram()?;
    if sys::connect_local(socket.0, path.to_bytes()) { Ok(socket) } else { Err(libc::ENOENT) }
}

/// The log file, opened to append; made where it is not there. Never through a link, and only where nobody but root, or this
/// process's own user, can put another file in its place.
pub fn file(path: &CStr) -> Result<Fd, i32> {
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|&byte| byte == b'/').ok_or(libc::ENOENT)?;
    let folder = StringBuf::<1024>::of(bytes.get(..=end).unwrap_or_default());
    if !folder.fits() {
        return Err(libc::ENAMETOOLONG);
    }
    // No descriptor of the folder: a process may have one that is free, and no more.
    let place = sys::stat_at(libc::AT_FDCWD, folder.c_str())?;
    if !is_own(&place) {
        return Err(libc::EPERM);
    }
    let is_shared = place.mode & OTHERS != 0;
    if is_shared && place.mode & libc::S_ISVTX == 0 {
        return Err(libc::EPERM);
    }
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
    let open = |more, mode| sys::open(libc::AT_FDCWD, path, flags | more, mode);
    let file = match open(0, 0) {
        Err(libc::ENOENT) => {
            let mode = if place.mode & libc::S_ISGID != 0 { GROUP_MODE } else { MODE };
            let file = open(libc::O_CREAT, mode)?;
            // The process's umask took bits away.
            sys::chmod(file.0, mode);
            file
        }
        other => other?,
    };
    let stat = sys::fstat(file.0);
    // In a folder that all may write to, the name may be anybody's, or another one of a file of root's.
    if is_shared && !stat.is_some_and(|stat| is_own(&stat) && stat.links == 1) {
        return Err(libc::EPERM);
    }
    let is_open = |stat: &sys::Stat| stat.mode & (libc::S_IFMT | libc::S_IWOTH) == libc::S_IFREG | libc::S_IWOTH;
    if let Some(stat) = stat.filter(is_open) {
        // As an earlier version made it; for root alone.
        sys::chmod(file.0, stat.mode & 0o7775);
    }
    Ok(file)
}

/// Whether a file is root's or this process's own user's; in a user namespace that does not map the host's root, that cannot be
/// told, and what is done there has no more rights than that namespace.
fn is_own(stat: &sys::Stat) -> bool {
    stat.uid == 0 || stat.uid == sys::geteuid() || !sys::sees_root()
}

/// Standard error with an open file description of the guard's own, so that it can be non-blocking; a socket, or
/// another user's pipe, which cannot be reopened, as a duplicate; so too where there is no /proc. Of a regular file a duplicate,
/// too, which has the program's own offset: behind the guard's own the program would write over the event.
pub fn stderr() -> Result<Fd, i32> {
    if sys::fstat(2).is_some_and(|stat| stat.mode & libc::S_IFMT == libc::S_IFREG) {
        // A limit of no descriptors makes every number invalid.
        let no_room = |errno| if errno == libc::EINVAL { libc::EMFILE } else { errno };
        return sys::duplicate_high(2, 0).map(Fd).map_err(no_room);
    }
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK | libc::O_NOCTTY;
    match sys::open(libc::AT_FDCWD, c"/proc/self/fd/2", flags, 0) {
        Err(libc::ENXIO | libc::EACCES | libc::ENOENT) => sys::duplicate_high(2, 3).map(Fd),
        other => other,
    }
}

/// Whether descriptor 2 is the file that standard error was where the tree of processes began.
pub fn is_stderr(identity: (u64, u64)) -> bool {
    identity != (0, 0) && sys::fstat(2).is_some_and(|stat| stat.identity == identity)
}

/// Appends a line to a regular file, which neither waits nor breaks like a pipe; whether all of it was taken. Where the disk was
/// full before the last line's end, this one ends that first. What this process's limit of a file's size has no room for is not
/// begun: no later line of the process could end it.
pub fn appended(fd: i32, line: &[u8]) -> bool {
    if !sys::within_limit(fd, line.len().wrapping_add(1)) {
        return false;
    }
    let cut = &counters::in_force().cut;
    let head: &[u8] = if cut.load(Ordering::Relaxed) && cut.swap(false, Ordering::Relaxed) { b"\n" } else { b"" };
    let written = sys::write(fd, head, line);
    let whole = head.len().wrapping_add(line.len());
    let is_cut = match written {
        Ok(len) => len < whole && (len > head.len() || len == 0 && !head.is_empty()),
        Err(_) => !head.is_empty(),
    };
    if is_cut {
        cut.store(true, Ordering::Relaxed);
    }
    written == Ok(whole)
}

/// A pipe has taken a part of this process's last line.
static IS_CUT: AtomicBool = AtomicBool::new(false);

/// Writes a line at once; whether all of it was taken. Behind a part of a line that a pipe had room for, this one ends that first.
pub fn whole(fd: i32, line: &[u8]) -> bool {
    match sys::send_bytes(fd, line) {
        Err(libc::ENOTSOCK) => {}
        other => return other == Ok(line.len()),
    }
    if !sys::within_limit(fd, line.len().wrapping_add(1)) || !sys::never_blocks(fd, line.len().wrapping_add(1)) {
        return false;
    }
    let head: &[u8] = if IS_CUT.swap(false, Ordering::Relaxed) { b"\n" } else { b"" };
    let all = head.len().wrapping_add(line.len());
    let written = sys::write(fd, head, line);
    let is_cut = match written {
        Ok(len) => len < all && len != head.len(),
        Err(_) => !head.is_empty(),
    };
    IS_CUT.store(is_cut, Ordering::Relaxed);
    written == Ok(all)
}

/// What stands before the text in a datagram to syslog: facility daemon (3), the priority, the tag.
pub fn syslog_head(priority: u8, pid: u32) -> StringBuf<48> {
    let mut head = StringBuf::new();
    head.push(b"<");
    head.number(u64::from(priority).wrapping_add(3 * 8));
    head.push(b">portcullis[");
    head.number(u64::from(pid));
    head.push(b"]: ");
    head
}

/// A path of the policy, which ends in NUL.
pub fn c_path(path: &[u8]) -> &CStr {
    CStr::from_bytes_with_nul(path).unwrap_or(c"")
}
