//! Rings of io_uring that a process has without having set them up where it was judged: made before it served, or received.

use crate::sys::{self, procfs};
use core::sync::atomic::{AtomicBool, Ordering};

/// The master has, or had, a ring.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// A ring was set up before the process serves.
pub fn remember() {
    KNOWN.store(true, Ordering::Relaxed);
}

/// Looks at a descriptor of a master.
pub fn remember_if(fd: i32) {
    if is_ring(fd) {
        remember();
    }
}

/// Whether a descriptor is a ring's. The kernel is asked only where there is no /proc and rings are in use: of a filter that
/// kills, a call that the program does not make itself would be its end.
pub fn is_ring(fd: i32) -> bool {
    let mut room = [0; 32];
    match sys::readlink(procfs::proc_descriptor(fd).c_str(), &mut room) {
        b"" => KNOWN.load(Ordering::Relaxed) && sys::is_ring(fd),
        found => found == b"anon_inode:[io_uring]",
    }
}
