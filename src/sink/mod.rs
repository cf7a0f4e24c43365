//! Where events go. A sink never blocks, and never writes to a descriptor that is not provably the guard's.
//!
//! A worker may be unable to open anything: chrooted, without privileges, /dev/log out of reach. So the master opens
//! the sinks before it forks and its workers inherit them, closed on exec and with high numbers. Every other process
//! opens what it needs for one event and closes it again.

mod held;
mod write;

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};
use held::Held;
use portcullis_event::journal::{Fields, fields, priority};
use portcullis_event::{Event, Line, encode};
use portcullis_policy::Policy;

const JOURNALD: u32 = 1;
const SYSLOG: u32 = 2;
const FILE: u32 = 4;
const STDERR: u32 = 8;

static HELD_JOURNALD: Held = Held::new();
static HELD_SYSLOG: Held = Held::new();
static HELD_FILE: Held = Held::new();
static HELD_STDERR: Held = Held::new();

/// Opens the sinks of `policy` that are not held yet; for a master, before it forks.
pub fn hold(policy: &Policy<'_>) {
    let sinks = policy.sinks();
    if sinks & JOURNALD != 0 {
        HELD_JOURNALD.refresh(|| write::datagram(write::JOURNALD));
    }
    if sinks & SYSLOG != 0 {
        HELD_SYSLOG.refresh(|| write::datagram(write::SYSLOG));
    }
    if sinks & FILE != 0 {
        let path = write::c_path(policy.log_file());
        if !HELD_FILE.is(crate::sys::stat(path).map(|stat| stat.identity)) {
            HELD_FILE.release();
        }
        HELD_FILE.refresh(|| write::file(path));
    }
    if sinks & STDERR != 0 && write::is_stderr(crate::state::settled().stderr) {
        HELD_STDERR.refresh(write::stderr);
    }
}

/// Writes the event to every sink of the policy; whether all that there are have taken it.
pub fn send(policy: &Policy<'_>, event: &Event<'_>) -> bool {
    let mut buffer = Line::new();
    let line = encode(event, &mut buffer);
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let sinks = policy.sinks();
    let mut taken = true;
    if sinks & JOURNALD != 0 {
        let mut buffer = Fields::new();
        let pieces = [fields(event, &mut buffer), b"MESSAGE=", line];
        taken &= HELD_JOURNALD.with(|| write::datagram(write::JOURNALD), |fd| crate::sys::send(fd, &pieces));
    }
    if sinks & SYSLOG != 0 {
        let head = write::syslog_head(priority(event.rule.severity), crate::sys::getpid());
        taken &=
            HELD_SYSLOG.with(|| write::datagram(write::SYSLOG), |fd| crate::sys::send(fd, &[head.bytes(), text, b""]));
    }
    if sinks & FILE != 0 {
        taken &= to_file(write::c_path(policy.log_file()), event.time, line);
    }
    if sinks & STDERR != 0 {
        let open = || if write::is_stderr(crate::state::settled().stderr) { write::stderr() } else { Err(libc::EBADF) };
        taken &= HELD_STDERR.with(open, |fd| write::whole(fd, line));
    }
    taken
}

/// When the held file had the log's path, in nanoseconds since 1970.
static HAD_PATH: AtomicU64 = AtomicU64::new(0);

/// The file that has the path now; where that cannot be opened, the one that is held (it was rotated, and the process
/// may not open the new one).
///
/// Between two events of a burst nobody rotates a log, has read it to its end and removed it: within half a millisecond
/// the path is not looked up again, only whether the file has a name.
fn to_file(path: &CStr, time: u64, line: &[u8]) -> bool {
    const BURST: u64 = 500_000;
    if time.abs_diff(HAD_PATH.load(Ordering::Relaxed)) <= BURST
        && let Some(fd) = HELD_FILE.file()
    {
        return write::appended(fd, line);
    }
    let stat = crate::sys::stat(path);
    let now = stat.map(|stat| stat.identity);
    let is_regular = stat.is_some_and(|stat| stat.mode & libc::S_IFMT == libc::S_IFREG);
    let write = |fd| if is_regular { write::appended(fd, line) } else { write::whole(fd, line) };
    if now.is_some() && HELD_FILE.is(now) {
        HAD_PATH.store(if is_regular { time } else { 0 }, Ordering::Relaxed);
        return HELD_FILE.with(|| Err(libc::EBADF), write);
    }
    match write::file(path) {
        Ok(file) => write(file.0),
        Err(_) => HELD_FILE.file().is_some_and(write),
    }
}
