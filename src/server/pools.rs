//! The pools of the PHP-FPM master that this process belongs to, itself a worker or started by one: by its number the master is
//! told on a local socket, by its ports on the host.

use crate::memory::StringBuf;
use crate::policy::in_force;
use crate::process::state;
use crate::server::listeners;
use crate::sys;
use crate::sys::procfs;
use core::net::IpAddr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use portcullis_policy::egress::canonical;
use portcullis_policy::{Mode, Rule, STRICTEST_SCOPE};
use portcullis_request::context::number;

/// How many runs of ports a program that is started learns of, and the length of what it learns.
const RUNS_MAX: usize = 32;
pub const TEXT_MAX: usize = 32 + RUNS_MAX * 6 + MORE.len();
/// There are more ports than it learns of.
const MORE: &[u8] = b",+";

/// The master's number; 0 where it is none of PHP-FPM's.
static MASTER: AtomicU32 = AtomicU32::new(0);
/// The inode of the PID namespace in which that is its number.
static NAMESPACE: AtomicU64 = AtomicU64::new(0);
/// The ports on which the master listens, in runs: the first of each in the upper half, the last in the lower; 0 for a free
/// place.
static RUNS: [AtomicU32; RUNS_MAX] = [const { AtomicU32::new(0) }; RUNS_MAX];
/// There are more.
static IS_MORE: AtomicBool = AtomicBool::new(false);

/// Whether there is a pool that can be reached past the web server.
#[inline(always)]
pub fn any() -> bool {
    MASTER.load(Ordering::Relaxed) != 0
}

/// The master of this worker; `None` where that is gone, and the first process is the worker's parent. In a container the master
/// may be that itself.
pub fn parent() -> Option<u32> {
    let parent = sys::getppid();
    let mut room = [0; 32];
    (parent > 1 || procfs::proc_read(1, b"comm", &mut room).starts_with(b"php-fpm")).then_some(parent)
}

/// A worker of PHP-FPM has accepted its first connection on `listener`. Where the rule refuses, what the worker starts does not
/// inherit that.
pub fn serving(listener: i32) {
    if any() {
        return;
    }
    NAMESPACE.store(namespace(), Ordering::Relaxed);
    MASTER.store(parent().unwrap_or(0), Ordering::Relaxed);
    let mut places = RUNS.iter();
    listeners::runs(|first, last| {
        let place = places.next();
        match place {
            Some(place) => place.store(u32::from(first) << 16 | u32::from(last), Ordering::Relaxed),
            None => IS_MORE.store(true, Ordering::Relaxed),
        }
        place.is_some()
    });
    if is_refused() {
        sys::close_on_exec(listener);
    }
}

/// A program has begun that inherited this. Where the listener that it did not inherit was standard input, /dev/null is.
pub fn inherit(text: &[u8]) {
    let (text, is_more) = text.strip_suffix(MORE).map_or((text, false), |text| (text, true));
    IS_MORE.store(is_more, Ordering::Relaxed);
    let mut fields = text.split(|&byte| byte == b',');
    let master = fields.next().map_or(0, number);
    NAMESPACE.store(fields.next().map_or(0, number), Ordering::Relaxed);
    for (place, run) in RUNS.iter().zip(fields) {
        let mut ends = run.split(|&byte| byte == b'-').map(number);
        let first = ends.next().unwrap_or(0);
        let last = ends.next().unwrap_or(first);
        place.store((first as u32) << 16 | (last as u32 & 0xffff), Ordering::Relaxed);
    }
    MASTER.store(master as u32, Ordering::Relaxed);
    // What is opened next where descriptor 0 is free is that.
    if master != 0
        && is_refused()
        && sys::flags(0).is_none()
        && let Ok(null) = sys::open(libc::AT_FDCWD, c"/dev/null", libc::O_RDONLY, 0)
    {
        sys::keep_over_exec(null.0);
        core::mem::forget(null);
    }
}

/// What a program that this process starts inherits.
pub fn write(text: &mut StringBuf<TEXT_MAX>) {
    if !any() {
        return;
    }
    text.number(u64::from(MASTER.load(Ordering::Relaxed)));
    text.push(b",");
    text.number(NAMESPACE.load(Ordering::Relaxed));
    let mut is_more = IS_MORE.load(Ordering::Relaxed);
    for run in RUNS.iter().map(|run| run.load(Ordering::Relaxed)).take_while(|run| *run != 0) {
        let mut next = StringBuf::<12>::of(b",");
        let (first, last) = (run >> 16, run & 0xffff);
        next.number(u64::from(first));
        if last != first {
            next.push(b"-");
            next.number(u64::from(last));
        }
        if text.bytes().len().wrapping_add(next.bytes().len()) > TEXT_MAX.wrapping_sub(MORE.len()) {
            is_more = true;
            break;
        }
        text.push(next.bytes());
    }
    if is_more {
        text.push(MORE);
    }
}

/// Whether a local socket is connected to, or is, one on which the master listens; `None` where that is not known.
pub fn is_masters(fd: i32) -> Option<bool> {
    if !any() {
        return Some(false);
    }
    match sys::asked_peer_process(fd).ok()? {
        // A process of another PID namespace than this one: the master, where it is not in this one either.
        Some((0, _)) => (namespace() == NAMESPACE.load(Ordering::Relaxed)).then_some(false),
        Some((pid, _)) => Some(pid == MASTER.load(Ordering::Relaxed)),
        None => Some(false),
    }
}

/// The inode of this process's PID namespace; 0 where it is not known.
fn namespace() -> u64 {
    sys::stat(procfs::proc_path(procfs::Whose::Own, b"ns/pid").c_str()).map_or(0, |stat| stat.identity.1)
}

/// Whether an address of this host is one on which the master listens; `None` where that is not known.
pub fn is_masters_address(ip: IpAddr, port: u16) -> Option<bool> {
    match any() && is_masters_port(port) != Some(false) {
        true if canonical(ip).is_loopback() || sys::is_own(ip)? => is_masters_port(port),
        _ => Some(false),
    }
}

/// Whether the master listens on a port; `None` where that is not known.
pub fn is_masters_port(port: u16) -> Option<bool> {
    if state::role() != state::Role::Descendant {
        return Some(listeners::is_masters(port));
    }
    let runs = RUNS.iter().map(|run| run.load(Ordering::Relaxed)).take_while(|run| *run != 0);
    let port = u32::from(port);
    match runs.into_iter().any(|run| (run >> 16..=run & 0xffff).contains(&port)) {
        false if IS_MORE.load(Ordering::Relaxed) => None,
        is_known => Some(is_known),
    }
}

/// Whether the rule refuses for anybody.
fn is_refused() -> bool {
    in_force::policy().mode(STRICTEST_SCOPE, Rule::FpmSocket) == Mode::Enforce
}
