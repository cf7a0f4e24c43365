//! Who connected to a pool: a web server, or a process of the pool's own tree.

use crate::{files, sys};
use core::sync::atomic::{AtomicU32, Ordering};

/// How many generations are looked at.
const GENERATIONS: usize = 16;

/// Processes that were found to be of another tree: a web server's workers, which live long.
static OTHERS: [AtomicU32; 16] = [const { AtomicU32::new(0) }; 16];

/// Whether the other end of a local connection was made by this worker, another worker of its master, or what one of them
/// started. Of a connection by TCP, of a process that is gone or was left behind by its parents, and without /proc, it is
/// not known, and not so.
pub fn is_of_own_tree(fd: i32) -> bool {
    let Some((pid, _)) = sys::peer_process(fd).filter(|(pid, _)| *pid != 0) else { return false };
    let place = OTHERS.get(pid as usize % OTHERS.len());
    if place.is_some_and(|place| place.load(Ordering::Relaxed) == pid) {
        return false;
    }
    let master = sys::getppid();
    // A worker whose master is gone has the first process for a parent, as most servers have.
    let is_within = master > 1 && descends(pid, master);
    if !is_within && let Some(place) = place {
        place.store(pid, Ordering::Relaxed);
    }
    is_within
}

fn descends(pid: u32, from: u32) -> bool {
    let mut pid = pid;
    for _ in 0..GENERATIONS {
        if pid <= 1 {
            return false;
        }
        let mut room = [0; 512];
        match parent(files::proc_read(pid, b"stat", &mut room)) {
            Some(parent) if parent == from => return true,
            Some(parent) => pid = parent,
            None => return false,
        }
    }
    false
}

/// The parent in the text of /proc/PID/stat: the second word behind the name, which stands in parentheses.
fn parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let word = stat.get(end.wrapping_add(2)..)?.split(|&byte| byte == b' ').nth(1)?;
    u32::try_from(portcullis_request::context::number(word)).ok()
}
