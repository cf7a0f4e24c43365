//! Where events go. A sink never blocks, and never writes to a descriptor that is not provably the guard's.
//!
//! A worker may be unable to open anything: chrooted, without privileges, /dev/log out of reach. So the master opens
//! the sinks before it forks and its workers inherit them, closed on exec and with high numbers. Every other process
//! opens what it needs for one event and closes it again.

mod held;
mod write;

use held::Held;
use portcullis_event::journal::{FIELDS_MAX, fields, priority};
use portcullis_event::{EVENT_MAX, Event, encode};
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
    let mut buffer = [0; EVENT_MAX];
    let line = encode(event, &mut buffer);
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let sinks = policy.sinks();
    let mut taken = true;
    if sinks & JOURNALD != 0 {
        let mut buffer = [0; FIELDS_MAX];
        let pieces = [fields(event, &mut buffer), b"MESSAGE=", line];
        taken &= HELD_JOURNALD.with(|| write::datagram(write::JOURNALD), |fd| crate::sys::send(fd, &pieces));
    }
    if sinks & SYSLOG != 0 {
        let head = write::syslog_head(priority(event.rule.severity), crate::sys::getpid());
        taken &=
            HELD_SYSLOG.with(|| write::datagram(write::SYSLOG), |fd| crate::sys::send(fd, &[head.bytes(), text, b""]));
    }
    if sinks & FILE != 0 {
        taken &= to_file(write::c_path(policy.log_file()), line);
    }
    if sinks & STDERR != 0 {
        let open = || if write::is_stderr(crate::state::settled().stderr) { write::stderr() } else { Err(libc::EBADF) };
        taken &= HELD_STDERR.with(open, |fd| write::whole(fd, line));
    }
    taken
}

/// The file that has the path now; where that cannot be opened, the one that is held (it was rotated, and the process
/// may not open the new one).
fn to_file(path: &core::ffi::CStr, line: &[u8]) -> bool {
    let stat = crate::sys::stat(path);
    let now = stat.map(|stat| stat.identity);
    let write = |fd| match stat {
        Some(stat) if stat.mode & libc::S_IFMT == libc::S_IFREG => write::appended(fd, line),
        _ => write::whole(fd, line),
    };
    if now.is_some() && HELD_FILE.is(now) {
        return HELD_FILE.with(|| Err(libc::EBADF), write);
    }
    match write::file(path) {
        Ok(file) => write(file.0),
        // What was removed nobody reads any more.
        Err(_) => HELD_FILE.with(|| Err(libc::EBADF), |fd| has_name(fd) && write(fd)),
    }
}

/// Whether what a descriptor refers to has a name still.
fn has_name(fd: i32) -> bool {
    crate::sys::fstat(fd).is_some_and(|stat| stat.links > 0)
}
