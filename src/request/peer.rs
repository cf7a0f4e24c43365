//! Who connected to a pool: a web server, or a process of the pool's own tree.

use crate::server::pools;
use crate::sys;
use crate::sys::procfs;
use core::sync::atomic::{AtomicU64, Ordering};

/// How many generations are looked at. A chain of parents ends at the first process; no web server's worker has as many, so what
/// has more is taken for what is within.
const GENERATIONS: usize = 4096;

/// Processes that were found to be of another tree, with the second in which they were: a web server's workers, which live long.
/// For that second a number is taken for the same process.
static OTHERS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The process that made the other end of a local connection, where that is this worker, another worker of its master, or what one
/// of them started. So it is taken for, too, where it is a process of this worker's user that has ended, or that its parents left
/// behind in the same systemd service. Of a connection by TCP, and without /proc, it is not known, and not so.
pub fn of_own_tree(fd: i32) -> Option<u32> {
    let (pid, user) = sys::peer_process(fd).filter(|(pid, _)| *pid != 0)?;
    let place = OTHERS.get(pid as usize % OTHERS.len());
    let mark = ((sys::since_boot() / 1_000_000_000) << 32) | u64::from(pid);
    if place.is_some_and(|place| place.load(Ordering::Relaxed) == mark) {
        return None;
    }
    let is_within =
        pools::parent().is_some_and(|master| descends(pid, master)) || user == sys::geteuid() && is_left(pid);
    if !is_within && let Some(place) = place {
        place.store(mark, Ordering::Relaxed);
    }
    is_within.then_some(pid)
}

/// Whether a process has ended, or is one of this worker's service without a parent in it. Of one that /proc hides
/// (hidepid=2, of a web server's worker too) the service is not known, and it is neither.
fn is_left(pid: u32) -> bool {
    if !sys::process_exists(pid) {
        return true;
    }
    let (mut own, mut other) = ([0; 512], [0; 512]);
    let (own, other) =
        (procfs::proc_read(procfs::Whose::Own, b"cgroup", &mut own), procfs::proc_read(pid, b"cgroup", &mut other));
    // A container has one group for all of its servers.
    own == other && own.windows(SERVICE.len()).any(|part| part == SERVICE)
}

/// The end of the name of a service's control group (systemd.unit(5)).
const SERVICE: &[u8] = b".service";

fn descends(pid: u32, from: u32) -> bool {
    let mut pid = pid;
    for _ in 0..GENERATIONS {
        if pid <= 1 {
            return false;
        }
        let mut room = [0; 512];
        // /proc may hide it (hidepid=2).
        let said = parent(procfs::proc_read(pid, b"stat", &mut room));
        match said.or_else(|| sys::person(pid).map(|person| person.parent)) {
            Some(parent) if parent == from => return true,
            Some(parent) => pid = parent,
            None => return false,
        }
    }
    true
}

/// The parent in the text of /proc/PID/stat: the second word behind the name, which stands in parentheses.
fn parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let word = stat.get(end.wrapping_add(2)..)?.split(|&byte| byte == b' ').nth(1)?;
    u32::try_from(portcullis_request::context::number(word)).ok()
}
